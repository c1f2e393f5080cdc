/* The track record. SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "base/prng.h"
#include "hot/infer/track.h"

#define MODEL 42

static struct track_pending predicted(int64_t slot, double return_bp)
{
    return (struct track_pending){.slot = slot,
                                  .mid = 60000,
                                  .forecast = {.return_bp = return_bp, .scale_bp = 1},
                                  .p10_bp = -5,
                                  .p90_bp = 5,
                                  .confidence = 0.5,
                                  .map = TRACK_LIVE};
}

static void start(struct track *track, double band_bp)
{
    struct track_start start = {.p10 = -band_bp, .p90 = band_bp};
    track_init(track, MODEL, &start);
}

static double confidence(const struct track *track, enum track_map map, double return_bp)
{
    struct track_forecast forecast = {.return_bp = return_bp, .scale_bp = 1};
    return track_confidence(track, map, &forecast);
}

static struct track_outcome outcome(int64_t slot, double bp)
{
    return (struct track_outcome){.slot = slot, .mid = 60000 * exp(bp * 1e-4), .valid = true};
}

/* Runs n slots of a market in which a prediction of return r is right with probability
 * 0.5 + r / 4. */
static void run_market(struct track *track, uint64_t seed, int64_t slots)
{
    static double moves[100000];
    struct prng prng;
    prng_init(&prng, seed);
    for (int64_t slot = 1; slot <= slots; slot++) {
        struct track_outcome due = outcome(slot - 1, slot > 6 ? moves[slot - 6] : 0);
        track_fold(track, slot, &due, 1);
        double size = 0.02 + 1.2 * prng_f64(&prng);
        double predict = prng_below(&prng, 2) ? size : -size;
        struct track_pending pending = predicted(slot, predict);
        pending.confidence = confidence(track, TRACK_LIVE, predict);
        track_band(track, &pending.forecast, &pending.p10_bp, &pending.p90_bp);
        track_add(track, &pending);
        bool right = prng_f64(&prng) < 0.5 + size / 4;
        double move = fabs(3.7 * prng_normal(&prng)) + 1e-3;
        moves[slot] = (predict > 0) == right ? move : -move;
    }
}

static void track_starts_from_the_prior(void **state)
{
    (void)state;
    struct track track;
    start(&track, 4.7);
    assert_float_equal(confidence(&track, TRACK_LIVE, 0.3), 0.488, 1e-12);
    struct track_forecast forecast = {.return_bp = 0.3, .scale_bp = 1};
    assert_int_equal(track_seen(&track, TRACK_LIVE, &forecast), 0);
    assert_float_equal(confidence(&track, TRACK_LIVE, 0), 0, 0);
}

static void track_learns_the_hit_rate_of_each_size(void **state)
{
    (void)state;
    struct track track;
    start(&track, 4.7);
    run_market(&track, 1, 60000);
    assert_true(track.accuracy.outcomes > 59000);
    double small = confidence(&track, TRACK_LIVE, 0.05);
    double large = confidence(&track, TRACK_LIVE, 1.15);
    assert_true(fabs(small - 0.51) < 0.03);
    assert_true(fabs(large - 0.78) < 0.03);
    assert_true(track_error(&track) < 0.02);
}

static void track_is_monotone_in_the_size_of_the_prediction(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct track track;
        start(&track, 4.7);
        run_market(&track, seed, 300);
        double last = 0;
        for (double size = 0.01; size < 10; size *= 1.2) {
            double now = confidence(&track, TRACK_LIVE, size);
            assert_true(now >= last);
            assert_true(now > 0 && now < 1);
            last = now;
        }
    }
}

static void track_band_covers_eight_of_ten(void **state)
{
    (void)state;
    struct track track;
    start(&track, 8);
    run_market(&track, 3, 30000);
    double share = (double)track.accuracy.covered / (double)track.accuracy.outcomes;
    assert_true(fabs(share - 0.8) < 0.02);
}

static void track_folds_only_what_is_due(void **state)
{
    (void)state;
    struct track track;
    start(&track, 4.7);
    struct track_pending pending = predicted(100, 0.5);
    track_add(&track, &pending);
    struct track_outcome up = outcome(105, 2);
    track_fold(&track, 105, &up, 1);
    assert_int_equal(track.accuracy.outcomes, 0);
    track_fold(&track, 106, &up, 1);
    assert_int_equal(track.accuracy.outcomes, 1);
    assert_int_equal(track.accuracy.hits, 1);
    assert_float_equal(track.accuracy.abs_error_bp_sum, 1.5, 1e-6);
    assert_float_equal(track.accuracy.abs_zero_bp_sum, 2, 1e-6);
}

static void track_drops_outcomes_that_are_missing_or_invalid(void **state)
{
    (void)state;
    struct track track;
    start(&track, 4.7);
    struct track_pending first = predicted(100, 0.5);
    struct track_pending second = predicted(101, 0.5);
    track_add(&track, &first);
    track_add(&track, &second);
    struct track_outcome gap = outcome(105, 2);
    gap.valid = false;
    track_fold(&track, 107, &gap, 1);
    assert_int_equal(track.accuracy.outcomes, 0);
    assert_int_equal(track.accuracy.dropped, 2);
    assert_int_equal(track.pending_count, 0);
}

static void track_counts_an_unchanged_mid_as_wrong(void **state)
{
    (void)state;
    struct track track;
    start(&track, 4.7);
    struct track_pending pending = predicted(100, 0.5);
    track_add(&track, &pending);
    struct track_outcome flat = outcome(105, 0);
    track_fold(&track, 106, &flat, 1);
    assert_int_equal(track.accuracy.hits, 0);
    assert_int_equal(track.accuracy.moved, 0);
    assert_int_equal(track.accuracy.outcomes, 1);
}

static void track_ignores_a_slot_it_has_already(void **state)
{
    (void)state;
    struct track track;
    start(&track, 4.7);
    struct track_pending pending = predicted(100, 0.5);
    track_add(&track, &pending);
    track_add(&track, &pending);
    assert_int_equal(track.pending_count, 1);
    for (int64_t slot = 101; slot < 120; slot++) {
        pending = predicted(slot, 0.5);
        track_add(&track, &pending);
    }
    assert_int_equal(track.pending_count, TRACK_PENDING_MAX);
    assert_int_equal(track.accuracy.dropped, 12);
}

static void track_keeps_stale_outcomes_apart(void **state)
{
    (void)state;
    struct track track;
    start(&track, 4.7);
    for (int64_t slot = 1; slot < 200; slot++) {
        struct track_outcome down = outcome(slot - 1, -1);
        track_fold(&track, slot, &down, 1);
        struct track_pending pending = predicted(slot, 0.5);
        pending.map = TRACK_STALE;
        track_add(&track, &pending);
    }
    assert_true(confidence(&track, TRACK_STALE, 0.5) < 0.1);
    assert_float_equal(confidence(&track, TRACK_LIVE, 0.5), 0.488, 1e-12);
    assert_int_equal(track.accuracy.outcomes, 0);
}

static void start_calibrated(struct track *track)
{
    struct track_start start = {
        .is_calibrated = true, .has_scale = true, .p10 = -1.28, .p90 = 1.28};
    track_init(track, MODEL, &start);
}

/* n slots of a calibrated model with a scale; the market is right with probability
 * told + shift, its moves have truth times the told scale. */
static void run_calibrated(struct track *track, uint64_t seed, int64_t slots, double shift,
                           double truth)
{
    static double moves[100000];
    struct prng prng;
    prng_init(&prng, seed);
    for (int64_t slot = 1; slot <= slots; slot++) {
        struct track_outcome due = outcome(slot - 1, slot > 6 ? moves[slot - 6] : 0);
        track_fold(track, slot, &due, 1);
        struct track_pending pending = predicted(slot, prng_below(&prng, 2) ? 0.1 : -0.1);
        pending.forecast.probability = 0.45 + 0.25 * prng_f64(&prng);
        pending.forecast.scale_bp = prng_below(&prng, 2) ? 2.0 : 8.0;
        pending.confidence = track_confidence(track, TRACK_LIVE, &pending.forecast);
        track_band(track, &pending.forecast, &pending.p10_bp, &pending.p90_bp);
        track_add(track, &pending);
        bool right = prng_f64(&prng) < pending.forecast.probability + shift;
        double size = fabs(truth * pending.forecast.scale_bp * prng_normal(&prng)) + 1e-3;
        moves[slot] = (pending.forecast.return_bp > 0) == right ? size : -size;
    }
}

static double calibrated(const struct track *track, double probability)
{
    struct track_forecast forecast = {.return_bp = 0.1, .scale_bp = 1, .probability = probability};
    return track_confidence(track, TRACK_LIVE, &forecast);
}

static void track_of_a_calibrated_model_starts_where_training_ended(void **state)
{
    (void)state;
    struct track track;
    start_calibrated(&track);
    for (double p = 0.30; p < 0.95; p += 0.0137)
        assert_true(fabs(calibrated(&track, p) - p) < 1e-12);
    struct track_forecast forecast = {.return_bp = 0.5, .scale_bp = 4};
    double p10_bp, p90_bp;
    track_band(&track, &forecast, &p10_bp, &p90_bp);
    assert_true(fabs(p10_bp - (0.5 - 1.28 * 4)) < 1e-12);
    assert_true(fabs(p90_bp - (0.5 + 1.28 * 4)) < 1e-12);
    run_calibrated(&track, 5, 20000, 0.0, 1.0);
    assert_true(track_error(&track) < 0.015);
}

static void track_corrects_a_calibration_that_the_market_left(void **state)
{
    (void)state;
    struct track track;
    start_calibrated(&track);
    run_calibrated(&track, 6, 20000, -0.06, 1.0);
    assert_true(fabs(calibrated(&track, 0.60) - 0.54) < 0.02);
    double last = 0;
    for (double p = 0.3; p < 0.95; p += 0.001) {
        assert_true(calibrated(&track, p) >= last);
        last = calibrated(&track, p);
    }
}

static void track_band_covers_when_the_scale_is_wrong_and_follows_it(void **state)
{
    (void)state;
    struct track track;
    start_calibrated(&track);
    run_calibrated(&track, 7, 2000, 0.0, 2.0);
    track.accuracy = (struct track_accuracy){0};
    run_calibrated(&track, 8, 2000, 0.0, 2.0); /* the same slots once more are no news */
    assert_int_equal(track.accuracy.outcomes, 0);
    start_calibrated(&track);
    run_calibrated(&track, 9, 40000, 0.0, 2.0);
    double share = (double)track.accuracy.covered / (double)track.accuracy.outcomes;
    assert_true(fabs(share - 0.8) < 0.02);
    assert_true(fabs(track.scale_bp - 5.0) < 1.0);
}

static void track_saved_and_loaded_goes_on_the_same(void **state)
{
    (void)state;
    struct track one;
    struct track two;
    start(&one, 4.7);
    run_market(&one, 7, 500);
    uint8_t saved[TRACK_SAVED_MAX];
    size_t size = track_save(&one, saved);
    assert_int_equal(track_load(&two, bytes_of(saved, size), NULL), ERR_OK);
    assert_memory_equal(&one, &two, sizeof(one));
}

static void track_refuses_every_flipped_byte(void **state)
{
    (void)state;
    struct track one;
    struct track two;
    start(&one, 4.7);
    uint8_t saved[TRACK_SAVED_MAX];
    size_t size = track_save(&one, saved);
    for (size_t i = 0; i < size; i++) {
        saved[i] ^= 0x40;
        assert_int_not_equal(track_load(&two, bytes_of(saved, size), NULL), ERR_OK);
        saved[i] ^= 0x40;
    }
    for (size_t cut = 0; cut < size; cut++)
        assert_int_not_equal(track_load(&two, bytes_of(saved, cut), NULL), ERR_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(track_starts_from_the_prior),
        cmocka_unit_test(track_learns_the_hit_rate_of_each_size),
        cmocka_unit_test(track_is_monotone_in_the_size_of_the_prediction),
        cmocka_unit_test(track_band_covers_eight_of_ten),
        cmocka_unit_test(track_folds_only_what_is_due),
        cmocka_unit_test(track_drops_outcomes_that_are_missing_or_invalid),
        cmocka_unit_test(track_counts_an_unchanged_mid_as_wrong),
        cmocka_unit_test(track_ignores_a_slot_it_has_already),
        cmocka_unit_test(track_keeps_stale_outcomes_apart),
        cmocka_unit_test(track_of_a_calibrated_model_starts_where_training_ended),
        cmocka_unit_test(track_corrects_a_calibration_that_the_market_left),
        cmocka_unit_test(track_band_covers_when_the_scale_is_wrong_and_follows_it),
        cmocka_unit_test(track_saved_and_loaded_goes_on_the_same),
        cmocka_unit_test(track_refuses_every_flipped_byte),
    };
    return cmocka_run_group_tests_name("track", tests, NULL, NULL);
}
