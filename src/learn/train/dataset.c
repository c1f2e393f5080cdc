/* SPDX-License-Identifier: Apache-2.0 */
#include "learn/train/dataset.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define DATASET_FIRST_CAPACITY 4096

static const char *const dataset_cause_names[DATASET_CAUSES] = {
    "no_vector", "book_lost",  "stale",           "warming",     "not_finite",
    "repeated",  "no_outcome", "outcome_invalid", "label_absurd"};

const char *dataset_cause_name(int cause)
{
    return dataset_cause_names[cause];
}

void dataset_init(struct dataset *dataset)
{
    *dataset = (struct dataset){0};
}

static void dataset_free_prices(struct dataset *dataset)
{
    free(dataset->prices.mid);
    free(dataset->prices.valid);
    dataset->prices = (struct dataset_prices){0};
}

void dataset_free(struct dataset *dataset)
{
    free(dataset->slot);
    free(dataset->values);
    free(dataset->mid);
    free(dataset->label_bp);
    dataset_free_prices(dataset);
    *dataset = (struct dataset){0};
}

/* --- rows ----------------------------------------------------------------------------- */

static int dataset_resize(void *array, size_t count, size_t size)
{
    void **at = array;
    void *grown = realloc(*at, count * size);
    if (grown == NULL)
        return ERR_MEMORY;
    *at = grown;
    return ERR_OK;
}

static int dataset_grow(struct dataset *dataset, struct err *err)
{
    if (dataset->count < dataset->capacity)
        return ERR_OK;
    if (dataset->count >= DATASET_ROWS_MAX)
        return err_set(err, ERR_FULL, "more than %u rows", DATASET_ROWS_MAX);
    size_t capacity = dataset->capacity > 0 ? 2 * dataset->capacity : DATASET_FIRST_CAPACITY;
    if (dataset_resize(&dataset->slot, capacity, sizeof(int64_t)) != ERR_OK ||
        dataset_resize(&dataset->values, capacity, FEATURE_COUNT * sizeof(float)) != ERR_OK ||
        dataset_resize(&dataset->mid, capacity, sizeof(double)) != ERR_OK ||
        dataset_resize(&dataset->label_bp, capacity, sizeof(double)) != ERR_OK)
        return err_set(err, ERR_MEMORY, "no memory for %zu rows", capacity);
    dataset->capacity = capacity;
    return ERR_OK;
}

static bool dataset_values_ok(const float *values)
{
    for (int i = 0; i < FEATURE_COUNT; i++)
        if (!(values[i] >= feature_minimum(i) && values[i] <= feature_maximum(i)))
            return false;
    return true;
}

static void dataset_leave_out(struct dataset *dataset, enum dataset_cause cause)
{
    dataset->counts.left_out[cause]++;
}

static enum dataset_cause dataset_judge(const struct dataset *dataset, int64_t slot,
                                        const struct feature_vector *vector, bool warm)
{
    if (vector == NULL || !vector->valid)
        return DATASET_NO_VECTOR;
    if (!vector->book_live)
        return DATASET_BOOK_LOST;
    if (clock_slot_us(slot) - vector->as_of_us > DATASET_AGE_US_MAX)
        return DATASET_STALE;
    if (!warm)
        return DATASET_WARMING;
    if (!dataset_values_ok(vector->values))
        return DATASET_NOT_FINITE;
    if (dataset->count > 0 && slot <= dataset->slot[dataset->count - 1])
        return DATASET_REPEATED;
    return DATASET_CAUSES;
}

int dataset_add(struct dataset *dataset, int64_t slot, const struct feature_vector *vector,
                bool warm, struct err *err)
{
    dataset->counts.offered++;
    enum dataset_cause cause = dataset_judge(dataset, slot, vector, warm);
    if (cause != DATASET_CAUSES) {
        dataset_leave_out(dataset, cause);
        return ERR_OK;
    }
    int rc = dataset_grow(dataset, err);
    if (rc != ERR_OK)
        return rc;
    size_t row = dataset->count++;
    dataset->slot[row] = slot;
    memcpy(dataset->values + row * FEATURE_COUNT, vector->values, sizeof(vector->values));
    return ERR_OK;
}

int dataset_add_labelled(struct dataset *dataset, int64_t slot, const float *values, double mid,
                         double label_bp, struct err *err)
{
    dataset->counts.offered++;
    bool finite = dataset_values_ok(values) && isfinite(mid) && mid > 0.0;
    bool absurd = !(fabs(label_bp) <= DATASET_LABEL_MAX_BP);
    if (!finite || absurd || (dataset->count > 0 && slot <= dataset->slot[dataset->count - 1])) {
        dataset_leave_out(dataset, !finite  ? DATASET_NOT_FINITE
                                   : absurd ? DATASET_LABEL_ABSURD
                                            : DATASET_REPEATED);
        return ERR_OK;
    }
    int rc = dataset_grow(dataset, err);
    if (rc != ERR_OK)
        return rc;
    size_t row = dataset->count++;
    dataset->slot[row] = slot;
    dataset->mid[row] = mid;
    dataset->label_bp[row] = label_bp;
    memcpy(dataset->values + row * FEATURE_COUNT, values, FEATURE_COUNT * sizeof(float));
    dataset->counts.kept = dataset->count;
    return ERR_OK;
}

/* --- prices and labels ---------------------------------------------------------------- */

static int dataset_grow_prices(struct dataset_prices *prices, size_t needed, struct err *err)
{
    if (needed > DATASET_ROWS_MAX)
        return err_set(err, ERR_FULL, "the data span more than %u slots", DATASET_ROWS_MAX);
    if (needed > prices->capacity) {
        size_t capacity = prices->capacity > 0 ? prices->capacity : DATASET_FIRST_CAPACITY;
        while (capacity < needed)
            capacity *= 2;
        if (dataset_resize(&prices->mid, capacity, sizeof(double)) != ERR_OK ||
            dataset_resize(&prices->valid, capacity, sizeof(bool)) != ERR_OK)
            return err_set(err, ERR_MEMORY, "no memory for %zu prices", capacity);
        prices->capacity = capacity;
    }
    for (; prices->count < needed; prices->count++) {
        prices->mid[prices->count] = 0.0;
        prices->valid[prices->count] = false;
    }
    return ERR_OK;
}

int dataset_add_price(struct dataset *dataset, int64_t slot, double mid, bool valid,
                      struct err *err)
{
    struct dataset_prices *prices = &dataset->prices;
    if (!(mid > 0.0) || !isfinite(mid))
        return ERR_OK; /* its rows will have no outcome */
    if (prices->count == 0)
        prices->first = slot;
    if (slot < prices->first)
        return ERR_OK; /* of a recording that goes back: its rows are repeated ones */
    size_t at = (size_t)(slot - prices->first);
    int rc = dataset_grow_prices(prices, at + 1, err);
    if (rc != ERR_OK)
        return rc;
    prices->mid[at] = mid;
    prices->valid[at] = valid;
    return ERR_OK;
}

static double dataset_price(const struct dataset_prices *prices, int64_t slot, bool *valid)
{
    if (slot < prices->first || slot - prices->first >= (int64_t)prices->count)
        return 0.0;
    *valid = prices->valid[slot - prices->first];
    return prices->mid[slot - prices->first];
}

/* DATASET_CAUSES: the row has a label now. */
static enum dataset_cause dataset_label(struct dataset *dataset, size_t row)
{
    bool valid = false;
    double now = dataset_price(&dataset->prices, dataset->slot[row], &valid);
    double then = dataset_price(&dataset->prices, dataset->slot[row] + CLOCK_HORIZON_SLOTS, &valid);
    if (now == 0.0 || then == 0.0)
        return DATASET_NO_OUTCOME;
    if (!valid)
        return DATASET_OUTCOME_INVALID;
    dataset->mid[row] = now;
    dataset->label_bp[row] = 1e4 * log(then / now);
    return fabs(dataset->label_bp[row]) <= DATASET_LABEL_MAX_BP ? DATASET_CAUSES
                                                                : DATASET_LABEL_ABSURD;
}

void dataset_finish(struct dataset *dataset)
{
    size_t kept = 0;
    for (size_t row = 0; row < dataset->count; row++) {
        enum dataset_cause cause = dataset_label(dataset, row);
        if (cause != DATASET_CAUSES) {
            dataset_leave_out(dataset, cause);
            continue;
        }
        dataset->slot[kept] = dataset->slot[row];
        dataset->mid[kept] = dataset->mid[row];
        dataset->label_bp[kept] = dataset->label_bp[row];
        memmove(dataset->values + kept * FEATURE_COUNT, dataset->values + row * FEATURE_COUNT,
                FEATURE_COUNT * sizeof(float));
        kept++;
    }
    dataset->count = kept;
    dataset->counts.kept = kept;
    dataset_free_prices(dataset);
}

/* --- identity ------------------------------------------------------------------------- */

static uint64_t dataset_hash_words(uint64_t hash, const void *data, size_t size)
{
    const uint8_t *at = data;
    uint64_t word;
    for (; size >= sizeof(word); size -= sizeof(word), at += sizeof(word)) {
        memcpy(&word, at, sizeof(word));
        hash = (hash ^ word) * UINT64_C(0x100000001b3);
        hash ^= hash >> 29; /* high bytes of a word have to reach low bits too */
    }
    for (; size > 0; size--)
        hash = (hash ^ *at++) * UINT64_C(0x100000001b3);
    return hash;
}

uint64_t dataset_hash(const struct dataset *dataset)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    uint64_t schema = feature_schema_hash();
    size_t count = dataset->count;
    hash = dataset_hash_words(hash, &schema, sizeof(schema));
    hash = dataset_hash_words(hash, dataset->slot, count * sizeof(int64_t));
    hash = dataset_hash_words(hash, dataset->values, count * FEATURE_COUNT * sizeof(float));
    hash = dataset_hash_words(hash, dataset->mid, count * sizeof(double));
    return dataset_hash_words(hash, dataset->label_bp, count * sizeof(double));
}
