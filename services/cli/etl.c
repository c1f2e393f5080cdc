/* `btcast etl`: what bronze has, by hand: silver, and the SQL store where there is one.
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "services/cli/commands.h"
#include "services/cli/db_target.h"
#include "services/etl/etl_job.h"
#include "services/service.h"
#include "services/service_options.h"

#define ETL_SYMBOL_DEFAULT "BTCUSDT"
#define ETL_HOUR_S         3600

struct etl_words {
    const char *data, *lake, *symbol, *from, *to, *store, *settle, *cache_mb;
    bool json;
};

static atomic_bool etl_stop;

static void etl_on_signal(int number)
{
    (void)number;
    atomic_store(&etl_stop, true);
}

static int etl_parse(int argc, char **argv, struct etl_words *words, struct err *err)
{
    static const char *const known[] = {"--data",  "--lake",   "--symbol",   "--from", "--to",
                                        "--store", "--settle", "--cache-mb", "--json", NULL};
    int result = ERR_OK;
    for (int at = 1; at < argc && result == ERR_OK; at++) {
        if (service_options_flag(argc, argv, &at, "--data", &words->data, &result, err) ||
            service_options_flag(argc, argv, &at, "--lake", &words->lake, &result, err) ||
            service_options_flag(argc, argv, &at, "--symbol", &words->symbol, &result, err) ||
            service_options_flag(argc, argv, &at, "--from", &words->from, &result, err) ||
            service_options_flag(argc, argv, &at, "--to", &words->to, &result, err) ||
            service_options_flag(argc, argv, &at, "--store", &words->store, &result, err) ||
            service_options_flag(argc, argv, &at, "--settle", &words->settle, &result, err) ||
            service_options_flag(argc, argv, &at, "--cache-mb", &words->cache_mb, &result, err))
            continue;
        if (strcmp(argv[at], "--json") == 0)
            words->json = true;
        else
            result = service_options_unknown(argv[at], known, err);
    }
    if (result == ERR_OK && (words->from == NULL) != (words->to == NULL))
        result = err_set(err, ERR_CONFIG, "--from and --to go together");
    return result == ERR_OK ? service_options_symbol(words->symbol, err) : result;
}

/* "2026-11-20" or "2026-11-20T13" (UTC) as hours since 1970. */
static int etl_parse_hour(const char *flag, const char *text, int64_t *hour, struct err *err)
{
    struct tm at = {0};
    char rest = '\0';
    int count =
        sscanf(text, "%4d-%2d-%2dT%2d%c", &at.tm_year, &at.tm_mon, &at.tm_mday, &at.tm_hour, &rest);
    if (count < 3 || rest != '\0' || (count == 3 && strlen(text) != 10) || at.tm_year < 1970 ||
        at.tm_mon < 1 || at.tm_mon > 12 || at.tm_mday < 1 || at.tm_mday > 31 || at.tm_hour > 23)
        return err_set(err, ERR_CONFIG, "%s: expected 2026-11-20 or 2026-11-20T13, found %s", flag,
                       text);
    at.tm_year -= 1900;
    at.tm_mon -= 1;
    *hour = (int64_t)timegm(&at) / ETL_HOUR_S;
    return ERR_OK;
}

static int etl_choose_store(const struct etl_words *words, char *target, struct err *err)
{
    target[0] = '\0';
    if (strcmp(words->store, "none") == 0)
        return ERR_OK;
    if (strcmp(words->store, "auto") != 0)
        return err_set(err, ERR_CONFIG, "--store: expected auto or none, found %s", words->store);
    const char *url = getenv(PQ_TARGET_ENV);
    int result = db_target_choose(words->data, target, err);
    /* A mistake in what was set must not go unseen; nothing set is no mistake. */
    if (result != ERR_OK && (url == NULL || url[0] == '\0')) {
        target[0] = '\0';
        return ERR_OK;
    }
    return result;
}

static void etl_summary(const struct etl_words *words, const struct etl_job_counters *counters)
{
    const struct {
        const char *name;
        uint64_t value;
    } figures[] = {
        {"records", counters->records},
        {"slots", counters->slots},
        {"rows", counters->rows},
        {"mids", counters->mids},
        {"holes", counters->holes},
        {"late", counters->late},
        {"hours", counters->hours},
        {"silver_objects", counters->silver.objects},
        {"silver_rows", counters->silver.rows},
        {"silver_bars", counters->silver.bars},
        {"rows_quarantined", counters->silver.rows_failed},
        {"objects_quarantined", counters->quarantined + counters->silver.quarantined},
        {"corrupt", counters->corrupt},
        {"rows_loaded", counters->loaded},
        {"rows_refused", counters->refused},
        {"objects_fetched", counters->lake.fetched},
        {"bytes_fetched", counters->lake.bytes_fetched},
    };
    for (size_t i = 0; i < sizeof(figures) / sizeof(figures[0]); i++)
        if (words->json)
            printf("%s\"%s\":%" PRIu64, i == 0 ? "{" : ",", figures[i].name, figures[i].value);
        else
            printf("%-20s %" PRIu64 "\n", figures[i].name, figures[i].value);
    printf("%s", words->json ? "}\n" : "");
}

static int etl_work(const struct etl_words *words, const struct etl_job_options *options,
                    struct err *err)
{
    struct etl_job *job = NULL;
    int64_t from = 0, to = 0;
    int result = ERR_OK;
    if (words->from != NULL) {
        result = etl_parse_hour("--from", words->from, &from, err);
        if (result == ERR_OK)
            result = etl_parse_hour("--to", words->to, &to, err);
        if (result == ERR_OK && to <= from)
            result = err_set(err, ERR_CONFIG, "--to is not after --from");
    }
    if (result == ERR_OK)
        result = etl_job_open(options, &job, err);
    if (result != ERR_OK)
        return result;
    result = words->from != NULL ? etl_job_again(job, from, to - 1, err) : etl_job_pass(job, err);
    if (result == ERR_OK)
        etl_summary(words, etl_job_counters(job));
    etl_job_close(job);
    return result;
}

static int etl_command(struct etl_words *words, struct err *err)
{
    char lake[LAKE_FILE_PATH_SIZE / 2], work[LAKE_FILE_PATH_SIZE / 2], target[PQ_TARGET_SIZE];
    int64_t settle_s, cache_mb;
    int result = service_options_number("--settle", words->settle, 0, 86400, &settle_s, err);
    if (result == ERR_OK)
        result = service_options_number("--cache-mb", words->cache_mb, 1, 1 << 20, &cache_mb, err);
    if (result == ERR_OK)
        result = etl_choose_store(words, target, err);
    if (result != ERR_OK)
        return result;
    if (words->lake != NULL)
        snprintf(lake, sizeof(lake), "%s", words->lake);
    else
        snprintf(lake, sizeof(lake), "%s/lake", words->data);
    snprintf(work, sizeof(work), "%s/etl", words->data);
    struct etl_job_options options = {.symbol = words->symbol,
                                      .lake = lake,
                                      .cache_mb = cache_mb,
                                      .work = work,
                                      .database = target,
                                      .settle_us = settle_s * CLOCK_US_PER_S,
                                      .patience_us = settle_s * CLOCK_US_PER_S,
                                      .stop = &etl_stop};
    return etl_work(words, &options, err);
}

static int etl_run(int argc, char **argv)
{
    struct etl_words words = {.data = ".btcast",
                              .symbol = ETL_SYMBOL_DEFAULT,
                              .store = "auto",
                              .settle = "0",
                              .cache_mb = "2048"};
    struct err err = {0};
    struct sigaction action = {.sa_handler = etl_on_signal};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    int result = etl_parse(argc, argv, &words, &err);
    if (result == ERR_OK)
        result = etl_command(&words, &err);
    fflush(stdout);
    if (result == ERR_OK)
        return 0;
    fprintf(stderr, "btcast etl: %s\n", err.text);
    return result == ERR_CONFIG ? SERVICE_EXIT_CONFIG : SERVICE_EXIT_FAILURE;
}

const struct command command_etl = {
    .name = "etl",
    .summary = "the lake's bronze into silver and the SQL store",
    .usage =
        "usage: btcast etl [--data DIR] [--lake LAKE] [--symbol S] [options]\n"
        "       btcast etl --from 2026-11-20T13 --to 2026-11-20T15 [options]\n"
        "\n"
        "Replays what is new in bronze through the live code path and writes silver (db_ready,\n"
        "snapshots, bars_1m) and, where there is an SQL store, feature_store, slot_mid,\n"
        "market_data_minute and data_quality_metrics. It goes on where it stopped (DIR/etl); done\n"
        "twice it changes nothing. The data-connector does the same by itself.\n"
        "With --from and --to (UTC, to excluded) bars and snapshots of these hours are made again\n"
        "from bronze.\n"
        "\n"
        "  --data DIR       default .btcast; the lake is DIR/lake\n"
        "  --lake LAKE      another one: a folder, or s3://bucket/prefix\n"
        "  --cache-mb N     of copies of a lake on S3 that lie in DIR/etl meanwhile (default "
        "2048)\n"
        "  --symbol S       default BTCUSDT\n"
        "  --store none     silver only (auto: DATABASE_URL, or the private server of DIR)\n"
        "  --settle S       leave the last S seconds for later, and wait so long for records that\n"
        "                   are missing (default 0: everything now)\n"
        "  --json           the summary as one JSON object\n",
    .run = etl_run,
};
