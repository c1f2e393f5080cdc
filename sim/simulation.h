/* One seed: the whole system on a virtual clock, its faults and its checkers.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SIM_SIMULATION_H
#define BTCAST_SIM_SIMULATION_H

#include "base/prng.h"
#include "hot/infer/infer.h"
#include "market/record.h"
#include "model/model.h"
#include "sim/checks.h"
#include "sim/faults.h"
#include "sim/virtual_exchange.h"
#include "sim/virtual_lake.h"
#include "sim/virtual_server.h"
#include "sim/virtual_process.h"

#define SIMULATION_SYMBOL      "BTCUSDT"
#define SIMULATION_PROCESSES   10
#define SIMULATION_AGGREGATORS 2
#define SIMULATION_REANCHORS   2
#define SIMULATION_REPLICAS    2
/* After the last fault everything is to become right again within this. */
#define SIMULATION_DRAIN_US 20000000

struct simulation_options {
    uint64_t seed;
    int seconds;
    bool faults, trace;
    enum fault_kind only;      /* aimed at every step; FAULT_COUNT: all kinds */
    const struct model *model; /* borrowed */
};

/* Drawn from the seed before anything starts. */
struct simulation_plan {
    bool second_line;
};

struct simulation_result {
    uint64_t hash; /* of everything that happened */
    uint64_t events, frames, steps;
    uint64_t predictions, flushes, swaps, restarts;
    uint32_t faults;
    uint32_t hits[FAULT_COUNT][STEP_COUNT + 1];
    bool failed;
    struct check_failure failure;
};

struct simulation {
    struct simulation_options options;
    struct simulation_plan plan;
    const struct model *model;
    struct virtual_queue queue;
    struct prng prng; /* of network and agents */
    int64_t start_us, end_us;
    bool ending; /* only freeing is left to do */
    struct model_redis *redis;
    struct virtual_server server;
    struct virtual_exchange exchange;
    struct virtual_lake lake;
    struct process processes[SIMULATION_PROCESSES];
    const struct virtual_step *step; /* what the server executes now, NULL: nothing */
    struct checks checks;
    struct faults faults;
    enum anchor_step step_now;  /* of the re-anchor under way */
    struct process_post *posts; /* free ones */
    struct simulation_result result;
};

/* Runs one seed from beginning to end. */
void simulation_run(const struct simulation_options *options, struct simulation_result *result);

struct process *simulation_process(struct simulation *simulation, enum process_kind kind,
                                   int index);
/* A line of the trace, when it is wanted. */
void simulation_trace(struct simulation *simulation, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Goes into the hash that two runs of a seed have in common. */
void simulation_mix(struct simulation *simulation, uint64_t value);
/* The first failure counts and ends the seed. */
void simulation_fail(struct simulation *simulation, enum check_rule rule, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* --- what happens */
void simulation_sent(struct simulation *simulation, const struct virtual_step *step);
void simulation_after_step(struct simulation *simulation, const redisReply *reply);
void simulation_stamped(struct simulation *simulation, const struct record *record);
void simulation_served(struct simulation *simulation, const struct process *process,
                       const struct prediction *prediction, const struct infer_timing *timing);
void simulation_rest_asked(struct simulation *simulation, struct process *process);
/* The reply will reach it at at_us. */
void simulation_rest_answered(struct simulation *simulation, struct process *process,
                              int64_t at_us);
/* The process ends by itself and is started again by its supervisor. */
void simulation_exit(struct process *process);
void simulation_restart_at(struct simulation *simulation, struct process *process, int64_t time_us);

struct process_post *simulation_new_post(struct simulation *simulation);
void simulation_free_post(struct simulation *simulation, struct process_post *post);

#endif
