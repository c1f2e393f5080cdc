/* Models judged on a simulated market, as live but at full speed: the same code that serves makes
 * the predictions, the loaders bring them and the mids into a real PostgreSQL, the registry judges
 * every few slots. A trained model promoted by hand stays; one that is loudly wrong goes within
 * 300 slots. BTCAST_LONG=1 trains on 24 hours and judges over 24 more, every five seconds.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "edge/postgres/pq_judge.h"
#include "edge/postgres/pq_store.h"
#include "integration/pg_fixture.h"
#include "learn/store/feature_rows.h"
#include "learn/store/prediction_rows.h"
#include "learn/store/row_loader.h"
#include "services/built_in_model.h"
#include "services/exchange-sim/sim_capture.h"
#include "services/inference/inference_model.h"
#include "services/replay/replay_slots.h"
#include "services/trainer/train_publish.h"
#include "services/trainer/train_source.h"

#define SYMBOL   "BTCUSDT"
#define FAMILY   "btcast"
#define HOUR_US  (3600 * CLOCK_US_PER_S)
#define PATIENCE 30000

enum { LIVE, SHADOW, SIDES };
enum { ROWS_LIVE, ROWS_SHADOW, ROWS_MIDS, ROWS_FEATURES, ROWS };

struct day;
struct side {
    struct day *day;
    int which;
    struct replay_slots *slots;
};

/* One market judged from its beginning. */
struct day {
    struct side sides[SIDES];
    struct pq_store *store;
    struct row_loader rows[ROWS];
    struct feature_rows_sql sql;
    struct pq_judge *judge;
    int64_t mid_slot;
    int slots, slots_a_round, waiting, rounds;
    bool until_rolled_back;
};

static struct pg_fixture pg;
static struct loop *loop;
static struct built_in_model built_in;
static char trained[MODEL_VERSION_SIZE];
static char model_file[TEMP_DIR_SIZE + 32];
static bool is_long;

/* --- a model to be judged ---------------------------------------------------------------- */

static void train(int64_t hours)
{
    static struct train_run run;
    struct err err = {0};
    struct dataset dataset;
    uint64_t refused = 0;
    char out[TEMP_DIR_SIZE + 16], words[1024];
    snprintf(out, sizeof(out), "%s/model", pg.folder);
    snprintf(model_file, sizeof(model_file), "%s/model.onnx", out);
    struct train_simulate simulate = {
        .symbol = SYMBOL, .hours = hours > 0 ? (double)hours : 0.6, .seed = 1001};
    struct train_run_options options = {.out = out,
                                        .seed = 1,
                                        .trials = 1,
                                        .epochs = is_long ? 60 : 4,
                                        .threads = 1,
                                        .quiet = true};
    struct train_publish_options publish = {.out = out,
                                            .database = pg.target,
                                            .name = FAMILY,
                                            .symbol = SYMBOL,
                                            .experiment = "simulated"};
    dataset_init(&dataset);
    int rc = train_source_simulate(&simulate, &dataset, &refused, &err);
    if (rc == ERR_OK)
        rc = train_run(&options, &dataset, &run, &err);
    if (rc == ERR_OK)
        rc = train_publish(&publish, &run, words, sizeof(words), &err);
    if (rc != ERR_OK)
        fail_msg("%s", err.text);
    print_message("%s\n", words);
    snprintf(trained, sizeof(trained), "%s", run.version);
    train_run_free(&run);
    dataset_free(&dataset);
}

/* It shouts that what leans to one side goes to the other. */
static struct model *loudly_wrong(void)
{
    static float weights[FEATURE_COUNT], bias[1];
    static struct model_spec spec;
    struct model *model;
    struct err err = {0};
    weights[feature_index("touch_imbalance")] = -12.0f;
    snprintf(spec.version, sizeof(spec.version), "loudly-wrong");
    spec.has_schema = true;
    spec.feature_schema = feature_schema_hash();
    spec.layer_count = 1;
    spec.layers[0] =
        (struct mlp_layer){.inputs = FEATURE_COUNT, .outputs = 1, .weights = weights, .bias = bias};
    if (model_open(&spec, MLP_KERNEL_AUTO, &model, &err) != ERR_OK)
        fail_msg("%s", err.text);
    return model;
}

/* As `btcast model promote --force` does. */
static void promote(struct pq_judge_options *options, const char *version)
{
    char sql[200];
    struct err err = {0};
    struct pq_registry_cause cause = {.actor = "operator", .reason = "by hand"};
    assert_int_equal(pq_judge_found(&pg.sync, options, &cause, &err), ERR_OK);
    snprintf(sql, sizeof(sql), "SELECT stage FROM model_registry WHERE version = '%s'", version);
    if (strcmp(pg_fixture_ask(&pg, sql), "staging") == 0) /* its report refuses: by hand, too */
        assert_int_equal(
            pq_registry_move(&pg.sync, FAMILY, version, MODEL_MOVE_SHADOW, &cause, &err), ERR_OK);
    if (pq_registry_move(&pg.sync, FAMILY, version, MODEL_MOVE_PROMOTE, &cause, &err) != ERR_OK)
        fail_msg("%s", err.text);
}

/* --- rows -------------------------------------------------------------------------------- */

static void add(struct day *day, int rows, const struct text *text, int64_t slot)
{
    assert_false(text->truncated);
    assert_int_equal(row_loader_add(&day->rows[rows],
                                    (struct bytes){(const uint8_t *)text->at, text->size}, slot,
                                    loop_mono_us()),
                     ERR_OK);
}

static void add_prediction(struct day *day, int which, int64_t slot,
                           const struct prediction *prediction)
{
    char buffer[PREDICTION_ROWS_ROW_MAX];
    struct text text = text_begin(buffer, sizeof(buffer));
    struct prediction_pair pairs[PREDICTION_FIELDS];
    struct err err = {0};
    for (int i = 0; i < PREDICTION_FIELDS; i++)
        pairs[i] =
            (struct prediction_pair){bytes_text(prediction_field_name((enum prediction_field)i)),
                                     bytes_text(prediction->value[i])};
    if (prediction_rows_add(SYMBOL, which == LIVE ? "live" : "shadow", slot, pairs,
                            PREDICTION_FIELDS, &text, &err) != ERR_OK)
        fail_msg("%s", err.text);
    add(day, which == LIVE ? ROWS_LIVE : ROWS_SHADOW, &text, slot);
}

static void add_mids(struct day *day, const struct state_read *state)
{
    for (int i = state->mid_count - 1; i >= 0; i--) { /* newest first there */
        const struct state_slot_mid *mid = &state->mids[i];
        char decimal[64], buffer[256];
        struct text number = text_begin(decimal, sizeof(decimal));
        struct text text = text_begin(buffer, sizeof(buffer));
        if (mid->slot <= day->mid_slot)
            continue;
        text_add_decimal(&number, mid->mid.mantissa, mid->mid.exponent);
        struct prediction_mid row = {
            .slot = mid->slot, .mid = bytes_text(text_end(&number)), .valid = mid->valid};
        assert_int_equal(prediction_rows_add_mid(SYMBOL, &row, &text, NULL), ERR_OK);
        add(day, ROWS_MIDS, &text, mid->slot);
        day->mid_slot = mid->slot;
    }
}

static void add_features(struct day *day, int64_t slot, const struct state_read *state)
{
    char buffer[FEATURE_ROWS_ROW_MAX];
    struct text text = text_begin(buffer, sizeof(buffer));
    struct err err = {0};
    struct feature_vector vector = {.schema = state->schema,
                                    .epoch = state->vec_epoch,
                                    .seq = state->vec_seq,
                                    .as_of_us = state->as_of_us,
                                    .mid2 = 2 * state->mid.mantissa,
                                    .price_exponent = state->mid.exponent,
                                    .valid = true,
                                    .book_live = state->vec_live};
    memcpy(vector.values, state->values, sizeof(vector.values));
    struct feature_row row = {.symbol = SYMBOL,
                              .slot = slot,
                              .vector = &vector,
                              .volume_1s = -1,
                              .volume_5s = -1,
                              .quality = 1,
                              .completeness = 1};
    if (feature_rows_add(&row, &text, &err) != ERR_OK)
        fail_msg("%s", err.text);
    add(day, ROWS_FEATURES, &text, slot);
}

static void on_slot(void *context, int64_t slot, const struct state_read *state,
                    const struct prediction *prediction)
{
    struct side *side = context;
    struct day *day = side->day;
    if (prediction == NULL)
        return;
    add_prediction(day, side->which, slot, prediction);
    if (side->which != LIVE)
        return;
    add_mids(day, state);
    add_features(day, slot, state);
    day->slots++;
    day->waiting++;
}

/* --- the registry's round ---------------------------------------------------------------- */

static void load(struct day *day)
{
    for (int turn = 0; turn < PATIENCE; turn++) {
        int left = 0;
        pq_link_do_work(pq_store_link(day->store), loop_mono_us());
        for (int i = 0; i < ROWS; i++) {
            row_loader_do_work(&day->rows[i], loop_mono_us());
            left += row_loader_waiting(&day->rows[i]);
        }
        if (left == 0)
            return;
        loop_run_once(loop, 2000);
    }
    fail_msg("PostgreSQL does not take the rows");
}

static int on_record(void *context, const struct record *record, struct err *err)
{
    struct day *day = context;
    for (int i = 0; i < SIDES; i++)
        replay_slots_apply(day->sides[i].slots, record);
    /* Live it is asked every 5 s: after two slots and after three. */
    if (day->waiting < day->slots_a_round + day->rounds % 2)
        return ERR_OK;
    day->waiting = 0;
    day->rounds++;
    load(day);
    int rc = pq_judge_round(day->judge, &pg.sync, err);
    return rc == ERR_OK && day->until_rolled_back && day->judge->rolled_back > 0 ? ERR_EMPTY : rc;
}

static void open_rows(struct day *day)
{
    struct err err = {0};
    struct pq_link_options link = {
        .target = pg.target, .backoff_min_us = 1000, .backoff_max_us = 20000, .seed = 7};
    assert_int_equal(pq_store_open(&link, loop, &day->store, &err), ERR_OK);
    feature_rows_load(&day->sql);
    const struct store_load *const loads[ROWS] = {&prediction_rows_load, &prediction_rows_load,
                                                  &prediction_rows_mid_load, &day->sql.load};
    for (int i = 0; i < ROWS; i++) {
        struct row_loader_options options = {.port = pq_store_port(day->store),
                                             .load = loads[i],
                                             .batch_rows = 64,
                                             .retry_min_us = 1000,
                                             .retry_max_us = 20000,
                                             .seed = 3};
        assert_int_equal(row_loader_open(&day->rows[i], &options, &err), ERR_OK);
    }
}

static void open_day(struct day *day, const struct model *live, const struct model *shadow)
{
    struct err err = {0};
    const struct model *const models[SIDES] = {live, shadow};
    for (int i = 0; i < SIDES; i++) {
        day->sides[i].day = day;
        day->sides[i].which = i;
        struct replay_slots_options options = {
            .symbol = SYMBOL, .model = models[i], .slot = on_slot, .context = &day->sides[i]};
        assert_int_equal(replay_slots_open(&options, &day->sides[i].slots, &err), ERR_OK);
    }
    open_rows(day);
}

static void close_day(struct day *day)
{
    for (int i = 0; i < SIDES; i++)
        replay_slots_close(day->sides[i].slots);
    pq_store_close(day->store);
    for (int i = 0; i < ROWS; i++)
        row_loader_close(&day->rows[i]);
}

/* The market begins at the next full hour: a model serves from its promotion on. */
static int run(struct day *day, double hours, int64_t seed)
{
    struct err err = {0};
    struct sim_capture_result result;
    struct sim_options options = {.symbol = SYMBOL,
                                  .seed = seed,
                                  .price = 61837.63,
                                  .rate = 1.0,
                                  .diff_interval_ms = 20,
                                  .depth20 = true,
                                  .capture_hours = hours};
    options.capture_start_ms = (loop_wall_us() / HOUR_US + 1) * HOUR_US / CLOCK_US_PER_MS;
    int rc = sim_capture_records(&options, on_record, day, &result, &err);
    if (rc != ERR_OK && rc != ERR_EMPTY)
        fail_msg("%s", err.text);
    return rc;
}

static void tell(const struct day *day)
{
    char words[400], figures[1024];
    struct text text = text_begin(figures, sizeof(figures));
    pq_judge_words(day->judge, words, sizeof(words));
    model_judge_evidence(&day->judge->judge,
                         day->judge->has_reference ? &day->judge->reference : NULL, &text);
    print_message("%d slots, %d rounds: %s\n%s\n", day->slots, day->rounds, words, text_end(&text));
}

/* --- tests ------------------------------------------------------------------------------- */

static int start(void **state)
{
    (void)state;
    struct err err = {0};
    const char *text = getenv("BTCAST_LONG");
    is_long = text != NULL && strcmp(text, "1") == 0;
    pg_fixture_start(&pg);
    pg_fixture_migrate(&pg);
    assert_int_equal(loop_open(&loop, &err), ERR_OK);
    assert_int_equal(built_in_model(&built_in, &err), ERR_OK);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    loop_close(loop);
    pg_fixture_stop(&pg);
    return 0;
}

static void begin_judge(struct pq_judge *judge, struct pq_judge_options *options)
{
    pg_fixture_do(&pg, "ALTER TABLE model_deployment_log DISABLE TRIGGER USER; TRUNCATE "
                       "predictions_log, slot_mid, feature_store, model_deployment_log, "
                       "model_registry, ml_experiments; ALTER TABLE model_deployment_log ENABLE "
                       "TRIGGER USER");
    *options = (struct pq_judge_options){
        .name = FAMILY, .symbol = SYMBOL, .rules = model_rules_defaults, .promote = true};
    built_in_model_tell(&built_in, options);
    pq_judge_init(judge, options);
}

static void a_trained_model_is_not_rolled_back_over_a_day(void **state)
{
    (void)state;
    struct day day = {.slots_a_round = is_long ? 2 : 20};
    struct pq_judge_options options;
    struct model *model, *before;
    struct err err = {0};
    day.judge = malloc(sizeof(*day.judge));
    assert_non_null(day.judge);
    begin_judge(day.judge, &options);
    train(is_long ? 24 : 0);
    promote(&options, trained);
    assert_int_equal(inference_model_load(model_file, MLP_KERNEL_AUTO, &model, &err), ERR_OK);
    assert_int_equal(inference_model_load("", MLP_KERNEL_AUTO, &before, &err), ERR_OK);
    open_day(&day, model, before);
    double hours = is_long ? 24 : 0.4;
    assert_int_equal(run(&day, hours, 2002), ERR_OK);
    tell(&day);
    assert_int_equal(day.judge->rolled_back, 0);
    assert_string_equal(day.judge->production.version, trained);
    assert_string_equal(pq_judge_shadow(day.judge)->version, built_in.version);
    assert_true(day.judge->has_reference && day.judge->judge.psi.seen > 0);
    /* All slots were judged but the first and those too young. */
    assert_true((double)day.judge->judge.outcomes > hours * 1800 - 60);
    assert_string_equal(pg_fixture_ask(&pg, "SELECT count(*) FROM model_deployment_log WHERE "
                                            "deployment_type = 'rollback'"),
                        "0");
    close_day(&day);
    model_close(model);
    model_close(before);
    free(day.judge);
}

static void one_that_is_loudly_wrong_goes_within_300_slots(void **state)
{
    (void)state;
    struct day day = {.slots_a_round = 2, .until_rolled_back = true};
    struct pq_judge_options options;
    struct model *bad = loudly_wrong(), *before;
    struct err err = {0};
    char sha[MODEL_SHA256_SIZE];
    day.judge = malloc(sizeof(*day.judge));
    assert_non_null(day.judge);
    begin_judge(day.judge, &options);
    memset(sha, 'a', sizeof(sha) - 1);
    sha[sizeof(sha) - 1] = '\0';
    struct pq_registry_cause cause = {.actor = "test", .reason = "a test"};
    struct pq_registry_model row = {.name = FAMILY,
                                    .version = model_version(bad),
                                    .sha256 = sha,
                                    .artifact_path = "/bad.onnx",
                                    .feature_schema = feature_schema_hash(),
                                    .metrics_json = "{}"};
    assert_int_equal(pq_registry_add(&pg.sync, &row, &cause, &err), ERR_OK);
    assert_int_equal(
        pq_registry_move(&pg.sync, FAMILY, row.version, MODEL_MOVE_SHADOW, &cause, &err), ERR_OK);
    promote(&options, row.version);
    assert_int_equal(inference_model_load("", MLP_KERNEL_AUTO, &before, &err), ERR_OK);
    open_day(&day, bad, before);
    assert_int_equal(run(&day, 1, 2003), ERR_EMPTY);
    print_message("rolled back after %d slots: %s\n", day.slots, day.judge->last_move);
    assert_in_range(day.slots, 150, 300);
    assert_string_equal(day.judge->production.version, built_in.version);
    assert_string_equal(
        pg_fixture_ask(&pg, "SELECT concat_ws(' ', version, actor, reason, evidence->>'rival') "
                            "FROM model_deployment_log WHERE deployment_type = 'rollback' AND "
                            "to_stage = 'archived'"),
        "loudly-wrong registry bad accuracy microprice-baseline-1");
    close_day(&day);
    model_close(bad);
    model_close(before);
    free(day.judge);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_trained_model_is_not_rolled_back_over_a_day),
        cmocka_unit_test(one_that_is_loudly_wrong_goes_within_300_slots),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
