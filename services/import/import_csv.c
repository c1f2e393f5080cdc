/* SPDX-License-Identifier: Apache-2.0 */
#include "services/import/import_csv.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "edge/duckdb/import_table.h"
#include "edge/file/line_reader.h"
#include "learn/lake/bronze_key.h"

#define IMPORT_CSV_DAY_US 86400000000LL
/* Lines between two looks at the clock. */
#define IMPORT_CSV_SHOW 4096

/* A file under way. */
struct import_csv {
    struct import_desk *desk;
    const char *path;
    enum import_type type;
    struct line_reader *reader;
    struct import_note *note;
    uint64_t line, rows;
    FILE *piece; /* rows of the piece that is being filled; NULL: none */
    char piece_path[LAKE_FILE_PATH_SIZE];
    int64_t number;             /* what its ids have in common */
    int64_t first_id, first_us; /* of its first row */
    int64_t pieces;             /* ended, of this file */
};

static bool import_csv_first(struct line_reader *reader, enum import_type *type)
{
    struct bytes line;
    /* A head has as many columns as the rows. */
    return line_reader_next(reader, &line, NULL) == ERR_OK && import_row_type(line, type) == ERR_OK;
}

bool import_csv_is(const char *path, enum import_type *type)
{
    struct line_reader *reader = NULL;
    if (line_reader_open(path, &reader, NULL) != ERR_OK)
        return false;
    const bool csv = import_csv_first(reader, type);
    line_reader_close(reader);
    return csv;
}

/* --- pieces ----------------------------------------------------------------------------- */

static int import_csv_key(const struct import_csv *csv, char *key)
{
    static const enum archive_rest types[IMPORT_TYPES] = {
        [IMPORT_TRADES] = ARCHIVE_REST_TRADES,
        [IMPORT_AGG_TRADES] = ARCHIVE_REST_AGG_TRADES,
        [IMPORT_KLINES] = ARCHIVE_REST_KLINES,
    };
    struct archive_rest_reply reply = {.type = types[csv->type],
                                       .symbol = csv->desk->symbol,
                                       .received_us = csv->first_us,
                                       .first_id = csv->first_id};
    return bronze_key_of_reply(&reply, key);
}

static int import_csv_make(struct import_csv *csv, struct err *err)
{
    char key[OBJECT_KEY_SIZE], select[IMPORT_TABLE_SQL_SIZE], path[LAKE_FILE_PATH_SIZE];
    struct import_desk *desk = csv->desk;
    if (import_csv_key(csv, key) != ERR_OK ||
        import_table_select(csv->type, csv->piece_path, desk->symbol, csv->first_us,
                            import_desk_name(csv->path), select) != ERR_OK)
        return err_set(err, ERR_INVALID, "%s: no name for the piece at id %" PRId64, csv->path,
                       csv->first_id);
    int result = archive_maker_make(&desk->maker, select, key, path, err);
    if (result == ERR_OK)
        result = import_desk_add(desk, path, err);
    if (result != ERR_OK)
        return result;
    csv->note->pieces = csv->pieces;
    return import_desk_save(desk, err);
}

/* The piece is whole. One that an earlier import made is only counted. */
static int import_csv_end_piece(struct import_csv *csv, struct err *err)
{
    if (csv->piece == NULL)
        return ERR_OK;
    int result = ERR_OK;
    if (fflush(csv->piece) != 0 || ferror(csv->piece) != 0)
        result = err_set(err, lake_file_code(errno), "%s: %s", csv->piece_path, strerror(errno));
    fclose(csv->piece);
    csv->piece = NULL;
    csv->pieces++;
    if (csv->pieces <= csv->note->pieces)
        csv->desk->totals.skipped++;
    else if (result == ERR_OK)
        result = import_csv_make(csv, err);
    unlink(csv->piece_path);
    return result;
}

static int import_csv_begin_piece(struct import_csv *csv, const struct import_row *row,
                                  int64_t number, struct err *err)
{
    csv->piece = fopen(csv->piece_path, "we");
    if (csv->piece == NULL)
        return err_set(err, lake_file_code(errno), "cannot write %s: %s", csv->piece_path,
                       strerror(errno));
    csv->number = number;
    csv->first_id = row->id;
    csv->first_us = row->time_us;
    return ERR_OK;
}

static int import_csv_put(struct import_csv *csv, const struct import_row *row, struct err *err)
{
    const int64_t number =
        row->id / (csv->type == IMPORT_KLINES ? IMPORT_CSV_DAY_US : IMPORT_CSV_PIECE);
    int result = ERR_OK;
    if (csv->piece != NULL && number != csv->number)
        result = import_csv_end_piece(csv, err);
    if (result == ERR_OK && csv->piece == NULL)
        result = import_csv_begin_piece(csv, row, number, err);
    for (int i = 0; i < row->field_count && result == ERR_OK; i++) {
        if (i > 0)
            fputc(',', csv->piece);
        fwrite(row->fields[i].data, 1, row->fields[i].size, csv->piece);
    }
    if (result == ERR_OK)
        fputc('\n', csv->piece);
    return result;
}

/* --- lines ------------------------------------------------------------------------------ */

static int import_csv_line(struct import_csv *csv, struct bytes line, struct err *err)
{
    struct import_desk *desk = csv->desk;
    struct import_row row;
    struct err why = {0};
    if (line.size == 0 || (csv->rows == 0 && import_row_is_head(line)))
        return ERR_OK;
    if (import_row_read(line, csv->type, &row, &why) != ERR_OK) {
        import_desk_refuse(desk, csv->path, csv->line, why.text, line);
        return ERR_OK;
    }
    csv->rows++;
    if (import_check_take(&desk->checks[csv->type], &row) != ERR_OK) {
        import_desk_refuse(desk, csv->path, csv->line, "its id is not behind the one before", line);
        return ERR_OK;
    }
    desk->totals.rows++;
    return import_csv_put(csv, &row, err);
}

static int import_csv_lines(struct import_csv *csv, struct err *err)
{
    struct bytes line;
    int result;
    while ((result = line_reader_next(csv->reader, &line, err)) == ERR_OK) {
        csv->line++;
        result = import_csv_line(csv, line, err);
        if (result != ERR_OK)
            return result;
        if (csv->line % IMPORT_CSV_SHOW == 0)
            import_desk_show(csv->desk, csv->path, csv->rows, line_reader_offset(csv->reader),
                             (uint64_t)csv->note->size);
    }
    csv->desk->totals.oversize += line_reader_oversize(csv->reader);
    return result == ERR_EMPTY ? import_csv_end_piece(csv, err) : result;
}

/* An archive's CRC is known at its end only, and rows that damage made may look like good ones:
 * nothing of it is taken before all of it was read. */
static int import_csv_verify(struct import_csv *csv, struct err *err)
{
    struct bytes line;
    int result = line_reader_open(csv->path, &csv->reader, err);
    while (result == ERR_OK)
        result = line_reader_next(csv->reader, &line, err);
    if (csv->reader != NULL)
        line_reader_close(csv->reader);
    csv->reader = NULL;
    return result == ERR_EMPTY ? ERR_OK : result;
}

int import_csv(struct import_desk *desk, const char *path, enum import_type type, struct err *err)
{
    struct import_csv csv = {.desk = desk, .path = path, .type = type};
    snprintf(csv.piece_path, sizeof(csv.piece_path), "%s/piece-%d.csv", desk->folder,
             (int)getpid());
    csv.note = import_desk_note(desk, path, err);
    if (csv.note == NULL)
        return err->code;
    int result = import_csv_verify(&csv, err);
    if (result == ERR_OK)
        result = line_reader_open(path, &csv.reader, err);
    if (result != ERR_OK)
        return result;
    desk->seen[type] = true;
    desk->begun_us = loop_mono_us();
    desk->totals.files++;
    result = import_csv_lines(&csv, err);
    if (csv.piece != NULL) {
        fclose(csv.piece);
        unlink(csv.piece_path);
    }
    import_desk_refused_end(desk);
    line_reader_close(csv.reader);
    return result;
}
