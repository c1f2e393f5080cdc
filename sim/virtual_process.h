/* One process of the simulated system: its life, its clocks, its inbox of what the network
 * has brought, and when it runs next. A step is what one cycle of the real service's loop
 * does: first the answers that have come, then the agent. A crash loses all of it.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SIM_VIRTUAL_PROCESS_H
#define BTCAST_SIM_VIRTUAL_PROCESS_H

#include <stddef.h>

#include "base/clock.h"
#include "base/metrics.h"
#include "base/prng.h"
#include "sim/virtual_queue.h"

/* One cycle of an agent; the network in good order: least delay and what is added at random. */
#define PROCESS_COST_US    15
#define PROCESS_LATENCY_US 60
#define PROCESS_JITTER_US  80

enum process_kind {
    PROCESS_INGESTOR,
    PROCESS_AGGREGATOR,
    PROCESS_REANCHOR,
    PROCESS_INFERENCE,
    PROCESS_GAP,
    PROCESS_ARCHIVE,
    PROCESS_POLL,
    PROCESS_KINDS,
};

struct process;
struct simulation;
struct redis_link;
struct loop;

/* What an agent brings: open builds it in its first or next life, close destroys it without
 * a word to anybody, step runs one cycle and says how long it may wait. */
struct process_agent {
    void *(*open)(struct process *process);
    void (*close)(void *agent);
    int64_t (*step)(void *agent, struct clock_now now);
};

/* Something that arrives: deliver false means it came too late (the life it was meant for is
 * over) and is only to be freed. */
typedef void (*process_post_fn)(struct process *process, void *object, uint64_t number,
                                bool deliver);

struct process_post {
    struct process *process;
    uint64_t life;
    process_post_fn fn;
    void *object;
    uint64_t number;
    struct process_post *next;
};

struct process {
    struct simulation *simulation;
    enum process_kind kind;
    int index; /* among its kind */
    char name[24];
    const struct process_agent *type;
    void *agent; /* NULL: down */
    uint64_t life;
    int starts;
    struct metrics *metrics;
    struct loop *loop;

    int64_t wall_offset_us, mono_offset_us;
    int64_t wake_us; /* the next wake on its way; INT64_MAX: none */
    uint64_t wake_ticket;
    int64_t free_us; /* busy until then */
    int64_t cost_us; /* of one step */
    int64_t paused_until_us;
    int64_t down_since_us;

    /* the network between it and the others */
    int64_t latency_us, jitter_us;
    int64_t away_until_us;      /* cut off from the store: messages arrive when that is over */
    int64_t rest_away_until_us; /* cut off from the exchange */

    struct process_post *inbox, *inbox_last;
};

void process_init(struct process *process, struct simulation *simulation, enum process_kind kind,
                  int index, const struct process_agent *type);
void process_start(struct process *process);
/* Everything in memory is gone. */
void process_crash(struct process *process);
void process_free(struct process *process);
static inline bool process_is_up(const struct process *process)
{
    return process->agent != NULL;
}
/* SIGSTOP until then. */
void process_pause(struct process *process, int64_t until_us);
void process_wake_at(struct process *process, int64_t time_us);
/* Reaches the process at time_us. */
void process_post(struct process *process, int64_t time_us, process_post_fn fn, void *object,
                  uint64_t number);
/* Its clocks now. */
struct clock_now process_now(const struct process *process);
/* A network delay of its own, drawn anew each time. */
int64_t process_delay_us(struct process *process);
/* The process that is running now, NULL between events. */
struct process *process_current(void);

#endif
