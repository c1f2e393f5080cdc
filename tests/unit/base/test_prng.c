/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "base/prng.h"

/* xoshiro256** seeded with splitmix64(0), as its other implementations give it. */
static void prng_gives_the_published_sequence(void **state)
{
    (void)state;
    static const uint64_t wanted[] = {0x99ec5f36cb75f2b4, 0xbf6e1f784956452a, 0x1a5f849d4933e6e0,
                                      0x6aa594f1262d2d2c};
    struct prng prng;
    prng_init(&prng, 0);
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
        assert_true(prng_u64(&prng) == wanted[i]);
}

static void prng_same_seed_same_numbers_other_seed_others(void **state)
{
    (void)state;
    struct prng a;
    struct prng b;
    struct prng c;
    prng_init(&a, 7);
    prng_init(&b, 7);
    prng_init(&c, 8);
    int same = 0;
    for (int i = 0; i < 100; i++) {
        uint64_t value = prng_u64(&a);
        assert_true(value == prng_u64(&b));
        same += value == prng_u64(&c);
    }
    assert_int_equal(same, 0);
}

static void prng_below_is_uniform(void **state)
{
    (void)state;
    struct prng prng;
    int counts[6] = {0};
    prng_init(&prng, 9);
    for (int i = 0; i < 60000; i++)
        counts[prng_below(&prng, 6)]++;
    for (int i = 0; i < 6; i++)
        assert_true(counts[i] > 9600 && counts[i] < 10400);
    for (int i = 0; i < 100; i++)
        assert_int_equal(prng_below(&prng, 1), 0);
}

static void prng_f64_lies_in_its_half_open_range(void **state)
{
    (void)state;
    struct prng prng;
    double sum = 0;
    prng_init(&prng, 10);
    for (int i = 0; i < 100000; i++) {
        double value = prng_f64(&prng);
        assert_true(value >= 0 && value < 1);
        sum += value;
    }
    assert_true(fabs(sum / 100000 - 0.5) < 0.005);
}

static void prng_normal_and_exponential_have_their_moments(void **state)
{
    (void)state;
    struct prng prng;
    double sum = 0;
    double squares = 0;
    double exponential = 0;
    const int count = 200000;
    prng_init(&prng, 11);
    for (int i = 0; i < count; i++) {
        double value = prng_normal(&prng);
        sum += value;
        squares += value * value;
        double wait = prng_exponential(&prng);
        assert_true(wait >= 0 && isfinite(wait) && isfinite(value));
        exponential += wait;
    }
    assert_true(fabs(sum / count) < 0.01);
    assert_true(fabs(squares / count - 1) < 0.02);
    assert_true(fabs(exponential / count - 1) < 0.02);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prng_gives_the_published_sequence),
        cmocka_unit_test(prng_same_seed_same_numbers_other_seed_others),
        cmocka_unit_test(prng_below_is_uniform),
        cmocka_unit_test(prng_f64_lies_in_its_half_open_range),
        cmocka_unit_test(prng_normal_and_exponential_have_their_moments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
