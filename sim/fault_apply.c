/* What each fault does. SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "sim/simulation.h"

/* A replica is left alone while the other one has trouble, and so long after. */
#define FAULT_REPLICA_REST_US 6000000

/* After a crash of the writer the lease lives on for 2 s; a writer that is back by then keeps it.
 */
#define FAULT_TAKEOVER_US 2500000

struct fault_call {
    struct faults *faults;
    struct simulation *simulation;
    int64_t now_us;
};

static int64_t fault_between(struct fault_call *call, int64_t from, int64_t to)
{
    return from + (int64_t)prng_below(&call->faults->prng, (uint64_t)(to - from) + 1);
}

/* --- whom ------------------------------------------------------------------------------- */

static struct process *fault_active(struct fault_call *call, bool active)
{
    struct simulation *simulation = call->simulation;
    const struct model_value *lease =
        model_redis_value(simulation->redis, simulation->checks.keys[STATE_LEASE], call->now_us);
    int index = 0;
    for (int i = 0; lease->type == MODEL_STRING && i < SIMULATION_AGGREGATORS; i++) {
        const char *name = simulation_process(simulation, PROCESS_AGGREGATOR, i)->name;
        if (lease->data->size > strlen(name) && memcmp(lease->data->data, name, strlen(name)) == 0)
            index = i;
    }
    return simulation_process(simulation, PROCESS_AGGREGATOR, active ? index : 1 - index);
}

/* The one whose token holds the claim, or any. */
static struct process *fault_coordinator(struct fault_call *call)
{
    struct simulation *simulation = call->simulation;
    const struct model_value *flag =
        model_redis_value(simulation->redis, simulation->checks.keys[STATE_REANCHOR], call->now_us);
    int index = (int)prng_below(&call->faults->prng, SIMULATION_REANCHORS);
    if (flag->type == MODEL_STRING)
        index = flag->data->data[0] - '1';
    return simulation_process(simulation, PROCESS_REANCHOR, index == 1);
}

/* A replica that may have trouble until then, NULL when the other one is needed. */
static struct process *fault_replica(struct fault_call *call, int64_t until_us)
{
    struct faults *faults = call->faults;
    int index = (int)prng_below(&faults->prng, SIMULATION_REPLICAS);
    if (call->now_us < faults->replica_bad_until_us[1 - index])
        index = 1 - index;
    if (call->now_us < faults->replica_bad_until_us[1 - index])
        return NULL;
    if (until_us + FAULT_REPLICA_REST_US > faults->replica_bad_until_us[index])
        faults->replica_bad_until_us[index] = until_us + FAULT_REPLICA_REST_US;
    return simulation_process(call->simulation, PROCESS_INFERENCE, index);
}

static struct process *fault_any(struct fault_call *call, int64_t until_us)
{
    int at = (int)prng_below(&call->faults->prng, SIMULATION_PROCESSES);
    struct process *process = &call->simulation->processes[at];
    return process->kind == PROCESS_INFERENCE ? fault_replica(call, until_us) : process;
}

/* --- processes -------------------------------------------------------------------------- */

static bool fault_crash(struct fault_call *call, struct process *process, int64_t until_us)
{
    struct simulation *simulation = call->simulation;
    if (process == NULL || !process_is_up(process))
        return false;
    simulation_trace(simulation, "FAULT kill -9 %s", process->name);
    if (process->kind == PROCESS_INGESTOR)
        checks_ingestor_died(&simulation->checks);
    process_crash(process);
    simulation_restart_at(simulation, process, until_us);
    faults_lasts(call->faults, until_us);
    return true;
}

static bool fault_pause(struct fault_call *call, struct process *process, int64_t until_us)
{
    if (process == NULL || !process_is_up(process))
        return false;
    simulation_trace(call->simulation, "FAULT SIGSTOP %s for %lld ms", process->name,
                     (long long)(until_us - call->now_us) / 1000);
    process_pause(process, until_us);
    faults_lasts(call->faults, until_us);
    return true;
}

/* Which of a process' troubles ends. */
enum fault_heal { FAULT_HEAL_SLOW, FAULT_HEAL_LINK, FAULT_HEAL_CLOCK };

static void fault_on_heal(void *context, void *object, uint64_t number)
{
    struct simulation *simulation = context;
    struct process *process = object;
    if (simulation->ending)
        return;
    simulation_trace(simulation, "heals %s", process->name);
    switch ((enum fault_heal)number) {
    case FAULT_HEAL_SLOW:
        process->cost_us = PROCESS_COST_US;
        break;
    case FAULT_HEAL_LINK:
        process->latency_us = PROCESS_LATENCY_US;
        process->jitter_us = PROCESS_JITTER_US;
        break;
    case FAULT_HEAL_CLOCK:
        process->wall_offset_us = 0;
        break;
    }
}

static void fault_heal_at(struct fault_call *call, struct process *process, enum fault_heal heal,
                          int64_t until_us)
{
    virtual_queue_add(&call->simulation->queue, until_us, fault_on_heal, call->simulation, process,
                      (uint64_t)heal);
    faults_lasts(call->faults, until_us);
}

static bool fault_partition(struct fault_call *call, struct process *process, int64_t until_us)
{
    if (process == NULL)
        return false;
    simulation_trace(call->simulation, "FAULT %s does not reach the store for %lld ms",
                     process->name, (long long)(until_us - call->now_us) / 1000);
    process->away_until_us = until_us;
    faults_lasts(call->faults, until_us);
    return true;
}

static bool fault_partition_rest(struct fault_call *call, int64_t until_us)
{
    simulation_trace(call->simulation, "FAULT nobody reaches REST for %lld ms",
                     (long long)(until_us - call->now_us) / 1000);
    for (int i = 0; i < SIMULATION_PROCESSES; i++)
        call->simulation->processes[i].rest_away_until_us = until_us;
    faults_lasts(call->faults, until_us);
    return true;
}

static bool fault_slow(struct fault_call *call, struct process *process, int64_t until_us)
{
    process->cost_us = fault_between(call, 2000, 30000);
    simulation_trace(call->simulation, "FAULT %s takes %lld us a step", process->name,
                     (long long)process->cost_us);
    fault_heal_at(call, process, FAULT_HEAL_SLOW, until_us);
    return true;
}

static bool fault_slow_link(struct fault_call *call, struct process *process, int64_t until_us)
{
    if (process == NULL)
        return false;
    process->latency_us = fault_between(call, 1000, 60000);
    process->jitter_us = process->latency_us;
    simulation_trace(call->simulation, "FAULT messages of %s take %lld us", process->name,
                     (long long)process->latency_us);
    fault_heal_at(call, process, FAULT_HEAL_LINK, until_us);
    return true;
}

static bool fault_clock_jump(struct fault_call *call, struct process *process, int64_t until_us)
{
    if (process == NULL)
        return false;
    int64_t by_us = fault_between(call, 1000, 5000000);
    process->wall_offset_us = prng_below(&call->faults->prng, 2) == 0 ? by_us : -by_us;
    simulation_trace(call->simulation, "FAULT wall clock of %s jumps by %lld ms", process->name,
                     (long long)process->wall_offset_us / 1000);
    fault_heal_at(call, process, FAULT_HEAL_CLOCK, until_us);
    return true;
}

/* The one that takes over believes that it is earlier than when the lease was last taken. */
static bool fault_crash_behind(struct fault_call *call, int64_t until_us)
{
    struct process *heir = fault_active(call, false);
    if (!process_is_up(heir))
        return false;
    heir->wall_offset_us = -fault_between(call, 2000000, 90000000);
    simulation_trace(call->simulation, "FAULT wall clock of %s jumps by %lld ms", heir->name,
                     (long long)heir->wall_offset_us / 1000);
    fault_heal_at(call, heir, FAULT_HEAL_CLOCK, until_us);
    return fault_crash(call, fault_active(call, true), until_us);
}

/* --- the store -------------------------------------------------------------------------- */

static bool fault_cut(struct fault_call *call, struct process *process)
{
    if (process == NULL || !process_is_up(process))
        return false;
    simulation_trace(call->simulation, "FAULT connections of %s are cut", process->name);
    virtual_server_cut(&call->simulation->server, process);
    return true;
}

static bool fault_store_pause(struct fault_call *call, int64_t until_us)
{
    if (call->simulation->server.down)
        return false;
    simulation_trace(call->simulation, "FAULT the store stands still for %lld ms",
                     (long long)(until_us - call->now_us) / 1000);
    virtual_server_pause(&call->simulation->server, until_us);
    faults_lasts(call->faults, until_us);
    return true;
}

static void fault_on_follow(void *context, void *object, uint64_t number)
{
    struct simulation *simulation = context;
    (void)object;
    if (simulation->ending)
        return;
    simulation_trace(simulation, "the replica follows, %lld ms of writes are lost",
                     (long long)number / 1000);
    virtual_server_up(&simulation->server);
}

static bool fault_failover(struct fault_call *call)
{
    struct simulation *simulation = call->simulation;
    if (simulation->server.down)
        return false;
    int64_t until_us = call->now_us + fault_between(call, 200000, 2500000);
    int64_t lost_us =
        fault_between(call, 0, prng_below(&call->faults->prng, 4) == 0 ? 300000 : 20000);
    simulation_trace(simulation, "FAULT the store dies");
    virtual_server_down(&simulation->server);
    checks_store_lost(&simulation->checks, false);
    model_redis_failover(simulation->redis, call->now_us, lost_us);
    virtual_queue_add(&simulation->queue, until_us, fault_on_follow, simulation, NULL,
                      (uint64_t)lost_us);
    faults_lasts(call->faults, until_us);
    return true;
}

static bool fault_flush_all(struct fault_call *call)
{
    struct simulation *simulation = call->simulation;
    if (simulation->server.down)
        return false;
    simulation_trace(simulation, "FAULT FLUSHALL");
    checks_store_lost(&simulation->checks, true);
    model_redis_flush_all(simulation->redis, call->now_us);
    return true;
}

static void fault_on_room(void *context, void *object, uint64_t number)
{
    struct simulation *simulation = context;
    (void)object;
    (void)number;
    model_redis_set_full(simulation->redis, false);
}

static bool fault_full(struct fault_call *call, int64_t until_us)
{
    simulation_trace(call->simulation, "FAULT the store is full for %lld ms",
                     (long long)(until_us - call->now_us) / 1000);
    model_redis_set_full(call->simulation->redis, true);
    virtual_queue_add(&call->simulation->queue, until_us, fault_on_room, call->simulation, NULL, 0);
    faults_lasts(call->faults, until_us);
    return true;
}

static bool fault_lake(struct fault_call *call, int64_t until_us)
{
    simulation_trace(call->simulation, "FAULT the lake is away for %lld ms",
                     (long long)(until_us - call->now_us) / 1000);
    call->simulation->lake.away_until_us = until_us;
    faults_lasts(call->faults, until_us);
    return true;
}

/* --- the exchange ----------------------------------------------------------------------- */

static bool fault_frames(struct fault_call *call, enum fault_kind kind)
{
    struct exchange_frame_faults *frames = &call->simulation->exchange.frames;
    int count = (int)fault_between(call, 1, 3);
    simulation_trace(call->simulation, "FAULT %s x %d", fault_name(kind), count);
    switch (kind) {
    case FAULT_DROP_DIFF:
        frames->drop_diffs += count;
        break;
    case FAULT_DROP_TRADE:
        frames->drop_trades += count;
        break;
    case FAULT_DROP_FRAMES:
        frames->drop_any += 3 * count;
        break;
    case FAULT_DUPLICATE:
        frames->duplicate += 5 * count;
        break;
    case FAULT_REORDER:
        frames->reorder += count;
        break;
    case FAULT_TRUNCATE:
        frames->truncate += count;
        break;
    case FAULT_DELAY:
        frames->delay_us = fault_between(call, 5000, 400000);
        frames->delay_until_us = call->now_us + fault_between(call, 100000, 2000000);
        faults_lasts(call->faults, frames->delay_until_us);
        break;
    default:
        frames->stall_until_us = call->now_us + fault_between(call, 1000000, 7000000);
        faults_lasts(call->faults, frames->stall_until_us);
        break;
    }
    return true;
}

static bool fault_disconnect(struct fault_call *call, bool refuse)
{
    struct virtual_exchange *exchange = &call->simulation->exchange;
    simulation_trace(call->simulation, "FAULT the exchange hangs up%s",
                     refuse ? " and refuses" : "");
    for (int line = 0; line < EXCHANGE_LINES; line++)
        virtual_exchange_cut(exchange, line);
    if (refuse)
        exchange->refuse_until_us = call->now_us + fault_between(call, 200000, 4000000);
    faults_lasts(call->faults, exchange->refuse_until_us);
    return true;
}

static bool fault_rest(struct fault_call *call, enum fault_kind kind)
{
    struct virtual_exchange *exchange = &call->simulation->exchange;
    struct exchange_rest_faults *rest = &exchange->rest[EXCHANGE_REST_ANCHOR];
    simulation_trace(call->simulation, "FAULT %s", fault_name(kind));
    switch (kind) {
    case FAULT_REST_429:
    case FAULT_REST_418:
        rest->status = kind == FAULT_REST_429 ? 429 : 418;
        rest->retry_after_s = fault_between(call, 1, 4);
        rest->status_left = 1;
        break;
    case FAULT_REST_5XX:
        rest->status = prng_below(&call->faults->prng, 2) == 0 ? 500 : 503;
        rest->retry_after_s = -1;
        rest->status_left = (int)fault_between(call, 1, 2);
        break;
    case FAULT_REST_SLOW:
        rest->slow_us = fault_between(call, 100000, 12000000);
        rest->slow_until_us = call->now_us + 1000000;
        faults_lasts(call->faults, call->now_us + rest->slow_us);
        break;
    case FAULT_REST_PARTIAL:
        rest->partial_left = (int)fault_between(call, 1, 2);
        break;
    default:
        rest->stale_ids = fault_between(call, 200, 20000);
        rest->stale_left = (int)fault_between(call, 1, 2);
        break;
    }
    /* Polls meet the same, and take nothing away from the anchor it was aimed at. */
    exchange->rest[EXCHANGE_REST_POLL] = *rest;
    return true;
}

/* --- the table --------------------------------------------------------------------------- */

static bool fault_process(struct fault_call *call, enum fault_kind kind)
{
    struct process *ingestor = simulation_process(call->simulation, PROCESS_INGESTOR, 0);
    int64_t soon_us = call->now_us + fault_between(call, 50000, 3000000);
    /* Longer than a lease, a document and a claim live. */
    int64_t late_us = prng_below(&call->faults->prng, 3) == 0 ? soon_us + 9000000 : soon_us;
    switch (kind) {
    case FAULT_CRASH_INGESTOR:
        return fault_crash(call, ingestor, soon_us);
    case FAULT_CRASH_ACTIVE:
        return fault_crash(call, fault_active(call, true), soon_us);
    case FAULT_CRASH_BEHIND:
        return fault_crash_behind(call, soon_us + FAULT_TAKEOVER_US);
    case FAULT_CRASH_STANDBY:
        return fault_crash(call, fault_active(call, false), soon_us);
    case FAULT_CRASH_COORDINATOR:
        return fault_crash(call, fault_coordinator(call), soon_us);
    case FAULT_CRASH_DETECTOR:
        return fault_crash(call, simulation_process(call->simulation, PROCESS_GAP, 0), soon_us);
    case FAULT_CRASH_ARCHIVE:
        return fault_crash(call, simulation_process(call->simulation, PROCESS_ARCHIVE, 0), soon_us);
    case FAULT_CRASH_POLLER:
        return fault_crash(call, simulation_process(call->simulation, PROCESS_POLL, 0), soon_us);
    case FAULT_CRASH_REPLICA:
        return fault_crash(call, fault_replica(call, soon_us), soon_us);
    case FAULT_PAUSE_INGESTOR:
        return fault_pause(call, ingestor, soon_us);
    case FAULT_PAUSE_ACTIVE:
        return fault_pause(call, fault_active(call, true), late_us);
    case FAULT_PAUSE_COORDINATOR:
        return fault_pause(call, fault_coordinator(call), late_us);
    case FAULT_PAUSE_REPLICA:
        return fault_pause(call, fault_replica(call, soon_us), soon_us);
    case FAULT_PARTITION_INGESTOR:
        return fault_partition(call, ingestor, soon_us);
    case FAULT_PARTITION_ACTIVE:
        return fault_partition(call, fault_active(call, true), late_us);
    case FAULT_PARTITION_COORDINATOR:
        return fault_partition(call, fault_coordinator(call), soon_us);
    case FAULT_PARTITION_REPLICA:
        return fault_partition(call, fault_replica(call, soon_us), soon_us);
    case FAULT_PARTITION_REST:
        return fault_partition_rest(call, soon_us);
    case FAULT_SLOW:
        return fault_slow(call, fault_active(call, true), soon_us);
    case FAULT_SLOW_LINK:
        return fault_slow_link(call, fault_any(call, soon_us), soon_us);
    default:
        return fault_clock_jump(call, fault_any(call, soon_us), soon_us);
    }
}

bool fault_apply(struct faults *faults, enum fault_kind kind)
{
    struct fault_call call = {faults, faults->simulation, faults->simulation->queue.now_us};
    switch (kind) {
    case FAULT_DISCONNECT:
    case FAULT_REFUSE:
        return fault_disconnect(&call, kind == FAULT_REFUSE);
    case FAULT_CUT:
        return fault_cut(&call, fault_any(&call, call.now_us));
    case FAULT_STORE_PAUSE:
        return fault_store_pause(&call, call.now_us + fault_between(&call, 20000, 2500000));
    case FAULT_FAILOVER:
        return fault_failover(&call);
    case FAULT_FLUSHALL:
        return fault_flush_all(&call);
    case FAULT_LAKE:
        return fault_lake(&call, call.now_us + fault_between(&call, 500000, 15000000));
    case FAULT_FULL:
        return fault_full(&call, call.now_us + fault_between(&call, 100000, 3000000));
    default:
        break;
    }
    if (kind <= FAULT_STALL)
        return fault_frames(&call, kind);
    if (kind >= FAULT_REST_429)
        return fault_rest(&call, kind);
    return fault_process(&call, kind);
}
