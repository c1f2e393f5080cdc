/* SPDX-License-Identifier: Apache-2.0 */
#include "learn/lake/archive_tally.h"

#include <string.h>

void archive_tally_begin(struct archive_tally *tally, uint64_t epoch, uint64_t seq)
{
    *tally = (struct archive_tally){
        .based = epoch != 0, .epoch = epoch, .base = seq, .top = seq, .least = UINT64_MAX};
}

static void archive_tally_past_remove(struct archive_tally *tally, int index)
{
    tally->past_count--;
    memmove(&tally->past[index], &tally->past[index + 1],
            (size_t)(tally->past_count - index) * sizeof(tally->past[0]));
}

/* What is missing of the epoch that ends is not forgotten with it. */
static void archive_tally_past_add(struct archive_tally *tally)
{
    const uint64_t present = tally->taken + tally->missing;
    if (!tally->based || tally->top - tally->base <= present)
        return;
    if (tally->past_count == ARCHIVE_TALLY_PAST_MAX)
        archive_tally_past_remove(tally, 0);
    tally->past[tally->past_count++] = (struct archive_tally_past){
        .epoch = tally->epoch, .base = tally->base, .top = tally->top, .present = present};
}

static void archive_tally_past_take(struct archive_tally *tally, uint64_t epoch, uint64_t seq)
{
    for (int i = 0; i < tally->past_count; i++) {
        struct archive_tally_past *past = &tally->past[i];
        if (past->epoch != epoch || seq <= past->base)
            continue;
        past->present++;
        if (seq > past->top)
            past->top = seq;
    }
}

/* An epoch that is over has nothing more to come once the streams were read to their ends for the
 * whole hold. */
static void archive_tally_past_look(struct archive_tally *tally, bool drained, int64_t mono_us)
{
    for (int i = tally->past_count - 1; i >= 0; i--) {
        struct archive_tally_past *past = &tally->past[i];
        const uint64_t numbers = past->top - past->base;
        const uint64_t absent = numbers > past->present ? numbers - past->present : 0;
        if (!drained)
            past->watched_us = 0;
        else if (past->watched_us == 0)
            past->watched_us = mono_us;
        const bool over =
            past->watched_us != 0 && mono_us - past->watched_us >= ARCHIVE_TALLY_HOLD_US;
        if (absent > 0 && !over)
            continue;
        tally->lost += absent;
        tally->holes += absent > 0;
        archive_tally_past_remove(tally, i);
    }
}

/* seq starts at 1 in each epoch. */
static void archive_tally_turn(struct archive_tally *tally, uint64_t epoch)
{
    archive_tally_past_add(tally);
    tally->based = tally->epoch != 0;
    tally->epoch = epoch;
    tally->base = tally->top = tally->taken = tally->missing = 0;
    tally->watched_us = 0;
}

void archive_tally_take(struct archive_tally *tally, uint64_t epoch, uint64_t seq, int64_t recv_us)
{
    if (epoch > tally->epoch)
        archive_tally_turn(tally, epoch);
    if (epoch < tally->epoch)
        archive_tally_past_take(tally, epoch, seq);
    if (epoch < tally->epoch || seq <= tally->base)
        return;
    tally->taken++;
    if (seq > tally->top) {
        tally->top = seq;
        tally->top_us = recv_us;
    }
}

static void archive_tally_complete(struct archive_tally *tally)
{
    tally->watched_us = 0;
    tally->complete = true;
    tally->complete_epoch = tally->epoch;
    tally->complete_seq = tally->top;
    tally->complete_us = tally->top_us;
}

/* The fewest that were missing over the whole hold never came. */
static void archive_tally_watch(struct archive_tally *tally, uint64_t absent, int64_t mono_us)
{
    if (tally->watched_us == 0) {
        tally->watched_us = mono_us;
        tally->least = absent;
    }
    if (absent < tally->least)
        tally->least = absent;
    if (mono_us - tally->watched_us < ARCHIVE_TALLY_HOLD_US)
        return;
    tally->missing += tally->least;
    tally->lost += tally->least;
    tally->holes++;
    tally->watched_us = 0;
    if (absent == tally->least)
        archive_tally_complete(tally);
}

void archive_tally_look(struct archive_tally *tally, bool drained, int64_t mono_us)
{
    archive_tally_past_look(tally, drained, mono_us);
    if (tally->top == tally->base && tally->taken == 0)
        return;
    tally->settled = tally->settled || drained;
    if (!tally->settled)
        return;
    if (!tally->based) {
        tally->based = true;
        tally->base = tally->top;
        tally->taken = tally->missing = 0;
    }
    const uint64_t numbers = tally->top - tally->base;
    if (tally->taken + tally->missing > numbers)
        tally->missing = numbers - tally->taken; /* some came after all */
    const uint64_t absent = numbers - tally->taken - tally->missing;
    if (absent == 0)
        archive_tally_complete(tally);
    else if (drained)
        archive_tally_watch(tally, absent, mono_us);
    else
        tally->watched_us = 0;
}
