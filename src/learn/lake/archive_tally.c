/* SPDX-License-Identifier: Apache-2.0 */
#include "learn/lake/archive_tally.h"

void archive_tally_begin(struct archive_tally *tally, uint64_t epoch, uint64_t seq)
{
    *tally = (struct archive_tally){
        .based = epoch != 0, .epoch = epoch, .base = seq, .top = seq, .least = UINT64_MAX};
}

/* seq starts at 1 in each epoch. */
static void archive_tally_turn(struct archive_tally *tally, uint64_t epoch)
{
    tally->based = tally->epoch != 0;
    tally->epoch = epoch;
    tally->base = tally->top = tally->taken = tally->missing = 0;
    tally->watched_us = 0;
}

void archive_tally_take(struct archive_tally *tally, uint64_t epoch, uint64_t seq, int64_t recv_us)
{
    if (epoch > tally->epoch)
        archive_tally_turn(tally, epoch);
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
