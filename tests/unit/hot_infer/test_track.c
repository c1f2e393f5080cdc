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
                                  .return_bp = return_bp,
                                  .p10_bp = -5,
                                  .p90_bp = 5,
                                  .confidence = 0.5,
                                  .map = TRACK_LIVE};
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
        pending.confidence = track_confidence(track, TRACK_LIVE, predict);
        pending.p10_bp = predict + track->p10_bp;
        pending.p90_bp = predict + track->p90_bp;
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
    track_init(&track, MODEL, -4.7, 4.7);
    assert_float_equal(track_confidence(&track, TRACK_LIVE, 0.3), 0.488, 1e-12);
    assert_int_equal(track_seen(&track, TRACK_LIVE, 0.3), 0);
    assert_float_equal(track_confidence(&track, TRACK_LIVE, 0), 0, 0);
}

static void track_learns_the_hit_rate_of_each_size(void **state)
{
    (void)state;
    struct track track;
    track_init(&track, MODEL, -4.7, 4.7);
    run_market(&track, 1, 60000);
    assert_true(track.accuracy.outcomes > 59000);
    double small = track_confidence(&track, TRACK_LIVE, 0.05);
    double large = track_confidence(&track, TRACK_LIVE, 1.15);
    assert_true(fabs(small - 0.51) < 0.03);
    assert_true(fabs(large - 0.78) < 0.03);
    assert_true(track_error(&track) < 0.02);
}

static void track_is_monotone_in_the_size_of_the_prediction(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct track track;
        track_init(&track, MODEL, -4.7, 4.7);
        run_market(&track, seed, 300);
        double last = 0;
        for (double size = 0.01; size < 10; size *= 1.2) {
            double now = track_confidence(&track, TRACK_LIVE, size);
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
    track_init(&track, MODEL, -8, 8);
    run_market(&track, 3, 30000);
    double share = (double)track.accuracy.covered / (double)track.accuracy.outcomes;
    assert_true(fabs(share - 0.8) < 0.02);
}

static void track_folds_only_what_is_due(void **state)
{
    (void)state;
    struct track track;
    track_init(&track, MODEL, -4.7, 4.7);
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
    track_init(&track, MODEL, -4.7, 4.7);
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
    track_init(&track, MODEL, -4.7, 4.7);
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
    track_init(&track, MODEL, -4.7, 4.7);
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
    track_init(&track, MODEL, -4.7, 4.7);
    for (int64_t slot = 1; slot < 200; slot++) {
        struct track_outcome down = outcome(slot - 1, -1);
        track_fold(&track, slot, &down, 1);
        struct track_pending pending = predicted(slot, 0.5);
        pending.map = TRACK_STALE;
        track_add(&track, &pending);
    }
    assert_true(track_confidence(&track, TRACK_STALE, 0.5) < 0.1);
    assert_float_equal(track_confidence(&track, TRACK_LIVE, 0.5), 0.488, 1e-12);
    assert_int_equal(track.accuracy.outcomes, 0);
}

static void track_saved_and_loaded_goes_on_the_same(void **state)
{
    (void)state;
    struct track one;
    struct track two;
    track_init(&one, MODEL, -4.7, 4.7);
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
    track_init(&one, MODEL, -4.7, 4.7);
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
        cmocka_unit_test(track_saved_and_loaded_goes_on_the_same),
        cmocka_unit_test(track_refuses_every_flipped_byte),
    };
    return cmocka_run_group_tests_name("track", tests, NULL, NULL);
}
