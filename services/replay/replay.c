/* `btcast replay FILE`: a capture through the live code path without servers.
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "edge/file/capture_file.h"
#include "edge/loop/loop.h"
#include "services/cli/commands.h"
#include "services/inference/inference_model.h"
#include "services/replay/replay_bronze.h"
#include "services/replay/replay_json.h"
#include "services/replay/replay_slots.h"
#include "services/service.h"
#include "services/service_options.h"

#define REPLAY_SYMBOL_DEFAULT "BTCUSDT"

struct replay {
    const char *file, *features_path, *predictions_path, *model_path, *symbol;
    enum mlp_kernel kernel;
    bool paced, json_summary, every_tick;
    FILE *features, *predictions;
    struct replay_slots *slots;
    int64_t first_recv_us, first_mono_us;
    uint64_t rows;
    struct duckdb_trades trades; /* of a lake */
};

/* --- rows ----------------------------------------------------------------------------- */

static void replay_features_header(FILE *out)
{
    fprintf(out, "slot,epoch,seq,as_of_us,mid");
    for (int i = 0; i < FEATURE_COUNT; i++)
        fprintf(out, ",%s", feature_name(i));
    fputc('\n', out);
}

static void replay_features_row(FILE *out, int64_t slot, const struct state_read *state)
{
    char mid[64];
    struct text text = text_begin(mid, sizeof(mid));
    text_add_decimal(&text, state->mid.mantissa, state->mid.exponent);
    fprintf(out, "%" PRId64 ",%" PRIu64 ",%" PRIu64 ",%" PRId64 ",%s", slot, state->vec_epoch,
            state->vec_seq, state->as_of_us, text_end(&text));
    for (int i = 0; i < FEATURE_COUNT; i++)
        fprintf(out, ",%.9g", (double)state->values[i]);
    fputc('\n', out);
}

/* Columns of a prediction that do not depend on how fast the machine was. */
static const enum prediction_field replay_columns[] = {
    PREDICTION_SLOT,          PREDICTION_TIMESTAMP,
    PREDICTION_CURRENT_PRICE, PREDICTION_PREDICTED_PRICE_10S,
    PREDICTION_CONFIDENCE,    PREDICTION_RETURN_BP,
    PREDICTION_P10,           PREDICTION_P90,
    PREDICTION_MODEL_VERSION, PREDICTION_INGEST_EPOCH,
    PREDICTION_SEQ,           PREDICTION_SOURCE,
    PREDICTION_MODE,          PREDICTION_REASON,
    PREDICTION_CALIBRATION,   PREDICTION_OUTCOMES,
};
#define REPLAY_COLUMNS (sizeof(replay_columns) / sizeof(replay_columns[0]))

static void replay_predictions_header(FILE *out)
{
    for (size_t i = 0; i < REPLAY_COLUMNS; i++)
        fprintf(out, "%s%s", i == 0 ? "" : ",", prediction_field_name(replay_columns[i]));
    fputc('\n', out);
}

static void replay_predictions_row(FILE *out, const struct prediction *prediction)
{
    for (size_t i = 0; i < REPLAY_COLUMNS; i++)
        fprintf(out, "%s%s", i == 0 ? "" : ",", prediction->value[replay_columns[i]]);
    fputc('\n', out);
}

static void replay_on_slot(void *context, int64_t slot, const struct state_read *state,
                           const struct prediction *prediction)
{
    struct replay *replay = context;
    replay->rows++;
    if (replay->features != NULL && !replay->every_tick)
        replay_features_row(replay->features, slot, state);
    if (replay->predictions != NULL && prediction != NULL)
        replay_predictions_row(replay->predictions, prediction);
}

static void replay_on_tick(void *context, const struct state_read *state)
{
    struct replay *replay = context;
    replay->rows++;
    replay_features_row(replay->features, clock_slot(state->as_of_us), state);
}

/* --- records -------------------------------------------------------------------------- */

/* At speed 1 a record waits until its time has come. */
static void replay_pace(struct replay *replay, int64_t recv_us)
{
    if (replay->first_recv_us == 0) {
        replay->first_recv_us = recv_us;
        replay->first_mono_us = loop_mono_us();
    }
    int64_t wait_us = recv_us - replay->first_recv_us - (loop_mono_us() - replay->first_mono_us);
    if (wait_us > 0)
        usleep((useconds_t)wait_us);
}

static void replay_on_record(void *context, const struct record *record)
{
    struct replay *replay = context;
    if (replay->paced)
        replay_pace(replay, record->recv_us);
    replay_slots_apply(replay->slots, record);
}

static int replay_capture(struct replay *replay, struct capture_file *capture)
{
    struct record record;
    int result;
    while ((result = capture_file_next(capture, &record)) == ERR_OK)
        replay_on_record(replay, &record);
    return result == ERR_EMPTY ? ERR_OK : result;
}

static uint64_t replay_refused(const struct replay_counters *counters)
{
    uint64_t refused = 0;
    for (int i = 0; i < SBE_VERDICT_COUNT; i++)
        refused += counters->refused[i];
    return refused;
}

/* One JSON object on stdout, or a line a figure for people. */
static void replay_summary(const struct replay *replay, int64_t elapsed_us, uint64_t damaged)
{
    const struct replay_counters *counters = replay_slots_counters(replay->slots);
    const struct world_counters *world = world_counters(replay_slots_world(replay->slots));
    uint64_t per_second =
        elapsed_us > 0 ? counters->frames * (uint64_t)CLOCK_US_PER_S / (uint64_t)elapsed_us : 0;
    const struct {
        const char *name;
        uint64_t value;
    } figures[] = {
        {"records", counters->records},
        {"frames", counters->frames},
        {"ticks", counters->ticks},
        {"anchors", counters->anchors},
        {"holes", counters->holes},
        {"slots", counters->slots},
        {"slots_unplaced", counters->slots_unplaced},
        {"given_up", counters->given_up},
        {"rows", replay->rows},
        {"diffs_applied", world->diffs_applied},
        {"diffs_stale", world->diffs_stale},
        {"quotes", world->quotes},
        {"trades", world->trades},
        {"trade_holes", world->trade_holes},
        {"gaps", world->gaps},
        {"crossed_events", world->crossed_events},
        {"snapshots_verified", world->snapshots_verified},
        {"snapshots_diverged", world->snapshots_diverged},
        {"refused", replay_refused(counters)},
        {"damaged", damaged},
        {"trade_ids", (uint64_t)(replay->trades.streamed + replay->trades.backfilled)},
        {"trade_ids_backfilled", (uint64_t)replay->trades.backfilled},
        {"trade_ids_missing", (uint64_t)replay->trades.missing},
        {"elapsed_ms", (uint64_t)(elapsed_us / CLOCK_US_PER_MS)},
        {"frames_per_second", per_second},
    };
    for (size_t i = 0; i < sizeof(figures) / sizeof(figures[0]); i++)
        if (replay->json_summary)
            printf("%s\"%s\":%" PRIu64, i == 0 ? "{" : ",", figures[i].name, figures[i].value);
        else
            printf("%-20s %" PRIu64 "\n", figures[i].name, figures[i].value);
    if (replay->json_summary)
        printf("}\n");
}

/* --- command -------------------------------------------------------------------------- */

static int replay_kernel(const char *name, enum mlp_kernel *kernel, struct err *err)
{
    for (int i = 0; inference_model_kernels[i] != NULL; i++) {
        if (strcmp(name, inference_model_kernels[i]) == 0) {
            *kernel = (enum mlp_kernel)i;
            return ERR_OK;
        }
    }
    return err_set(err, ERR_CONFIG, "--kernel: expected auto, plain, avx2 or avx512, found %s",
                   name);
}

static int replay_parse(int argc, char **argv, struct replay *replay, struct err *err)
{
    static const char *const known[] = {"--features", "--predictions", "--model",
                                        "--speed",    "--symbol",      "--json",
                                        "--kernel",   "--every-tick",  NULL};
    const char *speed = "max";
    const char *kernel = "auto";
    for (int i = 1; i < argc; i++) {
        int result = ERR_OK;
        if (service_options_flag(argc, argv, &i, "--features", &replay->features_path, &result,
                                 err) ||
            service_options_flag(argc, argv, &i, "--predictions", &replay->predictions_path,
                                 &result, err) ||
            service_options_flag(argc, argv, &i, "--model", &replay->model_path, &result, err) ||
            service_options_flag(argc, argv, &i, "--symbol", &replay->symbol, &result, err) ||
            service_options_flag(argc, argv, &i, "--kernel", &kernel, &result, err) ||
            service_options_flag(argc, argv, &i, "--speed", &speed, &result, err)) {
            if (result != ERR_OK)
                return result;
        } else if (strcmp(argv[i], "--json") == 0) {
            replay->json_summary = true;
        } else if (strcmp(argv[i], "--every-tick") == 0) {
            replay->every_tick = true;
        } else if (argv[i][0] == '-' || replay->file != NULL) {
            return service_options_unknown(argv[i], known, err);
        } else {
            replay->file = argv[i];
        }
    }
    if (replay->file == NULL)
        return err_set(err, ERR_CONFIG, "expected a capture FILE");
    if (replay->every_tick && replay->features_path == NULL)
        return err_set(err, ERR_CONFIG, "--every-tick goes with --features");
    if (strcmp(speed, "max") != 0 && strcmp(speed, "1") != 0)
        return err_set(err, ERR_CONFIG, "--speed: expected max or 1, found %s", speed);
    replay->paced = speed[0] == '1';
    return replay_kernel(kernel, &replay->kernel, err);
}

static int replay_output(const char *path, FILE **file, struct err *err)
{
    if (path == NULL)
        return ERR_OK;
    *file = strcmp(path, "-") == 0 ? stdout : fopen(path, "w");
    if (*file == NULL)
        return err_set(err, ERR_IO, "cannot write %s: %s", path, strerror(errno));
    return ERR_OK;
}

static int replay_close_output(const char *path, FILE *file, struct err *err)
{
    if (file == NULL)
        return ERR_OK;
    bool failed = ferror(file) != 0;
    if (file == stdout)
        failed = fflush(file) != 0 || failed;
    else
        failed = fclose(file) != 0 || failed;
    return failed ? err_set(err, ERR_IO, "cannot write %s: %s", path, strerror(errno)) : ERR_OK;
}

static int replay_open(struct replay *replay, const struct model *model, bool scheduled,
                       struct err *err)
{
    bool rows = replay->features_path != NULL || replay->predictions_path != NULL;
    struct replay_slots_options options = {.symbol = replay->symbol,
                                           .model = model,
                                           .scheduled = scheduled,
                                           .slot = rows ? replay_on_slot : NULL,
                                           .tick = replay->every_tick ? replay_on_tick : NULL,
                                           .context = replay};
    int result = replay_slots_open(&options, &replay->slots, err);
    if (result == ERR_OK)
        result = replay_output(replay->features_path, &replay->features, err);
    if (result == ERR_OK)
        result = replay_output(replay->predictions_path, &replay->predictions, err);
    if (result == ERR_OK && replay->features != NULL)
        replay_features_header(replay->features);
    if (result == ERR_OK && replay->predictions != NULL)
        replay_predictions_header(replay->predictions);
    return result;
}

/* A source that is no btcast capture; *damaged: what of it could not be used. */
static int replay_other(struct replay *replay, uint64_t *damaged, struct err *err)
{
    int result;
    if (replay_bronze_is(replay->file)) {
        struct replay_bronze_counters lake;
        result = replay_bronze(replay->file, replay->symbol, replay_on_record, replay, &lake, err);
        replay->trades = lake.trades;
        *damaged = lake.bronze.quarantined + lake.bronze.corrupt;
    } else {
        struct replay_json_counters json;
        result = replay_json(replay->file, replay->symbol, replay_on_record, replay, &json, err);
        *damaged = json.malformed + json.oversize + json.refused;
    }
    return result;
}

/* The symbol of a btcast capture is its header's. */
static int replay_file(struct replay *replay, const struct model *model, struct err *err)
{
    struct capture_file *capture = NULL;
    int result = ERR_OK;
    if (capture_file_is(replay->file)) {
        result = capture_file_open(replay->file, &capture, err);
        if (result == ERR_OK)
            replay->symbol = capture_file_header(capture)->symbol;
    }
    if (result == ERR_OK)
        result = replay_open(replay, model,
                             capture != NULL && capture_file_counters(capture)->slots > 0, err);
    uint64_t damaged = 0;
    int64_t started_us = loop_mono_us();
    if (result == ERR_OK && capture != NULL) {
        result = replay_capture(replay, capture);
        damaged = capture_file_counters(capture)->corrupt;
    } else if (result == ERR_OK) {
        result = replay_other(replay, &damaged, err);
    }
    if (result == ERR_OK)
        result = replay_close_output(replay->features_path, replay->features, err);
    if (result == ERR_OK)
        result = replay_close_output(replay->predictions_path, replay->predictions, err);
    if (result == ERR_OK)
        replay_summary(replay, loop_mono_us() - started_us, damaged);
    if (replay->slots != NULL)
        replay_slots_close(replay->slots);
    if (capture != NULL)
        capture_file_close(capture);
    return result;
}

static int replay_run(int argc, char **argv)
{
    struct replay replay = {.model_path = "", .symbol = REPLAY_SYMBOL_DEFAULT};
    struct err err = {0};
    if (replay_parse(argc, argv, &replay, &err) != ERR_OK) {
        fprintf(stderr, "btcast replay: %s\n", err.text);
        return SERVICE_EXIT_CONFIG;
    }
    struct model *model = NULL;
    int result = inference_model_load(replay.model_path, replay.kernel, &model, &err);
    if (result == ERR_OK)
        result = replay_file(&replay, model, &err);
    model_close(model);
    if (result == ERR_OK)
        return 0;
    fprintf(stderr, "btcast replay: %s\n", err.text);
    return SERVICE_EXIT_FAILURE;
}

const struct command command_replay = {
    .name = "replay",
    .summary = "a capture through the live code path, without servers",
    .usage =
        "usage: btcast replay FILE [options]\n\n"
        "FILE is a btcast capture, a JSON capture (`<ns> <JSON>` lines, plain or gzip), or a\n"
        "lake (its folder, or s3://bucket/prefix), of which the symbol's bronze is read.\n"
        "The same file gives the same bytes each time and with every kernel.\n\n"
        "  --features OUT.csv     one row a slot: order, time, mid and the feature vector\n"
        "  --every-tick           these rows at every tick, ten a second, not only at slots\n"
        "  --predictions OUT.csv  one row a slot: the prediction (without measured latencies)\n"
        "  --model M.onnx         model to predict with (default: the built-in baseline)\n"
        "  --kernel K             auto (default), plain, avx2 or avx512\n"
        "  --speed max|1          as fast as possible (default), or at its own pace\n"
        "  --symbol S             symbol of a JSON capture or in a lake (default BTCUSDT)\n"
        "  --json                 the summary as one JSON object\n",
    .run = replay_run,
};
