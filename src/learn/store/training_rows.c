/* SPDX-License-Identifier: Apache-2.0 */
#include "learn/store/training_rows.h"

#include <math.h>
#include <string.h>

#define TRAINING_FIELDS      4
#define TRAINING_FLOAT4_OID  700
#define TRAINING_ARRAY_HEAD  20 /* dimensions, has nulls, type, length, lower bound */
#define TRAINING_ELEMENT     8  /* its length and a float */
#define TRAINING_VECTOR_SIZE (TRAINING_ARRAY_HEAD + FEATURE_COUNT * TRAINING_ELEMENT)

static const uint8_t training_magic[11] = "PGCOPY\n\377\r\n";

int training_rows_add(struct dataset *dataset, int64_t slot, const float *values, double mid,
                      double target, struct err *err)
{
    double label_bp = mid > 0.0 && target > 0.0 ? 1e4 * log(target / mid) : NAN;
    return dataset_add_labelled(dataset, slot, values, mid, label_bp, err);
}

/* --- binary COPY ------------------------------------------------------------------------ */

static uint64_t training_take(struct bytes *at, size_t size)
{
    uint64_t value = 0;
    for (size_t i = 0; i < size; i++)
        value = value << 8 | at->data[i];
    *at = bytes_of(at->data + size, at->size - size);
    return value;
}

/* A field of exactly this size, its length word taken off. */
static bool training_field(struct bytes *at, size_t size)
{
    return at->size >= 4 && training_take(at, 4) == size && at->size >= size;
}

static double training_f64(struct bytes *at)
{
    uint64_t bits = training_take(at, 8);
    double value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

static bool training_vector(struct bytes *at, float values[FEATURE_COUNT])
{
    if (!training_field(at, TRAINING_VECTOR_SIZE))
        return false;
    bool good = training_take(at, 4) == 1 && training_take(at, 4) == 0 &&
                training_take(at, 4) == TRAINING_FLOAT4_OID &&
                training_take(at, 4) == FEATURE_COUNT;
    training_take(at, good ? 4 : 0); /* the lower bound may be any */
    for (int i = 0; i < FEATURE_COUNT && good; i++) {
        good = training_take(at, 4) == sizeof(float);
        uint32_t bits = (uint32_t)training_take(at, 4);
        memcpy(&values[i], &bits, sizeof(bits));
    }
    return good;
}

static int training_tuple(struct training_copy *copy, struct bytes at, struct err *err)
{
    float values[FEATURE_COUNT];
    int64_t slot;
    double mid, target;
    if (!training_field(&at, 8))
        return err_set(err, ERR_MALFORMED, "a row without a slot");
    slot = (int64_t)training_take(&at, 8);
    if (!training_vector(&at, values))
        return err_set(err, ERR_MALFORMED, "slot %lld: its vector has no %d values",
                       (long long)slot, FEATURE_COUNT);
    if (!training_field(&at, 8))
        return err_set(err, ERR_MALFORMED, "slot %lld: no mid", (long long)slot);
    mid = training_f64(&at);
    if (!training_field(&at, 8) || at.size != 8)
        return err_set(err, ERR_MALFORMED, "slot %lld: no mid 10 s later", (long long)slot);
    target = training_f64(&at);
    return training_rows_add(copy->dataset, slot, values, mid, target, err);
}

static int training_head(struct training_copy *copy, struct bytes *at, struct err *err)
{
    copy->began = true;
    if (at->size < sizeof(training_magic) + 8 ||
        memcmp(at->data, training_magic, sizeof(training_magic)) != 0)
        return err_set(err, ERR_MALFORMED, "not a binary COPY");
    *at = bytes_of(at->data + sizeof(training_magic), at->size - sizeof(training_magic));
    training_take(at, 4); /* flags */
    uint64_t extension = training_take(at, 4);
    if (extension > at->size)
        return err_set(err, ERR_MALFORMED, "a binary COPY whose head is cut");
    *at = bytes_of(at->data + extension, at->size - extension);
    return ERR_OK;
}

int training_copy_take(struct training_copy *copy, struct bytes piece, struct err *err)
{
    int result = copy->began ? ERR_OK : training_head(copy, &piece, err);
    if (result != ERR_OK || piece.size == 0)
        return result;
    if (copy->ended || piece.size < 2)
        return err_set(err, ERR_MALFORMED, "bytes that are no row");
    uint64_t fields = training_take(&piece, 2);
    copy->ended = fields == 0xffff;
    if (copy->ended)
        return ERR_OK;
    if (fields != TRAINING_FIELDS)
        return err_set(err, ERR_MALFORMED, "a row of %llu fields", (unsigned long long)fields);
    return training_tuple(copy, piece, err);
}
