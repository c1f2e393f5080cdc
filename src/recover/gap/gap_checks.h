/* What the gap detector asks the exchange: do the trades exist whose ids were skipped
 * (BINANCE.md section 7), and does a closed minute equal its kline? One question at a time,
 * trades first; the desk keeps the weight budget and repeats what fails. Bounded: the oldest
 * question goes when another needs the room. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_RECOVER_GAP_GAP_CHECKS_H
#define BTCAST_RECOVER_GAP_GAP_CHECKS_H

#include "base/clock.h"
#include "hot/state/gap_event.h"
#include "recover/poll/rest_desk.h"

#define GAP_CHECKS_MAX 16
/* A question without an answer is given up after this. */
#define GAP_CHECK_LIFE_US 60000000
/* REST lags behind the streams: "no" counts only when it is said this often, so far apart. */
#define GAP_CHECK_TRIES    3
#define GAP_CHECK_AGAIN_US 1500000

enum gap_answer {
    GAP_ANSWER_OPEN,
    GAP_ANSWER_LOST,    /* the trades exist; the minute differs */
    GAP_ANSWER_FINE,    /* no such trades; the minute is equal */
    GAP_ANSWER_UNKNOWN, /* the exchange did not say in time, or does not want to */
    GAP_ANSWERS,
};

struct gap_check {
    struct gap_event event;
    char id[48];                /* of its entry */
    int64_t since_us, again_us; /* monotonic */
    int tries;
    enum gap_answer answer;
};

struct gap_checks {
    struct rest_errand errand;
    struct gap_check list[GAP_CHECKS_MAX]; /* oldest first */
    int count;
    int asking; /* index of the one that the errand is about; -1: none */
    uint64_t given_up;
};

/* The desk is borrowed and run by its owner. */
int gap_checks_open(struct gap_checks *checks, struct rest_desk *desk, struct err *err) MUST_CHECK;
void gap_checks_close(struct gap_checks *checks);
/* A trade hole or a complete minute. When the list is full, the oldest one is answered
 * GAP_ANSWER_UNKNOWN in *pushed_out (true). */
bool gap_checks_add(struct gap_checks *checks, const struct gap_event *event, const char *id,
                    int64_t mono_us, struct gap_check *pushed_out);
int gap_checks_do_work(struct gap_checks *checks, int64_t mono_us);
/* The next one with an answer; false: none. */
bool gap_checks_take(struct gap_checks *checks, struct gap_check *check);
/* Open trade questions; the oldest entry that is still in question, NULL: none. */
const char *gap_checks_oldest(const struct gap_checks *checks);

#endif
