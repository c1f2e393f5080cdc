/* Rows of the predictions log and of slot mids, out of what stands in Redis. The published
 * record is never changed: the first row of (symbol, slot) stays; outcomes are filled in by the
 * store when the mid at exactly +10 s is known (sql/003_predictions.sql).
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_LEARN_STORE_PREDICTION_ROWS_H
#define BTCAST_LEARN_STORE_PREDICTION_ROWS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/text.h"
#include "learn/store/store_port.h"

#define PREDICTION_ROWS_ROW_MAX 2048

extern const struct store_load prediction_rows_load;
/* slot_mid. */
extern const struct store_load prediction_rows_mid_load;
/* Behind the mids of a load: predictions get their outcome. */
#define PREDICTION_ROWS_OUTCOMES                                                                   \
    "SELECT fill_outcomes(symbol, min(slot) - 5, max(slot) - 5) FROM staging GROUP BY symbol"

/* A published record as field and value pairs (docs/hot-state.md). */
struct prediction_pair {
    struct bytes name, value;
};

/* Adds one row. role: "live" or "shadow". ERR_MALFORMED, with the field, for a record that
 * cannot be one (symbol, slot and model_version must be there, the slot as in `slot`, numbers
 * must be numbers); ERR_FULL. Nothing is added then. */
int prediction_rows_add(const char *symbol, const char *role, int64_t slot,
                        const struct prediction_pair *pairs, int count, struct text *out,
                        struct err *err) MUST_CHECK;

/* One outcome out of "slot:mid:valid slot:mid:valid …". */
struct prediction_mid {
    int64_t slot;
    struct bytes mid; /* a decimal, checked */
    bool valid;
};
/* Takes the first one off the text; false when there is none left. A part that is malformed is
 * skipped, and counted in *malformed. */
bool prediction_rows_next_mid(struct bytes *text, struct prediction_mid *mid, uint64_t *malformed);
int prediction_rows_add_mid(const char *symbol, const struct prediction_mid *mid, struct text *out,
                            struct err *err) MUST_CHECK;

#endif
