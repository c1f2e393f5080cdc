/* SPDX-License-Identifier: Apache-2.0 */
#include "learn/store/prediction_rows.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "learn/store/copy_text.h"

#define PREDICTION_ROWS_TEXT_MAX   128
#define PREDICTION_ROWS_DIGITS_MAX 19

#define PREDICTION_ROWS_COLUMNS                                                                    \
    "symbol, slot, role, model_version, current_price, predicted_price, return_predicted, "        \
    "confidence, p10, p90, inference_latency_ms, features_age_ms, data_source, mode, reason, "     \
    "ingest_epoch, seq"

const struct store_load prediction_rows_load = {
    .name = "predictions_log",
    .staging = "CREATE TEMP TABLE staging (line bigint GENERATED ALWAYS AS IDENTITY, symbol text,"
               " slot bigint, role text, model_version text, current_price numeric,"
               " predicted_price numeric, return_predicted float8, confidence float8, p10 float8,"
               " p90 float8, inference_latency_ms float8, features_age_ms bigint, data_source text,"
               " mode text, reason text, ingest_epoch numeric, seq numeric) ON COMMIT DROP",
    .copy = "COPY staging (" PREDICTION_ROWS_COLUMNS ") FROM STDIN",
    .prepare = "SELECT make_month_partitions('predictions_log', to_timestamp(min(slot) * 2),"
               " to_timestamp(max(slot) * 2)) FROM staging",
    .merge = "WITH merged AS (INSERT INTO predictions_log (prediction_ts, "
             "target_ts, " PREDICTION_ROWS_COLUMNS
             ") SELECT slot * 2000, slot * 2000 + 10000, " PREDICTION_ROWS_COLUMNS
             " FROM staging ORDER BY line ON CONFLICT DO NOTHING RETURNING 1)"
             " SELECT count(*) FROM merged",
    .finish = "SELECT fill_outcomes(symbol, min(slot), max(slot)) FROM staging GROUP BY symbol",
};

/* A mid that turns out valid replaces one that was not. */
const struct store_load prediction_rows_mid_load = {
    .name = "slot_mid",
    .staging = "CREATE TEMP TABLE staging (line bigint GENERATED ALWAYS AS IDENTITY, symbol text,"
               " slot bigint, mid numeric, valid boolean) ON COMMIT DROP",
    .copy = "COPY staging (symbol, slot, mid, valid) FROM STDIN",
    .merge = "WITH merged AS (INSERT INTO slot_mid AS m (symbol, slot, mid, valid)"
             " SELECT DISTINCT ON (symbol, slot) symbol, slot, mid, valid FROM staging"
             " ORDER BY symbol, slot, valid DESC, line DESC"
             " ON CONFLICT (symbol, slot) DO UPDATE SET mid = EXCLUDED.mid, valid = true"
             " WHERE EXCLUDED.valid AND NOT m.valid RETURNING 1) SELECT count(*) FROM merged",
    .finish = PREDICTION_ROWS_OUTCOMES,
};

static const struct prediction_pair *prediction_rows_find(const struct prediction_pair *pairs,
                                                          int count, const char *name)
{
    size_t size = strlen(name);
    for (int i = 0; i < count; i++)
        if (pairs[i].name.size == size && memcmp(pairs[i].name.data, name, size) == 0)
            return &pairs[i];
    return NULL;
}

/* "-123.45", at most so many digits, nothing else. */
static bool prediction_rows_is_decimal(struct bytes text)
{
    size_t at = text.size > 0 && text.data[0] == '-' ? 1 : 0;
    int digits = 0, points = 0;
    for (; at < text.size; at++) {
        digits += text.data[at] >= '0' && text.data[at] <= '9';
        points += text.data[at] == '.';
        if (text.data[at] != '.' && (text.data[at] < '0' || text.data[at] > '9'))
            return false;
    }
    return digits > 0 && digits <= PREDICTION_ROWS_DIGITS_MAX && points <= 1;
}

static bool prediction_rows_is_integer(struct bytes text)
{
    return prediction_rows_is_decimal(text) && memchr(text.data, '.', text.size) == NULL;
}

static bool prediction_rows_f64(struct bytes text, double *out)
{
    char copy[40], *end;
    if (text.size == 0 || text.size >= sizeof(copy))
        return false;
    memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    /* strtod would take white space, hexadecimal, "inf" and "nan". */
    if (strspn(copy, "+-0123456789.eE") != text.size)
        return false;
    *out = strtod(copy, &end);
    return *end == '\0' && isfinite(*out);
}

enum prediction_kind { PREDICTION_TEXT, PREDICTION_DECIMAL, PREDICTION_NUMBER, PREDICTION_INTEGER };

static const struct {
    const char *name;
    enum prediction_kind kind;
    double divisor; /* PREDICTION_NUMBER */
} prediction_rows_fields[] = {
    {"current_price", PREDICTION_DECIMAL, 0},
    {"predicted_price_10s", PREDICTION_DECIMAL, 0},
    {"return_bp", PREDICTION_NUMBER, 1e4},
    {"confidence", PREDICTION_NUMBER, 1},
    {"p10", PREDICTION_NUMBER, 1},
    {"p90", PREDICTION_NUMBER, 1},
    {"latency_us", PREDICTION_NUMBER, 1e3},
    {"features_age_ms", PREDICTION_INTEGER, 0},
    {"source", PREDICTION_TEXT, 0},
    {"mode", PREDICTION_TEXT, 0},
    {"reason", PREDICTION_TEXT, 0},
    {"ingest_epoch", PREDICTION_INTEGER, 0},
    {"seq", PREDICTION_INTEGER, 0},
};

/* False when the value is not of its kind. A field that is missing, or a number that is empty,
 * is null. */
static bool prediction_rows_value(int field, struct bytes value, struct text *out)
{
    double number;
    switch (prediction_rows_fields[field].kind) {
    case PREDICTION_TEXT:
        copy_text_string(out, value);
        return value.size <= PREDICTION_ROWS_TEXT_MAX;
    case PREDICTION_NUMBER:
        if (!prediction_rows_f64(value, &number))
            return false;
        copy_text_f64(out, number / prediction_rows_fields[field].divisor);
        return true;
    case PREDICTION_INTEGER:
        copy_text_string(out, value);
        return prediction_rows_is_integer(value);
    default:
        copy_text_string(out, value);
        return prediction_rows_is_decimal(value);
    }
}

static int prediction_rows_all(const struct prediction_pair *pairs, int count, struct text *out,
                               struct err *err)
{
    for (size_t i = 0; i < sizeof(prediction_rows_fields) / sizeof(prediction_rows_fields[0]);
         i++) {
        const char *name = prediction_rows_fields[i].name;
        const struct prediction_pair *pair = prediction_rows_find(pairs, count, name);
        bool is_text = prediction_rows_fields[i].kind == PREDICTION_TEXT;
        if (pair == NULL || (pair->value.size == 0 && !is_text))
            copy_text_null(out);
        else if (!prediction_rows_value((int)i, pair->value, out))
            return err_set(err, ERR_MALFORMED, "a prediction whose %s is no such value", name);
    }
    return ERR_OK;
}

static int prediction_rows_check(const char *symbol, int64_t slot,
                                 const struct prediction_pair *pairs, int count, struct err *err)
{
    char text[24];
    snprintf(text, sizeof(text), "%lld", (long long)slot);
    const struct prediction_pair *is_symbol = prediction_rows_find(pairs, count, "symbol");
    const struct prediction_pair *is_slot = prediction_rows_find(pairs, count, "slot");
    const struct prediction_pair *version = prediction_rows_find(pairs, count, "model_version");
    if (is_symbol == NULL || is_symbol->value.size != strlen(symbol) ||
        memcmp(is_symbol->value.data, symbol, strlen(symbol)) != 0)
        return err_set(err, ERR_MALFORMED, "a prediction of another symbol, or of none");
    if (is_slot == NULL || is_slot->value.size != strlen(text) ||
        memcmp(is_slot->value.data, text, strlen(text)) != 0)
        return err_set(err, ERR_MALFORMED, "a prediction whose slot is not that of its entry");
    if (version == NULL || version->value.size == 0 ||
        version->value.size > PREDICTION_ROWS_TEXT_MAX)
        return err_set(err, ERR_MALFORMED, "a prediction without a model_version");
    return ERR_OK;
}

/* Takes back a row that was not finished. */
static int prediction_rows_end(struct text *out, size_t before, int result, struct err *err)
{
    if (result == ERR_OK)
        copy_text_end_row(out);
    if (result == ERR_OK && !out->truncated)
        return ERR_OK;
    result = result != ERR_OK ? result : err_set(err, ERR_FULL, "no room for a row");
    out->size = before;
    out->truncated = false;
    return result;
}

int prediction_rows_add(const char *symbol, const char *role, int64_t slot,
                        const struct prediction_pair *pairs, int count, struct text *out,
                        struct err *err)
{
    size_t before = out->size;
    int result = prediction_rows_check(symbol, slot, pairs, count, err);
    if (result != ERR_OK)
        return result;
    copy_text_string(out, bytes_text(symbol));
    copy_text_i64(out, slot);
    copy_text_string(out, bytes_text(role));
    copy_text_string(out, prediction_rows_find(pairs, count, "model_version")->value);
    result = prediction_rows_all(pairs, count, out, err);
    return prediction_rows_end(out, before, result, err);
}

static bool prediction_rows_parse_mid(struct bytes part, struct prediction_mid *mid)
{
    const uint8_t *first = memchr(part.data, ':', part.size);
    const uint8_t *end = part.data + part.size;
    const uint8_t *second =
        first != NULL ? memchr(first + 1, ':', (size_t)(end - first - 1)) : NULL;
    if (second == NULL || end - second != 2 || (second[1] != '0' && second[1] != '1'))
        return false;
    struct bytes slot = bytes_of(part.data, (size_t)(first - part.data));
    mid->mid = bytes_of(first + 1, (size_t)(second - first - 1));
    mid->valid = second[1] == '1';
    if (!prediction_rows_is_integer(slot) || slot.size > 15 || slot.data[0] == '-' ||
        !prediction_rows_is_decimal(mid->mid) || mid->mid.data[0] == '-')
        return false;
    mid->slot = 0;
    for (size_t i = 0; i < slot.size; i++)
        mid->slot = mid->slot * 10 + (slot.data[i] - '0');
    return true;
}

bool prediction_rows_next_mid(struct bytes *text, struct prediction_mid *mid, uint64_t *malformed)
{
    while (text->size > 0) {
        const uint8_t *space = memchr(text->data, ' ', text->size);
        size_t size = space != NULL ? (size_t)(space - text->data) : text->size;
        struct bytes part = bytes_of(text->data, size);
        size_t used = space != NULL ? size + 1 : size;
        *text = bytes_of(text->data + used, text->size - used);
        if (size > 0 && prediction_rows_parse_mid(part, mid))
            return true;
        *malformed += size > 0;
    }
    return false;
}

int prediction_rows_add_mid(const char *symbol, const struct prediction_mid *mid, struct text *out,
                            struct err *err)
{
    size_t before = out->size;
    copy_text_string(out, bytes_text(symbol));
    copy_text_i64(out, mid->slot);
    copy_text_string(out, mid->mid);
    copy_text_bool(out, mid->valid);
    return prediction_rows_end(out, before, ERR_OK, err);
}
