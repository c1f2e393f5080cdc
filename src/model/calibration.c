/* SPDX-License-Identifier: Apache-2.0 */
#include "model/calibration.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Longest number in the text. */
#define CALIBRATION_NUMBER_SIZE 32

struct calibration_cursor {
    const char *text;
    size_t size, at;
};

static bool calibration_take(struct calibration_cursor *cursor, char c)
{
    if (cursor->at >= cursor->size || cursor->text[cursor->at] != c)
        return false;
    cursor->at++;
    return true;
}

/* A plain decimal number; strtod alone would also take hexadecimal, nan and blanks. */
static bool calibration_number(struct calibration_cursor *cursor, float *value)
{
    char digits[CALIBRATION_NUMBER_SIZE];
    size_t size = 0;
    while (cursor->at < cursor->size && size + 1 < sizeof(digits)) {
        char c = cursor->text[cursor->at];
        if ((c < '0' || c > '9') && c != '.' && c != 'e' && c != '-' && c != '+')
            break;
        digits[size++] = c;
        cursor->at++;
    }
    digits[size] = '\0';
    char *end;
    *value = strtof(digits, &end);
    return size > 0 && *end == '\0' && isfinite(*value) && *value >= 0.0f;
}

static int calibration_fail(const struct calibration_cursor *cursor, const char *what,
                            struct err *err)
{
    return err_set(err, ERR_MALFORMED, "calibration, byte %zu: %s", cursor->at, what);
}

static int calibration_parse_knot(struct calibration_cursor *cursor,
                                  struct calibration_bucket *bucket, struct err *err)
{
    struct calibration_knot knot;
    if (bucket->count == CALIBRATION_KNOTS_MAX)
        return calibration_fail(cursor, "too many knots", err);
    if (!calibration_number(cursor, &knot.strength) || !calibration_take(cursor, ':') ||
        !calibration_number(cursor, &knot.probability))
        return calibration_fail(cursor, "STRENGTH:PROBABILITY expected", err);
    if (knot.probability > 1.0f)
        return calibration_fail(cursor, "a probability is above 1", err);
    if (bucket->count > 0 && knot.strength <= bucket->knots[bucket->count - 1].strength)
        return calibration_fail(cursor, "strengths have to grow", err);
    bucket->knots[bucket->count++] = knot;
    return ERR_OK;
}

static int calibration_parse_bucket(struct calibration_cursor *cursor,
                                    struct calibration_bucket *bucket, struct err *err)
{
    bucket->count = 0;
    if (!calibration_number(cursor, &bucket->age_s_max) || !calibration_take(cursor, '/'))
        return calibration_fail(cursor, "AGE_S/ expected", err);
    do {
        int rc = calibration_parse_knot(cursor, bucket, err);
        if (rc != ERR_OK)
            return rc;
    } while (calibration_take(cursor, ','));
    return ERR_OK;
}

int calibration_parse(const char *text, size_t size, struct calibration *calibration,
                      struct err *err)
{
    struct calibration_cursor cursor = {.text = text, .size = size};
    calibration->count = 0;
    do {
        if (calibration->count == CALIBRATION_BUCKETS_MAX)
            return calibration_fail(&cursor, "too many age buckets", err);
        struct calibration_bucket *bucket = &calibration->buckets[calibration->count];
        int rc = calibration_parse_bucket(&cursor, bucket, err);
        if (rc != ERR_OK)
            return rc;
        if (calibration->count > 0 && bucket->age_s_max <= bucket[-1].age_s_max)
            return calibration_fail(&cursor, "ages have to grow", err);
        calibration->count++;
    } while (calibration_take(&cursor, ';'));
    return cursor.at == size ? ERR_OK : calibration_fail(&cursor, "text left over", err);
}

void calibration_format(const struct calibration *calibration, struct text *text)
{
    for (int b = 0; b < calibration->count; b++) {
        const struct calibration_bucket *bucket = &calibration->buckets[b];
        text_add_format(text, "%s%.9g/", b > 0 ? ";" : "", (double)bucket->age_s_max);
        for (int k = 0; k < bucket->count; k++)
            text_add_format(text, "%s%.9g:%.9g", k > 0 ? "," : "",
                            (double)bucket->knots[k].strength,
                            (double)bucket->knots[k].probability);
    }
}

static double calibration_interpolate(const struct calibration_bucket *bucket, double strength)
{
    const struct calibration_knot *knots = bucket->knots;
    if (!(strength > (double)knots[0].strength))
        return (double)knots[0].probability;
    for (int k = 1; k < bucket->count; k++) {
        double low = (double)knots[k - 1].strength, high = (double)knots[k].strength;
        if (strength < high) {
            double share = (strength - low) / (high - low);
            double from = (double)knots[k - 1].probability;
            return from + share * ((double)knots[k].probability - from);
        }
    }
    return (double)knots[bucket->count - 1].probability;
}

double calibration_probability(const struct calibration *calibration, double strength, double age_s)
{
    if (calibration->count == 0)
        return -1.0;
    for (int b = 0; b < calibration->count; b++)
        if (age_s <= (double)calibration->buckets[b].age_s_max)
            return calibration_interpolate(&calibration->buckets[b], strength);
    return 0.0;
}
