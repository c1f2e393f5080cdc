/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "model/calibration.h"

static struct calibration parse(const char *text)
{
    struct calibration calibration;
    struct err err = {0};
    if (calibration_parse(text, strlen(text), &calibration, &err) != ERR_OK)
        fail_msg("%s", err.text);
    return calibration;
}

static void assert_near(double got, double want)
{
    if (!(fabs(got - want) < 1e-7))
        fail_msg("%.9g is not %.9g", got, want);
}

static void probability_is_linear_between_knots_and_constant_outside(void **state)
{
    (void)state;
    struct calibration calibration = parse("2/0.5:0.5,1:0.6,3:0.7");
    assert_near(calibration_probability(&calibration, 0.0, 0.0), 0.5);
    assert_near(calibration_probability(&calibration, 0.75, 0.0), 0.55);
    assert_near(calibration_probability(&calibration, 1.0, 2.0), 0.6);
    assert_near(calibration_probability(&calibration, 2.0, 0.0), 0.65);
    assert_near(calibration_probability(&calibration, 1e9, 0.0), 0.7);
    assert_near(calibration_probability(&calibration, NAN, 0.0), 0.5);
}

static void older_features_use_their_own_map(void **state)
{
    (void)state;
    struct calibration calibration = parse("2/0:0.6;5/0:0.4");
    assert_near(calibration_probability(&calibration, 1.0, 2.0), 0.6);
    assert_near(calibration_probability(&calibration, 1.0, 2.001), 0.4);
    assert_near(calibration_probability(&calibration, 1.0, 5.001), 0.0);
    assert_near(calibration_probability(&calibration, 1.0, NAN), 0.0);
}

static void without_calibration_there_is_no_probability(void **state)
{
    (void)state;
    struct calibration none = {0};
    assert_near(calibration_probability(&none, 1.0, 0.0), -1.0);
}

static void text_survives_parsing_and_formatting(void **state)
{
    (void)state;
    const char *text = "2/0:0.5,0.1:0.515625,12.5:0.75;5/0:0.25";
    struct calibration calibration = parse(text);
    char buffer[CALIBRATION_TEXT_SIZE];
    struct text out = text_begin(buffer, sizeof(buffer));
    calibration_format(&calibration, &out);
    assert_string_equal(text_end(&out), "2/0:0.5,0.100000001:0.515625,12.5:0.75;5/0:0.25");
    struct calibration again = parse(buffer);
    for (int b = 0; b < 2; b++)
        assert_memory_equal(again.buckets[b].knots, calibration.buckets[b].knots,
                            (size_t)again.buckets[b].count * sizeof(struct calibration_knot));
}

static void malformed_text_is_refused_with_its_place(void **state)
{
    (void)state;
    static const struct {
        const char *text, *why;
    } cases[] = {
        {"", "byte 0: AGE_S/ expected"},
        {"2", "byte 1: AGE_S/ expected"},
        {"nan/0:0.5", "byte 0: AGE_S/ expected"},
        {"-1/0:0.5", "AGE_S/ expected"},
        {"0x2/0:0.5", "AGE_S/ expected"},
        {"2/", "byte 2: STRENGTH:PROBABILITY expected"},
        {"2/0:", "STRENGTH:PROBABILITY expected"},
        {"2/0:1e99", "STRENGTH:PROBABILITY expected"},
        {"2/0:1.01", "a probability is above 1"},
        {"2/1:0.5,1:0.6", "strengths have to grow"},
        {"2/0:0.5;2/0:0.5", "ages have to grow"},
        {"2/0:0.5 ", "byte 7: text left over"},
        {"1/0:0;2/0:0;3/0:0;4/0:0;5/0:0", "too many age buckets"},
        {"2/0000000000000000000000000000000000:0.5", "STRENGTH:PROBABILITY expected"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct calibration calibration;
        struct err err = {0};
        assert_int_equal(
            calibration_parse(cases[i].text, strlen(cases[i].text), &calibration, &err),
            ERR_MALFORMED);
        if (strstr(err.text, cases[i].why) == NULL)
            fail_msg("\"%s\": \"%s\" does not say \"%s\"", cases[i].text, err.text, cases[i].why);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(probability_is_linear_between_knots_and_constant_outside),
        cmocka_unit_test(older_features_use_their_own_map),
        cmocka_unit_test(without_calibration_there_is_no_probability),
        cmocka_unit_test(text_survives_parsing_and_formatting),
        cmocka_unit_test(malformed_text_is_refused_with_its_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
