/* Degradation as a table of states (DESIGN.md section 5): what a prediction may rest on
 * right now. Each move is counted and handed back so that the caller logs it.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_HOT_INFER_DEGRADE_H
#define BTCAST_HOT_INFER_DEGRADE_H

#include <stdbool.h>
#include <stdint.h>

#define DEGRADE_STALE_US    2000000LL
#define DEGRADE_DEGRADED_US 5000000LL

enum degrade_mode {
    DEGRADE_LIVE,     /* features younger than 2 s */
    DEGRADE_STALE,    /* older than 2 s, or the book waits for its anchor */
    DEGRADE_DEGRADED, /* older than 5 s, or the book comes from REST */
    DEGRADE_FALLBACK, /* Redis or its keys are gone, a REST view is there */
    DEGRADE_BLIND,    /* nothing: last price, confidence 0 */
    DEGRADE_COUNT,
};
const char *degrade_mode_name(enum degrade_mode mode);

/* What is known at a slot. */
struct degrade_inputs {
    bool features_read; /* a consistent key set with a valid vector came in time */
    int64_t features_age_us;
    bool book_live;     /* the book is synced */
    bool rest_book;     /* ob source = rest */
    bool fallback_view; /* a fresh REST view outside Redis */
};

struct degrade {
    enum degrade_mode mode;
    uint64_t moves[DEGRADE_COUNT][DEGRADE_COUNT]; /* [from][to] */
};

void degrade_init(struct degrade *degrade);
/* Judges one slot; returns true if the mode changed (*from is the old one). */
bool degrade_judge(struct degrade *degrade, const struct degrade_inputs *inputs,
                   enum degrade_mode *from);

#endif
