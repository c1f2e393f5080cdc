/* The gap detector of one symbol: reads what the aggregator tells and shows, asks the
 * exchange what only it knows, holds both against the state table (gap_judge) and says the
 * verdict; for an anchor it asks at once (DESIGN.md section 6, Verdict). What an operator
 * says goes before everything. Never judges by bestBidAsk ids: the exchange culls that
 * stream. Pure: ports and clocks are handed in. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_RECOVER_GAP_GAP_DETECTOR_H
#define BTCAST_RECOVER_GAP_GAP_DETECTOR_H

#include "base/clock.h"
#include "base/err.h"
#include "base/metrics.h"
#include "recover/gap/gap_judge.h"
#include "recover/gap/gap_port.h"
#include "recover/poll/rest_desk.h"

#define GAP_LOOK_US 20000
/* A verdict and an ask are said again so often while they are true, and live so long. */
#define GAP_SAY_US         1000000
#define GAP_VERDICT_TTL_MS 5000
#define GAP_ASK_TTL_MS     5000
/* A book that the hot state shows as lost so long, without an event that says why. */
#define GAP_SHOWN_LOST_US 300000
/* Trade windows hold five seconds: an older hole is in none of them any more. */
#define GAP_WINDOW_US 5000000

struct gap_detector;

struct gap_detector_options {
    const char *symbol;
    const char *by; /* who says it: name of the process */
    struct gap_judge_options judge;
    int64_t silence_us;     /* nothing of the market changed for so long: a hint */
    int64_t price_jump_bp;  /* from one look to the next */
    int64_t skew_us;        /* exchange's time and ours apart */
    int64_t trade_hole_min; /* trades missing below which no anchor is wanted */
    bool once;              /* one judgement: say it, then gap_detector_is_done */
    struct gap_port port;
    struct rest_desk *desk; /* borrowed, run by its owner */
    struct metrics *metrics;
};

/* A snapshot for health and logs. */
struct gap_detector_status {
    bool ready, started;
    enum gap_state state;
    int64_t since_ms, cooled_ms;
    int action; /* enum gap_action */
    char cause[64], override_mode[16], override_by[64], last_id[GAP_ID_SIZE];
    int64_t override_until_ms;
    bool book_live, has_book, rest_book;
    int open_checks;
    uint64_t events, anchors_wanted, trade_holes_confirmed, minutes_equal, minutes_differ;
    uint64_t moves;
};

int gap_detector_open(const struct gap_detector_options *options, struct gap_detector **detector,
                      struct err *err) MUST_CHECK;
/* After its ports and the desk's are closed. */
void gap_detector_close(struct gap_detector *detector);
int gap_detector_do_work(struct gap_detector *detector, struct clock_now now);
/* With `once`: everything there was has been judged and said. */
bool gap_detector_is_done(const struct gap_detector *detector);
void gap_detector_status(const struct gap_detector *detector, struct gap_detector_status *status);

#endif
