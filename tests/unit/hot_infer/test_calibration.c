/* The online calibration fold. SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "base/prng.h"
#include "hot/infer/calibration.h"

#define MODEL 42

static struct calibration_pending predicted(int64_t slot, double return_bp)
{
    return (struct calibration_pending){.slot = slot,
                                        .mid = 60000,
                                        .return_bp = return_bp,
                                        .p10_bp = -5,
                                        .p90_bp = 5,
                                        .confidence = 0.5,
                                        .map = CALIBRATION_LIVE};
}

static struct calibration_outcome outcome(int64_t slot, double bp)
{
    return (struct calibration_outcome){.slot = slot, .mid = 60000 * exp(bp * 1e-4), .valid = true};
}

/* Runs n slots of a market in which a prediction of return r is right with probability
 * 0.5 + r / 4. */
static void run_market(struct calibration *calibration, uint64_t seed, int64_t slots)
{
    static double moves[100000];
    struct prng prng;
    prng_init(&prng, seed);
    for (int64_t slot = 1; slot <= slots; slot++) {
        struct calibration_outcome due = outcome(slot - 1, slot > 6 ? moves[slot - 6] : 0);
        calibration_fold(calibration, slot, &due, 1);
        double size = 0.02 + 1.2 * prng_f64(&prng);
        double predict = prng_below(&prng, 2) ? size : -size;
        struct calibration_pending pending = predicted(slot, predict);
        pending.confidence = calibration_confidence(calibration, CALIBRATION_LIVE, predict);
        pending.p10_bp = predict + calibration->p10_bp;
        pending.p90_bp = predict + calibration->p90_bp;
        calibration_add(calibration, &pending);
        bool right = prng_f64(&prng) < 0.5 + size / 4;
        double move = fabs(3.7 * prng_normal(&prng)) + 1e-3;
        moves[slot] = (predict > 0) == right ? move : -move;
    }
}

static void calibration_starts_from_the_prior(void **state)
{
    (void)state;
    struct calibration calibration;
    calibration_init(&calibration, MODEL, 4.7);
    assert_float_equal(calibration_confidence(&calibration, CALIBRATION_LIVE, 0.3), 0.488, 1e-12);
    assert_int_equal(calibration_seen(&calibration, CALIBRATION_LIVE, 0.3), 0);
    assert_float_equal(calibration_confidence(&calibration, CALIBRATION_LIVE, 0), 0, 0);
}

static void calibration_learns_the_hit_rate_of_each_size(void **state)
{
    (void)state;
    struct calibration calibration;
    calibration_init(&calibration, MODEL, 4.7);
    run_market(&calibration, 1, 60000);
    assert_true(calibration.accuracy.outcomes > 59000);
    double small = calibration_confidence(&calibration, CALIBRATION_LIVE, 0.05);
    double large = calibration_confidence(&calibration, CALIBRATION_LIVE, 1.15);
    assert_true(fabs(small - 0.51) < 0.03);
    assert_true(fabs(large - 0.78) < 0.03);
    assert_true(calibration_error(&calibration) < 0.02);
}

static void calibration_is_monotone_in_the_size_of_the_prediction(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct calibration calibration;
        calibration_init(&calibration, MODEL, 4.7);
        run_market(&calibration, seed, 300);
        double last = 0;
        for (double size = 0.01; size < 10; size *= 1.2) {
            double now = calibration_confidence(&calibration, CALIBRATION_LIVE, size);
            assert_true(now >= last);
            assert_true(now > 0 && now < 1);
            last = now;
        }
    }
}

static void calibration_band_covers_eight_of_ten(void **state)
{
    (void)state;
    struct calibration calibration;
    calibration_init(&calibration, MODEL, 8);
    run_market(&calibration, 3, 30000);
    double share = (double)calibration.accuracy.covered / (double)calibration.accuracy.outcomes;
    assert_true(fabs(share - 0.8) < 0.02);
}

static void calibration_folds_only_what_is_due(void **state)
{
    (void)state;
    struct calibration calibration;
    calibration_init(&calibration, MODEL, 4.7);
    struct calibration_pending pending = predicted(100, 0.5);
    calibration_add(&calibration, &pending);
    struct calibration_outcome up = outcome(105, 2);
    calibration_fold(&calibration, 105, &up, 1);
    assert_int_equal(calibration.accuracy.outcomes, 0);
    calibration_fold(&calibration, 106, &up, 1);
    assert_int_equal(calibration.accuracy.outcomes, 1);
    assert_int_equal(calibration.accuracy.hits, 1);
    assert_float_equal(calibration.accuracy.abs_error_bp_sum, 1.5, 1e-6);
    assert_float_equal(calibration.accuracy.abs_zero_bp_sum, 2, 1e-6);
}

static void calibration_drops_outcomes_that_are_missing_or_invalid(void **state)
{
    (void)state;
    struct calibration calibration;
    calibration_init(&calibration, MODEL, 4.7);
    struct calibration_pending first = predicted(100, 0.5);
    struct calibration_pending second = predicted(101, 0.5);
    calibration_add(&calibration, &first);
    calibration_add(&calibration, &second);
    struct calibration_outcome gap = outcome(105, 2);
    gap.valid = false;
    calibration_fold(&calibration, 107, &gap, 1);
    assert_int_equal(calibration.accuracy.outcomes, 0);
    assert_int_equal(calibration.accuracy.dropped, 2);
    assert_int_equal(calibration.pending_count, 0);
}

static void calibration_counts_an_unchanged_mid_as_wrong(void **state)
{
    (void)state;
    struct calibration calibration;
    calibration_init(&calibration, MODEL, 4.7);
    struct calibration_pending pending = predicted(100, 0.5);
    calibration_add(&calibration, &pending);
    struct calibration_outcome flat = outcome(105, 0);
    calibration_fold(&calibration, 106, &flat, 1);
    assert_int_equal(calibration.accuracy.hits, 0);
    assert_int_equal(calibration.accuracy.moved, 0);
    assert_int_equal(calibration.accuracy.outcomes, 1);
}

static void calibration_ignores_a_slot_it_has_already(void **state)
{
    (void)state;
    struct calibration calibration;
    calibration_init(&calibration, MODEL, 4.7);
    struct calibration_pending pending = predicted(100, 0.5);
    calibration_add(&calibration, &pending);
    calibration_add(&calibration, &pending);
    assert_int_equal(calibration.pending_count, 1);
    for (int64_t slot = 101; slot < 120; slot++) {
        pending = predicted(slot, 0.5);
        calibration_add(&calibration, &pending);
    }
    assert_int_equal(calibration.pending_count, CALIBRATION_PENDING_MAX);
    assert_int_equal(calibration.accuracy.dropped, 12);
}

static void calibration_keeps_stale_outcomes_apart(void **state)
{
    (void)state;
    struct calibration calibration;
    calibration_init(&calibration, MODEL, 4.7);
    for (int64_t slot = 1; slot < 200; slot++) {
        struct calibration_outcome down = outcome(slot - 1, -1);
        calibration_fold(&calibration, slot, &down, 1);
        struct calibration_pending pending = predicted(slot, 0.5);
        pending.map = CALIBRATION_STALE;
        calibration_add(&calibration, &pending);
    }
    assert_true(calibration_confidence(&calibration, CALIBRATION_STALE, 0.5) < 0.1);
    assert_float_equal(calibration_confidence(&calibration, CALIBRATION_LIVE, 0.5), 0.488, 1e-12);
    assert_int_equal(calibration.accuracy.outcomes, 0);
}

static void calibration_saved_and_loaded_goes_on_the_same(void **state)
{
    (void)state;
    struct calibration one;
    struct calibration two;
    calibration_init(&one, MODEL, 4.7);
    run_market(&one, 7, 500);
    uint8_t saved[CALIBRATION_SAVED_MAX];
    size_t size = calibration_save(&one, saved);
    assert_int_equal(calibration_load(&two, bytes_of(saved, size), NULL), ERR_OK);
    assert_memory_equal(&one, &two, sizeof(one));
}

static void calibration_refuses_every_flipped_byte(void **state)
{
    (void)state;
    struct calibration one;
    struct calibration two;
    calibration_init(&one, MODEL, 4.7);
    uint8_t saved[CALIBRATION_SAVED_MAX];
    size_t size = calibration_save(&one, saved);
    for (size_t i = 0; i < size; i++) {
        saved[i] ^= 0x40;
        assert_int_not_equal(calibration_load(&two, bytes_of(saved, size), NULL), ERR_OK);
        saved[i] ^= 0x40;
    }
    for (size_t cut = 0; cut < size; cut++)
        assert_int_not_equal(calibration_load(&two, bytes_of(saved, cut), NULL), ERR_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calibration_starts_from_the_prior),
        cmocka_unit_test(calibration_learns_the_hit_rate_of_each_size),
        cmocka_unit_test(calibration_is_monotone_in_the_size_of_the_prediction),
        cmocka_unit_test(calibration_band_covers_eight_of_ten),
        cmocka_unit_test(calibration_folds_only_what_is_due),
        cmocka_unit_test(calibration_drops_outcomes_that_are_missing_or_invalid),
        cmocka_unit_test(calibration_counts_an_unchanged_mid_as_wrong),
        cmocka_unit_test(calibration_ignores_a_slot_it_has_already),
        cmocka_unit_test(calibration_keeps_stale_outcomes_apart),
        cmocka_unit_test(calibration_saved_and_loaded_goes_on_the_same),
        cmocka_unit_test(calibration_refuses_every_flipped_byte),
    };
    return cmocka_run_group_tests_name("calibration", tests, NULL, NULL);
}
