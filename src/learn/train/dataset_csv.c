/* SPDX-License-Identifier: Apache-2.0 */
#include "learn/train/dataset_csv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char csv_start[] = "slot,epoch,seq,as_of_us,mid";

int dataset_csv_header(const char *line, struct err *err)
{
    size_t start = strlen(csv_start);
    if (strncmp(line, csv_start, start) != 0)
        return err_set(err, ERR_SCHEMA, "the header does not begin with %s", csv_start);
    const char *at = line + start;
    for (int i = 0; i < FEATURE_COUNT; i++) {
        size_t size = strlen(feature_name(i));
        if (at[0] != ',' || strncmp(at + 1, feature_name(i), size) != 0 ||
            (at[1 + size] != ',' && i + 1 < FEATURE_COUNT))
            return err_set(err, ERR_SCHEMA, "column %d of the header is not %s", 6 + i,
                           feature_name(i));
        at += 1 + size;
    }
    return at[strspn(at, "\r\n")] == '\0'
               ? ERR_OK
               : err_set(err, ERR_SCHEMA, "the header has more than %d features", FEATURE_COUNT);
}

/* A number and the comma (or, in the last column, the end) behind it. */
static bool csv_number(const char **at, bool last, double *value)
{
    char *end;
    errno = 0;
    *value = strtod(*at, &end);
    bool ok = end != *at && errno == 0;
    bool ended = last ? end[strspn(end, "\r\n")] == '\0' : *end == ',';
    *at = end + (last ? 0 : 1);
    return ok && ended;
}

static bool csv_integer(const char **at, int64_t *value)
{
    char *end;
    errno = 0;
    *value = strtoll(*at, &end, 10);
    bool ok = end != *at && errno == 0 && *end == ',';
    *at = end + 1;
    return ok;
}

int dataset_csv_row(struct dataset *dataset, const char *line, int64_t *first_us, struct err *err)
{
    int64_t whole[4]; /* slot, epoch, seq, as_of_us */
    double mid, value;
    const char *at = line;
    for (int i = 0; i < 4; i++)
        if (!csv_integer(&at, &whole[i]))
            return err_set(err, ERR_MALFORMED, "column %d is no whole number", 1 + i);
    if (!csv_number(&at, false, &mid))
        return err_set(err, ERR_MALFORMED, "column 5 is no price");
    struct feature_vector vector = {.valid = true, .book_live = true, .as_of_us = whole[3]};
    for (int i = 0; i < FEATURE_COUNT; i++) {
        if (!csv_number(&at, i + 1 == FEATURE_COUNT, &value))
            return err_set(err, ERR_MALFORMED, "column %d is no number", 6 + i);
        vector.values[i] = (float)value;
    }
    if (*first_us == 0)
        *first_us = whole[3];
    if (whole[0] > INT64_MAX / CLOCK_SLOT_US || whole[0] < 0)
        return err_set(err, ERR_MALFORMED, "column 1 is no slot");
    int rc = dataset_add_price(dataset, whole[0], mid, true, err);
    if (rc != ERR_OK)
        return rc;
    bool warm = clock_slot_us(whole[0]) - *first_us >= DATASET_SPAN_S * CLOCK_US_PER_S;
    return dataset_add(dataset, whole[0], &vector, warm, err);
}
