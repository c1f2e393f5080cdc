/* What the parts of the aggregator share: its state, and the calls between its files.
 * Private to src/hot/state. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_HOT_STATE_AGGREGATOR_PARTS_H
#define BTCAST_HOT_STATE_AGGREGATOR_PARTS_H

#include "hot/state/aggregator.h"
#include "hot/state/anchor_document.h"
#include "hot/state/gap_event.h"
#include "hot/state/state_checkpoint.h"
#include "hot/state/state_feed.h"
#include "hot/state/state_verdict.h"
#include "hot/state/writer_lease.h"
#include "market/record.h"

/* How often a wanted anchor is asked for and looked for, and how long an ask lives if
 * nobody repeats it: no aggregator, no anchor. */
#define AGGREGATOR_ASK_US       1000000
#define AGGREGATOR_ASK_TTL_MS   5000
#define AGGREGATOR_LOOK_US      50000
#define AGGREGATOR_LOOK_IDLE_US 250000
/* Without a verdict for so long the aggregator asks for itself. */
#define AGGREGATOR_VERDICT_US 2000000
/* How often a REST book is wanted while the market is silent. */
#define AGGREGATOR_REST_US 2000000
/* Not more often is a book wanted because the price has come to the end of what the last
 * snapshot covered. At 50 of weight each that is 300 a minute at the very most. */
#define AGGREGATOR_EDGE_US 10000000
/* Live keys that are not what was swapped in are written and checked so often. */
#define AGGREGATOR_VERIFY_TRIES 4
/* After a refusal by the store (full memory …). */
#define AGGREGATOR_RETRY_US 100000
/* A standby whose world differs from the writer's loads the writer's checkpoint. */
#define AGGREGATOR_RESYNC_US 500000
/* Reading to the ends of the streams is waited for so long before taking the lease. */
#define AGGREGATOR_CATCH_UP_US 2000000
/* Reading the control records first is given up after this. */
#define AGGREGATOR_CONTROLS_US 1000000
#define AGGREGATOR_WAIT_US_MAX 20000

/* A call whose answer waits to be dealt with in do_work. */
struct aggregator_call {
    bool in_flight, answered;
    int result;
    uint64_t epoch;
    char text[ERR_TEXT_SIZE / 2];
};

enum aggregator_anchor_step {
    AGGREGATOR_IDLE,
    AGGREGATOR_STAGING,
    AGGREGATOR_SWAPPING,
    AGGREGATOR_VERIFYING,
};

struct aggregator_anchor {
    enum aggregator_anchor_step step;
    struct aggregator_call ask, look, refuse, stage, swap, verify;
    int64_t next_ask_us, next_look_us;
    uint8_t *document; /* RECORD_PAYLOAD_MAX: what look has found, until it is judged */
    size_t document_size;
    char flag[STATE_TOKEN_SIZE];
    struct anchor_document meta;
    char judged[STATE_TOKEN_SIZE]; /* this token's document was judged … */
    int64_t judged_us;             /* … the one received at this time */
    struct record record;          /* the control record to log */
    /* where the streams were when the world was saved */
    uint64_t saved_epoch, saved_seq;
    struct stream_position saved_positions[STREAM_COUNT];
    size_t saved_size; /* world before the anchor, in the scratch; 0: none */
    char cause[ANCHOR_CAUSE_SIZE];
    int64_t started_us;            /* monotonic: an anchor is wanted since; 0: none is */
    uint64_t lost_epoch, lost_seq; /* place at which it came to be wanted */
    int levels;                    /* a side, that it should have */
    bool wanted;                   /* although the book is live */
    bool silent, book_was_rest;
    int64_t next_rest_us;
    bool edge_was_far; /* since the last one wanted for the edge: another would have helped */
    int64_t next_edge_us;
    struct state_verdict verdict; /* as of the last look */
    bool verdict_was_bad;
    int verify_tries;
    bool recheck; /* the flush after number recheck_flushes is to be checked */
    uint64_t recheck_flushes;
};

/* What has been written is sent again when the stream was away within this time: a failover
 * may have lost it. */
#define AGGREGATOR_OUTBOX_KEEP_US 10000000

struct aggregator_outbox {
    struct {
        uint8_t *bytes;
        size_t size;
        uint64_t epoch, seq;
        int64_t written_us;           /* monotonic */
    } entries[AGGREGATOR_OUTBOX_MAX]; /* a ring */
    uint32_t kept, head, tail;        /* written ones from kept on, waiting ones from head on */
    uint64_t ticket;                  /* of the head's put; 0: not under way */
    bool was_ready;                   /* the stream, when last looked at */
    int64_t retry_us;
    uint64_t dropped;
    uint8_t *arena;
};

/* Events on their way to gap-events; full: the oldest is given up, counted. */
#define AGGREGATOR_REPORTS_MAX 64
/* A standby keeps what it saw this long: it tells it when it takes over, in case the
 * former writer no longer could. Readers know an event by kind and place. */
#define AGGREGATOR_REPORT_KEEP_US INT64_C(600000000)

struct aggregator_reports {
    struct gap_event entries[AGGREGATOR_REPORTS_MAX]; /* a ring */
    uint32_t head, tail;
    uint32_t told;  /* all before it have been told once */
    uint32_t sent;  /* which one the call is about */
    bool was_ready; /* the store, when last looked at */
    struct aggregator_call call;
    int64_t retry_us;
    int64_t minute_told; /* the last minute put into the ring */
    uint64_t dropped;
};

struct aggregator_metrics {
    struct metric *records[STREAM_COUNT], *envelopes_bad[STREAM_COUNT];
    struct metric *refused, *lag, *updates, *computation, *frame_to_flush;
    struct metric *flushes, *flushes_fenced, *flushes_failed, *checkpoints, *checkpoint_bytes;
    struct metric *anchors, *anchors_old, *anchors_bad, *anchors_lost, *anchor_duration;
    struct metric *holes, *gaps, *active, *book_live, *takeovers, *losses, *resyncs;
    struct metric *swaps_wrong, *verdicts_bad, *trades_refilled, *book_rest;
    struct metric *trades_missing, *diverged, *crossed, *controls_late, *controls_dropped;
    struct metric *duplicates, *missing, *reports, *reports_dropped;
    uint64_t seen_records[STREAM_COUNT], seen_bad[STREAM_COUNT];
};

struct aggregator {
    struct aggregator_options options;
    struct world *world;
    struct state_feed *feed;
    struct writer_lease lease;
    struct aggregator_metrics metrics;
    struct clock_now now;

    int64_t phase_us; /* monotonic: since when */
    enum aggregator_phase phase;
    bool caught_up; /* has read to the ends of the streams at least once */
    bool was_active;
    bool book_live;
    bool stopped;
    bool dirty;
    bool flush_has_checkpoint;
    bool resync_wanted;

    struct aggregator_call load, flush;
    size_t loaded_size; /* of the checkpoint in the scratch */
    int64_t load_us;    /* monotonic: next try */

    int64_t dirty_us;         /* monotonic: first change since the last flush */
    int64_t retry_us;         /* no flush before */
    int64_t waiting_recv_us;  /* of the oldest record that no flush shows yet; 0: none */
    int64_t flying_recv_us;   /* of the oldest record in the flush under way; 0: none */
    struct state_image image; /* being flushed */
    int64_t flushed_us;
    uint64_t flush_place[2], checkpoint_place[2];
    int64_t checkpoint_us; /* monotonic: next one */
    int64_t commit_us;

    uint64_t resync_epoch, resync_seq; /* a checkpoint from behind here will do */

    struct aggregator_anchor anchor;
    struct aggregator_outbox outbox;
    struct aggregator_reports reports;
    uint8_t *scratch; /* a checkpoint going out or coming in, or the world before an anchor */
    size_t scratch_capacity;

    uint64_t flushes, writes_refused, anchors, anchors_refused, restores, resyncs;
};

/* Notes an answer for do_work; context of a call is its struct aggregator_call. */
void aggregator_answer(void *context, const struct state_reply *reply);
/* True once for an answer. */
bool aggregator_answered(struct aggregator_call *call);
/* A write was refused by the fence: from now on a standby. */
void aggregator_demote(struct aggregator *aggregator, const char *what, uint64_t epoch);
void aggregator_mark_dirty(struct aggregator *aggregator);
void aggregator_make_image(struct aggregator *aggregator);
/* An anchor is being swapped in: no flush meanwhile. */
bool aggregator_anchor_busy(const struct aggregator *aggregator);

int aggregator_flush_open(struct aggregator *aggregator, struct err *err) MUST_CHECK;
int aggregator_flush_do_work(struct aggregator *aggregator, bool drained);
/* For its time only: what else it needs wakes the process by itself when it comes. */
bool aggregator_flush_waits(const struct aggregator *aggregator);

int aggregator_anchor_open(struct aggregator *aggregator, struct err *err) MUST_CHECK;
void aggregator_anchor_close(struct aggregator *aggregator);
int aggregator_anchor_do_work(struct aggregator *aggregator);

/* The book was lost, or another one is wanted. */
void aggregator_ask_want(struct aggregator *aggregator, const char *cause);
/* There is one, whoever had it adopted. */
void aggregator_ask_done(struct aggregator *aggregator);
/* An anchor is wanted now. */
bool aggregator_ask_wanted(const struct aggregator *aggregator);
/* The verdict's text as the store has it; no bytes: none. */
void aggregator_ask_heard(struct aggregator *aggregator, struct bytes json);
void aggregator_ask_do_work(struct aggregator *aggregator);

int aggregator_outbox_open(struct aggregator *aggregator, struct err *err) MUST_CHECK;
void aggregator_outbox_close(struct aggregator *aggregator);
void aggregator_outbox_add(struct aggregator *aggregator, const struct record *record);
int aggregator_outbox_do_work(struct aggregator *aggregator);
/* Not the writer any more: what it has written is its successor's concern. */
void aggregator_outbox_forget(struct aggregator *aggregator);

int aggregator_restore_do_work(struct aggregator *aggregator, bool drained);
void aggregator_restore_want_resync(struct aggregator *aggregator);
/* Back to an earlier place: what has been applied since is delivered again. */
void aggregator_restore_rewind(struct aggregator *aggregator, uint64_t epoch, uint64_t seq,
                               const struct stream_position *positions);

/* Notes what a record did (effects), or something that happened at this place, to be told
 * as soon as this is the active one. cause: static. */
void aggregator_report_effects(struct aggregator *aggregator, unsigned effects,
                               const struct record *record, const char *loss);
void aggregator_report_add(struct aggregator *aggregator, enum gap_kind kind, const char *cause);
int aggregator_report_do_work(struct aggregator *aggregator);

void aggregator_metrics_open(struct aggregator *aggregator);
void aggregator_metrics_update(struct aggregator *aggregator);

#endif
