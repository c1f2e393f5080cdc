/* The inference agent: on each slot of the grid one atomic read, the model, confidence, one
 * publishing script. It never waits for anything but Redis, and for that only within named
 * limits: a prediction leaves in every slot once a price has been seen (DESIGN.md section 5,
 * "Inference" and "Degradation").
 *
 * Every prediction goes through the outbox (journal): normally it holds one entry for one
 * round trip; with Redis away it keeps them, and drains in slot order afterwards, so that the
 * stream gets every slot exactly once whatever the replicas do.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_HOT_INFER_INFER_H
#define BTCAST_HOT_INFER_INFER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/slew.h"
#include "hot/infer/track.h"
#include "hot/infer/degrade.h"
#include "hot/infer/infer_port.h"
#include "hot/infer/journal.h"
#include "market/record.h"
#include "model/model.h"

#define INFER_WARM_US          5000   /* the early read comes so long before the slot */
#define INFER_READ_TIMEOUT_US  20000  /* then the slot goes on without Redis */
#define INFER_SERVE_TIMEOUT_US 50000  /* an unpublished prediction is served locally then */
#define INFER_RETRY_US         100000 /* between attempts to drain the outbox */
#define INFER_HOLE_GRACE_US    300000 /* wait for the other replica to fill a hole */
#define INFER_RECENT           32     /* published records kept for a stream that loses its end */

/* How one slot went; durations in nanoseconds. */
struct infer_timing {
    int64_t slot;
    int64_t late_us;           /* grid time when the slot began to be worked on, minus the slot */
    int64_t published_late_us; /* grid time when it was acknowledged (or served), minus the slot */
    int64_t read_ns, features_ns, mlp_ns, output_ns, total_ns;
    int64_t features_age_us;
    enum degrade_mode mode;
    bool acknowledged; /* Redis has it; false: served from here for now */
    bool ours;         /* our record is the slot's */
};

struct infer_counters {
    uint64_t predictions, published, existed, holes_waited, holes_allowed, old;
    uint64_t missed_slots, waiting, read_failures, read_inconsistent, schema_mismatches;
    uint64_t publish_failures, track_refused;
    uint64_t refilled; /* slots published once more, after a failover had lost them */
    uint64_t by_mode[DEGRADE_COUNT];
};

/* The shadow model's word for a slot, from the same features as the published one. */
struct infer_shadow {
    int64_t slot;
    const struct model *model;
    struct state_decimal mid;
    double return_bp;
    uint64_t epoch, seq;
    bool live; /* the slot's mode was live */
};

/* Tells the owner: a prediction to serve (possibly again: the other replica's record
 * replaces ours), a move between modes, a step of the wall clock. */
struct infer_observer {
    void *context;
    void (*served)(void *context, const struct prediction *prediction,
                   const struct infer_timing *timing);
    void (*mode)(void *context, enum degrade_mode from, enum degrade_mode to, const char *reason);
    void (*clock_step)(void *context, int64_t step_us);
    /* After each slot whose features were there: what the shadow model said. May be NULL. */
    void (*shadow)(void *context, const struct infer_shadow *shadow);
};

struct infer_options {
    char symbol[RECORD_SYMBOL_SIZE];
    int journal_capacity;
    /* Work begins so long after the slot: a second replica that is not needed then finds the
     * record published instead of racing for the same core. */
    int64_t stagger_us;
    struct infer_view_port view;
    int64_t (*mono_ns)(void *clock); /* read within a slot only: stages are timed apart */
    void *clock;
};

/* One read in flight: an answer that comes after its slot went on is recognised by it. */
#define INFER_CALLS 4
struct infer_call {
    struct infer *infer;
    int64_t slot;
};

enum infer_phase { INFER_IDLE, INFER_READING, INFER_PUBLISHING };

struct infer {
    struct infer_options options;
    struct infer_port port;
    struct infer_observer observer;
    const struct model *model;  /* NULL: none, confidence 0 */
    const struct model *shadow; /* NULL: none */
    struct slew grid;           /* the clock that slots begin on */
    struct degrade degrade;
    struct track track;
    struct journal outbox;
    struct journal recent; /* the stream has acknowledged them: as they were published */
    struct infer_counters counters;

    enum infer_phase phase;
    int64_t slot; /* the one being worked on, or the next */
    bool warmed;
    struct infer_call calls[INFER_CALLS];
    int64_t deadline_mono_us;
    int64_t started_ns;
    struct infer_timing timing;

    bool has_mid; /* the last price ever seen */
    struct state_decimal mid;
    struct state_read state; /* of this slot, when state_ok */
    int64_t early_slot;      /* the slot that state was read for shortly before it */
    bool state_ok;
    struct state_read view; /* of this slot, when view_ok: the hot state could not be read */
    bool view_ok;
    const char *state_reason;

    bool publishing;   /* a publish is in flight … */
    int64_t sent_slot; /* … of this slot */
    bool served;       /* this slot's prediction was handed to the observer */
    int64_t retry_mono_us;
    int64_t hole_since_mono_us;     /* 0: none */
    int64_t refill_after;           /* recent slots above it go out again; INT64_MAX: none do */
    uint8_t saved[TRACK_SAVED_MAX]; /* the fold with this slot's prediction in it */
    size_t saved_size;
    int64_t saved_slot;
    struct track next;
};

static inline int64_t infer_now_ns(const struct infer *infer)
{
    return infer->options.mono_ns(infer->options.clock);
}

int infer_open(struct infer *infer, const struct infer_options *options,
               const struct infer_port *port, const struct infer_observer *observer,
               struct clock_now now, struct err *err) MUST_CHECK;
void infer_close(struct infer *infer);
/* Between slots only (phase INFER_IDLE): the model is borrowed until replaced. Returns
 * ERR_BAD_STATE in the middle of a slot. */
int infer_set_model(struct infer *infer, const struct model *model) MUST_CHECK;
int infer_set_shadow(struct infer *infer, const struct model *model) MUST_CHECK;
int infer_do_work(struct infer *infer, struct clock_now now);
/* Microseconds until do_work has something to do; answers to calls come on their own. */
int64_t infer_wait_us(const struct infer *infer, int64_t mono_us);

#endif
