/* `btcast import`: public archives and captures into bronze. SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "edge/file/capture_file.h"
#include "services/cli/commands.h"
#include "services/import/import_capture.h"
#include "services/import/import_csv.h"
#include "services/service.h"
#include "services/service_options.h"

#define IMPORT_JSON_SIZE 16384
#define IMPORT_FILES_MAX 4096

struct import_flags {
    const char *symbol, *lake, *data;
    bool json;
    const char *files[IMPORT_FILES_MAX];
    int file_count;
};

/* "BTCUSDT-trades-2025-01-01.zip" says the symbol; other names do not. */
static bool import_symbol(const char *path, char *out)
{
    char symbol[RECORD_SYMBOL_SIZE];
    const char *name = import_desk_name(path);
    const size_t size = strcspn(name, "-");
    if (name[size] != '-' || size >= RECORD_SYMBOL_SIZE || size == 0)
        return false;
    memcpy(symbol, name, size);
    symbol[size] = '\0';
    if (service_options_symbol(symbol, NULL) != ERR_OK)
        return false;
    memcpy(out, symbol, size + 1);
    return true;
}

static int import_file(struct import_desk *desk, const char *path, struct err *err)
{
    enum import_type type = IMPORT_TRADES;
    char symbol[RECORD_SYMBOL_SIZE];
    if (capture_file_is(path) || !import_csv_is(path, &type))
        return import_capture(desk, path, err);
    if (import_symbol(path, symbol) && strcmp(symbol, desk->symbol) != 0)
        return err_set(err, ERR_CONFIG, "%s is of %s by its name, not of %s", path, symbol,
                       desk->symbol);
    return import_csv(desk, path, type, err);
}

/* --- the report ------------------------------------------------------------------------- */

static void import_json_checks(const struct import_desk *desk, struct text *text)
{
    bool first = true;
    for (int i = 0; i < IMPORT_TYPES; i++) {
        const struct import_check *check = &desk->checks[i];
        if (!desk->seen[i])
            continue;
        text_add_format(text,
                        "%s\"%s\":{\"rows\":%" PRIu64 ",\"repeats\":%" PRIu64 ",\"holes\":%" PRIu64
                        ",\"missing\":%" PRIu64 ",\"list\":[",
                        first ? "" : ",", import_row_type_text((enum import_type)i), check->rows,
                        check->repeats, check->holes, check->missing);
        for (uint64_t k = 0; k < check->holes && k < IMPORT_CHECK_HOLES_MAX; k++)
            text_add_format(
                text, "%s{\"first\":%" PRId64 ",\"last\":%" PRId64 ",\"count\":%" PRIu64 "}",
                k > 0 ? "," : "", check->list[k].first, check->list[k].last, check->list[k].count);
        text_add(text, "]}");
        first = false;
    }
}

static void import_report_json(const struct import_desk *desk, double seconds)
{
    static char buffer[IMPORT_JSON_SIZE];
    const struct import_totals *totals = &desk->totals;
    struct text text = text_begin(buffer, sizeof(buffer));
    text_add_format(
        &text,
        "{\"symbol\":\"%s\",\"files\":%" PRIu64 ",\"rows\":%" PRIu64 ",\"records\":%" PRIu64
        ",\"objects\":%" PRIu64 ",\"objects_skipped\":%" PRIu64 ",\"refused\":%" PRIu64
        ",\"oversize\":%" PRIu64 ",\"undecodable\":%" PRIu64 ",\"elapsed_s\":%.1f,\"checks\":{",
        desk->symbol, totals->files, totals->rows, totals->records, totals->objects,
        totals->skipped, totals->refused, totals->oversize, totals->undecodable, seconds);
    import_json_checks(desk, &text);
    text_add(&text, "}}");
    puts(text_end(&text));
}

static void import_report_checks(const struct import_desk *desk)
{
    for (int i = 0; i < IMPORT_TYPES; i++) {
        const struct import_check *check = &desk->checks[i];
        if (!desk->seen[i])
            continue;
        printf("%s: %" PRIu64 " rows, %" PRIu64 " repeats, %" PRIu64 " holes with %" PRIu64
               " missing\n",
               import_row_type_text((enum import_type)i), check->rows, check->repeats, check->holes,
               check->missing);
        for (uint64_t k = 0; k < check->holes && k < IMPORT_CHECK_HOLES_MAX; k++)
            printf("  missing %" PRId64 "..%" PRId64 "\n", check->list[k].first,
                   check->list[k].last);
    }
}

static void import_report(const struct import_desk *desk, double seconds)
{
    const struct import_totals *totals = &desk->totals;
    printf("%" PRIu64 " files of %s: %" PRIu64 " rows, %" PRIu64 " records, %" PRIu64
           " objects made, %" PRIu64 " were there, %.1f s\n",
           totals->files, desk->symbol, totals->rows, totals->records, totals->objects,
           totals->skipped, seconds);
    import_report_checks(desk);
    if (totals->refused + totals->oversize + totals->undecodable > 0)
        printf("%" PRIu64 " lines refused (see %s/quarantine), %" PRIu64 " too long, %" PRIu64
               " frames of an unknown template\n",
               totals->refused, desk->folder, totals->oversize, totals->undecodable);
}

/* --- the command ------------------------------------------------------------------------ */

static int import_parse(int argc, char **argv, struct import_flags *flags, struct err *err)
{
    static const char *const known[] = {"--symbol", "--lake", "--data", "--json", NULL};
    int result = ERR_OK;
    *flags = (struct import_flags){.symbol = "", .lake = "", .data = ".btcast"};
    for (int i = 1; i < argc && result == ERR_OK; i++) {
        if (strcmp(argv[i], "--json") == 0)
            flags->json = true;
        else if (argv[i][0] != '-' && flags->file_count < IMPORT_FILES_MAX)
            flags->files[flags->file_count++] = argv[i];
        else if (argv[i][0] != '-')
            result = err_set(err, ERR_CONFIG, "more than %d files", IMPORT_FILES_MAX);
        else if (!service_options_flag(argc, argv, &i, "--symbol", &flags->symbol, &result, err) &&
                 !service_options_flag(argc, argv, &i, "--lake", &flags->lake, &result, err) &&
                 !service_options_flag(argc, argv, &i, "--data", &flags->data, &result, err))
            result = service_options_unknown(argv[i], known, err);
    }
    if (result == ERR_OK && flags->file_count == 0)
        result = err_set(err, ERR_CONFIG, "no FILE given");
    return result;
}

static int import_begin(struct import_desk *desk, const struct import_flags *flags, struct err *err)
{
    char symbol[RECORD_SYMBOL_SIZE] = "BTCUSDT", lake[LAKE_FILE_PATH_SIZE];
    if (flags->symbol[0] != '\0')
        snprintf(symbol, sizeof(symbol), "%.23s", flags->symbol);
    else
        import_symbol(flags->files[0], symbol);
    int result = service_options_symbol(flags->symbol[0] != '\0' ? flags->symbol : symbol, err);
    if (result != ERR_OK)
        return result;
    snprintf(lake, sizeof(lake), "%s%s", flags->lake[0] != '\0' ? flags->lake : flags->data,
             flags->lake[0] != '\0' ? "" : "/lake");
    return import_desk_open(
        desk,
        &(struct import_desk_options){
            .symbol = symbol, .lake = lake, .data = flags->data, .quiet = flags->json},
        err);
}

static int import_run(int argc, char **argv)
{
    static struct import_desk desk;
    static struct import_flags flags;
    struct err err = {0};
    const int64_t begin_us = loop_mono_us();
    log_init("import", LOG_WARN, loop_wall_us);
    int result = import_parse(argc, argv, &flags, &err);
    if (result == ERR_OK)
        result = import_begin(&desk, &flags, &err);
    for (int i = 0; i < flags.file_count && result == ERR_OK; i++)
        result = import_file(&desk, flags.files[i], &err);
    if (result == ERR_OK)
        result = import_desk_drain(&desk, &err);
    const double seconds = (double)(loop_mono_us() - begin_us) / 1e6;
    if (result == ERR_OK && flags.json)
        import_report_json(&desk, seconds);
    else if (result == ERR_OK)
        import_report(&desk, seconds);
    import_desk_close(&desk);
    if (result == ERR_OK)
        return 0;
    fprintf(stderr, "btcast import: %s\n", err.text);
    return err.code == ERR_CONFIG ? SERVICE_EXIT_CONFIG : SERVICE_EXIT_FAILURE;
}

const struct command command_import = {
    .name = "import",
    .summary = "public archives and captures into the lake",
    .usage =
        "usage: btcast import FILE... [options]\n\n"
        "FILE is a CSV of the exchange's public archives (trades, aggTrades or klines; plain, "
        "gzip\n"
        "or zip; with or without a head; times in ms or us), a btcast capture, or a JSON capture\n"
        "(`<ns> <JSON>` lines, plain or gzip). Rows become objects of bronze/rest, records become\n"
        "those of bronze/sbe that the live archive would have made. Give the files in the order "
        "of\n"
        "their time: ids are checked for holes and repeats across them, too. Importing again\n"
        "changes nothing; one that was killed goes on where it was. Refused lines are kept with\n"
        "number and reason in DIR/import/quarantine.\n\n"
        "  --symbol S   of the rows (default: what the first file's name begins with, else "
        "BTCUSDT)\n"
        "  --data DIR   notes, spool and quarantine below DIR/import (default .btcast)\n"
        "  --lake L     folder or s3://bucket/prefix (default DIR/lake)\n"
        "  --json       the report as one JSON object\n",
    .run = import_run,
};
