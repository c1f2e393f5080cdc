/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>
#include <stdlib.h>

#include "base/prng.h"
#include "wire/json_scan.h"

/* Scans one whole value from an exactly sized block. */
static bool scan_all(const char *text, size_t size)
{
    uint8_t *tight = malloc(size + (size == 0));
    memcpy(tight, text, size);
    struct json_scan scan = json_scan_begin(bytes_of(tight, size));
    (void)json_scan_skip(&scan, NULL);
    bool good = json_scan_finish(&scan);
    assert_true(json_scan_offset(&scan) <= size);
    free(tight);
    return good;
}

static void json_scan_accepts_what_the_grammar_allows(void **state)
{
    (void)state;
    static const char *const good[] = {"{}",
                                       "[]",
                                       "0",
                                       "-0",
                                       "1.5e+10",
                                       "1E5",
                                       "\"\"",
                                       "true",
                                       "false",
                                       "null",
                                       " [ 1 , { \"a\" : [ ] } ] ",
                                       "\"\\u00e9\\n\\\"\\\\\\/\"",
                                       "[[[[]]]]",
                                       "\t{\"\":\r\n0}",
                                       "-0.0e-0",
                                       "{\"a\":1,\"a\":2}",
                                       "\"\xc3\xa9\""};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        if (!scan_all(good[i], strlen(good[i])))
            fail_msg("refused: %s", good[i]);
}

static void json_scan_refuses_what_it_does_not(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",        " ",         "{",     "}",       "[",         "]",           "[1",
        "[1,",     "[1,]",      "[,1]",  "[1 2]",   "{\"a\"}",   "{\"a\":}",    "{\"a\":1,}",
        "{a:1}",   "{\"a\" 1}", "{1:1}", "01",      "-",         "-a",          "1.",
        ".5",      "1e",        "1e+",   "+1",      "tru",       "True",        "nul",
        "falsey",  "\"",        "\"\\",  "\"\\x\"", "\"\\u12\"", "\"\\u12g4\"", "\"\n\"",
        "1 2",     "{}{}",      "[}",    "{]",      "[1}",       "nan",         "'a'",
        "\"\\u123"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (scan_all(bad[i], strlen(bad[i])))
            fail_msg("accepted: %s", bad[i]);
}

static void json_scan_limits_the_depth(void **state)
{
    (void)state;
    char text[2 * (JSON_SCAN_DEPTH_MAX + 1)];
    for (size_t depth = JSON_SCAN_DEPTH_MAX; depth <= JSON_SCAN_DEPTH_MAX + 1; depth++) {
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        assert_int_equal(scan_all(text, 2 * depth), depth == JSON_SCAN_DEPTH_MAX);
    }
}

static void json_scan_reads_integers_that_fit(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool good;
        int64_t value;
    } cases[] = {
        {"0", true, 0},
        {"-1", true, -1},
        {" 9223372036854775807", true, INT64_MAX},
        {"-9223372036854775808", true, INT64_MIN},
        {"9223372036854775808", false, 0},
        {"-9223372036854775809", false, 0},
        {"99999999999999999999999", false, 0},
        {"1.0", false, 0},
        {"1e3", false, 0},
        {"\"1\"", false, 0},
        {"true", false, 0},
        {"00", false, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct json_scan scan = json_scan_begin(bytes_text(cases[i].text));
        int64_t value = 0;
        bool good = json_scan_i64(&scan, &value) && json_scan_finish(&scan);
        if (good != cases[i].good || (good && value != cases[i].value))
            fail_msg("%s: %d %lld", cases[i].text, good, (long long)value);
    }
}

static void json_scan_walks_members_and_elements(void **state)
{
    (void)state;
    struct json_scan scan = json_scan_begin(
        bytes_text("{\"a\":[1,\"x\",true],\"skip\":{\"b\":[{}]},\"n\":-2.5,\"z\":null}"));
    struct bytes key;
    struct bytes value;
    int64_t number = 0;
    bool flag = false;
    assert_true(json_scan_object(&scan));
    assert_true(json_scan_member(&scan, &key) && JSON_SCAN_IS(key, "a"));
    assert_int_equal(json_scan_kind(&scan), JSON_SCAN_ARRAY);
    assert_true(json_scan_array(&scan));
    assert_true(json_scan_element(&scan) && json_scan_i64(&scan, &number) && number == 1);
    assert_true(json_scan_element(&scan) && json_scan_string(&scan, &value));
    assert_true(JSON_SCAN_IS(value, "x"));
    assert_true(json_scan_element(&scan) && json_scan_bool(&scan, &flag) && flag);
    assert_false(json_scan_element(&scan));
    assert_true(json_scan_member(&scan, &key) && JSON_SCAN_IS(key, "skip"));
    assert_true(json_scan_skip(&scan, &value));
    assert_true(JSON_SCAN_IS(value, "{\"b\":[{}]}"));
    assert_true(json_scan_member(&scan, &key) && json_scan_number(&scan, &value));
    assert_true(JSON_SCAN_IS(value, "-2.5"));
    assert_true(json_scan_member(&scan, &key) && json_scan_kind(&scan) == JSON_SCAN_NULL);
    assert_true(json_scan_skip(&scan, NULL));
    assert_false(json_scan_member(&scan, &key));
    assert_true(json_scan_finish(&scan));
}

static void json_scan_stays_failed(void **state)
{
    (void)state;
    struct json_scan scan = json_scan_begin(bytes_text("[1,2]"));
    bool flag = true;
    int64_t number = 0;
    struct bytes value;
    assert_false(json_scan_bool(&scan, &flag));
    assert_false(flag);
    assert_false(json_scan_array(&scan));
    assert_false(json_scan_element(&scan));
    assert_false(json_scan_i64(&scan, &number));
    assert_false(json_scan_string(&scan, &value));
    assert_false(json_scan_skip(&scan, NULL));
    assert_int_equal(json_scan_kind(&scan), JSON_SCAN_NONE);
    assert_false(json_scan_finish(&scan));
    assert_int_equal(json_scan_offset(&scan), 0);
}

/* Random damage to a valid text: this scanner and jansson agree on what is JSON. */
static void json_scan_agrees_with_jansson(void **state)
{
    (void)state;
    static const char original[] = "{\"a\":[1,-2.5e3,\"x\\u0041\\n\"],\"b\":{\"c\":null,\"d\":true,"
                                   "\"e\":[[],{}]},\"f\":false,\"g\":0.25}";
    static const char alphabet[] = "{}[]\",:\\0123456789.eE+-truefalsn \n";
    struct prng prng;
    prng_init(&prng, 12);
    int good = 0;
    for (int i = 0; i < 100000; i++) {
        char text[sizeof(original)];
        size_t size = sizeof(original) - 1;
        memcpy(text, original, sizeof(original));
        for (uint64_t k = prng_below(&prng, 3) + 1; k > 0; k--)
            text[prng_below(&prng, size)] = alphabet[prng_below(&prng, sizeof(alphabet) - 1)];
        json_error_t error;
        json_t *value = json_loadb(text, size, JSON_DECODE_ANY, &error);
        bool wanted = value != NULL;
        json_decref(value);
        /* Numbers too large for jansson's types and duplicate keys are grammar all the same. */
        if (!wanted && json_error_code(&error) == json_error_numeric_overflow)
            continue;
        if (scan_all(text, size) != wanted)
            fail_msg("%s by jansson: %s", wanted ? "accepted" : "refused", text);
        good += wanted;
    }
    assert_true(good > 1000 && good < 99000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_scan_accepts_what_the_grammar_allows),
        cmocka_unit_test(json_scan_refuses_what_it_does_not),
        cmocka_unit_test(json_scan_limits_the_depth),
        cmocka_unit_test(json_scan_reads_integers_that_fit),
        cmocka_unit_test(json_scan_walks_members_and_elements),
        cmocka_unit_test(json_scan_stays_failed),
        cmocka_unit_test(json_scan_agrees_with_jansson),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
