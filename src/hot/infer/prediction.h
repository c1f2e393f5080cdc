/* One prediction: the record that is published once per (symbol, slot) and served as JSON
 * (DESIGN.md section 5, "Prediction"; CONTRACTS.md section 2).
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_HOT_INFER_PREDICTION_H
#define BTCAST_HOT_INFER_PREDICTION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/text.h"

#define PREDICTION_FIELDS    20
#define PREDICTION_TEXT_SIZE 64
#define PREDICTION_JSON_MAX  1536

/* Field names, in the order they are written; the names of the JSON members and, with
 * their values as strings, of the hash and stream fields. */
enum prediction_field {
    PREDICTION_SYMBOL,
    PREDICTION_TIMESTAMP,     /* ms: the slot's time */
    PREDICTION_CURRENT_PRICE, /* the mid */
    PREDICTION_PREDICTED_PRICE_10S,
    PREDICTION_CONFIDENCE, /* P(sign of the move is the predicted one) */
    PREDICTION_LATENCY_MS,
    PREDICTION_MODEL_VERSION,
    PREDICTION_FEATURES_AGE_MS,
    PREDICTION_SOURCE, /* redis | fallback */
    PREDICTION_LATENCY_US,
    PREDICTION_SLOT,
    PREDICTION_INGEST_EPOCH, /* (epoch, seq) of the tick the vector was made at */
    PREDICTION_SEQ,
    PREDICTION_P10, /* price band */
    PREDICTION_P90,
    PREDICTION_MODE,        /* live | stale | degraded | fallback | blind */
    PREDICTION_REASON,      /* "" in mode live */
    PREDICTION_RETURN_BP,   /* predicted log return, basis points */
    PREDICTION_CALIBRATION, /* prior | online: what the confidence rests on */
    PREDICTION_OUTCOMES,    /* outcomes that the calibration had seen */
};
const char *prediction_field_name(enum prediction_field field);

/* All values as text, exactly as published: what both replicas serve. */
struct prediction {
    char value[PREDICTION_FIELDS][PREDICTION_TEXT_SIZE];
};

/* The inputs, before formatting. The mid is mid * 10^mid_exponent. */
struct prediction_inputs {
    const char *symbol, *model_version, *source, *mode, *reason, *calibration;
    int64_t slot;
    int64_t mid;
    int mid_exponent;
    double return_bp, confidence, p10_bp, p90_bp;
    int64_t latency_us, features_age_us;
    uint64_t epoch, seq, outcomes;
};
void prediction_fill(struct prediction *prediction, const struct prediction_inputs *inputs);

/* Fills one field from a published record's field/value pair; unknown names are ignored.
 * ERR_MALFORMED if the value is too long or not printable. */
int prediction_set(struct prediction *prediction, struct bytes name, struct bytes value) MUST_CHECK;
/* Reads a number back (a published record is bytes from outside): false if it is none. */
bool prediction_i64(const struct prediction *prediction, enum prediction_field field,
                    int64_t *value);
bool prediction_f64(const struct prediction *prediction, enum prediction_field field,
                    double *value);
/* The JSON object; numbers where the field is a number. */
void prediction_json(const struct prediction *prediction, struct text *out);

#endif
