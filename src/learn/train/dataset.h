/* What a model learns from: one row a slot, the feature vector as of the slot and the log
 * return of the mid over the 10 s after it. Rows come in from a replay (row_maker), from a
 * features CSV (dataset_csv) or from a store; what cannot be used is left out and counted by
 * cause. Pure. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_LEARN_TRAIN_DATASET_H
#define BTCAST_LEARN_TRAIN_DATASET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"
#include "market/feature.h"

/* 100 million slots are six years. */
#define DATASET_ROWS_MAX 100000000u
/* A return beyond 10 % in 10 s is a broken price (CONTRACTS.md section 4, checks). */
#define DATASET_LABEL_MAX_BP 1000.0
/* A vector older than this at its slot is not what the live path would have had. */
#define DATASET_AGE_US_MAX 200000
/* Features look back so far: windows of 30 s, decayed sums with a half-life of 60 s. Rows of
 * the first such span of a recording are left out; it is also the embargo of splits. */
#define DATASET_SPAN_S 60

/* Why a row is left out; the first cause that holds counts. */
enum dataset_cause {
    DATASET_NO_VECTOR,       /* none, or not valid: no mid yet */
    DATASET_BOOK_LOST,       /* the book waited for its anchor */
    DATASET_STALE,           /* the vector is older than DATASET_AGE_US_MAX */
    DATASET_WARMING,         /* windows not yet full */
    DATASET_NOT_FINITE,      /* a value or price that is no number, or out of its range */
    DATASET_REPEATED,        /* a slot not above the last one */
    DATASET_NO_OUTCOME,      /* the recording ends, or pauses, before the outcome */
    DATASET_OUTCOME_INVALID, /* a gap between slot and outcome */
    DATASET_LABEL_ABSURD,    /* beyond DATASET_LABEL_MAX_BP */
    DATASET_CAUSES,
};
/* The names as in reports; static. */
const char *dataset_cause_name(int cause);

struct dataset_counts {
    uint64_t offered, kept;
    uint64_t left_out[DATASET_CAUSES];
};

/* The arrays belong to the dataset; [count], values [count * FEATURE_COUNT]. */
struct dataset {
    size_t count, capacity;
    int64_t *slot;
    float *values;
    double *mid;      /* at the slot */
    double *label_bp; /* ln(mid 10 s later / mid) in bp */
    struct dataset_counts counts;
    /* Prices at slots while rows come in. */
    struct dataset_prices {
        int64_t first; /* slot of [0] */
        size_t count, capacity;
        double *mid; /* 0: not known */
        bool *valid; /* no gap in the 10 s before it */
    } prices;
};

void dataset_init(struct dataset *dataset);
void dataset_free(struct dataset *dataset);
/* A row without its label; slots have to grow. warm: DATASET_SPAN_S of data lie behind it.
 * vector NULL: there was none. ERR_MEMORY, ERR_FULL. */
int dataset_add(struct dataset *dataset, int64_t slot, const struct feature_vector *vector,
                bool warm, struct err *err) MUST_CHECK;
/* The mid at a slot boundary (quote currency), and whether the 10 s before it are whole. */
int dataset_add_price(struct dataset *dataset, int64_t slot, double mid, bool valid,
                      struct err *err) MUST_CHECK;
/* All rows are in: sets the labels, drops rows without one, frees the prices. */
void dataset_finish(struct dataset *dataset);
/* Takes a finished row as it is (a store's, a file's). */
int dataset_add_labelled(struct dataset *dataset, int64_t slot, const float *values, double mid,
                         double label_bp, struct err *err) MUST_CHECK;
/* FNV-1a 64 over schema, slots, values, mids and labels: names the data in reports. */
uint64_t dataset_hash(const struct dataset *dataset);

/* Chronological slices as ranges of rows, kept apart by purge and embargo. */
enum split_slice { SPLIT_TRAIN, SPLIT_VALID, SPLIT_CALIBRATE, SPLIT_TEST, SPLIT_SLICES };
const char *split_slice_name(int slice);
struct split_range {
    size_t begin, end;
};
struct split {
    struct split_range slice[SPLIT_SLICES];
    int64_t purge_slots;   /* labels reach so far ahead */
    int64_t embargo_slots; /* features reach so far back … */
    bool embargo_short;    /* … but the data do not suffice for it */
};
/* Independent labels: ranges of 10 s that do not overlap. */
size_t split_independent(const struct dataset *dataset, struct split_range range);

/* Cuts rows [begin, end) in shares (each > 0) of their number; before each cut the rows are
 * dropped whose label or whose followers' features would reach over it. ERR_EMPTY when a
 * slice has no row left. */
int split_cut(const struct dataset *dataset, struct split_range whole,
              const double share[SPLIT_SLICES], struct split *split, struct err *err) MUST_CHECK;
/* Rows of [begin, at) that purge and embargo leave before row `at`. */
size_t split_before(const struct dataset *dataset, size_t begin, size_t at, int64_t slots);

#endif
