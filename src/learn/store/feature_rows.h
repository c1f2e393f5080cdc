/* Rows of the feature store: a vector every 2 s, its label 10 s ahead, and the vectors that
 * were served live. Loading the same rows twice changes nothing; a label that is known is never
 * lost to a row that does not know it. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_LEARN_STORE_FEATURE_ROWS_H
#define BTCAST_LEARN_STORE_FEATURE_ROWS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/text.h"
#include "learn/store/store_port.h"
#include "market/feature.h"

#define FEATURE_ROWS_ROW_MAX 2048

enum feature_label { FEATURE_LABEL_UNKNOWN, FEATURE_LABEL_VALID, FEATURE_LABEL_INVALID };

struct feature_row {
    const char *symbol;
    int64_t slot; /* the vector is that of the last tick before it */
    const struct feature_vector *vector;
    /* Quantities bought and sold in the last 1 s and 5 s; mantissa -1: not known. */
    int64_t volume_1s, volume_5s;
    int volume_exponent;
    enum feature_label label;
    /* The mid as of the last record with recv_us <= slot + 10 s, times two, as mid2 of the
     * vector. VALID only. */
    int64_t target_mid2;
    int target_exponent;
    double quality, completeness; /* 0..1 */
};

/* Texts of a load that depend on this build's features. */
struct feature_rows_sql {
    struct store_load load;
    char prepare[4096];
};

/* The load of feature_store rows, and the one of served vectors. sql owns the texts. */
void feature_rows_load(struct feature_rows_sql *sql);
void feature_rows_served_load(struct feature_rows_sql *sql);

/* Adds one row. ERR_INVALID: the vector is not valid, of another schema, or older than its slot
 * by more than 2 s or younger; ERR_FULL: no room in out. Nothing is added then. */
int feature_rows_add(const struct feature_row *row, struct text *out, struct err *err) MUST_CHECK;
/* symbol, slot and vector count only. */
int feature_rows_add_served(const struct feature_row *row, struct text *out,
                            struct err *err) MUST_CHECK;

#endif
