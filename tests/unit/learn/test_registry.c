/* Stages, and the rules that bring models in and take them out.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/prng.h"
#include "learn/registry/feature_psi.h"
#include "learn/registry/model_stage.h"
#include "learn/registry/model_rules.h"
#include "learn/registry/page_hinkley.h"

static void only_the_moves_of_the_table_are_possible(void **state)
{
    (void)state;
    int possible = 0;
    for (int from = 0; from < MODEL_STAGES; from++)
        for (int move = 0; move < MODEL_MOVES; move++)
            possible +=
                model_stage_after((enum model_stage)from, (enum model_move)move) != MODEL_NO_STAGE;
    assert_int_equal(possible, 7);
    assert_int_equal(model_stage_after(MODEL_STAGE_STAGING, MODEL_MOVE_SHADOW), MODEL_STAGE_SHADOW);
    assert_int_equal(model_stage_after(MODEL_STAGE_SHADOW, MODEL_MOVE_PROMOTE),
                     MODEL_STAGE_PRODUCTION);
    assert_int_equal(model_stage_after(MODEL_STAGE_STAGING, MODEL_MOVE_PROMOTE), MODEL_NO_STAGE);
    assert_int_equal(model_stage_after(MODEL_STAGE_PRODUCTION, MODEL_MOVE_ROLLBACK),
                     MODEL_STAGE_ARCHIVED);
    assert_int_equal(model_stage_after(MODEL_STAGE_PRODUCTION, MODEL_MOVE_REPLACE),
                     MODEL_STAGE_ARCHIVED);
    assert_int_equal(model_stage_after(MODEL_STAGE_ARCHIVED, MODEL_MOVE_RESTORE),
                     MODEL_STAGE_PRODUCTION);
    assert_int_equal(model_stage_after(MODEL_NO_STAGE, MODEL_MOVE_SHADOW), MODEL_NO_STAGE);
}

static void a_model_that_was_bad_never_comes_back(void **state)
{
    (void)state;
    assert_true(
        model_stage_may_restore(MODEL_STAGE_ARCHIVED, model_stage_reason(MODEL_MOVE_REPLACE)));
    assert_false(
        model_stage_may_restore(MODEL_STAGE_ARCHIVED, model_stage_reason(MODEL_MOVE_ROLLBACK)));
    assert_false(
        model_stage_may_restore(MODEL_STAGE_ARCHIVED, model_stage_reason(MODEL_MOVE_ARCHIVE)));
    assert_false(model_stage_may_restore(MODEL_STAGE_SHADOW, MODEL_REASON_REPLACED));
    for (int i = 0; i < MODEL_STAGES; i++)
        assert_int_equal(model_stage_parse(model_stage_name((enum model_stage)i)), i);
    assert_int_equal(model_stage_parse("live"), MODEL_NO_STAGE);
}

/* Slots until the verdict is no longer `keep`, at most so many. The market's moves overlap by
 * 10 s, as the real ones do; the serving model's error has `excess` times the noise. */
static int slots_until_rollback(uint64_t seed, double excess, int most)
{
    struct prng prng;
    struct model_duel duel = {0};
    double moves[5] = {0};
    prng_init(&prng, seed);
    for (int slot = 0; slot < most; slot++) {
        moves[slot % 5] = prng_normal(&prng);
        double came = moves[0] + moves[1] + moves[2] + moves[3] + moves[4];
        double good = 0.2 * came, bad = good + excess * prng_normal(&prng);
        model_duel_add(&duel, fabs(came - bad), fabs(came - good));
        struct model_rules_evidence evidence = {.duel = &duel, .latency_p99_us = 500};
        if (model_rules_rollback(&evidence, &model_rules_defaults) != MODEL_KEEP)
            return slot + 1;
    }
    return 0;
}

static void a_bad_model_is_rolled_back_within_300_slots(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 50; seed++)
        assert_in_range(slots_until_rollback(seed, 4, 300), 150, 300);
}

static void a_good_one_stays_for_24_hours(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        assert_int_equal(slots_until_rollback(seed, 0, 43200), 0);
        assert_int_equal(slots_until_rollback(seed, 0.5, 43200), 0);
    }
}

static void a_candidate_is_promoted_only_beyond_noise(void **state)
{
    (void)state;
    int lucky = 0;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct prng prng;
        struct model_duel same = {0}, better = {0};
        prng_init(&prng, seed);
        for (int slot = 0; slot < 1800; slot++) {
            double came = prng_normal(&prng);
            double a = fabs(came - 0.3 * prng_normal(&prng));
            double b = fabs(came - 0.3 * prng_normal(&prng));
            model_duel_add(&same, a, b);
            model_duel_add(&better, a, fabs(0.8 * came));
            if (slot == 898)
                assert_int_equal(model_rules_promote(&better, &model_rules_defaults),
                                 MODEL_TOO_EARLY);
        }
        assert_int_equal(model_rules_promote(&better, &model_rules_defaults), MODEL_BETTER);
        lucky += model_rules_promote(&same, &model_rules_defaults) == MODEL_BETTER;
    }
    /* Two standard errors: 2.3 % of equals look better. */
    assert_in_range(lucky, 0, 14);
}

static void latency_and_drift_have_their_own_causes(void **state)
{
    (void)state;
    struct model_rules_evidence evidence = {.latency_p99_us = 100001};
    assert_int_equal(model_rules_rollback(&evidence, &model_rules_defaults), MODEL_BAD_LATENCY);
    evidence = (struct model_rules_evidence){.worst_psi = 3};
    assert_int_equal(model_rules_rollback(&evidence, &model_rules_defaults), MODEL_KEEP);
    evidence.error_grows = true;
    assert_int_equal(model_rules_rollback(&evidence, &model_rules_defaults), MODEL_BAD_DRIFT);
    evidence.worst_psi = 0.1;
    assert_int_equal(model_rules_rollback(&evidence, &model_rules_defaults), MODEL_KEEP);
}

static void page_hinkley_sees_a_step_and_not_noise(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct prng prng;
        struct page_hinkley fold = {0};
        const struct page_hinkley_options *options = &model_rules_defaults.drift;
        prng_init(&prng, seed);
        for (int i = 0; i < 43200; i++)
            assert_false(page_hinkley_add(&fold, options, 3 * fabs(prng_normal(&prng))));
        assert_false(page_hinkley_add(&fold, options, NAN));
        int alarm = 0;
        for (int i = 1; i <= 600 && alarm == 0; i++)
            alarm = page_hinkley_add(&fold, options, 6 * fabs(prng_normal(&prng))) ? i : 0;
        assert_in_range(alarm, 20, 300);
    }
}

static void stability_is_zero_for_the_same_and_large_for_another(void **state)
{
    (void)state;
    static struct feature_psi_reference reference;
    static struct feature_psi same, moved;
    const uint64_t rows = 20000;
    struct err err = {0};
    struct prng prng;
    prng_init(&prng, 5);
    float *values = malloc(rows * FEATURE_COUNT * sizeof(*values));
    for (uint64_t i = 0; i < rows * FEATURE_COUNT; i++)
        /* Feature 3 is mostly zero, as in a quiet market. */
        values[i] =
            i % FEATURE_COUNT == 3 && prng_below(&prng, 10) < 7 ? 0 : (float)prng_normal(&prng);
    assert_int_equal(feature_psi_learn(values, 9, &reference, &err), ERR_INVALID);
    assert_int_equal(feature_psi_learn(values, rows, &reference, &err), ERR_OK);
    double index, total = 0;
    for (int i = 0; i < FEATURE_PSI_BINS; i++)
        total += reference.share[3][i];
    assert_true(fabs(total - 1) < 1e-9);
    feature_psi_worst(&same, &reference, &index);
    assert_true(index == 0); /* nothing seen */
    for (uint64_t row = 0; row < 5000; row++) {
        float *vector = values + row * FEATURE_COUNT;
        feature_psi_add(&same, &reference, vector, 0.9995);
        vector[7] += 0.8f;
        feature_psi_add(&moved, &reference, vector, 0.9995);
    }
    feature_psi_worst(&same, &reference, &index);
    assert_true(index < 0.05);
    assert_int_equal(feature_psi_worst(&moved, &reference, &index), 7);
    assert_true(index > FEATURE_PSI_LIMIT);
    assert_true(feature_psi_index(&moved, &reference, 3) < 0.05);
    free(values);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_moves_of_the_table_are_possible),
        cmocka_unit_test(a_model_that_was_bad_never_comes_back),
        cmocka_unit_test(a_bad_model_is_rolled_back_within_300_slots),
        cmocka_unit_test(a_good_one_stays_for_24_hours),
        cmocka_unit_test(a_candidate_is_promoted_only_beyond_noise),
        cmocka_unit_test(latency_and_drift_have_their_own_causes),
        cmocka_unit_test(page_hinkley_sees_a_step_and_not_noise),
        cmocka_unit_test(stability_is_zero_for_the_same_and_large_for_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
