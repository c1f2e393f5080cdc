/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/duckdb/duckdb_bronze.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "base/log.h"
#include "edge/duckdb/bronze_list.h"
#include "edge/duckdb/duckdb_session.h"
#include "learn/lake/bronze_key.h"

#define DUCKDB_BRONZE_LANES ARCHIVE_CONTROL /* the kinds before it */
#define DUCKDB_BRONZE_SQL   (2 * LAKE_FILE_PATH_SIZE + 1024)

/* The columns of bronze_query, in its order. */
enum { ROW_EPOCH, ROW_SEQ, ROW_RECV_US, ROW_KIND, ROW_FLAGS, ROW_FRAME, ROW_CRC, ROW_COLUMNS };

/* One object being read. */
struct bronze_cursor {
    size_t next, end; /* files of its kind not begun yet */
    const struct lake_entry *held;
    bool open;
    duckdb_result result;
    duckdb_data_chunk chunk;
    const void *data[ROW_COLUMNS];
    uint64_t *frame_validity;
    idx_t row, rows;
    bool has;
    struct record record;
};

struct bronze_control {
    struct record record; /* its payload is owned */
    size_t order;
};

struct duckdb_bronze {
    struct duckdb_session session;
    struct lake_files *lake;
    struct bronze_list list;
    int64_t from_us, to_us;
    char symbol[RECORD_SYMBOL_SIZE];
    struct bronze_cursor lanes[DUCKDB_BRONZE_LANES];
    int given; /* lane whose record the caller has; -1: none */
    uint64_t last_epoch, last_seq;
    struct bronze_control *controls;
    size_t control_count, control_next;
    struct duckdb_bronze_counters counters;
};

/* --- one object ------------------------------------------------------------------------- */

static void bronze_cursor_end(struct duckdb_bronze *bronze, struct bronze_cursor *cursor)
{
    if (cursor->chunk != NULL)
        bronze->session.api->destroy_data_chunk(&cursor->chunk);
    if (cursor->open)
        bronze->session.api->destroy_result(&cursor->result);
    if (cursor->held != NULL)
        lake_files_release(bronze->lake, cursor->held, 1);
    cursor->held = NULL;
    cursor->open = false;
    cursor->row = cursor->rows = 0;
}

/* The disk's fault, or DuckDB's own: nothing is wrong with the object. */
static bool bronze_is_outside(const char *text)
{
    return strstr(text, "Cannot open file") != NULL || strstr(text, "Could not read") != NULL ||
           strncmp(text, "Out of Memory", 13) == 0;
}

static int bronze_cursor_begin(struct duckdb_bronze *bronze, struct bronze_cursor *cursor,
                               struct err *err)
{
    const struct bronze_file *file = &bronze->list.files[cursor->next];
    const char *key = file->object.key;
    char path[LAKE_FILE_PATH_SIZE], quoted[LAKE_FILE_PATH_SIZE + 64], sql[DUCKDB_BRONZE_SQL];
    struct err why = {0};
    if (snprintf(path, sizeof(path), "%s/%s", lake_files_root(bronze->lake), key) >=
            (int)sizeof(path) ||
        !duckdb_session_quote(path, quoted, sizeof(quoted)))
        return err_set(err, ERR_INVALID, "%s: the path is too long", key);
    int result = lake_files_hold(bronze->lake, &file->object, 1, err);
    if (result != ERR_OK)
        return result;
    cursor->held = &file->object;
    snprintf(sql, sizeof(sql),
             "SELECT epoch, seq, recv_us, record_kind, flags, frame, frame_crc32c FROM "
             "read_parquet(%s, hive_partitioning = false)%s",
             quoted, file->identity.kind == ARCHIVE_TRADES ? " WHERE trade_index = 0" : "");
    cursor->next++;
    result = duckdb_session_query(&bronze->session, sql, &cursor->result, &why);
    if (result == ERR_OK) {
        cursor->open = true;
        bronze->counters.files++;
        return ERR_OK;
    }
    if (bronze_is_outside(why.text))
        return err_set(err, ERR_IO, "%s: %s", path, why.text);
    bronze->counters.quarantined++;
    log_warn("object_quarantined", "key=%s reason=\"%s\"", key, why.text);
    return lake_files_quarantine(bronze->lake, key, err);
}

static bool bronze_cursor_chunk(struct duckdb_bronze *bronze, struct bronze_cursor *cursor)
{
    const struct duckdb_api *api = bronze->session.api;
    if (cursor->chunk != NULL)
        api->destroy_data_chunk(&cursor->chunk);
    cursor->chunk = api->fetch_chunk(cursor->result);
    cursor->row = 0;
    cursor->rows = cursor->chunk != NULL ? api->data_chunk_get_size(cursor->chunk) : 0;
    for (idx_t i = 0; i < ROW_COLUMNS && cursor->rows > 0; i++) {
        duckdb_vector column = api->data_chunk_get_vector(cursor->chunk, i);
        cursor->data[i] = api->vector_get_data(column);
        if (i == ROW_FRAME)
            cursor->frame_validity = api->vector_get_validity(column);
    }
    return cursor->rows > 0;
}

/* The row as a record; false when its frame is not the one that was written. */
static bool bronze_cursor_take(struct bronze_cursor *cursor)
{
    const idx_t i = cursor->row++;
    struct bytes frame = {NULL, 0};
    if (duckdb_session_has(cursor->frame_validity, i)) {
        frame = duckdb_session_bytes((const duckdb_string_t *)cursor->data[ROW_FRAME] + i);
        if ((int64_t)crc32c(0, frame.data, frame.size) !=
            ((const int64_t *)cursor->data[ROW_CRC])[i])
            return false;
    }
    cursor->record =
        (struct record){.epoch = (uint64_t)((const int64_t *)cursor->data[ROW_EPOCH])[i],
                        .seq = (uint64_t)((const int64_t *)cursor->data[ROW_SEQ])[i],
                        .recv_us = ((const int64_t *)cursor->data[ROW_RECV_US])[i],
                        .kind = (uint8_t)((const int32_t *)cursor->data[ROW_KIND])[i],
                        .flags = (uint8_t)((const int32_t *)cursor->data[ROW_FLAGS])[i],
                        .payload = frame};
    return true;
}

static bool bronze_in_range(const struct duckdb_bronze *bronze, const struct record *record)
{
    return record->recv_us >= bronze->from_us && record->recv_us < bronze->to_us;
}

/* The kind's next record into cursor->record; has: there is one. */
static int bronze_cursor_next(struct duckdb_bronze *bronze, struct bronze_cursor *cursor,
                              struct err *err)
{
    for (;;) {
        if (cursor->row < cursor->rows) {
            cursor->has = bronze_cursor_take(cursor);
            bronze->counters.corrupt += !cursor->has;
            if (cursor->has && bronze_in_range(bronze, &cursor->record))
                return ERR_OK;
            continue;
        }
        if (cursor->open && bronze_cursor_chunk(bronze, cursor))
            continue;
        bronze_cursor_end(bronze, cursor);
        cursor->has = false;
        if (cursor->next == cursor->end)
            return ERR_OK;
        int result = bronze_cursor_begin(bronze, cursor, err);
        if (result != ERR_OK)
            return result;
    }
}

/* --- controls --------------------------------------------------------------------------- */

static int bronze_control_compare(const void *a, const void *b)
{
    const struct bronze_control *left = a, *right = b;
    int order = record_compare(left->record.epoch, left->record.seq, right->record.epoch,
                               right->record.seq);
    if (order != 0)
        return order;
    return left->order < right->order ? -1 : left->order > right->order;
}

static int bronze_keep_control(struct duckdb_bronze *bronze, const struct record *record,
                               struct err *err)
{
    const size_t count = bronze->control_count;
    if (count >= DUCKDB_BRONZE_CONTROLS_MAX)
        return err_set(err, ERR_FULL, "more than %u control records", DUCKDB_BRONZE_CONTROLS_MAX);
    if ((count & (count - 1)) == 0) {
        const size_t capacity = count == 0 ? 1 : 2 * count;
        void *grown = realloc(bronze->controls, capacity * sizeof(*bronze->controls));
        if (grown == NULL)
            return err_set(err, ERR_MEMORY, "control records");
        bronze->controls = grown;
    }
    uint8_t *payload = malloc(record->payload.size + 1);
    if (payload == NULL)
        return err_set(err, ERR_MEMORY, "control records");
    if (record->payload.size > 0)
        memcpy(payload, record->payload.data, record->payload.size);
    bronze->controls[count] = (struct bronze_control){.record = *record, .order = count};
    bronze->controls[count].record.payload.data = payload;
    bronze->control_count++;
    return ERR_OK;
}

/* They are few, and find their places in the whole only when all of them are known. */
static int bronze_load_controls(struct duckdb_bronze *bronze, struct err *err)
{
    struct bronze_cursor cursor = {.next = bronze->list.first[ARCHIVE_CONTROL],
                                   .end = bronze->list.first[ARCHIVE_CONTROL + 1]};
    int result;
    while ((result = bronze_cursor_next(bronze, &cursor, err)) == ERR_OK && cursor.has)
        if ((result = bronze_keep_control(bronze, &cursor.record, err)) != ERR_OK)
            break;
    bronze_cursor_end(bronze, &cursor);
    if (bronze->control_count > 0)
        qsort(bronze->controls, bronze->control_count, sizeof(*bronze->controls),
              bronze_control_compare);
    bronze->counters.controls = bronze->control_count;
    return result;
}

/* --- the order of the world ------------------------------------------------------------- */

static int bronze_lowest(const struct duckdb_bronze *bronze)
{
    int lowest = -1;
    for (int i = 0; i < DUCKDB_BRONZE_LANES; i++) {
        const struct bronze_cursor *lane = &bronze->lanes[i];
        if (lane->has && (lowest < 0 || record_compare(lane->record.epoch, lane->record.seq,
                                                       bronze->lanes[lowest].record.epoch,
                                                       bronze->lanes[lowest].record.seq) < 0))
            lowest = i;
    }
    return lowest;
}

/* A control stands behind the record of its place, so before the first later one. */
static bool bronze_control_due(const struct duckdb_bronze *bronze, int lowest)
{
    if (bronze->control_next == bronze->control_count)
        return false;
    if (lowest < 0)
        return true;
    const struct record *control = &bronze->controls[bronze->control_next].record;
    const struct record *record = &bronze->lanes[lowest].record;
    return record_compare(control->epoch, control->seq, record->epoch, record->seq) < 0;
}

int duckdb_bronze_next(struct duckdb_bronze *bronze, struct record *record, struct err *err)
{
    for (;;) {
        if (bronze->given >= 0) {
            struct bronze_cursor *lane = &bronze->lanes[bronze->given];
            int result = bronze_cursor_next(bronze, lane, err);
            if (result != ERR_OK)
                return result;
            bronze->given = -1;
        }
        const int lowest = bronze_lowest(bronze);
        if (bronze_control_due(bronze, lowest)) {
            *record = bronze->controls[bronze->control_next++].record;
            return ERR_OK;
        }
        if (lowest < 0)
            return ERR_EMPTY;
        bronze->given = lowest;
        *record = bronze->lanes[lowest].record;
        if (record_compare(record->epoch, record->seq, bronze->last_epoch, bronze->last_seq) <= 0) {
            bronze->counters.duplicates++;
            continue;
        }
        bronze->last_epoch = record->epoch;
        bronze->last_seq = record->seq;
        bronze->counters.records++;
        return ERR_OK;
    }
}

/* --- open and close --------------------------------------------------------------------- */

/* The first file of the kind with a record behind the place. */
static size_t bronze_first_after(const struct bronze_list *list, int kind, uint64_t epoch,
                                 uint64_t seq)
{
    size_t at = list->first[kind];
    for (; at < list->first[kind + 1]; at++) {
        const struct archive_block *block = &list->files[at].identity;
        if (record_compare(block->epoch, (block->block + 1) * ARCHIVE_BLOCK_SEQS - 1, epoch, seq) >
            0)
            break;
    }
    return at;
}

static int bronze_start(struct duckdb_bronze *bronze, const struct duckdb_bronze_options *options,
                        struct err *err)
{
    int result = bronze_load_controls(bronze, err);
    for (int i = 0; i < DUCKDB_BRONZE_LANES && result == ERR_OK; i++) {
        bronze->lanes[i].next =
            bronze_first_after(&bronze->list, i, options->after_epoch, options->after_seq);
        bronze->lanes[i].end = bronze->list.first[i + 1];
        result = bronze_cursor_next(bronze, &bronze->lanes[i], err);
    }
    return result;
}

int duckdb_bronze_open(const struct duckdb_bronze_options *options, struct duckdb_bronze **out,
                       struct err *err)
{
    struct duckdb_bronze *bronze = calloc(1, sizeof(*bronze));
    if (bronze == NULL)
        return err_set(err, ERR_MEMORY, "bronze");
    bronze->given = -1;
    bronze->lake = options->lake;
    bronze->from_us = options->from_us;
    bronze->to_us = options->to_us > 0 ? options->to_us : INT64_MAX;
    snprintf(bronze->symbol, sizeof(bronze->symbol), "%s", options->symbol);
    int result =
        duckdb_session_open(&bronze->session, options->library, DUCKDB_BRONZE_MEMORY_MB, err);
    if (result == ERR_OK)
        result =
            bronze_list_make(bronze->lake, options->symbol, bronze->from_us / BRONZE_KEY_MINUTE_US,
                             bronze->to_us / BRONZE_KEY_MINUTE_US, &bronze->list, err);
    if (result == ERR_OK)
        result = bronze_start(bronze, options, err);
    if (result != ERR_OK) {
        duckdb_bronze_close(bronze);
        return result;
    }
    *out = bronze;
    return ERR_OK;
}

void duckdb_bronze_close(struct duckdb_bronze *bronze)
{
    if (bronze == NULL)
        return;
    for (int i = 0; i < DUCKDB_BRONZE_LANES; i++)
        bronze_cursor_end(bronze, &bronze->lanes[i]);
    for (size_t i = 0; i < bronze->control_count; i++)
        free((void *)(uintptr_t)bronze->controls[i].record.payload.data);
    free(bronze->controls);
    bronze_list_free(&bronze->list);
    duckdb_session_close(&bronze->session);
    free(bronze);
}

const struct duckdb_bronze_counters *duckdb_bronze_counters(const struct duckdb_bronze *bronze)
{
    return &bronze->counters;
}
