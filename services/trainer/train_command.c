/* `btcast train`: recorded data -> a model that has been judged, by hand.
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "edge/loop/loop.h"
#include "edge/postgres/pq_target.h"
#include "services/cli/commands.h"
#include "services/service.h"
#include "services/service_options.h"
#include "services/trainer/train_failure.h"
#include "services/trainer/train_load.h"
#include "services/trainer/train_publish.h"
#include "services/trainer/train_run.h"
#include "services/trainer/train_source.h"

#define TRAIN_SYMBOL_DEFAULT "BTCUSDT"

struct train {
    const char *capture, *features, *rows, *save_rows, *symbol;
    const char *from, *to, *lake, *silver, *database, *gold, *name, *shares;
    int64_t from_us, to_us, simulate_h, sim_seed;
    bool json, publish;
    struct train_run_options run;
};

/* --- flags ---------------------------------------------------------------------------- */

static const struct train_number {
    const char *flag;
    int64_t minimum, maximum;
    const char *initial;
} train_numbers[] = {
    {"--seed", 0, INT64_MAX, "1"},
    {"--trials", 1, SEARCH_TRIALS_MAX, "8"},
    {"--epochs", 1, FIT_EPOCHS_MAX, "20"},
    {"--folds", 0, REPORT_FOLDS_MAX, "3"},
    {"--threads", 1, TRAIN_THREADS_MAX, NULL},
    {"--batch", 1, 65536, NULL},
    {"--simulate", 1, TRAIN_SOURCE_HOURS_MAX, NULL},
    {"--sim-seed", 0, INT64_MAX, "1001"},
};
#define TRAIN_NUMBERS (sizeof(train_numbers) / sizeof(train_numbers[0]))

static int train_take_numbers(const char *const *texts, struct train *train, struct err *err)
{
    int64_t values[TRAIN_NUMBERS] = {0};
    for (size_t i = 0; i < TRAIN_NUMBERS; i++) {
        const struct train_number *number = &train_numbers[i];
        if (texts[i] == NULL)
            continue;
        int rc = service_options_number(number->flag, texts[i], number->minimum, number->maximum,
                                        &values[i], err);
        if (rc != ERR_OK)
            return rc;
    }
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    train->run.seed = (uint64_t)values[0];
    train->run.trials = (int)values[1];
    train->run.epochs = (int)values[2];
    train->run.folds = (int)values[3];
    train->run.batch = (int)values[5];
    train->simulate_h = values[6];
    train->sim_seed = values[7];
    train->run.threads = texts[4] != NULL ? (int)values[4] : cores > 1 ? (int)cores : 1;
    if (train->run.threads > TRAIN_THREADS_MAX)
        train->run.threads = TRAIN_THREADS_MAX;
    return ERR_OK;
}

/* "70,5,5,20": parts of train, valid, calibrate, test. */
static int train_take_shares(struct train *train, struct err *err)
{
    const char *text = train->shares;
    if (text == NULL)
        return ERR_OK;
    for (int i = 0; i < SPLIT_SLICES; i++) {
        char *end;
        long share = strtol(text, &end, 10);
        if (end == text || share < 1 || share > 1000 || *end != (i + 1 < SPLIT_SLICES ? ',' : '\0'))
            return err_set(
                err, ERR_CONFIG,
                "--shares: expected four numbers from 1 to 1000, joined by commas, found "
                "\"%s\"",
                train->shares);
        train->run.share[i] = (double)share;
        text = end + 1;
    }
    return ERR_OK;
}

/* True when argv[*at] is one of the flags with a text. */
static bool train_text_flag(int argc, char **argv, int *at, struct train *train,
                            const char **numbers, int *rc, struct err *err)
{
    const struct {
        const char *flag;
        const char **value;
    } texts[] = {
        {"--capture", &train->capture},
        {"--features", &train->features},
        {"--rows", &train->rows},
        {"--save-rows", &train->save_rows},
        {"--symbol", &train->symbol},
        {"--out", &train->run.out},
        {"--report", &train->run.report},
        {"--oracle", &train->run.oracle},
        {"--version", &train->run.version},
        {"--from", &train->from},
        {"--to", &train->to},
        {"--lake", &train->lake},
        {"--silver", &train->silver},
        {"--database", &train->database},
        {"--gold", &train->gold},
        {"--name", &train->name},
        {"--shares", &train->shares},
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        if (service_options_flag(argc, argv, at, texts[i].flag, texts[i].value, rc, err))
            return true;
    for (size_t i = 0; i < TRAIN_NUMBERS; i++)
        if (service_options_flag(argc, argv, at, train_numbers[i].flag, &numbers[i], rc, err))
            return true;
    return false;
}

static bool train_of_lake(const struct train *train)
{
    return train->lake != NULL || train->silver != NULL;
}

/* --from and --to mean the lake when one is named, else the SQL store. */
static int train_check_range(struct train *train, struct err *err)
{
    int rc = train->from != NULL ? train_source_time("--from", train->from, &train->from_us, err)
                                 : ERR_OK;
    if (rc == ERR_OK && train->to != NULL)
        rc = train_source_time("--to", train->to, &train->to_us, err);
    if (rc == ERR_OK && train->to != NULL && train->to_us <= train->from_us)
        rc = err_set(err, ERR_CONFIG, "--to has to lie behind --from");
    if (rc == ERR_OK && !train_of_lake(train) && (train->from == NULL || train->to == NULL))
        rc = err_set(err, ERR_CONFIG, "--from and --to belong together");
    return rc;
}

static int train_check_database(struct train *train, struct err *err)
{
    if (train->database != NULL && pq_target_has_password(train->database))
        return err_set(err, ERR_CONFIG,
                       "--database: a URL with a password belongs into " PQ_TARGET_ENV
                       " (command lines are public)");
    const char *url = getenv(PQ_TARGET_ENV);
    if (train->database == NULL && url != NULL && url[0] != '\0')
        train->database = url;
    bool stored = train->to != NULL && !train_of_lake(train);
    if ((stored || train->publish) && train->database == NULL)
        return err_set(err, ERR_CONFIG, "expected --database URL, or " PQ_TARGET_ENV " to be set");
    return ERR_OK;
}

static int train_check(struct train *train, struct err *err)
{
    bool simulated = train->simulate_h > 0; /* --from then says when that market is */
    bool ranged = train_of_lake(train) || (!simulated && train->from != NULL) || train->to != NULL;
    int sources = (train->capture != NULL) + (train->features != NULL) + (train->rows != NULL) +
                  simulated + ranged;
    if (sources != 1 || (train->lake != NULL && train->silver != NULL))
        return err_set(err, ERR_CONFIG,
                       "expected one of --capture, --features, --rows, --simulate, --lake, "
                       "--silver and --from with --to");
    if (train->run.out == NULL)
        return err_set(err, ERR_CONFIG, "expected --out DIR");
    if (strlen(train->run.out) > 400)
        return err_set(err, ERR_CONFIG, "--out: the path is too long");
    int rc = ERR_OK;
    if (ranged)
        rc = train_check_range(train, err);
    else if (train->from != NULL)
        rc = train_source_time("--from", train->from, &train->from_us, err);
    return rc == ERR_OK ? train_check_database(train, err) : rc;
}

static int train_parse(int argc, char **argv, struct train *train, struct err *err)
{
    static const char *const known[] = {
        "--capture",  "--features", "--rows",     "--save-rows", "--symbol", "--out",
        "--report",   "--oracle",   "--version",  "--seed",      "--trials", "--epochs",
        "--folds",    "--threads",  "--batch",    "--json",      "--quiet",  "--simulate",
        "--sim-seed", "--from",     "--to",       "--lake",      "--silver", "--database",
        "--gold",     "--name",     "--register", "--shares",    NULL};
    const char *numbers[TRAIN_NUMBERS];
    for (size_t i = 0; i < TRAIN_NUMBERS; i++)
        numbers[i] = train_numbers[i].initial;
    for (int i = 1; i < argc; i++) {
        int rc = ERR_OK;
        if (strcmp(argv[i], "--json") == 0)
            train->json = true;
        else if (strcmp(argv[i], "--quiet") == 0)
            train->run.quiet = true;
        else if (strcmp(argv[i], "--register") == 0)
            train->publish = true;
        else if (!train_text_flag(argc, argv, &i, train, numbers, &rc, err))
            return service_options_unknown(argv[i], known, err);
        if (rc != ERR_OK)
            return rc;
    }
    int rc = train_take_numbers(numbers, train, err);
    if (rc == ERR_OK)
        rc = train_take_shares(train, err);
    return rc == ERR_OK ? train_check(train, err) : rc;
}

/* --- work ----------------------------------------------------------------------------- */

static int train_load_any(const struct train *train, struct dataset *dataset, uint64_t *refused,
                          struct err *err)
{
    if (train->capture != NULL)
        return train_load_captures(train->capture, train->symbol, dataset, refused, err);
    if (train->features != NULL)
        return train_load_csv(train->features, dataset, err);
    if (train->rows != NULL)
        return train_load_rows(train->rows, dataset, err);
    if (train->simulate_h > 0)
        return train_source_simulate(&(struct train_simulate){.symbol = train->symbol,
                                                              .hours = (double)train->simulate_h,
                                                              .seed = train->sim_seed,
                                                              .from_us = train->from_us,
                                                              .oracle = train->run.oracle},
                                     dataset, refused, err);
    if (train->lake != NULL)
        return train_source_lake(train->lake, train->symbol, train->from_us, train->to_us, dataset,
                                 refused, err);
    if (train->silver != NULL)
        return train_source_silver(train->silver, train->symbol, train->from_us, train->to_us,
                                   dataset, err);
    return train_source_store(train->database, train->symbol, train->from_us, train->to_us, dataset,
                              refused, err);
}

static int train_load(const struct train *train, struct dataset *dataset, struct err *err)
{
    uint64_t refused = 0;
    int64_t started_us = loop_mono_us();
    if (!train->run.quiet)
        fprintf(stderr, "train: loading rows\n");
    int rc = train_load_any(train, dataset, &refused, err);
    if (rc != ERR_OK)
        return rc;
    if (!train->run.quiet) {
        fprintf(stderr, "train: %zu rows in %.1f s (%" PRIu64 " offered, %" PRIu64 " refused",
                dataset->count, (double)(loop_mono_us() - started_us) * 1e-6,
                dataset->counts.offered, refused);
        for (int i = 0; i < DATASET_CAUSES; i++)
            if (dataset->counts.left_out[i] > 0)
                fprintf(stderr, ", %" PRIu64 " %s", dataset->counts.left_out[i],
                        dataset_cause_name(i));
        fprintf(stderr, ")\n");
    }
    return train->save_rows != NULL ? train_save_rows(train->save_rows, dataset, err) : ERR_OK;
}

static const char *train_experiment(const struct train *train)
{
    return train->simulate_h > 0 ? "simulated" : "recorded";
}

/* A run that is wanted in the registry and failed has its row there, too. */
static void train_fail(const struct train *train, const struct dataset *dataset,
                       const struct err *why)
{
    struct err err = {0};
    struct train_failure failure = {.database = train->database,
                                    .symbol = train->symbol,
                                    .experiment = train_experiment(train),
                                    .reason = why->text,
                                    .version = train->run.version,
                                    .seed = train->run.seed,
                                    .from_us = train->from_us,
                                    .to_us = train->to_us,
                                    .dataset = dataset};
    if (train->publish && train_failure_record(&failure, &err) != ERR_OK)
        fprintf(stderr, "btcast train: the failure is not recorded: %s\n", err.text);
}

/* Into gold and the registry, when that is wanted. */
static int train_keep(const struct train *train, const struct train_run *run, struct err *err)
{
    char words[1024];
    if (!train->publish && train->gold == NULL)
        return ERR_OK;
    struct train_publish_options options = {.out = train->run.out,
                                            .lake = train->gold,
                                            .database = train->publish ? train->database : NULL,
                                            .name = train->name,
                                            .symbol = train->symbol,
                                            .experiment = train_experiment(train)};
    int rc = train_publish(&options, run, words, sizeof(words), err);
    if (rc == ERR_OK && !train->run.quiet)
        fprintf(stderr, "train: %s\n", words);
    return rc;
}

static void train_figure(const char *name, const struct estimate *figure)
{
    printf("%-28s %9.4f  (%.4f to %.4f)\n", name, figure->value, figure->low, figure->high);
}

static void train_print(const struct train_run *run)
{
    const struct evaluation *test = &run->test;
    char sentence[1024];
    printf("model                        %s\n", run->version);
    printf("test rows, independent       %zu, %zu%s\n", test->rows, test->independent,
           test->indicative ? "  INDICATIVE ONLY" : "");
    train_figure("R2 against no change", &test->r2[EVALUATED_MODEL]);
    train_figure("  ridge", &test->r2[EVALUATED_RIDGE]);
    if (test->has_oracle) {
        train_figure("  oracle", &test->r2[EVALUATED_ORACLE]);
        train_figure("  share of the oracle's", &test->oracle_share);
    }
    train_figure("  over ridge", &test->r2_over_ridge);
    train_figure("hit rate on moved rows", &test->hit[EVALUATED_MODEL]);
    train_figure("  ridge", &test->hit[EVALUATED_RIDGE]);
    train_figure("  imbalance", &test->hit[EVALUATED_IMBALANCE]);
    train_figure("MAE, bp", &test->mae_bp[EVALUATED_MODEL]);
    train_figure("  no change", &test->mae_zero_bp);
    printf("calibration error            %9.4f\n", test->calibration_error);
    printf("band coverage                %9.4f  (by volatility %.4f %.4f %.4f)\n", test->coverage,
           test->coverage_tercile[0], test->coverage_tercile[1], test->coverage_tercile[2]);
    printf("pinball, bp                  %9.4f  (rolling quantiles %.4f)\n", test->pinball_bp,
           test->pinball_rolling_bp);
    for (int i = 0; i < run->report.fold_count; i++)
        printf("fold %d                       R2 %.4f, ridge %.4f, hit rate %.4f\n", i + 1,
               run->folds[i].r2[EVALUATED_MODEL], run->folds[i].r2[EVALUATED_RIDGE],
               run->folds[i].hit[EVALUATED_MODEL]);
    evaluation_money(test, sentence, sizeof(sentence));
    printf("%s\n", sentence);
    report_refusal(&run->report, sentence, sizeof(sentence));
    printf("promotion                    %s %s\n", sentence[0] != '\0' ? "refused:" : "possible",
           sentence);
}

static void train_print_json(const struct train_run *run)
{
    static char buffer[1u << 20];
    struct text text = text_begin(buffer, sizeof(buffer));
    report_json(&run->report, &text);
    fputs(text_end(&text), stdout);
}

static int train_work(const struct train *train, struct err *err)
{
    static struct train_run run; /* large, and there is one */
    struct dataset dataset;
    int64_t started_us = loop_mono_us();
    dataset_init(&dataset);
    int rc = train_load(train, &dataset, err);
    if (rc == ERR_OK) {
        rc = train_run(&train->run, &dataset, &run, err);
        if (rc == ERR_OK && !train->run.quiet)
            fprintf(stderr, "train: done in %.1f s, see %s\n",
                    (double)(loop_mono_us() - started_us) * 1e-6, train->run.out);
        if (rc == ERR_OK)
            rc = train_keep(train, &run, err);
        if (rc == ERR_OK && train->json)
            train_print_json(&run);
        else if (rc == ERR_OK)
            train_print(&run);
        train_run_free(&run);
    }
    if (rc != ERR_OK)
        train_fail(train, &dataset, err);
    dataset_free(&dataset);
    return rc;
}

static int train_command_run(int argc, char **argv)
{
    struct train train = {.symbol = TRAIN_SYMBOL_DEFAULT, .name = "btcast"};
    struct err err = {0};
    int rc = train_parse(argc, argv, &train, &err);
    if (rc == ERR_OK)
        rc = train_work(&train, &err);
    if (rc == ERR_OK)
        return 0;
    fprintf(stderr, "btcast train: %s\n", err.text);
    return rc == ERR_CONFIG ? SERVICE_EXIT_CONFIG : SERVICE_EXIT_FAILURE;
}

const struct command command_train = {
    .name = "train",
    .summary = "recorded data -> a model, judged beside honest baselines",
    .usage =
        "usage: btcast train --capture FILE[,FILE…] --out DIR [options]\n"
        "       btcast train --from T --to T --out DIR --register [options]\n\n"
        "Writes DIR/model.onnx, DIR/report.json and DIR/report.html. The same data, settings and\n"
        "seed give the same bytes. After a kill, the same command goes on where it was.\n\n"
        "  --capture FILE[,FILE…]   btcast or JSON captures in the order of time\n"
        "  --features CSV[,CSV…]    instead: rows of `btcast replay --features`\n"
        "  --rows FILE[,FILE…]      instead: rows of --save-rows\n"
        "  --from T --to T          instead: rows of the SQL store, times like 2026-05-29T12:00 "
        "(UTC)\n"
        "  --lake LAKE              instead: the raw data of a lake (a folder, s3://…); --from and "
        "--to\n"
        "                           cut it\n"
        "  --silver LAKE            instead: the rows that the ETL has made of it\n"
        "  --simulate HOURS         instead: a day of the built-in exchange, made while it is "
        "read\n"
        "  --sim-seed N             which market that is (default 1001); --from T: when it is\n"
        "  --save-rows FILE         keep the finished rows for another training\n"
        "  --out DIR                where the results go (made when missing)\n"
        "  --gold LAKE              keep model and report in that lake (a folder, s3://…), too\n"
        "  --register               record the run in ml_experiments and the model in the "
        "registry;\n"
        "                           it becomes the shadow unless its report refuses promotion\n"
        "  --database URL           the SQL store (default: DATABASE_URL)\n"
        "  --name NAME              the family of models there (default btcast)\n"
        "  --report FILE            another place for the HTML page\n"
        "  --seed N                 of everything random (default 1)\n"
        "  --trials N               settings tried by successive halving (default 8)\n"
        "  --epochs N               of each, while the rate falls (default 20)\n"
        "  --batch N                rows a step of the first trial (default 256)\n"
        "  --folds N                of the walk-forward test (default 3)\n"
        "  --shares N,N,N,N         parts that train, validate, calibrate, test (default "
        "60,10,10,20)\n"
        "  --threads N              trainings at a time (default: the cores); results do not "
        "depend on it\n"
        "  --version V              the model's version (default: from net, data and seed)\n"
        "  --oracle CSV[,CSV…]      the simulated exchange's yardstick, for the report only; with\n"
        "                           --simulate it is written there\n"
        "  --symbol S               of a JSON capture (default BTCUSDT)\n"
        "  --json                   print report.json instead of the summary\n"
        "  --quiet                  no progress lines\n",
    .run = train_command_run,
};
