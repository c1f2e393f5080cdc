/* Models judged on their outcomes in a real PostgreSQL, a day at full speed: the bad one goes, the
 * good one stays, each move has its audit row. SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "edge/postgres/pq_judge.h"
#include "integration/pg_fixture.h"

#define DAY 43200

static struct pg_fixture pg;
static struct pq_judge *judge;
static const char sha[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

static struct pq_judge_options options_new(void)
{
    struct pq_judge_options options = {
        .name = "btcast", .symbol = "BTCUSDT", .rules = model_rules_defaults, .promote = true};
    options.built_in.version = "built-in";
    options.built_in.sha256 = sha;
    options.built_in.feature_schema = feature_schema_hash();
    return options;
}

static int start(void **state)
{
    (void)state;
    pg_fixture_start(&pg);
    pg_fixture_migrate(&pg);
    judge = malloc(sizeof(*judge));
    assert_non_null(judge);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    free(judge);
    pg_fixture_stop(&pg);
    return 0;
}

static int begin(void **state)
{
    (void)state;
    struct pq_judge_options options = options_new();
    pg_fixture_do(&pg, "ALTER TABLE model_deployment_log DISABLE TRIGGER USER; TRUNCATE "
                       "predictions_log, slot_mid, feature_store, model_deployment_log, "
                       "model_registry, ml_experiments; ALTER TABLE model_deployment_log ENABLE "
                       "TRIGGER USER; SELECT setseed(0.25)");
    pq_judge_init(judge, &options);
    return 0;
}

/* Of slots behind `after` (0: behind now): a 10 s return of which 4 % is known; each model takes a
 * share of what is known. Neighbours overlap as they do. Returns the last slot. */
static int64_t add_slots(int64_t after, int count, const char *live, double a, const char *shadow,
                         double b)
{
    char sql[3000];
    if (after == 0)
        after = strtoll(pg_fixture_ask(&pg, "SELECT floor(extract(epoch FROM now()) / 2)::bigint"),
                        NULL, 10);
    snprintf(
        sql, sizeof(sql),
        "SELECT make_month_partitions('predictions_log', to_timestamp(%lld::bigint * 2), "
        "to_timestamp(%lld::bigint * 2)); "
        "CREATE TEMP TABLE moves AS SELECT g AS slot, sqrt(-2 * ln(1 - random())) AS r, "
        "random() * 2 * pi() AS angle FROM generate_series(%lld::bigint, %lld::bigint) g; "
        "CREATE TEMP TABLE market AS SELECT slot, sum(r * cos(angle)) OVER w * 1.6 + "
        "sum(r * sin(angle)) OVER w * 0.33 AS came, sum(r * sin(angle)) OVER w * 0.33 AS known "
        "FROM moves WINDOW w AS (ORDER BY slot ROWS BETWEEN CURRENT ROW AND 4 FOLLOWING); "
        "INSERT INTO predictions_log (symbol, slot, role, model_version, prediction_ts, target_ts, "
        "inference_latency_ms, outcome_valid, absolute_error) SELECT 'BTCUSDT', slot, role, "
        "version, slot * 2000, slot * 2000 + 10000, 0.3, true, abs(came - share * known) * 1e-4 "
        "FROM market, (VALUES ('live', '%s', %f::float8), ('shadow', '%s', %f::float8)) "
        "AS v(role, version, share); "
        "INSERT INTO slot_mid SELECT 'BTCUSDT', slot + 15, 60000, true FROM market ON CONFLICT DO "
        "NOTHING; DROP TABLE moves, market",
        (long long)after, (long long)(after + count), (long long)(after + 1),
        (long long)(after + count), live, a, shadow, b);
    pg_fixture_do(&pg, sql);
    return after + count;
}

static void add_model(const char *version, const char *metrics)
{
    struct err err = {0};
    struct pq_registry_cause cause = {.actor = "test", .reason = "a test"};
    struct pq_registry_model model = {.name = "btcast",
                                      .version = version,
                                      .sha256 = sha,
                                      .artifact_path = "gold/model.onnx",
                                      .feature_schema = feature_schema_hash(),
                                      .metrics_json = metrics};
    assert_int_equal(pq_registry_add(&pg.sync, &model, &cause, &err), ERR_OK);
    assert_int_equal(pq_registry_move(&pg.sync, "btcast", version, MODEL_MOVE_SHADOW, &cause, &err),
                     ERR_OK);
}

/* As `btcast model promote --force` does. */
static void promote(const char *version)
{
    struct err err = {0};
    struct pq_judge_options options = options_new();
    struct pq_registry_cause cause = {.actor = "operator", .reason = "by hand"};
    assert_int_equal(pq_judge_found(&pg.sync, &options, &cause, &err), ERR_OK);
    assert_int_equal(
        pq_registry_move(&pg.sync, "btcast", version, MODEL_MOVE_PROMOTE, &cause, &err), ERR_OK);
}

static void round_of(struct pq_judge *one)
{
    struct err err = {0};
    if (pq_judge_round(one, &pg.sync, &err) != ERR_OK)
        fail_msg("%s", err.text);
}

static void a_bad_model_promoted_by_hand_is_rolled_back_within_300_slots(void **state)
{
    (void)state;
    add_model("bad", "{}");
    promote("bad");
    round_of(judge);
    assert_string_equal(judge->production.version, "bad");
    assert_string_equal(pq_judge_shadow(judge)->version, "built-in");
    assert_string_equal(pq_judge_shadow(judge)->path, PQ_JUDGE_BUILT_IN);
    int64_t slot = 0;
    int slots = 0;
    for (; slots < 1000 && judge->rolled_back == 0; slots += 10) {
        slot = add_slots(slot, 10, "bad", -8, "built-in", 1);
        round_of(judge);
    }
    assert_in_range(slots, 150, 300);
    assert_string_equal(judge->production.version, "built-in");
    assert_null(pq_judge_shadow(judge));
    assert_string_equal(pg_fixture_ask(&pg, "SELECT stage || '/' || stage_reason FROM "
                                            "model_registry WHERE version = 'bad'"),
                        "archived/rolled back");
    assert_string_equal(
        pg_fixture_ask(&pg, "SELECT actor || ': ' || reason || ', ' || (evidence #>> "
                            "'{figures,outcomes}')::int / 100 || ' ' || (evidence->>'rival') FROM "
                            "model_deployment_log WHERE version = 'bad' AND deployment_type = "
                            "'rollback'") +
            0,
        slots < 210 ? "registry: bad accuracy, 1 built-in" : "registry: bad accuracy, 2 built-in");
}

static void a_good_model_is_not_rolled_back_over_a_day(void **state)
{
    (void)state;
    add_model("good", "{}");
    promote("good");
    round_of(judge);
    int64_t slot = 0;
    for (int hour = 0; hour < 24; hour++) {
        slot = add_slots(slot, DAY / 24, "good", 1, "built-in", 0.5);
        round_of(judge);
        assert_int_equal(judge->rolled_back, 0);
    }
    assert_true(judge->judge.outcomes > DAY - 20 && judge->probation_over);
    assert_string_equal(judge->production.version, "good");
    /* The model before has shadowed long enough: a candidate takes its place. */
    assert_int_equal(judge->rival, PQ_JUDGE_PREVIOUS);
    add_model("next", "{}");
    round_of(judge);
    assert_int_equal(judge->rival, PQ_JUDGE_CANDIDATE);
    assert_int_equal(judge->judge.outcomes, 0);
}

static void a_better_candidate_is_promoted_and_leaves_a_way_back(void **state)
{
    (void)state;
    add_model("better", "{}");
    int64_t slot = add_slots(0, 800, "built-in", 0, "better", 1);
    round_of(judge);
    assert_string_equal(judge->serving, "built-in");
    assert_int_equal(model_judge_rival(&judge->judge), MODEL_TOO_EARLY);
    for (int i = 0; i < 24 && judge->promoted == 0; i++) {
        slot = add_slots(slot, 1800, "built-in", 0, "better", 1);
        round_of(judge);
    }
    assert_int_equal(judge->promoted, 1);
    assert_string_equal(judge->production.version, "better");
    assert_string_equal(pq_judge_shadow(judge)->version, "built-in");
    assert_string_equal(pg_fixture_ask(&pg, "SELECT previous_version || ', ' || reason FROM "
                                            "model_deployment_log WHERE version = 'better' AND "
                                            "deployment_type = 'promote'"),
                        "built-in, better beyond noise");
}

static void a_candidate_whose_report_refuses_is_never_promoted(void **state)
{
    (void)state;
    char words[400];
    add_model("short", "{\"refuse_promotion\": true, \"refusal\": \"Indicative only.\"}");
    add_slots(0, 8000, "built-in", 0, "short", 1);
    round_of(judge);
    assert_int_equal(model_judge_rival(&judge->judge), MODEL_BETTER);
    assert_int_equal(judge->promoted, 0);
    assert_false(judge->production.there);
    pq_judge_words(judge, words, sizeof(words));
    assert_non_null(strstr(words, "refuses promotion"));
}

static void a_restart_in_between_judges_the_same(void **state)
{
    (void)state;
    char left[600], right[600];
    struct pq_judge_options options = options_new();
    struct pq_judge *other = malloc(sizeof(*other));
    assert_non_null(other);
    add_model("good", "{}");
    promote("good");
    round_of(judge);
    int64_t slot = add_slots(0, 1000, "good", 1, "built-in", 0.9);
    round_of(judge);
    slot = add_slots(slot, 1000, "good", 1, "built-in", 0.9);
    round_of(judge);
    pq_judge_init(other, &options);
    round_of(other);
    struct text text = text_begin(left, sizeof(left));
    model_judge_evidence(&judge->judge, NULL, &text);
    text_end(&text);
    text = text_begin(right, sizeof(right));
    model_judge_evidence(&other->judge, NULL, &text);
    text_end(&text);
    assert_string_equal(left, right);
    assert_true(judge->judge.outcomes >= 1990);
    free(other);
    (void)slot;
}

static void who_was_judged_and_moved_since_is_left_alone(void **state)
{
    (void)state;
    struct err err = {0};
    char restored[64];
    struct pq_registry_cause cause = {.actor = "registry", .reason = "late", .serving = "first"};
    add_model("first", "{}");
    promote("first");
    add_model("second", "{}");
    promote("second");
    assert_int_equal(
        pq_registry_rollback(&pg.sync, "btcast", &cause, restored, sizeof(restored), &err),
        ERR_BAD_STATE);
    assert_string_equal(
        pg_fixture_ask(&pg, "SELECT version FROM model_registry WHERE stage = 'production'"),
        "second");
    assert_string_equal(pg_fixture_ask(&pg, "SELECT count(*) FROM model_deployment_log WHERE "
                                            "reason = 'late'"),
                        "0");
}

/* The reference travels through the registry's row, the vectors through the feature store. */
static void drift_of_the_features_is_read_from_the_store(void **state)
{
    (void)state;
    char sql[12000];
    struct text text = text_begin(sql, sizeof(sql));
    add_model("good", "{}");
    text_add(&text, "UPDATE model_registry SET performance_metrics = '{\"psi\":[");
    for (int i = 0; i < FEATURE_COUNT; i++)
        for (int k = 1; k < FEATURE_PSI_BINS; k++)
            text_add_format(&text, "%s%d", i + k > 1 ? "," : "", k);
    for (int i = 0; i < FEATURE_COUNT * FEATURE_PSI_BINS; i++)
        text_add(&text, ",0.1");
    text_add(&text, "]}' WHERE version = 'good'");
    assert_false(text.truncated);
    pg_fixture_do(&pg, text_end(&text));
    promote("good");
    round_of(judge);
    assert_true(judge->has_reference);
    int64_t slot = add_slots(0, 1000, "good", 1, "built-in", 1);
    snprintf(sql, sizeof(sql),
             "INSERT INTO feature_schema (schema_hash, version, names) VALUES ('%016llx', 1, "
             "'{}') ON CONFLICT DO NOTHING; "
             "SELECT make_month_partitions('feature_store', to_timestamp(%lld::bigint * 2), "
             "to_timestamp(%lld::bigint * 2)); "
             "INSERT INTO feature_store (\"timestamp\", symbol, slot, price, data_quality_score, "
             "feature_completeness, schema_hash, features, ingest_epoch, seq, as_of_us) SELECT "
             "to_timestamp(g * 2), 'BTCUSDT', g, 1, 1, 1, '%016llx', array_fill((g %% 5 + "
             "0.5)::real, ARRAY[%d]), 1, g, 0 FROM generate_series(%lld::bigint, %lld::bigint) g",
             (unsigned long long)feature_schema_hash(), (long long)slot, (long long)slot,
             (unsigned long long)feature_schema_hash(), FEATURE_COUNT, (long long)(slot - 999),
             (long long)slot);
    pg_fixture_do(&pg, sql);
    round_of(judge);
    double index;
    assert_true(judge->judge.psi.seen > 900);
    (void)feature_psi_worst(&judge->judge.psi, &judge->reference, &index);
    assert_true(index > FEATURE_PSI_LIMIT);  /* half the deciles are empty */
    assert_int_equal(judge->rolled_back, 0); /* the error has not grown */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_bad_model_promoted_by_hand_is_rolled_back_within_300_slots, begin),
        cmocka_unit_test_setup(a_good_model_is_not_rolled_back_over_a_day, begin),
        cmocka_unit_test_setup(a_better_candidate_is_promoted_and_leaves_a_way_back, begin),
        cmocka_unit_test_setup(a_candidate_whose_report_refuses_is_never_promoted, begin),
        cmocka_unit_test_setup(a_restart_in_between_judges_the_same, begin),
        cmocka_unit_test_setup(who_was_judged_and_moved_since_is_left_alone, begin),
        cmocka_unit_test_setup(drift_of_the_features_is_read_from_the_store, begin),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
