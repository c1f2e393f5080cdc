/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/duckdb/block_fill.h"

#include "base/crc32c.h"
#include "base/decimal.h"

/* In front of every kind's own columns. */
#define BLOCK_FILL_COMMON                                                                          \
    {"seq", DUCKDB_TYPE_BIGINT}, {"recv_us", DUCKDB_TYPE_BIGINT},                                  \
        {"event_ts", DUCKDB_TYPE_BIGINT}, {"flags", DUCKDB_TYPE_INTEGER},                          \
        {"record_kind", DUCKDB_TYPE_INTEGER}, {"price_exponent", DUCKDB_TYPE_INTEGER},             \
        {"quantity_exponent", DUCKDB_TYPE_INTEGER}, {"frame", DUCKDB_TYPE_BLOB},                   \
    {                                                                                              \
        "frame_crc32c", DUCKDB_TYPE_BIGINT                                                         \
    }
enum {
    COLUMN_SEQ,
    COLUMN_RECV_US,
    COLUMN_EVENT_TS,
    COLUMN_FLAGS,
    COLUMN_RECORD_KIND,
    COLUMN_PRICE_EXPONENT,
    COLUMN_QUANTITY_EXPONENT,
    COLUMN_FRAME,
    COLUMN_FRAME_CRC,
    COLUMN_OWN,
};

static const struct block_column block_fill_trades_columns[] = {
    BLOCK_FILL_COMMON,
    {"transact_ts", DUCKDB_TYPE_BIGINT},
    {"trade_index", DUCKDB_TYPE_INTEGER},
    {"trade_count", DUCKDB_TYPE_INTEGER},
    {"trade_id", DUCKDB_TYPE_BIGINT},
    {"price", DUCKDB_TYPE_DOUBLE},
    {"quantity", DUCKDB_TYPE_DOUBLE},
    {"is_buyer_maker", DUCKDB_TYPE_BOOLEAN},
    {"price_mantissa", DUCKDB_TYPE_BIGINT},
    {"quantity_mantissa", DUCKDB_TYPE_BIGINT},
    {NULL, DUCKDB_TYPE_INVALID},
};
static const struct block_column block_fill_depth_columns[] = {
    BLOCK_FILL_COMMON,
    {"event_kind", DUCKDB_TYPE_INTEGER},
    {"first_update_id", DUCKDB_TYPE_BIGINT},
    {"final_update_id", DUCKDB_TYPE_BIGINT},
    {"bids", DUCKDB_TYPE_LIST},
    {"asks", DUCKDB_TYPE_LIST},
    {NULL, DUCKDB_TYPE_INVALID},
};
static const struct block_column block_fill_bba_columns[] = {
    BLOCK_FILL_COMMON,
    {"book_update_id", DUCKDB_TYPE_BIGINT},
    {"bid_price", DUCKDB_TYPE_DOUBLE},
    {"bid_quantity", DUCKDB_TYPE_DOUBLE},
    {"ask_price", DUCKDB_TYPE_DOUBLE},
    {"ask_quantity", DUCKDB_TYPE_DOUBLE},
    {"bid_price_mantissa", DUCKDB_TYPE_BIGINT},
    {"bid_quantity_mantissa", DUCKDB_TYPE_BIGINT},
    {"ask_price_mantissa", DUCKDB_TYPE_BIGINT},
    {"ask_quantity_mantissa", DUCKDB_TYPE_BIGINT},
    {NULL, DUCKDB_TYPE_INVALID},
};
static const struct block_column block_fill_control_columns[] = {
    BLOCK_FILL_COMMON,
    {"next_epoch", DUCKDB_TYPE_BIGINT},
    {"next_seq", DUCKDB_TYPE_BIGINT},
    {NULL, DUCKDB_TYPE_INVALID},
};
const struct block_column *const block_fill_columns[ARCHIVE_KINDS] = {
    [ARCHIVE_TRADES] = block_fill_trades_columns,
    [ARCHIVE_DEPTH] = block_fill_depth_columns,
    [ARCHIVE_BBA] = block_fill_bba_columns,
    [ARCHIVE_CONTROL] = block_fill_control_columns,
};

/* One column of the chunk being filled. */
struct block_fill_column {
    const struct duckdb_api *api;
    duckdb_vector vector;
    void *data;
    uint64_t *validity; /* NULL: no row is NULL yet */
};

static struct block_fill_column block_fill_column(const struct duckdb_api *api,
                                                  duckdb_data_chunk chunk, int index)
{
    struct block_fill_column column = {.api = api};
    column.vector = api->data_chunk_get_vector(chunk, (idx_t)index);
    column.data = api->vector_get_data(column.vector);
    return column;
}

static void block_fill_null(struct block_fill_column *column, idx_t row)
{
    if (column->validity == NULL) {
        column->api->vector_ensure_validity_writable(column->vector);
        column->validity = column->api->vector_get_validity(column->vector);
    }
    column->validity[row / 64] &= ~(1ULL << (row % 64));
}

/* `value` of each row for which `present` holds, NULL for the others; `row` is in scope. */
#define BLOCK_FILL_EACH(index, type, present, value)                                               \
    do {                                                                                           \
        struct block_fill_column column = block_fill_column(api, chunk, (index));                  \
        type *data = column.data;                                                                  \
        for (idx_t i = 0; i < count; i++) {                                                        \
            const struct block_row *row = &rows[i];                                                \
            if (present)                                                                           \
                data[i] = (type)(value);                                                           \
            else                                                                                   \
                block_fill_null(&column, i);                                                       \
        }                                                                                          \
    } while (0)

static bool block_fill_framed(const struct block_row *row)
{
    return row->decoded && row->event.event_us != 0;
}

/* The payload stands in the first row of its record. */
static void block_fill_frames(const struct duckdb_api *api, const struct block_row *rows,
                              idx_t count, duckdb_data_chunk chunk)
{
    struct block_fill_column frame = block_fill_column(api, chunk, COLUMN_FRAME);
    struct block_fill_column crc = block_fill_column(api, chunk, COLUMN_FRAME_CRC);
    for (idx_t i = 0; i < count; i++) {
        const struct bytes payload = rows[i].record.payload;
        if (rows[i].trade != 0 || rows[i].record.kind == RECORD_TICK) {
            block_fill_null(&frame, i);
            block_fill_null(&crc, i);
            continue;
        }
        api->vector_assign_string_element_len(frame.vector, i, (const char *)payload.data,
                                              payload.size);
        ((int64_t *)crc.data)[i] = (int64_t)crc32c(0, payload.data, payload.size);
    }
}

static void block_fill_common(const struct duckdb_api *api, const struct block_row *rows,
                              idx_t count, duckdb_data_chunk chunk)
{
    BLOCK_FILL_EACH(COLUMN_SEQ, int64_t, true, row->record.seq);
    BLOCK_FILL_EACH(COLUMN_RECV_US, int64_t, true, row->record.recv_us);
    BLOCK_FILL_EACH(COLUMN_EVENT_TS, int64_t, block_fill_framed(row), row->event.event_us);
    BLOCK_FILL_EACH(COLUMN_FLAGS, int32_t, true, row->record.flags);
    BLOCK_FILL_EACH(COLUMN_RECORD_KIND, int32_t, true, row->record.kind);
    BLOCK_FILL_EACH(COLUMN_PRICE_EXPONENT, int32_t, block_fill_framed(row),
                    row->event.price_exponent);
    BLOCK_FILL_EACH(COLUMN_QUANTITY_EXPONENT, int32_t, block_fill_framed(row),
                    row->event.qty_exponent);
    block_fill_frames(api, rows, count, chunk);
}

/* --- trades ----------------------------------------------------------------------------- */

static bool block_fill_is_trades(const struct block_row *row)
{
    return row->decoded && row->event.kind == EVENT_TRADES;
}

static void block_fill_trades(const struct duckdb_api *api, const struct block_row *rows,
                              idx_t count, duckdb_data_chunk chunk)
{
    struct block_fill_column columns[COLUMN_OWN + 9];
    for (int i = COLUMN_OWN; i < COLUMN_OWN + 9; i++)
        columns[i] = block_fill_column(api, chunk, i);
    for (idx_t i = 0; i < count; i++) {
        const struct block_row *row = &rows[i];
        const bool known = block_fill_is_trades(row);
        const uint32_t trades = known ? row->event.trades.list.count : 0;
        ((int32_t *)columns[COLUMN_OWN + 1].data)[i] = (int32_t)row->trade;
        for (int c = COLUMN_OWN; c < COLUMN_OWN + 9 && !known; c++)
            if (c != COLUMN_OWN + 1)
                block_fill_null(&columns[c], i);
        for (int c = COLUMN_OWN + 3; c < COLUMN_OWN + 9 && known && trades == 0; c++)
            block_fill_null(&columns[c], i);
        if (!known)
            continue;
        ((int64_t *)columns[COLUMN_OWN].data)[i] = row->event.trades.transact_us;
        ((int32_t *)columns[COLUMN_OWN + 2].data)[i] = (int32_t)trades;
        if (trades == 0)
            continue;
        const struct trade trade = trade_at(&row->event.trades.list, row->trade);
        ((int64_t *)columns[COLUMN_OWN + 3].data)[i] = trade.id;
        ((double *)columns[COLUMN_OWN + 4].data)[i] =
            decimal_to_f64(trade.price, row->event.price_exponent);
        ((double *)columns[COLUMN_OWN + 5].data)[i] =
            decimal_to_f64(trade.qty, row->event.qty_exponent);
        ((bool *)columns[COLUMN_OWN + 6].data)[i] = trade.is_buyer_maker;
        ((int64_t *)columns[COLUMN_OWN + 7].data)[i] = trade.price;
        ((int64_t *)columns[COLUMN_OWN + 8].data)[i] = trade.qty;
    }
}

/* --- depth ------------------------------------------------------------------------------ */

/* The levels of one side; NULL: the record has none. */
static const struct level_view *block_fill_levels(const struct block_row *row, bool bids)
{
    if (!row->decoded)
        return NULL;
    if (row->event.kind == EVENT_DIFF)
        return bids ? &row->event.diff.bids : &row->event.diff.asks;
    if (row->event.kind == EVENT_SNAPSHOT)
        return bids ? &row->event.snapshot.bids : &row->event.snapshot.asks;
    return NULL;
}

/* The four members of a level's struct, in the order of block_table's type. */
struct block_fill_members {
    double *price, *quantity;
    int64_t *price_mantissa, *quantity_mantissa;
};

static struct block_fill_members block_fill_members(const struct duckdb_api *api,
                                                    duckdb_vector levels)
{
    void *data[4];
    for (idx_t i = 0; i < 4; i++)
        data[i] = api->vector_get_data(api->struct_vector_get_child(levels, i));
    return (struct block_fill_members){data[0], data[1], data[2], data[3]};
}

static void block_fill_list(const struct duckdb_api *api, const struct block_row *rows, idx_t count,
                            bool bids, struct block_fill_column list)
{
    idx_t total = 0;
    for (idx_t i = 0; i < count; i++) {
        const struct level_view *view = block_fill_levels(&rows[i], bids);
        total += view != NULL ? view->count : 0;
    }
    api->list_vector_reserve(list.vector, total > 0 ? total : 1);
    api->list_vector_set_size(list.vector, total);
    struct block_fill_members out =
        block_fill_members(api, api->list_vector_get_child(list.vector));
    duckdb_list_entry *entries = list.data;
    idx_t at = 0;
    for (idx_t i = 0; i < count; i++) {
        const struct level_view *view = block_fill_levels(&rows[i], bids);
        entries[i] = (duckdb_list_entry){.offset = at, .length = view != NULL ? view->count : 0};
        if (view == NULL)
            block_fill_null(&list, i);
        for (uint32_t k = 0; view != NULL && k < view->count; k++, at++) {
            out.price_mantissa[at] = level_price(view, k);
            out.quantity_mantissa[at] = level_qty(view, k);
            out.price[at] = decimal_to_f64(out.price_mantissa[at], rows[i].event.price_exponent);
            out.quantity[at] =
                decimal_to_f64(out.quantity_mantissa[at], rows[i].event.qty_exponent);
        }
    }
}

static void block_fill_depth(const struct duckdb_api *api, const struct block_row *rows,
                             idx_t count, duckdb_data_chunk chunk)
{
    BLOCK_FILL_EACH(COLUMN_OWN, int32_t, row->decoded, row->event.kind);
    BLOCK_FILL_EACH(COLUMN_OWN + 1, int64_t, row->decoded && row->event.kind == EVENT_DIFF,
                    row->event.diff.first_id);
    BLOCK_FILL_EACH(COLUMN_OWN + 2, int64_t, block_fill_levels(row, true) != NULL,
                    row->event.kind == EVENT_DIFF ? row->event.diff.last_id
                                                  : row->event.snapshot.book_id);
    block_fill_list(api, rows, count, true, block_fill_column(api, chunk, COLUMN_OWN + 3));
    block_fill_list(api, rows, count, false, block_fill_column(api, chunk, COLUMN_OWN + 4));
}

/* --- quotes and controls ---------------------------------------------------------------- */

static bool block_fill_is_quote(const struct block_row *row)
{
    return row->decoded && row->event.kind == EVENT_QUOTE;
}

#define BLOCK_FILL_PRICE(member) decimal_to_f64(row->event.quote.member, row->event.price_exponent)
#define BLOCK_FILL_QTY(member)   decimal_to_f64(row->event.quote.member, row->event.qty_exponent)

static void block_fill_bba(const struct duckdb_api *api, const struct block_row *rows, idx_t count,
                           duckdb_data_chunk chunk)
{
    const int own = COLUMN_OWN;
    BLOCK_FILL_EACH(own, int64_t, block_fill_is_quote(row), row->event.quote.book_id);
    BLOCK_FILL_EACH(own + 1, double, block_fill_is_quote(row), BLOCK_FILL_PRICE(bid_price));
    BLOCK_FILL_EACH(own + 2, double, block_fill_is_quote(row), BLOCK_FILL_QTY(bid_qty));
    BLOCK_FILL_EACH(own + 3, double, block_fill_is_quote(row), BLOCK_FILL_PRICE(ask_price));
    BLOCK_FILL_EACH(own + 4, double, block_fill_is_quote(row), BLOCK_FILL_QTY(ask_qty));
    BLOCK_FILL_EACH(own + 5, int64_t, block_fill_is_quote(row), row->event.quote.bid_price);
    BLOCK_FILL_EACH(own + 6, int64_t, block_fill_is_quote(row), row->event.quote.bid_qty);
    BLOCK_FILL_EACH(own + 7, int64_t, block_fill_is_quote(row), row->event.quote.ask_price);
    BLOCK_FILL_EACH(own + 8, int64_t, block_fill_is_quote(row), row->event.quote.ask_qty);
}

static bool block_fill_is_hole(const struct block_row *row)
{
    return row->record.kind == RECORD_HOLE && row->record.payload.size == 16;
}

static void block_fill_control(const struct duckdb_api *api, const struct block_row *rows,
                               idx_t count, duckdb_data_chunk chunk)
{
    BLOCK_FILL_EACH(COLUMN_OWN, int64_t, block_fill_is_hole(row),
                    bytes_load_u64(row->record.payload.data));
    BLOCK_FILL_EACH(COLUMN_OWN + 1, int64_t, block_fill_is_hole(row),
                    bytes_load_u64(row->record.payload.data + 8));
}

void block_fill(const struct duckdb_api *api, enum archive_kind kind, const struct block_row *rows,
                idx_t count, duckdb_data_chunk chunk)
{
    static void (*const own[ARCHIVE_KINDS])(const struct duckdb_api *, const struct block_row *,
                                            idx_t, duckdb_data_chunk) = {
        [ARCHIVE_TRADES] = block_fill_trades,
        [ARCHIVE_DEPTH] = block_fill_depth,
        [ARCHIVE_BBA] = block_fill_bba,
        [ARCHIVE_CONTROL] = block_fill_control,
    };
    block_fill_common(api, rows, count, chunk);
    own[kind](api, rows, count, chunk);
    api->data_chunk_set_size(chunk, count);
}
