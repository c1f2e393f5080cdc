/* The settings of REST calls: what is refused, and the silence kept together with others.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "hot/state/state_keys.h"
#include "services/rest_settings.h"

static void rest_settings_want_an_address(void **state)
{
    (void)state;
    struct rest_settings settings = {.url = "https://api.binance.com"};
    struct err err = {0};
    assert_int_equal(rest_settings_check(&settings, &err), ERR_OK);
    strcpy(settings.url, "api.binance.com");
    assert_int_equal(rest_settings_check(&settings, &err), ERR_CONFIG);
    assert_non_null(strstr(err.text, "rest_url"));
}

static void rest_settings_keep_the_silence_of_the_symbol_where_keys_have_hash_tags(void **state)
{
    (void)state;
    struct redis_link *link = (struct redis_link *)state; /* only passed on */
    struct redis_settings redis = {.key_style = STATE_KEYS_PLAIN};
    struct redis_silence one = {0}, other = {0};
    rest_settings_silence(&redis, link, "BTCUSDT", &one);
    assert_ptr_equal(one.link, link);
    assert_string_equal(one.tag, "");
    redis.key_style = STATE_KEYS_HASHTAG;
    rest_settings_silence(&redis, link, "BTCUSDT", &other);
    assert_string_equal(other.tag, "BTCUSDT");
}

static void rest_settings_refuse_certificates_that_cannot_be_read(void **state)
{
    (void)state;
    struct rest_settings settings = {.url = "https://api.binance.com", .ca_file = "/nowhere/ca"};
    struct https_rest rest = {0};
    struct loop *loop;
    struct err err = {0};
    assert_int_equal(loop_open(&loop, &err), ERR_OK);
    assert_int_equal(rest_settings_open(&settings, loop, 1000000, &rest, &err), ERR_CONFIG);
    settings.ca_file[0] = '\0';
    assert_int_equal(rest_settings_open(&settings, loop, 1000000, &rest, &err), ERR_OK);
    assert_string_equal(rest.base, "https://api.binance.com");
    assert_int_equal(rest.timeout_us, 1000000);
    https_close(rest.https);
    loop_close(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rest_settings_want_an_address),
        cmocka_unit_test(rest_settings_keep_the_silence_of_the_symbol_where_keys_have_hash_tags),
        cmocka_unit_test(rest_settings_refuse_certificates_that_cannot_be_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
