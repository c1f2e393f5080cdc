/* What the files of the gap detector share. Private to src/recover/gap.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_RECOVER_GAP_GAP_DETECTOR_SELF_H
#define BTCAST_RECOVER_GAP_GAP_DETECTOR_SELF_H

#include "base/log.h"
#include "hot/state/gap_event.h"
#include "recover/gap/gap_checks.h"
#include "recover/gap/gap_detector.h"
#include "recover/gap/gap_json.h"

/* A call whose answer waits to be dealt with in do_work. */
struct gap_call {
    bool in_flight, answered;
    int result;
};

/* What the hot state shows. */
struct gap_hot {
    bool has_book, book_live, rest_book, has_mid;
    int64_t last_update_id, ts_us, event_us, last_trade_us;
    int64_t mid; /* at mid_exponent */
    int mid_exponent;
};

/* Audit records on their way out. */
#define GAP_AUDITS_MAX 16
struct gap_audit {
    char what[24], cause[GAP_CAUSE_SIZE], by[GAP_BY_SIZE];
    uint64_t epoch, seq;
    int64_t first_id, last_id; /* trades; 0: none */
    int64_t at_ms;
};

struct gap_meters {
    struct metric *state, *moves[GAP_STATES][GAP_STATES], *evidence[GAP_EVIDENCES];
    struct metric *hints[GAP_HINTS], *events[GAP_KINDS], *malformed, *duplicates;
    struct metric *verdicts[GAP_ACTIONS], *detection, *holes[GAP_ANSWERS], *minutes[GAP_ANSWERS];
    struct metric *override, *looks_failed, *checks_given_up, *audits_dropped;
};

struct gap_detector {
    struct gap_detector_options options;
    struct gap_meters meters;
    struct gap_judge judge;
    struct gap_checks checks;
    struct clock_now now;
    struct gap_call look, say, audit;
    int64_t look_us; /* monotonic: the next one */
    bool is_started; /* memory and place are known */
    bool has_looked, has_more;
    char last_id[GAP_ID_SIZE];
    struct {
        uint64_t epoch, seq;
    } told[GAP_KINDS]; /* the last place of each kind: an event may come twice */

    struct gap_hot hot;
    int64_t market_us;     /* monotonic: the market showed a change */
    int64_t shown_lost_us; /* monotonic: the book is shown as lost since; 0: it is not */
    char swapped[STATE_TOKEN_SIZE];
    bool was_anchored; /* an event of this look said so */
    bool rest_book;    /* this look shows a book from REST */
    int64_t shown_us;  /* monotonic: the look before */

    struct gap_override override;
    int64_t forced_ms; /* at_ms of the override that was obeyed */

    /* What the state is about. */
    char cause[GAP_CAUSE_SIZE];
    uint64_t epoch, seq;
    int64_t recv_us;
    int64_t detect_us; /* receive time of the record that led to the verdict; 0: told */

    struct gap_verdict verdict; /* what is said now */
    int64_t say_us;             /* monotonic: said again */
    bool say_wanted;
    int64_t sent_detect_us; /* of the saying under way */
    char memory[GAP_JSON_SIZE], memory_sent[GAP_JSON_SIZE], memory_said[GAP_JSON_SIZE];

    struct gap_audit audits[GAP_AUDITS_MAX]; /* a ring */
    uint32_t audit_head, audit_tail;

    struct log_limit warn;
    uint64_t events, anchors_wanted, confirmed, minutes_equal, minutes_differ;
};

/* gap_meters.c */
void gap_meters_open(struct gap_detector *detector);
/* The state moved: counted and logged. */
void gap_meters_moved(struct gap_detector *detector, enum gap_state from, const char *why);

/* gap_evidence.c: what was seen, into the judge. */
void gap_evidence_event(struct gap_detector *detector, const struct gap_event *event,
                        const char *id);
bool gap_evidence_shows_rest(const struct gap_look *look);
/* What the hot state shows now against before. */
void gap_evidence_shown(struct gap_detector *detector, const struct gap_look *look);
void gap_evidence_override(struct gap_detector *detector, struct bytes json);
void gap_evidence_checks(struct gap_detector *detector);
void gap_evidence_time(struct gap_detector *detector);

/* gap_say.c: the verdict out. */
int gap_say_do_work(struct gap_detector *detector);
bool gap_say_is_done(const struct gap_detector *detector);
void gap_say_audit(struct gap_detector *detector, const char *what, const char *cause,
                   const struct gap_event *event);
void gap_say_restore(struct gap_detector *detector, struct bytes json);

static inline int64_t gap_now_ms(const struct gap_detector *detector)
{
    return detector->now.wall_us / CLOCK_US_PER_MS;
}

static inline bool gap_answered(struct gap_call *call)
{
    bool answered = call->answered;
    call->answered = false;
    return answered;
}

#endif
