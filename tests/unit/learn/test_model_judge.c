/* Judging two models on the same slots. SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/prng.h"
#include "learn/registry/model_judge.h"

#define DAY 43200

/* A market with a signal of which model A takes the share `a` and model B the share `b`. */
struct market {
    struct prng prng;
    double moves[5], signals[5];
    int slot;
};

static struct model_outcome market_next(struct market *market, double a, double b)
{
    int at = market->slot++ % 5;
    market->signals[at] = 0.4 * prng_normal(&market->prng);
    market->moves[at] = market->signals[at] + 1.6 * prng_normal(&market->prng);
    double came = 0, known = 0;
    for (int i = 0; i < 5; i++) {
        came += market->moves[i];
        known += market->signals[i];
    }
    return (struct model_outcome){.slot = market->slot,
                                  .loss_serving_bp = fabs(came - a * known),
                                  .loss_rival_bp = fabs(came - b * known),
                                  .latency_us = 300};
}

static struct model_judge *judge_new(void)
{
    struct model_judge *judge = malloc(sizeof(*judge));
    assert_non_null(judge);
    model_judge_begin(judge, &model_rules_defaults, 0);
    return judge;
}

/* Slots until the serving model is taken out, at most so many. */
static int slots_until_out(uint64_t seed, double serving, double rival, int most)
{
    struct market market = {0};
    struct model_judge *judge = judge_new();
    int slots = 0;
    prng_init(&market.prng, seed);
    while (slots < most && model_judge_serving(judge, true, NULL) == MODEL_KEEP) {
        struct model_outcome outcome = market_next(&market, serving, rival);
        model_judge_add(judge, &outcome);
        slots++;
    }
    free(judge);
    return slots;
}

static void a_loud_and_wrong_model_is_out_within_300_slots(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++)
        assert_in_range(slots_until_out(seed, -5, 1, 2000), 150, 300);
}

static void a_model_with_its_sign_flipped_is_out_within_a_day(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 3; seed++)
        assert_true(slots_until_out(seed, -1, 1, DAY) < DAY);
}

static void a_good_model_stays_for_a_day(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        assert_int_equal(slots_until_out(seed, 1, 0.6, DAY), DAY);
        assert_int_equal(slots_until_out(seed, 1, 0, DAY), DAY);
    }
}

static void a_model_that_turns_bad_after_a_day_is_seen_as_fast(void **state)
{
    (void)state;
    struct market market = {0};
    struct model_judge *judge = judge_new();
    prng_init(&market.prng, 3);
    for (int i = 0; i < DAY; i++) {
        struct model_outcome outcome = market_next(&market, 1, 0.5);
        model_judge_add(judge, &outcome);
    }
    assert_int_equal(model_judge_serving(judge, true, NULL), MODEL_KEEP);
    int slots = 0;
    for (; slots < 5000 && model_judge_serving(judge, true, NULL) == MODEL_KEEP; slots++) {
        struct model_outcome outcome = market_next(&market, -5, 0.5);
        model_judge_add(judge, &outcome);
    }
    assert_true(slots < 900);
    free(judge);
}

static void looking_often_promotes_an_equal_rival_seldom(void **state)
{
    (void)state;
    int promoted = 0;
    struct model_judge *judge = judge_new();
    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct market market = {0};
        model_judge_begin(judge, &model_rules_defaults, 0);
        prng_init(&market.prng, seed);
        /* Equal on average: each has a signal of its own, of the same strength. */
        while (market.slot < 3600 && model_judge_rival(judge) != MODEL_BETTER) {
            struct model_outcome outcome = market_next(&market, 0, 0);
            outcome.loss_serving_bp += 0.3 * prng_normal(&market.prng);
            model_judge_add(judge, &outcome);
        }
        promoted += model_judge_rival(judge) == MODEL_BETTER;
    }
    free(judge);
    assert_in_range(promoted, 0, 7); /* 5 % of 60, and chance */
}

static void a_better_rival_is_found_and_the_figures_say_so(void **state)
{
    (void)state;
    struct market market = {0};
    struct model_judge *judge = judge_new();
    char buffer[600];
    prng_init(&market.prng, 11);
    for (int i = 0; i < 899; i++) {
        struct model_outcome outcome = market_next(&market, 0, 1);
        model_judge_add(judge, &outcome);
    }
    assert_int_equal(model_judge_rival(judge), MODEL_TOO_EARLY);
    while (market.slot < DAY && model_judge_rival(judge) != MODEL_BETTER) {
        struct model_outcome outcome = market_next(&market, 0, 1);
        model_judge_add(judge, &outcome);
    }
    assert_int_equal(model_judge_rival(judge), MODEL_BETTER);
    assert_int_equal(model_judge_serving(judge, true, NULL), MODEL_BAD_ACCURACY);
    assert_int_equal(model_judge_serving(judge, false, NULL), MODEL_KEEP);
    assert_true(judge->low_bp > 0 && judge->mean_bp > judge->low_bp);
    struct text text = text_begin(buffer, sizeof(buffer));
    model_judge_evidence(judge, NULL, &text);
    assert_false(text.truncated);
    assert_non_null(strstr(text_end(&text), "\"gain_low_bp\":"));
    free(judge);
}

static void batches_and_repeats_change_nothing(void **state)
{
    (void)state;
    struct market market = {0};
    struct model_judge *once = judge_new(), *twice = judge_new();
    prng_init(&market.prng, 5);
    for (int i = 0; i < 4000; i++) {
        struct model_outcome outcome = market_next(&market, 0.2, 0.9);
        model_judge_add(once, &outcome);
        model_judge_add(twice, &outcome);
        model_judge_add(twice, &outcome);
    }
    assert_memory_equal(once, twice, sizeof(*once));
    free(once);
    free(twice);
}

static void a_slow_machine_is_no_fault_of_the_model(void **state)
{
    (void)state;
    struct market market = {0};
    struct model_judge *judge = judge_new();
    prng_init(&market.prng, 6);
    judge->usual_latency_us = 90000;
    for (int i = 0; i < 400; i++) {
        struct model_outcome outcome = market_next(&market, 1, 1);
        outcome.latency_us = 120000;
        model_judge_add(judge, &outcome);
    }
    assert_int_equal(model_judge_serving(judge, true, NULL), MODEL_KEEP);
    judge->usual_latency_us = 400;
    assert_int_equal(model_judge_serving(judge, true, NULL), MODEL_BAD_LATENCY);
    free(judge);
}

static void drift_needs_moved_features_and_a_grown_error(void **state)
{
    (void)state;
    static float rows[1000 * FEATURE_COUNT];
    static struct feature_psi_reference reference;
    struct market market = {0};
    struct model_judge *judge = judge_new();
    struct err err = {0};
    prng_init(&market.prng, 8);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        rows[i] = (float)prng_normal(&market.prng);
    assert_int_equal(feature_psi_learn(rows, 1000, &reference, &err), ERR_OK);
    for (int i = 0; i < 4000; i++) {
        struct model_outcome outcome = market_next(&market, 0.5, 0.5);
        if (i > 2000)
            outcome.loss_serving_bp = outcome.loss_rival_bp += 4;
        model_judge_add(judge, &outcome);
        model_judge_see(judge, &reference, rows + (i % 1000) * FEATURE_COUNT);
    }
    assert_true(judge->error_grows);
    assert_int_equal(model_judge_serving(judge, true, &reference), MODEL_KEEP);
    for (int i = 0; i < 8000; i++) {
        float moved[FEATURE_COUNT];
        for (int k = 0; k < FEATURE_COUNT; k++)
            moved[k] = 2 + (float)prng_normal(&market.prng);
        model_judge_see(judge, &reference, moved);
    }
    assert_int_equal(model_judge_serving(judge, true, &reference), MODEL_BAD_DRIFT);
    judge->loss_rival *= 1.01; /* the one before does worse under it */
    assert_int_equal(model_judge_serving(judge, true, &reference), MODEL_KEEP);
    free(judge);
}

static void many_outcomes_need_no_more_room(void **state)
{
    (void)state;
    static struct loss_blocks blocks;
    double mean, low;
    for (int i = 0; i < 3 * DAY; i++)
        loss_blocks_add(&blocks, i % 2 == 0 ? 3 : -1);
    assert_true(blocks.count < LOSS_BLOCKS_MAX && blocks.count >= LOSS_BLOCKS_MAX / 2);
    assert_true(loss_blocks_low(&blocks, 0.01, 1, &mean, &low));
    assert_true(fabs(mean - 1) < 1e-3 && low > 0.99);
    loss_blocks_add(&blocks, NAN);
    assert_true(isfinite(blocks.sum));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_loud_and_wrong_model_is_out_within_300_slots),
        cmocka_unit_test(a_model_with_its_sign_flipped_is_out_within_a_day),
        cmocka_unit_test(a_good_model_stays_for_a_day),
        cmocka_unit_test(a_model_that_turns_bad_after_a_day_is_seen_as_fast),
        cmocka_unit_test(looking_often_promotes_an_equal_rival_seldom),
        cmocka_unit_test(a_better_rival_is_found_and_the_figures_say_so),
        cmocka_unit_test(batches_and_repeats_change_nothing),
        cmocka_unit_test(a_slow_machine_is_no_fault_of_the_model),
        cmocka_unit_test(drift_needs_moved_features_and_a_grown_error),
        cmocka_unit_test(many_outcomes_need_no_more_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
