/* SPDX-License-Identifier: Apache-2.0 */
#include "learn/etl/etl_rows.h"

#include "learn/store/copy_text.h"
#include "learn/store/prediction_rows.h"

/* Labels of the rows of slots `from` to `to` of one symbol that a mid makes known: as the
 * outcomes of predictions, the mid at exactly +10 s, not valid over a gap. */
#define ETL_ROWS_LABEL(from, to)                                                                   \
    "UPDATE feature_store f SET target_valid = m.valid AND m.mid > 0,"                             \
    " target_price_10s = CASE WHEN m.valid AND m.mid > 0 THEN m.mid END,"                          \
    " target_return_10s = CASE WHEN m.valid AND m.mid > 0 THEN ln((m.mid / f.price)::float8) END"  \
    " FROM slot_mid m, (SELECT symbol, " from " AS first, " to                                     \
    " AS last FROM staging GROUP BY symbol) s"                                                     \
    " WHERE f.symbol = s.symbol AND m.symbol = s.symbol AND f.slot = m.slot - 5"                   \
    " AND m.slot BETWEEN s.first + 5 AND s.last + 5"                                               \
    " AND f.\"timestamp\" = to_timestamp((m.slot - 5) * 2)"                                        \
    " AND f.\"timestamp\" BETWEEN to_timestamp(s.first * 2) AND to_timestamp(s.last * 2)"          \
    " AND (f.target_valid IS NULL OR (m.valid AND m.mid > 0 AND NOT f.target_valid))"

/* Of each hour that got rows: how many of its vectors were served live from the same tick, and how
 * many of those were other bytes (the goal is none). */
static const char etl_rows_finish[] = ETL_ROWS_LABEL(
    "min(slot)",
    "max(slot)") ";"
                 " SELECT make_month_partitions('data_quality_metrics', to_timestamp(min(slot) * "
                 "2),"
                 " to_timestamp(max(slot) * 2)) FROM staging;"
                 " INSERT INTO data_quality_metrics AS q (\"timestamp\", symbol, dataset, "
                 "completeness,"
                 " accuracy, score, gap_count, details)"
                 " SELECT h.hour, h.symbol, 'served_vector', h.compared::float8 / h.vectors,"
                 " CASE WHEN h.compared > 0 THEN 1 - h.different::float8 / h.compared END,"
                 " CASE WHEN h.compared > 0 THEN 1 - h.different::float8 / h.compared ELSE 0 END, "
                 "0,"
                 " jsonb_build_object('vectors', h.vectors, 'served', h.served, 'compared', "
                 "h.compared,"
                 " 'different', h.different)"
                 " FROM (SELECT date_trunc('hour', f.\"timestamp\") AS hour, f.symbol, count(*) AS "
                 "vectors,"
                 " count(s.slot) AS served, count(*) FILTER (WHERE s.ingest_epoch = f.ingest_epoch"
                 " AND s.seq = f.seq) AS compared, count(*) FILTER (WHERE s.ingest_epoch = "
                 "f.ingest_epoch"
                 " AND s.seq = f.seq AND (array_send(s.features) <> array_send(f.features)"
                 " OR s.schema_hash <> f.schema_hash OR s.as_of_us <> f.as_of_us)) AS different"
                 " FROM (SELECT symbol, date_trunc('hour', to_timestamp(min(slot) * 2)) AS first,"
                 " date_trunc('hour', to_timestamp(max(slot) * 2)) + interval '1 hour' AS last"
                 " FROM staging GROUP BY symbol) r"
                 " JOIN feature_store f ON f.symbol = r.symbol AND f.\"timestamp\" >= r.first"
                 " AND f.\"timestamp\" < r.last"
                 " LEFT JOIN served_vector s ON s.symbol = f.symbol AND s.slot_ms = f.slot * 2000"
                 " GROUP BY 1, 2) h WHERE h.served > 0"
                 " ON CONFLICT (\"timestamp\", symbol, dataset) DO UPDATE SET"
                 " completeness = EXCLUDED.completeness, accuracy = EXCLUDED.accuracy,"
                 " score = EXCLUDED.score, details = EXCLUDED.details"
                 " WHERE q.details IS DISTINCT FROM EXCLUDED.details";

void etl_rows_feature_load(struct feature_rows_sql *sql)
{
    feature_rows_load(sql);
    sql->load.finish = etl_rows_finish;
}

void etl_rows_mid_load(struct store_load *load)
{
    *load = prediction_rows_mid_load;
    load->finish = PREDICTION_ROWS_OUTCOMES "; " ETL_ROWS_LABEL("min(slot) - 5", "max(slot) - 5");
}

#define ETL_ROWS_BAR_COLUMNS                                                                       \
    "symbol, open_time, close_time, open_price, high_price, low_price, close_price, volume, "      \
    "notional, trade_count, buy_trade_count, buy_volume, buy_notional, sell_trade_count, "         \
    "sell_volume, sell_notional, vwap, volume_imbalance, completeness_score, gap_seconds, "        \
    "data_source"

const struct store_load etl_rows_bar_load = {
    .name = "market_data_minute",
    .staging = "CREATE TEMP TABLE staging (line bigint GENERATED ALWAYS AS IDENTITY,"
               " LIKE market_data_minute) ON COMMIT DROP; ALTER TABLE staging ALTER created_at"
               " DROP NOT NULL",
    .copy = "COPY staging (" ETL_ROWS_BAR_COLUMNS ") FROM STDIN",
    .prepare = "SELECT make_month_partitions('market_data_minute', to_timestamp(min(open_time) /"
               " 1000), to_timestamp(max(open_time) / 1000)) FROM staging",
    .merge = "WITH merged AS (INSERT INTO market_data_minute AS b (" ETL_ROWS_BAR_COLUMNS
             ") SELECT DISTINCT ON (symbol, open_time) " ETL_ROWS_BAR_COLUMNS
             " FROM staging ORDER BY symbol, open_time, line DESC"
             " ON CONFLICT (symbol, open_time) DO UPDATE SET close_time = EXCLUDED.close_time,"
             " open_price = EXCLUDED.open_price, high_price = EXCLUDED.high_price,"
             " low_price = EXCLUDED.low_price, close_price = EXCLUDED.close_price,"
             " volume = EXCLUDED.volume, notional = EXCLUDED.notional,"
             " trade_count = EXCLUDED.trade_count, buy_trade_count = EXCLUDED.buy_trade_count,"
             " buy_volume = EXCLUDED.buy_volume, buy_notional = EXCLUDED.buy_notional,"
             " sell_trade_count = EXCLUDED.sell_trade_count, sell_volume = EXCLUDED.sell_volume,"
             " sell_notional = EXCLUDED.sell_notional, vwap = EXCLUDED.vwap,"
             " volume_imbalance = EXCLUDED.volume_imbalance,"
             " completeness_score = EXCLUDED.completeness_score,"
             " gap_seconds = EXCLUDED.gap_seconds, data_source = EXCLUDED.data_source"
             " WHERE (b.volume, b.trade_count, b.notional, b.completeness_score, b.gap_seconds,"
             " b.data_source) IS DISTINCT FROM (EXCLUDED.volume, EXCLUDED.trade_count,"
             " EXCLUDED.notional, EXCLUDED.completeness_score, EXCLUDED.gap_seconds,"
             " EXCLUDED.data_source) RETURNING 1) SELECT count(*) FROM merged",
};

#define ETL_ROWS_QUALITY_COLUMNS                                                                   \
    "\"timestamp\", symbol, dataset, completeness, accuracy, consistency, timeliness, "            \
    "uniqueness, validity, score, gap_count, details"

const struct store_load etl_rows_quality_load = {
    .name = "data_quality_metrics",
    .staging = "CREATE TEMP TABLE staging (line bigint GENERATED ALWAYS AS IDENTITY,"
               " LIKE data_quality_metrics) ON COMMIT DROP; ALTER TABLE staging ALTER created_at"
               " DROP NOT NULL",
    .copy = "COPY staging (" ETL_ROWS_QUALITY_COLUMNS ") FROM STDIN",
    .prepare = "SELECT make_month_partitions('data_quality_metrics', min(\"timestamp\"),"
               " max(\"timestamp\")) FROM staging",
    .merge = "WITH merged AS (INSERT INTO data_quality_metrics AS q (" ETL_ROWS_QUALITY_COLUMNS
             ") SELECT DISTINCT ON (\"timestamp\", symbol, dataset) " ETL_ROWS_QUALITY_COLUMNS
             " FROM staging ORDER BY \"timestamp\", symbol, dataset, line DESC"
             " ON CONFLICT (\"timestamp\", symbol, dataset) DO UPDATE SET"
             " completeness = EXCLUDED.completeness, accuracy = EXCLUDED.accuracy,"
             " consistency = EXCLUDED.consistency, timeliness = EXCLUDED.timeliness,"
             " uniqueness = EXCLUDED.uniqueness, validity = EXCLUDED.validity,"
             " score = EXCLUDED.score, gap_count = EXCLUDED.gap_count, details = EXCLUDED.details"
             " WHERE (q.score, q.gap_count, q.details) IS DISTINCT FROM (EXCLUDED.score,"
             " EXCLUDED.gap_count, EXCLUDED.details) RETURNING 1) SELECT count(*) FROM merged",
};

int etl_rows_add_slot(const char *symbol, const struct etl_slot *slot, struct text *out,
                      struct err *err)
{
    const struct world_view *view = slot->view;
    struct feature_row row = {.symbol = symbol,
                              .slot = slot->slot,
                              .vector = &view->vector,
                              .volume_1s = view->one_second.vol,
                              .volume_5s = view->five_seconds.vol,
                              .volume_exponent = view->qty_exponent,
                              .label = FEATURE_LABEL_UNKNOWN,
                              .quality = slot->quality,
                              .completeness = slot->completeness};
    int result = feature_rows_add(&row, out, err);
    return result == ERR_INVALID ? ERR_EMPTY : result;
}

int etl_rows_add_mid(const char *symbol, const struct world_slot_mid *mid, int exponent,
                     struct text *out, struct err *err)
{
    size_t before = out->size;
    copy_text_string(out, bytes_text(symbol));
    copy_text_i64(out, mid->slot);
    copy_text_decimal(out, mid->mid2 * 5, exponent - 1);
    copy_text_bool(out, mid->valid);
    copy_text_end_row(out);
    if (!out->truncated)
        return ERR_OK;
    out->size = before;
    out->truncated = false;
    return err_set(err, ERR_FULL, "no room for a mid");
}
