/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/duckdb/reply_table.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/crc32c.h"
#include "learn/lake/bronze_key.h"
#include "wire/rest_json.h"

/* Finest decimals of the exchange; also what reply_table_own multiplies by. */
#define REPLY_TABLE_EXPONENT (-8)

struct reply_table {
    const struct duckdb_api *api;
    struct bytes body;
    bool taken;
    struct sbe_level bids[REST_JSON_DEPTH_MAX], asks[REST_JSON_DEPTH_MAX];
    struct rest_agg_trade agg_trades[REST_JSON_LIST_MAX];
    struct trade trades[REST_JSON_LIST_MAX];
    int64_t times_us[REST_JSON_LIST_MAX];
    struct rest_kline klines[REST_JSON_LIST_MAX];
};

/* --- btcast_reply(): one row, the body --------------------------------------------------- */

static void reply_table_bind(duckdb_bind_info info)
{
    const struct duckdb_api *api = NULL;
    int loaded = duckdb_api_load(NULL, &api, NULL);
    (void)loaded; /* it is: DuckDB is what calls */
    duckdb_logical_type blob = api->create_logical_type(DUCKDB_TYPE_BLOB);
    duckdb_logical_type number = api->create_logical_type(DUCKDB_TYPE_BIGINT);
    api->bind_add_result_column(info, "body", blob);
    api->bind_add_result_column(info, "body_crc32c", number);
    api->destroy_logical_type(&blob);
    api->destroy_logical_type(&number);
}

static void reply_table_init(duckdb_init_info info)
{
    (void)info; /* reply_table_set is the beginning */
}

static void reply_table_read(duckdb_function_info info, duckdb_data_chunk chunk)
{
    const struct duckdb_api *api = NULL;
    int loaded = duckdb_api_load(NULL, &api, NULL);
    (void)loaded;
    struct reply_table *table = api->function_get_extra_info(info);
    if (!table->taken) {
        api->vector_assign_string_element_len(api->data_chunk_get_vector(chunk, 0), 0,
                                              (const char *)table->body.data, table->body.size);
        int64_t *crc = api->vector_get_data(api->data_chunk_get_vector(chunk, 1));
        crc[0] = (int64_t)crc32c(0, table->body.data, table->body.size);
    }
    api->data_chunk_set_size(chunk, table->taken ? 0 : 1);
    table->taken = true;
}

int reply_table_open(struct duckdb_session *session, struct reply_table **out, struct err *err)
{
    const struct duckdb_api *api = session->api;
    struct reply_table *table = calloc(1, sizeof(*table));
    if (table == NULL)
        return err_set(err, ERR_MEMORY, "reply table");
    table->api = api;
    duckdb_table_function function = api->create_table_function();
    api->table_function_set_name(function, "btcast_reply");
    api->table_function_set_extra_info(function, table, NULL);
    api->table_function_set_bind(function, reply_table_bind);
    api->table_function_set_init(function, reply_table_init);
    api->table_function_set_function(function, reply_table_read);
    int result = api->register_table_function(session->connection, function) == DuckDBSuccess
                     ? ERR_OK
                     : err_set(err, ERR_IO, "DuckDB refuses the table function btcast_reply");
    api->destroy_table_function(&function);
    if (result != ERR_OK) {
        free(table);
        return result;
    }
    *out = table;
    return ERR_OK;
}

void reply_table_close(struct reply_table *table)
{
    free(table);
}

void reply_table_set(struct reply_table *table, struct bytes body)
{
    table->body = body;
    table->taken = false;
}

int reply_table_judge(struct reply_table *table, const struct archive_rest_reply *reply,
                      struct err *err)
{
    const struct sbe_scale scale = {REPLY_TABLE_EXPONENT, REPLY_TABLE_EXPONENT};
    struct rest_depth depth = {
        .bids = table->bids, .asks = table->asks, .capacity = REST_JSON_DEPTH_MAX};
    uint32_t count;
    int result = ERR_INVALID;
    switch (reply->type) {
    case ARCHIVE_REST_DEPTH:
        result = rest_json_read_depth(reply->body, scale, &depth, err);
        break;
    case ARCHIVE_REST_AGG_TRADES:
        result = rest_json_read_agg_trades(reply->body, scale, table->agg_trades,
                                           REST_JSON_LIST_MAX, &count, err);
        break;
    case ARCHIVE_REST_KLINES:
        result = rest_json_read_klines(reply->body, scale, table->klines, REST_JSON_LIST_MAX,
                                       &count, err);
        break;
    case ARCHIVE_REST_TRADES:
        result = rest_json_read_trades(reply->body, scale, table->trades, table->times_us,
                                       REST_JSON_LIST_MAX, &count, err);
        break;
    case ARCHIVE_RESTS:
        break;
    }
    return result == ERR_OK ? ERR_OK : err_wrap(err, ERR_MALFORMED, "reply refused");
}

/* --- SQL -------------------------------------------------------------------------------- */

#define REPLY_LEVELS(side)                                                                         \
    "list_transform(from_json(j->'" side "', '[[\"VARCHAR\"]]'), lambda x: {'price': "             \
    "x[1]::DOUBLE, 'quantity': x[2]::DOUBLE}) AS " side
/* A decimal text exactly, as an integer at REPLY_TABLE_EXPONENT. */
#define REPLY_MANTISSA(text) "(" text "::DECIMAL(27,8) * 100000000)::BIGINT"
/* One row an element; the body stands in the first. */
#define REPLY_LIST(type)                                                                           \
    "CASE WHEN i = 1 THEN body END AS body, CASE WHEN i = 1 THEN body_crc32c END AS body_crc32c "  \
    "FROM (SELECT unnest(l) AS t, generate_subscripts(l, 1) AS i, body, body_crc32c FROM "         \
    "(SELECT from_json(decode(body), '" type "') AS l, body, body_crc32c FROM btcast_reply()))"

static const char *const reply_table_own[ARCHIVE_RESTS] = {
    [ARCHIVE_REST_DEPTH] =
        "(j->>'lastUpdateId')::BIGINT AS last_update_id, " REPLY_LEVELS("bids") ", " REPLY_LEVELS(
            "asks") ", collection_ts AS snapshot_ts, body, body_crc32c "
                    "FROM (SELECT decode(body)::JSON AS j, body, body_crc32c FROM btcast_reply())",
    [ARCHIVE_REST_AGG_TRADES] =
        "t.a AS agg_trade_id, t.f AS first_trade_id, t.l AS last_trade_id, t.p::DOUBLE AS price, "
        "t.q::DOUBLE AS quantity, t.\"T\" AS timestamp, t.m AS is_buyer_maker, "
        "t.\"M\" AS is_best_match, " REPLY_MANTISSA("t.p") " AS price_mantissa, " REPLY_MANTISSA(
            "t.q") " AS quantity_mantissa, "
                   "-8::INTEGER AS price_exponent, -8::INTEGER AS quantity_exponent, " REPLY_LIST(
                       "[{\"a\":\"BIGINT\",\"f\":\"BIGINT\",\"l\":\"BIGINT\",\"p\":\"VARCHAR\","
                       "\"q\":\"VARCHAR\",\"T\":\"BIGINT\",\"m\":\"BOOLEAN\",\"M\":\"BOOLEAN\"}]"),
    [ARCHIVE_REST_KLINES] =
        "t[1]::BIGINT AS open_time, t[7]::BIGINT AS close_time, t[2]::DOUBLE AS open_price, "
        "t[3]::DOUBLE AS high_price, t[4]::DOUBLE AS low_price, t[5]::DOUBLE AS close_price, "
        "t[6]::DOUBLE AS volume, t[8]::DOUBLE AS quote_volume, t[9]::INTEGER AS trade_count, "
        "t[10]::DOUBLE AS taker_buy_volume, t[11]::DOUBLE AS "
        "taker_buy_quote_volume, " REPLY_MANTISSA("t[6]") " AS volume_mantissa, -8::INTEGER AS "
                                                          "quantity_exponent, " REPLY_LIST(
                                                              "[[\"VARCHAR\"]]"),
    [ARCHIVE_REST_TRADES] =
        "t.id AS trade_id, t.price::DOUBLE AS price, t.qty::DOUBLE AS quantity, "
        "t.quoteQty::DOUBLE AS quote_quantity, t.time AS timestamp, "
        "t.isBuyerMaker AS is_buyer_maker, t.isBestMatch AS is_best_match, " REPLY_MANTISSA(
            "t.price") " AS price_mantissa, " REPLY_MANTISSA("t.qty") " AS quantity_mantissa, "
                                                                      "-8::INTEGER AS "
                                                                      "price_exponent, -8::INTEGER "
                                                                      "AS "
                                                                      "quantity_exponent,"
                                                                      " " REPLY_LIST(
                                                                          "[{\"id\":\"BIGINT\","
                                                                          "\"price\":\"VARCHAR\","
                                                                          "\"qty\":\"VARCHAR\","
                                                                          "\"quoteQty\":"
                                                                          "\"VARCHAR\",\"time\":"
                                                                          "\"BIGINT\","
                                                                          "\"isBuyerMaker\":"
                                                                          "\"BOOLEAN\","
                                                                          "\"isBestMatch\":"
                                                                          "\"BOOLEAN\"}]"),
};

int reply_table_select(const struct archive_rest_reply *reply, char *out)
{
    char date[11], reason[2 * REPLY_TABLE_REASON_SIZE + 3];
    const char *why = reply->reason != NULL ? reply->reason : "";
    bronze_key_partition(reply->received_us / BRONZE_KEY_MINUTE_US, date);
    if (!duckdb_session_quote(why, reason, sizeof(reason)))
        return ERR_INVALID;
    int size = snprintf(
        out, REPLY_TABLE_SQL_SIZE,
        "SELECT '%s' AS symbol, %" PRId64 "::BIGINT AS collection_ts, 'rest' AS source, "
        "'%s' AS partition_date, %" PRId64 "::INTEGER AS api_latency_ms, "
        "%" PRId64 "::BIGINT AS requested_ts, %s AS reason, %s",
        reply->symbol, reply->received_us, date, (reply->received_us - reply->requested_us) / 1000,
        reply->requested_us, reason, reply_table_own[reply->type]);
    return size > 0 && size < REPLY_TABLE_SQL_SIZE ? ERR_OK : ERR_INVALID;
}
