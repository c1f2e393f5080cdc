/* Predictions made while Redis was away, oldest first: appended in slot order when it is
 * back, so that the stream has every slot once (DESIGN.md section 4, "Exactly one
 * prediction"). Bounded; full: the oldest is dropped and counted.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_HOT_INFER_JOURNAL_H
#define BTCAST_HOT_INFER_JOURNAL_H

#include <stdint.h>

#include "base/err.h"
#include "hot/infer/prediction.h"

/* 4 h 33 min of slots. */
#define JOURNAL_MAX 8192

struct journal_entry {
    int64_t slot;
    struct prediction prediction;
};

struct journal {
    struct journal_entry *entries; /* ring of capacity */
    int capacity, first, count;
    uint64_t dropped;
};

int journal_open(struct journal *journal, int capacity, struct err *err) MUST_CHECK;
void journal_close(struct journal *journal);
/* slot must be above the newest entry's. */
void journal_push(struct journal *journal, int64_t slot, const struct prediction *prediction);
/* The oldest, or NULL. */
const struct journal_entry *journal_first(const struct journal *journal);
/* The oldest above this slot, or NULL. */
const struct journal_entry *journal_after(const struct journal *journal, int64_t slot);
/* Drops every entry with slot <= this one. */
void journal_pop_through(struct journal *journal, int64_t slot);

#endif
