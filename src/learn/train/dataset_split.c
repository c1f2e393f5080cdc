/* Chronological slices of a dataset. SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "learn/train/dataset.h"

/* With little data the embargo may take at most this share of the shortest slice. */
#define SPLIT_EMBARGO_SHARE 0.2

static const char *const split_names[SPLIT_SLICES] = {"train", "valid", "calibrate", "test"};

const char *split_slice_name(int slice)
{
    return split_names[slice];
}

size_t split_independent(const struct dataset *dataset, struct split_range range)
{
    size_t count = 0;
    int64_t next = INT64_MIN;
    for (size_t row = range.begin; row < range.end; row++)
        if (dataset->slot[row] >= next) {
            count++;
            next = dataset->slot[row] + CLOCK_HORIZON_SLOTS;
        }
    return count;
}

size_t split_before(const struct dataset *dataset, size_t begin, size_t at, int64_t slots)
{
    int64_t limit = at < dataset->count ? dataset->slot[at] : INT64_MAX;
    while (at > begin && dataset->slot[at - 1] > limit - slots)
        at--;
    return at;
}

static void split_embargo(struct split *split, double rows, const double share[SPLIT_SLICES],
                          double total)
{
    double least = share[0];
    for (int i = 1; i < SPLIT_SLICES; i++)
        least = fmin(least, share[i]);
    int64_t affordable = (int64_t)(SPLIT_EMBARGO_SHARE * rows * least / total);
    split->purge_slots = CLOCK_HORIZON_SLOTS;
    split->embargo_slots = DATASET_SPAN_S * CLOCK_US_PER_S / CLOCK_SLOT_US;
    split->embargo_short = affordable < split->embargo_slots;
    if (split->embargo_short)
        split->embargo_slots = affordable;
}

int split_cut(const struct dataset *dataset, struct split_range whole,
              const double share[SPLIT_SLICES], struct split *split, struct err *err)
{
    if (whole.end <= whole.begin || whole.end > dataset->count)
        return err_set(err, ERR_EMPTY, "no row to learn from");
    double rows = (double)(whole.end - whole.begin);
    double total = 0.0, sum = 0.0;
    for (int i = 0; i < SPLIT_SLICES; i++)
        total += share[i];
    split_embargo(split, rows, share, total);
    size_t begin = whole.begin;
    for (int i = 0; i < SPLIT_SLICES; i++) {
        sum += share[i];
        size_t cut = i + 1 == SPLIT_SLICES ? whole.end : whole.begin + (size_t)(rows * sum / total);
        size_t end =
            i + 1 == SPLIT_SLICES
                ? cut
                : split_before(dataset, begin, cut, split->purge_slots + split->embargo_slots);
        if (end <= begin)
            return err_set(err, ERR_EMPTY, "%zu rows are too few: no row is left for %s",
                           whole.end - whole.begin, split_names[i]);
        split->slice[i] = (struct split_range){.begin = begin, .end = end};
        begin = cut;
    }
    return ERR_OK;
}
