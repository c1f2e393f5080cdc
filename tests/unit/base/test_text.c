/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/prng.h"
#include "base/text.h"

static char buffer[256];

static const char *decimal(int64_t mantissa, int exponent)
{
    struct text text = text_begin(buffer, sizeof(buffer));
    text_add_decimal(&text, mantissa, exponent);
    return text_end(&text);
}

static void text_writes_exact_decimals(void **state)
{
    (void)state;
    assert_string_equal(decimal(9553554000000, -8), "95535.54000000");
    assert_string_equal(decimal(-12300, -8), "-0.00012300");
    assert_string_equal(decimal(0, -2), "0.00");
    assert_string_equal(decimal(0, 0), "0");
    assert_string_equal(decimal(0, 5), "0");
    assert_string_equal(decimal(7, 3), "7000");
    assert_string_equal(decimal(5, -1), "0.5");
    assert_string_equal(decimal(10, -1), "1.0");
    assert_string_equal(decimal(INT64_MIN, -18), "-9.223372036854775808");
    assert_string_equal(decimal(INT64_MAX, 0), "9223372036854775807");
    assert_string_equal(decimal(1, -18), "0.000000000000000001");
}

static void text_writes_integers(void **state)
{
    (void)state;
    struct text text = text_begin(buffer, sizeof(buffer));
    text_add_i64(&text, INT64_MIN);
    text_add_char(&text, ' ');
    text_add_u64(&text, UINT64_MAX);
    text_add_char(&text, ' ');
    text_add_i64(&text, 0);
    assert_string_equal(text_end(&text), "-9223372036854775808 18446744073709551615 0");
}

static void text_doubles_read_back_as_themselves(void **state)
{
    (void)state;
    struct prng prng;
    prng_init(&prng, 1);
    for (int i = 0; i < 20000; i++) {
        uint64_t bits = prng_u64(&prng);
        double value;
        memcpy(&value, &bits, sizeof(value));
        struct text text = text_begin(buffer, sizeof(buffer));
        text_add_f64(&text, value);
        const char *written = text_end(&text);
        if (isfinite(value))
            assert_true(strtod(written, NULL) == value);
        else
            assert_string_equal(written, "null");
    }
    struct text text = text_begin(buffer, sizeof(buffer));
    text_add_f64(&text, 0.1);
    assert_string_equal(text_end(&text), "0.1");
}

static void text_cuts_what_does_not_fit_and_says_so(void **state)
{
    (void)state;
    char small[6];
    struct text text = text_begin(small, sizeof(small));
    text_add(&text, "abcde");
    assert_false(text.truncated);
    text_add(&text, "");
    assert_false(text.truncated);
    text_add_char(&text, 'f');
    assert_true(text.truncated);
    assert_string_equal(text_end(&text), "abcde");
    text = text_begin(small, sizeof(small));
    text_add_format(&text, "%d", 1234567);
    assert_true(text.truncated);
    assert_string_equal(text_end(&text), "12345");
    text = text_begin(small, 1);
    text_add(&text, "x");
    assert_true(text.truncated);
    assert_string_equal(text_end(&text), "");
}

static void text_json_strings_escape_what_must_be(void **state)
{
    (void)state;
    static const char input[] = "a\"b\\c\n\x01\x7f\xc3\xa9\xff";
    struct text text = text_begin(buffer, sizeof(buffer));
    text_add_json_string(&text, input, sizeof(input) - 1);
    assert_string_equal(text_end(&text), "\"a\\\"b\\\\c\\u000a\\u0001\x7f\xc3\xa9\\u00ff\"");
}

/* Decodes one code point the long way (RFC 3629): its length, or 0. */
static size_t utf8_strict(const unsigned char *s)
{
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t length = s[0] < 0x80 ? 1 : s[0] >> 5 == 6 ? 2 : s[0] >> 4 == 14 ? 3 : 4;
    if (length == 1)
        return 1;
    if (length == 4 && s[0] >> 3 != 30)
        return 0;
    uint32_t point = s[0] & (0xffu >> (length + 1));
    for (size_t i = 1; i < length; i++) {
        if (s[i] >> 6 != 2)
            return 0;
        point = point << 6 | (s[i] & 63u);
    }
    bool surrogate = point >= 0xd800 && point <= 0xdfff;
    return point < smallest[length] || point > 0x10ffff || surrogate ? 0 : length;
}

static void text_json_strings_are_always_valid_utf8(void **state)
{
    (void)state;
    static const unsigned char starts[] = {0xc0, 0xc1, 0xe0, 0xed, 0xef, 0xf0, 0xf4, 0xf5, 0xff};
    struct prng prng;
    prng_init(&prng, 2);
    for (int i = 0; i < 20000; i++) {
        char input[8];
        for (size_t k = 0; k < sizeof(input); k++)
            input[k] = (char)(0x80 + prng_below(&prng, 0x80));
        input[prng_below(&prng, 4)] = (char)starts[prng_below(&prng, sizeof(starts))];
        struct text text = text_begin(buffer, sizeof(buffer));
        text_add_json_string(&text, input, sizeof(input));
        for (const char *at = text_end(&text); *at != '\0';) {
            size_t length = utf8_strict((const unsigned char *)at);
            if (length == 0)
                fail_msg("not UTF-8: %s", buffer);
            at += length;
        }
    }
}

static void text_writes_bytes_as_hexadecimal(void **state)
{
    (void)state;
    char out[9] = "????????";
    text_hex(bytes_of(NULL, 0), out);
    assert_string_equal(out, "");
    text_hex(bytes_of("\x00\x09\xaf\xff", 4), out);
    assert_string_equal(out, "0009afff");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_writes_exact_decimals),
        cmocka_unit_test(text_writes_integers),
        cmocka_unit_test(text_doubles_read_back_as_themselves),
        cmocka_unit_test(text_cuts_what_does_not_fit_and_says_so),
        cmocka_unit_test(text_json_strings_escape_what_must_be),
        cmocka_unit_test(text_json_strings_are_always_valid_utf8),
        cmocka_unit_test(text_writes_bytes_as_hexadecimal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
