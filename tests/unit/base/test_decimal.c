/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/decimal.h"
#include "base/prng.h"
#include "base/text.h"

static void decimal_parses_what_it_can_hold_exactly(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int exponent;
        int rv;
        int64_t mantissa;
    } cases[] = {
        {"83596.01000000", -8, ERR_OK, 8359601000000},
        {"83596.01", -2, ERR_OK, 8359601},
        {"83596.010", -2, ERR_OK, 8359601},
        {"83596.011", -2, ERR_OVERFLOW, 0},
        {"-0.5", -1, ERR_OK, -5},
        {"0", -8, ERR_OK, 0},
        {"00012.0", 0, ERR_OK, 12},
        {"1200", 2, ERR_OK, 12},
        {"1250", 2, ERR_OVERFLOW, 0},
        {"9223372036854775807", 0, ERR_OK, INT64_MAX},
        {"9223372036854775808", 0, ERR_OVERFLOW, 0},
        {"92233720368.54775807", -8, ERR_OK, INT64_MAX},
        {"92233720369", -8, ERR_OVERFLOW, 0},
        {"0.0000000000000000000000", -18, ERR_OK, 0},
        {"0.000000000000000001", -18, ERR_OK, 1},
        {"", -8, ERR_MALFORMED, 0},
        {"-", -8, ERR_MALFORMED, 0},
        {".", -8, ERR_MALFORMED, 0},
        {"+1", -8, ERR_MALFORMED, 0},
        {"1e3", -8, ERR_MALFORMED, 0},
        {"1.2.3", -8, ERR_MALFORMED, 0},
        {" 1", -8, ERR_MALFORMED, 0},
        {"1 ", -8, ERR_MALFORMED, 0},
        {"0x10", -8, ERR_MALFORMED, 0},
        {"--1", -8, ERR_MALFORMED, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int64_t mantissa = 0;
        int rv = decimal_parse(bytes_text(cases[i].text), cases[i].exponent, &mantissa);
        if (rv != cases[i].rv || (rv == ERR_OK && mantissa != cases[i].mantissa))
            fail_msg("\"%s\" at %d: %d, %lld", cases[i].text, cases[i].exponent, rv,
                     (long long)mantissa);
    }
}

static void decimal_written_and_parsed_is_the_same(void **state)
{
    (void)state;
    struct prng prng;
    prng_init(&prng, 3);
    for (int i = 0; i < 20000; i++) {
        int64_t mantissa = (int64_t)(prng_u64(&prng) >> (1 + prng_below(&prng, 62)));
        int exponent = -(int)prng_below(&prng, DECIMAL_EXPONENT_MAX + 1);
        if (prng_below(&prng, 2) == 1)
            mantissa = -mantissa;
        char buffer[64];
        struct text text = text_begin(buffer, sizeof(buffer));
        text_add_decimal(&text, mantissa, exponent);
        int64_t again = 0;
        assert_int_equal(decimal_parse(bytes_text(text_end(&text)), exponent, &again), ERR_OK);
        assert_int_equal(again, mantissa);
    }
}

static void decimal_rescales_exactly_or_not_at_all(void **state)
{
    (void)state;
    int64_t out = 0;
    assert_int_equal(decimal_rescale(123, -2, -8, &out), ERR_OK);
    assert_int_equal(out, 123000000);
    assert_int_equal(decimal_rescale(-123000000, -8, -2, &out), ERR_OK);
    assert_int_equal(out, -123);
    assert_int_equal(decimal_rescale(123000001, -8, -2, &out), ERR_OVERFLOW);
    assert_int_equal(decimal_rescale(INT64_MAX, 0, -1, &out), ERR_OVERFLOW);
    assert_int_equal(decimal_rescale(INT64_MIN, 0, 0, &out), ERR_OK);
    assert_int_equal(decimal_rescale(1, 18, -18, &out), ERR_OVERFLOW);
    assert_int_equal(decimal_rescale(0, 18, -18, &out), ERR_OK);
    assert_int_equal(out, 0);
    assert_int_equal(decimal_rescale(1, 0, -18, &out), ERR_OK);
    assert_int_equal(out, 1000000000000000000);
}

static void decimal_becomes_the_nearest_double(void **state)
{
    (void)state;
    assert_true(decimal_to_f64(8359601000000, -8) == 83596.01);
    assert_true(decimal_to_f64(1, -1) == 0.1);
    assert_true(decimal_to_f64(-5, 3) == -5000.0);
    assert_true(decimal_to_f64(0, 18) == 0.0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decimal_parses_what_it_can_hold_exactly),
        cmocka_unit_test(decimal_written_and_parsed_is_the_same),
        cmocka_unit_test(decimal_rescales_exactly_or_not_at_all),
        cmocka_unit_test(decimal_becomes_the_nearest_double),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
