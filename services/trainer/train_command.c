/* `btcast train`: recorded data -> a model that has been judged, by hand.
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "edge/loop/loop.h"
#include "services/cli/commands.h"
#include "services/service.h"
#include "services/service_options.h"
#include "services/trainer/train_load.h"
#include "services/trainer/train_run.h"

#define TRAIN_SYMBOL_DEFAULT "BTCUSDT"

struct train {
    const char *capture, *features, *rows, *save_rows, *symbol;
    bool json;
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
    {"--epochs", 1, FIT_EPOCHS_MAX, "60"},
    {"--folds", 0, REPORT_FOLDS_MAX, "3"},
    {"--threads", 1, TRAIN_THREADS_MAX, NULL},
    {"--batch", 1, 65536, NULL},
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
    train->run.threads = texts[4] != NULL ? (int)values[4] : cores > 1 ? (int)cores : 1;
    if (train->run.threads > TRAIN_THREADS_MAX)
        train->run.threads = TRAIN_THREADS_MAX;
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
        {"--capture", &train->capture},     {"--features", &train->features},
        {"--rows", &train->rows},           {"--save-rows", &train->save_rows},
        {"--symbol", &train->symbol},       {"--out", &train->run.out},
        {"--report", &train->run.report},   {"--oracle", &train->run.oracle},
        {"--version", &train->run.version},
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        if (service_options_flag(argc, argv, at, texts[i].flag, texts[i].value, rc, err))
            return true;
    for (size_t i = 0; i < TRAIN_NUMBERS; i++)
        if (service_options_flag(argc, argv, at, train_numbers[i].flag, &numbers[i], rc, err))
            return true;
    return false;
}

static int train_check(const struct train *train, struct err *err)
{
    int sources = (train->capture != NULL) + (train->features != NULL) + (train->rows != NULL);
    if (sources != 1)
        return err_set(err, ERR_CONFIG, "expected one of --capture, --features and --rows");
    if (train->run.out == NULL)
        return err_set(err, ERR_CONFIG, "expected --out DIR");
    if (strlen(train->run.out) > 400)
        return err_set(err, ERR_CONFIG, "--out: the path is too long");
    return ERR_OK;
}

static int train_parse(int argc, char **argv, struct train *train, struct err *err)
{
    static const char *const known[] = {
        "--capture", "--features", "--rows",    "--save-rows", "--symbol", "--out",
        "--report",  "--oracle",   "--version", "--seed",      "--trials", "--epochs",
        "--folds",   "--threads",  "--batch",   "--json",      "--quiet",  NULL};
    const char *numbers[TRAIN_NUMBERS];
    for (size_t i = 0; i < TRAIN_NUMBERS; i++)
        numbers[i] = train_numbers[i].initial;
    for (int i = 1; i < argc; i++) {
        int rc = ERR_OK;
        if (strcmp(argv[i], "--json") == 0)
            train->json = true;
        else if (strcmp(argv[i], "--quiet") == 0)
            train->run.quiet = true;
        else if (!train_text_flag(argc, argv, &i, train, numbers, &rc, err))
            return service_options_unknown(argv[i], known, err);
        if (rc != ERR_OK)
            return rc;
    }
    int rc = train_check(train, err);
    return rc == ERR_OK ? train_take_numbers(numbers, train, err) : rc;
}

/* --- work ----------------------------------------------------------------------------- */

static int train_load(const struct train *train, struct dataset *dataset, struct err *err)
{
    uint64_t refused = 0;
    int64_t started_us = loop_mono_us();
    int rc = train->capture != NULL
                 ? train_load_captures(train->capture, train->symbol, dataset, &refused, err)
             : train->features != NULL ? train_load_csv(train->features, dataset, err)
                                       : train_load_rows(train->rows, dataset, err);
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
        if (rc == ERR_OK && train->json)
            train_print_json(&run);
        else if (rc == ERR_OK)
            train_print(&run);
        train_run_free(&run);
    }
    dataset_free(&dataset);
    if (rc == ERR_OK && !train->run.quiet)
        fprintf(stderr, "train: done in %.1f s, see %s\n",
                (double)(loop_mono_us() - started_us) * 1e-6, train->run.out);
    return rc;
}

static int train_command_run(int argc, char **argv)
{
    struct train train = {.symbol = TRAIN_SYMBOL_DEFAULT};
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
        "usage: btcast train --capture FILE[,FILE…] --out DIR [options]\n\n"
        "Writes DIR/model.onnx, DIR/report.json and DIR/report.html. The same data, settings and\n"
        "seed give the same bytes. After a kill, the same command goes on where it was.\n\n"
        "  --capture FILE[,FILE…]   btcast or JSON captures in the order of time\n"
        "  --features CSV[,CSV…]    instead: rows of `btcast replay --features`\n"
        "  --rows FILE              instead: rows of --save-rows\n"
        "  --save-rows FILE         keep the finished rows for another training\n"
        "  --out DIR                where the results go (made when missing)\n"
        "  --report FILE            another place for the HTML page\n"
        "  --seed N                 of everything random (default 1)\n"
        "  --trials N               settings tried by successive halving (default 8)\n"
        "  --epochs N               at most so many for each (default 60)\n"
        "  --batch N                rows a step of the first trial (default 256)\n"
        "  --folds N                of the walk-forward test (default 3)\n"
        "  --threads N              trainings at a time (default: the cores); results do not "
        "depend on it\n"
        "  --version V              the model's version (default: from net, data and seed)\n"
        "  --oracle CSV             the simulated exchange's yardstick, for the report only\n"
        "  --symbol S               of a JSON capture (default BTCUSDT)\n"
        "  --json                   print report.json instead of the summary\n"
        "  --quiet                  no progress lines\n",
    .run = train_command_run,
};
