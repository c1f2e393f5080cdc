/* SPDX-License-Identifier: Apache-2.0 */
#include "learn/store/feature_rows.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "learn/store/copy_text.h"

#define FEATURE_ROWS_BP 1e4

/* Columns of both, in the order of feature_rows_add. */
#define FEATURE_ROWS_COLUMNS                                                                       \
    "symbol, slot, price, return_1s, return_5s, return_10s, volume_1s, volume_5s, "                \
    "vol_imbalance_1s, vol_imbalance_5s, ob_imbalance, spread_bp, bid_strength, ask_strength, "    \
    "vwap_dev_1s, momentum, volatility, target_price_10s, target_return_10s, target_valid, "       \
    "data_quality_score, feature_completeness, schema_hash, features, ingest_epoch, seq, as_of_us"
#define FEATURE_ROWS_SERVED_COLUMNS                                                                \
    "symbol, slot, schema_hash, features, ingest_epoch, seq, as_of_us"

static const char feature_rows_staging[] =
    "CREATE TEMP TABLE staging (line bigint GENERATED ALWAYS AS IDENTITY, symbol text, slot bigint,"
    " price numeric, return_1s float8, return_5s float8, return_10s float8, volume_1s numeric,"
    " volume_5s numeric, vol_imbalance_1s float8, vol_imbalance_5s float8, ob_imbalance float8,"
    " spread_bp float8, bid_strength float8, ask_strength float8, vwap_dev_1s float8,"
    " momentum float8, volatility float8, target_price_10s numeric, target_return_10s float8,"
    " target_valid boolean, data_quality_score float8, feature_completeness float8,"
    " schema_hash char(16), features real[], ingest_epoch numeric, seq numeric, as_of_us bigint)"
    " ON COMMIT DROP";

/* Of several rows of one slot the last counts. */
static const char feature_rows_merge[] =
    "WITH merged AS (INSERT INTO feature_store AS f (\"timestamp\", " FEATURE_ROWS_COLUMNS ")"
    " SELECT DISTINCT ON (symbol, slot) to_timestamp(slot * 2), " FEATURE_ROWS_COLUMNS
    " FROM staging ORDER BY symbol, slot, line DESC"
    " ON CONFLICT (\"timestamp\", symbol) DO UPDATE SET price = EXCLUDED.price,"
    " return_1s = EXCLUDED.return_1s, return_5s = EXCLUDED.return_5s,"
    " return_10s = EXCLUDED.return_10s, volume_1s = EXCLUDED.volume_1s,"
    " volume_5s = EXCLUDED.volume_5s, vol_imbalance_1s = EXCLUDED.vol_imbalance_1s,"
    " vol_imbalance_5s = EXCLUDED.vol_imbalance_5s, ob_imbalance = EXCLUDED.ob_imbalance,"
    " spread_bp = EXCLUDED.spread_bp, bid_strength = EXCLUDED.bid_strength,"
    " ask_strength = EXCLUDED.ask_strength, vwap_dev_1s = EXCLUDED.vwap_dev_1s,"
    " momentum = EXCLUDED.momentum, volatility = EXCLUDED.volatility,"
    " target_price_10s = CASE WHEN EXCLUDED.target_valid IS NULL THEN f.target_price_10s"
    " ELSE EXCLUDED.target_price_10s END,"
    " target_return_10s = CASE WHEN EXCLUDED.target_valid IS NULL THEN f.target_return_10s"
    " ELSE EXCLUDED.target_return_10s END,"
    " target_valid = coalesce(EXCLUDED.target_valid, f.target_valid),"
    " data_quality_score = EXCLUDED.data_quality_score,"
    " feature_completeness = EXCLUDED.feature_completeness, schema_hash = EXCLUDED.schema_hash,"
    " features = EXCLUDED.features, ingest_epoch = EXCLUDED.ingest_epoch, seq = EXCLUDED.seq,"
    " as_of_us = EXCLUDED.as_of_us"
    " WHERE (f.features, f.schema_hash, f.price, f.volume_1s, f.volume_5s, f.data_quality_score,"
    " f.feature_completeness, f.ingest_epoch, f.seq, f.as_of_us) IS DISTINCT FROM"
    " (EXCLUDED.features, EXCLUDED.schema_hash, EXCLUDED.price, EXCLUDED.volume_1s,"
    " EXCLUDED.volume_5s, EXCLUDED.data_quality_score, EXCLUDED.feature_completeness,"
    " EXCLUDED.ingest_epoch, EXCLUDED.seq, EXCLUDED.as_of_us)"
    " OR (EXCLUDED.target_valid IS NOT NULL AND (f.target_valid, f.target_price_10s)"
    " IS DISTINCT FROM (EXCLUDED.target_valid, EXCLUDED.target_price_10s)) RETURNING 1)"
    " SELECT count(*) FROM merged";

static const char feature_rows_served_staging[] =
    "CREATE TEMP TABLE staging (line bigint GENERATED ALWAYS AS IDENTITY, symbol text, slot bigint,"
    " schema_hash char(16), features real[], ingest_epoch numeric, seq numeric, as_of_us bigint)"
    " ON COMMIT DROP";

/* What was served was served: the first row of a slot stays. */
static const char feature_rows_served_merge[] =
    "WITH merged AS (INSERT INTO served_vector (slot_ms, " FEATURE_ROWS_SERVED_COLUMNS ")"
    " SELECT slot * 2000, " FEATURE_ROWS_SERVED_COLUMNS " FROM staging ORDER BY line"
    " ON CONFLICT DO NOTHING RETURNING 1) SELECT count(*) FROM merged";

/* The partitions, and the names behind the schema's hash. */
static void feature_rows_prepare(struct feature_rows_sql *sql, const char *table)
{
    struct text out = text_begin(sql->prepare, sizeof(sql->prepare));
    text_add_format(&out,
                    "SELECT make_month_partitions('%s', to_timestamp(min(slot) * 2), "
                    "to_timestamp(max(slot) * 2)) FROM staging; "
                    "INSERT INTO feature_schema (schema_hash, version, names) VALUES "
                    "('%016llx', %d, '{",
                    table, (unsigned long long)feature_schema_hash(), FEATURE_VERSION);
    for (int i = 0; i < FEATURE_COUNT; i++)
        text_add_format(&out, "%s%s", i > 0 ? "," : "", feature_name(i));
    text_add(&out, "}') ON CONFLICT DO NOTHING");
    text_end(&out);
    CHECK(!out.truncated);
}

void feature_rows_load(struct feature_rows_sql *sql)
{
    sql->load = (struct store_load){.name = "feature_store",
                                    .staging = feature_rows_staging,
                                    .copy = "COPY staging (" FEATURE_ROWS_COLUMNS ") FROM STDIN",
                                    .prepare = sql->prepare,
                                    .merge = feature_rows_merge};
    feature_rows_prepare(sql, "feature_store");
}

void feature_rows_served_load(struct feature_rows_sql *sql)
{
    sql->load =
        (struct store_load){.name = "served_vector",
                            .staging = feature_rows_served_staging,
                            .copy = "COPY staging (" FEATURE_ROWS_SERVED_COLUMNS ") FROM STDIN",
                            .prepare = sql->prepare,
                            .merge = feature_rows_served_merge};
    feature_rows_prepare(sql, "served_vector");
}

static int feature_rows_check(const struct feature_row *row, struct err *err)
{
    const struct feature_vector *vector = row->vector;
    int64_t slot_us = clock_slot_us(row->slot);
    if (!vector->valid || vector->mid2 <= 0)
        return err_set(err, ERR_INVALID, "slot %lld: no valid vector", (long long)row->slot);
    if (vector->schema != feature_schema_hash())
        return err_set(err, ERR_INVALID, "slot %lld: a vector of schema %016llx",
                       (long long)row->slot, (unsigned long long)vector->schema);
    if (vector->as_of_us > slot_us || vector->as_of_us <= slot_us - CLOCK_SLOT_US)
        return err_set(err, ERR_INVALID, "slot %lld: a vector as of %lld us before it",
                       (long long)row->slot, (long long)(slot_us - vector->as_of_us));
    return ERR_OK;
}

/* mid2 / 2 as an exact decimal: five tenths instead of a half. */
static void feature_rows_mid(struct text *out, int64_t mid2, int exponent)
{
    copy_text_decimal(out, mid2 * 5, exponent - 1);
}

static void feature_rows_quantity(struct text *out, int64_t mantissa, int exponent)
{
    if (mantissa < 0)
        copy_text_null(out);
    else
        copy_text_decimal(out, mantissa, exponent);
}

/* "ln(1 + 1000 · quantity)" back to the quantity. */
static double feature_rows_depth(float log_value)
{
    return expm1((double)log_value) / 1000.0;
}

/* Log return from the vector's mid to the target; a move of one tick in its full precision. */
static double feature_rows_return(const struct feature_row *row)
{
    double now = (double)row->vector->mid2;
    if (row->target_exponent == row->vector->price_exponent)
        return log1p((double)(row->target_mid2 - row->vector->mid2) / now);
    double scale = pow(10, row->target_exponent - row->vector->price_exponent);
    return log((double)row->target_mid2 * scale / now);
}

static void feature_rows_label(const struct feature_row *row, struct text *out)
{
    if (row->label != FEATURE_LABEL_VALID) {
        copy_text_null(out);
        copy_text_null(out);
    } else {
        feature_rows_mid(out, row->target_mid2, row->target_exponent);
        copy_text_f64(out, feature_rows_return(row));
    }
    if (row->label == FEATURE_LABEL_UNKNOWN)
        copy_text_null(out);
    else
        copy_text_bool(out, row->label == FEATURE_LABEL_VALID);
}

static void feature_rows_tick(const struct feature_vector *vector, struct text *out)
{
    char schema[24];
    snprintf(schema, sizeof(schema), "%016llx", (unsigned long long)vector->schema);
    copy_text_string(out, bytes_text(schema));
    copy_text_floats(out, vector->values, FEATURE_COUNT);
    copy_text_u64(out, vector->epoch);
    copy_text_u64(out, vector->seq);
    copy_text_i64(out, vector->as_of_us);
}

/* What the last second did beyond its share of the last five. */
static double feature_rows_momentum(const float *values)
{
    double ret_1s_bp = (double)values[FEATURE_RET_1S_BP];
    return (ret_1s_bp - (double)values[FEATURE_RET_5S_BP] / 5) / FEATURE_ROWS_BP;
}

static void feature_rows_columns(const struct feature_row *row, struct text *out)
{
    const struct feature_vector *vector = row->vector;
    const float *v = vector->values;
    feature_rows_mid(out, vector->mid2, vector->price_exponent);
    copy_text_f64(out, (double)v[FEATURE_RET_1S_BP] / FEATURE_ROWS_BP);
    copy_text_f64(out, (double)v[FEATURE_RET_5S_BP] / FEATURE_ROWS_BP);
    copy_text_f64(out, (double)v[FEATURE_RET_10S_BP] / FEATURE_ROWS_BP);
    feature_rows_quantity(out, row->volume_1s, row->volume_exponent);
    feature_rows_quantity(out, row->volume_5s, row->volume_exponent);
    copy_text_f64(out, (double)v[FEATURE_VOL_IMBALANCE]);
    copy_text_f64(out, (double)v[FEATURE_VOL_IMBALANCE_5S]);
    copy_text_f64(out, (double)v[FEATURE_OB_IMBALANCE]);
    copy_text_f64(out, (double)v[FEATURE_SPREAD_BP]);
    copy_text_f64(out, feature_rows_depth(v[FEATURE_DEPTH_BID_LOG]));
    copy_text_f64(out, feature_rows_depth(v[FEATURE_DEPTH_ASK_LOG]));
    copy_text_f64(out, (double)v[FEATURE_VWAP_DEV_1S_BP] / FEATURE_ROWS_BP);
    copy_text_f64(out, feature_rows_momentum(v));
    copy_text_f64(out, (double)v[FEATURE_VOLATILITY_5S_BP] / FEATURE_ROWS_BP);
}

/* Takes back a row that does not fit. */
static int feature_rows_end(struct text *out, size_t before, struct err *err)
{
    copy_text_end_row(out);
    if (!out->truncated)
        return ERR_OK;
    out->size = before;
    out->truncated = false;
    return err_set(err, ERR_FULL, "no room for a row");
}

int feature_rows_add(const struct feature_row *row, struct text *out, struct err *err)
{
    size_t before = out->size;
    int result = feature_rows_check(row, err);
    if (result == ERR_OK && row->label == FEATURE_LABEL_VALID && row->target_mid2 <= 0)
        result =
            err_set(err, ERR_INVALID, "slot %lld: a label without a price", (long long)row->slot);
    if (result != ERR_OK)
        return result;
    copy_text_string(out, bytes_text(row->symbol));
    copy_text_i64(out, row->slot);
    feature_rows_columns(row, out);
    feature_rows_label(row, out);
    copy_text_f64(out, row->quality);
    copy_text_f64(out, row->completeness);
    feature_rows_tick(row->vector, out);
    return feature_rows_end(out, before, err);
}

int feature_rows_add_served(const struct feature_row *row, struct text *out, struct err *err)
{
    size_t before = out->size;
    int result = feature_rows_check(row, err);
    if (result != ERR_OK)
        return result;
    copy_text_string(out, bytes_text(row->symbol));
    copy_text_i64(out, row->slot);
    feature_rows_tick(row->vector, out);
    return feature_rows_end(out, before, err);
}
