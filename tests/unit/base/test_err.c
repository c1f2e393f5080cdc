/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/err.h"

static void err_keeps_code_and_text_and_grows_in_front(void **state)
{
    (void)state;
    struct err err = {0};
    assert_int_equal(err_set(&err, ERR_TIMEOUT, "no answer in %d ms", 50), ERR_TIMEOUT);
    assert_int_equal(err_wrap(&err, ERR_TIMEOUT, "redis %s", "ob:BTCUSDT"), ERR_TIMEOUT);
    assert_int_equal(err.code, ERR_TIMEOUT);
    assert_string_equal(err.text, "redis ob:BTCUSDT: no answer in 50 ms");
}

static void err_may_be_left_out(void **state)
{
    (void)state;
    assert_int_equal(err_set(NULL, ERR_IO, "x"), ERR_IO);
    assert_int_equal(err_wrap(NULL, ERR_TIMEOUT, "x"), ERR_TIMEOUT);
}

static void err_cuts_long_texts_at_its_size(void **state)
{
    (void)state;
    struct err err = {0};
    char longest[2 * ERR_TEXT_SIZE];
    memset(longest, 'x', sizeof(longest));
    longest[sizeof(longest) - 1] = '\0';
    assert_int_equal(err_set(&err, ERR_IO, "%s", longest), ERR_IO);
    assert_int_equal(strlen(err.text), ERR_TEXT_SIZE - 1);
    assert_int_equal(err_wrap(&err, ERR_IO, "front"), ERR_IO);
    assert_int_equal(strlen(err.text), ERR_TEXT_SIZE - 1);
    assert_memory_equal(err.text, "front: x", 8);
    assert_int_equal(err_wrap(&err, ERR_IO, "%s", longest), ERR_IO);
    assert_int_equal(strlen(err.text), ERR_TEXT_SIZE - 1);
}

static void err_every_code_is_negative_and_has_its_own_text(void **state)
{
    (void)state;
    static const int codes[] = {
#define X(name, value, text) name,
        ERR_TABLE(X)
#undef X
    };
    size_t count = sizeof(codes) / sizeof(codes[0]);
    for (size_t i = 0; i < count; i++) {
        assert_true(codes[i] < 0);
        for (size_t k = 0; k < i; k++) {
            assert_int_not_equal(codes[i], codes[k]);
            assert_string_not_equal(err_text(codes[i]), err_text(codes[k]));
        }
    }
    assert_string_equal(err_text(12345), "unknown error");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(err_keeps_code_and_text_and_grows_in_front),
        cmocka_unit_test(err_may_be_left_out),
        cmocka_unit_test(err_cuts_long_texts_at_its_size),
        cmocka_unit_test(err_every_code_is_negative_and_has_its_own_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
