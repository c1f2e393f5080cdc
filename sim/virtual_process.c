/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/virtual_process.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "sim/simulation.h"
#include "sim/virtual_link.h"

static struct process *process_running;

struct process *process_current(void)
{
    return process_running;
}

static const char *const process_names[PROCESS_KINDS] = {
    [PROCESS_INGESTOR] = "ingestor",  [PROCESS_AGGREGATOR] = "aggregator",
    [PROCESS_REANCHOR] = "reanchor",  [PROCESS_INFERENCE] = "inference",
    [PROCESS_GAP] = "gap-detector",   [PROCESS_ARCHIVE] = "data-connector",
    [PROCESS_POLL] = "rest-ingestor",
};

void process_init(struct process *process, struct simulation *simulation, enum process_kind kind,
                  int index, const struct process_agent *type)
{
    *process = (struct process){.simulation = simulation,
                                .kind = kind,
                                .index = index,
                                .type = type,
                                .wake_us = INT64_MAX,
                                .cost_us = PROCESS_COST_US,
                                .latency_us = PROCESS_LATENCY_US,
                                .jitter_us = PROCESS_JITTER_US};
    snprintf(process->name, sizeof(process->name), "%s-%d", process_names[kind], index + 1);
    process->mono_offset_us =
        -simulation->queue.now_us + (int64_t)prng_below(&simulation->prng, 1000000000000);
}

struct clock_now process_now(const struct process *process)
{
    int64_t now_us = process->simulation->queue.now_us;
    return (struct clock_now){now_us + process->wall_offset_us, now_us + process->mono_offset_us};
}

int64_t process_delay_us(struct process *process)
{
    return process->latency_us +
           (int64_t)prng_below(&process->simulation->prng, (uint64_t)process->jitter_us + 1);
}

static void process_deliver(struct process *process)
{
    struct process_post *post;
    while ((post = process->inbox) != NULL) {
        process->inbox = post->next;
        if (process->inbox == NULL)
            process->inbox_last = NULL;
        post->fn(process, post->object, post->number, true);
        simulation_free_post(process->simulation, post);
    }
}

static void process_run(void *context, void *object, uint64_t ticket)
{
    struct process *process = context;
    int64_t now_us = process->simulation->queue.now_us;
    (void)object;
    if (ticket != process->wake_ticket || process->agent == NULL || process->simulation->ending)
        return;
    process->wake_us = INT64_MAX;
    if (now_us < process->paused_until_us) {
        process_wake_at(process, process->paused_until_us);
        return;
    }
    process_running = process;
    process_deliver(process);
    int64_t wait_us = process->type->step(process->agent, process_now(process));
    process_running = NULL;
    process->free_us = now_us + process->cost_us;
    if (wait_us > 1000000)
        wait_us = 1000000;
    process_wake_at(process, now_us + (wait_us < 0 ? 0 : wait_us));
}

void process_wake_at(struct process *process, int64_t time_us)
{
    if (time_us < process->free_us)
        time_us = process->free_us;
    if (time_us < process->paused_until_us)
        time_us = process->paused_until_us;
    if (time_us >= process->wake_us)
        return;
    process->wake_us = time_us;
    virtual_queue_add(&process->simulation->queue, time_us, process_run, process, NULL,
                      ++process->wake_ticket);
}

static void process_arrive(void *context, void *object, uint64_t number)
{
    struct process *process = context;
    struct process_post *post = object;
    (void)number;
    if (post->life != process->life || process->agent == NULL || process->simulation->ending) {
        post->fn(process, post->object, post->number, false);
        simulation_free_post(process->simulation, post);
        return;
    }
    post->next = NULL;
    if (process->inbox_last != NULL)
        process->inbox_last->next = post;
    else
        process->inbox = post;
    process->inbox_last = post;
    process_wake_at(process, process->simulation->queue.now_us);
}

void process_post(struct process *process, int64_t time_us, process_post_fn fn, void *object,
                  uint64_t number)
{
    struct process_post *post = simulation_new_post(process->simulation);
    *post = (struct process_post){
        .process = process, .life = process->life, .fn = fn, .object = object, .number = number};
    virtual_queue_add(&process->simulation->queue, time_us, process_arrive, process, post, 0);
}

void process_start(struct process *process)
{
    CHECK(process->agent == NULL);
    process->life++;
    process->starts++;
    process->metrics = calloc(1, sizeof(*process->metrics));
    CHECK(process->metrics != NULL);
    process->loop = virtual_loop_open(process);
    process_running = process;
    process->agent = process->type->open(process);
    process_running = NULL;
    process->free_us = 0;
    process->paused_until_us = 0;
    process_wake_at(process, process->simulation->queue.now_us);
}

void process_crash(struct process *process)
{
    struct process_post *post;
    if (process->agent == NULL)
        return;
    process_running = process;
    process->type->close(process->agent);
    process_running = NULL;
    process->agent = NULL;
    process->life++;
    while ((post = process->inbox) != NULL) {
        process->inbox = post->next;
        post->fn(process, post->object, post->number, false);
        simulation_free_post(process->simulation, post);
    }
    process->inbox_last = NULL;
    virtual_loop_close(process->loop);
    metrics_close(process->metrics);
    free(process->metrics);
    process->metrics = NULL;
    process->wake_us = INT64_MAX;
    process->wake_ticket++;
    process->down_since_us = process->simulation->queue.now_us;
}

void process_free(struct process *process)
{
    process_crash(process);
}

void process_pause(struct process *process, int64_t until_us)
{
    process->paused_until_us = until_us;
}
