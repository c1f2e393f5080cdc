/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/simulation.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/log.h"
#include "sim/agents.h"

/* A supervisor starts again what has ended after so long. */
#define SIMULATION_RESTART_US 200000
/* 2026-11-20, and a little further with each seed, so that minutes and slots lie anywhere. */
#define SIMULATION_EPOCH_US 1795132800000000LL

static struct simulation *simulation_logging;

static int64_t simulation_log_wall_us(void)
{
    return simulation_logging->queue.now_us;
}

void simulation_trace(struct simulation *simulation, const char *format, ...)
{
    if (!simulation->options.trace)
        return;
    char text[512];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    fprintf(stderr, "%12.6f %s\n", (double)(simulation->queue.now_us - simulation->start_us) / 1e6,
            text);
}

void simulation_mix(struct simulation *simulation, uint64_t value)
{
    uint64_t hash = simulation->result.hash ^ value;
    hash *= 0x9e3779b97f4a7c15ull;
    simulation->result.hash = hash ^ hash >> 29;
}

void simulation_fail(struct simulation *simulation, enum check_rule rule, const char *format, ...)
{
    struct check_failure *failure = &simulation->result.failure;
    if (simulation->result.failed)
        return;
    simulation->result.failed = true;
    failure->rule = rule;
    failure->at_us = simulation->queue.now_us - simulation->start_us;
    va_list args;
    va_start(args, format);
    (void)vsnprintf(failure->text, sizeof(failure->text), format, args);
    va_end(args);
    simulation_trace(simulation, "FAILED %s: %s", check_rule_name(rule), failure->text);
}

struct process_post *simulation_new_post(struct simulation *simulation)
{
    struct process_post *post = simulation->posts;
    if (post != NULL) {
        simulation->posts = post->next;
        return post;
    }
    post = malloc(sizeof(*post));
    CHECK(post != NULL);
    return post;
}

void simulation_free_post(struct simulation *simulation, struct process_post *post)
{
    post->next = simulation->posts;
    simulation->posts = post;
}

struct process *simulation_process(struct simulation *simulation, enum process_kind kind, int index)
{
    for (int i = 0; i < SIMULATION_PROCESSES; i++)
        if (simulation->processes[i].kind == kind && simulation->processes[i].index == index)
            return &simulation->processes[i];
    return NULL;
}

/* --- what happens ---------------------------------------------------------------------- */

/* A script's "ok" or 1, or anything that is no error. */
static bool simulation_accepts(const redisReply *reply)
{
    if (reply->type == REDIS_REPLY_ARRAY && reply->elements > 0 &&
        reply->element[0]->type == REDIS_REPLY_STRING)
        return strcmp(reply->element[0]->str, "ok") == 0 || reply->element[0]->str[0] == 'W';
    return reply->type != REDIS_REPLY_INTEGER || reply->integer == 1;
}

void simulation_after_step(struct simulation *simulation, const redisReply *reply)
{
    const struct virtual_step *step = simulation->step;
    simulation->result.steps++;
    simulation_mix(simulation, (uint64_t)simulation->queue.now_us);
    simulation_mix(simulation, (uint64_t)step->process->kind << 8 | (uint64_t)step->process->index);
    simulation_mix(simulation, (uint64_t)reply->type << 32 | (uint64_t)step->arg_count);
    checks_after_step(&simulation->checks, step, reply);
    anchor_steps_executed(simulation, step, simulation_accepts(reply));
}

void simulation_stamped(struct simulation *simulation, const struct record *record)
{
    simulation->result.frames += record->kind == RECORD_FRAME;
    simulation_mix(simulation, record->seq ^ (uint64_t)record->recv_us << 20);
    checks_stamped(&simulation->checks, record);
}

void simulation_served(struct simulation *simulation, const struct process *process,
                       const struct prediction *prediction, const struct infer_timing *timing)
{
    simulation_mix(simulation, (uint64_t)timing->slot);
    (void)process;
    checks_served(&simulation->checks, prediction, timing);
}

void simulation_sent(struct simulation *simulation, const struct virtual_step *step)
{
    anchor_steps_sent(simulation, step);
}

void simulation_rest_asked(struct simulation *simulation, struct process *process)
{
    anchor_steps_asked(simulation, process);
}

void simulation_rest_answered(struct simulation *simulation, struct process *process, int64_t at_us)
{
    anchor_steps_answered(simulation, process, at_us);
}

static void simulation_on_exit(void *context, void *object, uint64_t number)
{
    struct simulation *simulation = context;
    struct process *process = object;
    if (simulation->ending || process->life != number || !process_is_up(process))
        return;
    simulation_trace(simulation, "%s ends", process->name);
    process_crash(process);
    simulation_restart_at(simulation, process, simulation->queue.now_us + SIMULATION_RESTART_US);
}

void simulation_exit(struct process *process)
{
    struct simulation *simulation = process->simulation;
    virtual_queue_add(&simulation->queue, simulation->queue.now_us, simulation_on_exit, simulation,
                      process, process->life);
}

static void simulation_on_restart(void *context, void *object, uint64_t number)
{
    struct simulation *simulation = context;
    struct process *process = object;
    if (simulation->ending || process->life != number || process_is_up(process))
        return;
    simulation_trace(simulation, "%s starts", process->name);
    simulation->result.restarts += process->starts > 0;
    process->wall_offset_us = 0;
    process_start(process);
}

void simulation_restart_at(struct simulation *simulation, struct process *process, int64_t time_us)
{
    virtual_queue_add(&simulation->queue, time_us, simulation_on_restart, simulation, process,
                      process->life);
}

static void simulation_on_changed(void *context)
{
    struct simulation *simulation = context;
    checks_changed(&simulation->checks);
}

/* --- one seed -------------------------------------------------------------------------- */

static void simulation_add(struct simulation *simulation, int at, enum process_kind kind, int index,
                           const struct process_agent *agent)
{
    struct process *process = &simulation->processes[at];
    process_init(process, simulation, kind, index, agent);
    simulation_restart_at(simulation, process,
                          simulation->start_us + (int64_t)prng_below(&simulation->prng, 300000));
}

static void simulation_open(struct simulation *simulation, const struct simulation_options *options)
{
    simulation->options = *options;
    simulation->model = options->model;
    prng_init(&simulation->prng, options->seed * 2);
    simulation->start_us = SIMULATION_EPOCH_US + (int64_t)prng_below(&simulation->prng, 3600000000);
    simulation->queue.now_us = simulation->start_us;
    simulation->end_us = simulation->start_us + options->seconds * 1000000LL;
    simulation->plan.second_line = prng_below(&simulation->prng, 3) == 0;
    struct model_redis_options redis = {
        .replicated = true, .changed = simulation_on_changed, .context = simulation};
    simulation->redis = model_redis_open(&redis);
    virtual_server_open(&simulation->server, simulation, simulation->redis);
    checks_open(&simulation->checks, simulation);
    simulation_add(simulation, 0, PROCESS_INGESTOR, 0, &agent_ingestor);
    simulation_add(simulation, 1, PROCESS_AGGREGATOR, 0, &agent_aggregator);
    simulation_add(simulation, 2, PROCESS_AGGREGATOR, 1, &agent_aggregator);
    simulation_add(simulation, 3, PROCESS_REANCHOR, 0, &agent_reanchor);
    simulation_add(simulation, 4, PROCESS_REANCHOR, 1, &agent_reanchor);
    simulation_add(simulation, 5, PROCESS_INFERENCE, 0, &agent_inference);
    simulation_add(simulation, 6, PROCESS_INFERENCE, 1, &agent_inference);
    simulation_add(simulation, 7, PROCESS_GAP, 0, &agent_gap);
    simulation_add(simulation, 8, PROCESS_ARCHIVE, 0, &agent_archive);
    simulation_add(simulation, 9, PROCESS_POLL, 0, &agent_poll);
    virtual_lake_open(&simulation->lake, simulation);
    virtual_exchange_open(&simulation->exchange, simulation, &simulation->processes[0],
                          options->seed);
    simulation->step_now = STEP_NONE;
    faults_open(&simulation->faults, simulation);
}

static void simulation_close(struct simulation *simulation)
{
    simulation->ending = true;
    for (int i = 0; i < SIMULATION_PROCESSES; i++)
        process_free(&simulation->processes[i]);
    while (virtual_queue_step(&simulation->queue, INT64_MAX)) {
    }
    virtual_server_close(&simulation->server);
    virtual_exchange_close(&simulation->exchange);
    checks_close(&simulation->checks);
    virtual_lake_close(&simulation->lake);
    model_redis_close(simulation->redis);
    virtual_queue_close(&simulation->queue);
    while (simulation->posts != NULL) {
        struct process_post *post = simulation->posts;
        simulation->posts = post->next;
        free(post);
    }
}

void simulation_run(const struct simulation_options *options, struct simulation_result *result)
{
    struct simulation *simulation = calloc(1, sizeof(*simulation));
    CHECK(simulation != NULL);
    simulation_logging = simulation;
    log_init("sim", options->trace ? LOG_INFO : (enum log_level)(LOG_ERROR + 1),
             simulation_log_wall_us);
    simulation_open(simulation, options);
    int64_t last_us = simulation->end_us + SIMULATION_DRAIN_US;
    while (!simulation->result.failed && virtual_queue_step(&simulation->queue, last_us))
        simulation->result.events++;
    if (!simulation->result.failed)
        checks_end(&simulation->checks);
    simulation->result.faults = simulation->faults.total;
    memcpy(simulation->result.hits, simulation->faults.hits, sizeof(simulation->result.hits));
    *result = simulation->result;
    simulation_close(simulation);
    log_init("sim", LOG_INFO, NULL);
    free(simulation);
}
