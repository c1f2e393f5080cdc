/* Names of streams and their keys. SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "hot/stream/stream_key.h"

static void stream_key_names_each_partition_as_the_contract_says(void **state)
{
    (void)state;
    char key[STREAM_KEY_SIZE];
    const struct {
        enum stream_name name;
        const char *plain, *hashtag;
    } rows[] = {
        {STREAM_TRADE, "market-sbe-trade:BTCUSDT", "market-sbe-trade:{BTCUSDT}"},
        {STREAM_DEPTH, "market-sbe-depth:BTCUSDT", "market-sbe-depth:{BTCUSDT}"},
        {STREAM_BEST_BID_ASK, "market-sbe-bestbidask:BTCUSDT", "market-sbe-bestbidask:{BTCUSDT}"},
        {STREAM_CONTROL, "market-control:BTCUSDT", "market-control:{BTCUSDT}"},
    };
    assert_int_equal(sizeof(rows) / sizeof(rows[0]), STREAM_COUNT);
    for (int i = 0; i < STREAM_COUNT; i++) {
        assert_string_equal(stream_key(rows[i].name, STREAM_KEYS_PLAIN, "BTCUSDT", key),
                            rows[i].plain);
        assert_string_equal(stream_key(rows[i].name, STREAM_KEYS_HASHTAG, "BTCUSDT", key),
                            rows[i].hashtag);
    }
}

static void stream_key_puts_the_consumers_hash_into_the_slot_of_its_stream(void **state)
{
    (void)state;
    char key[STREAM_KEY_SIZE];
    assert_string_equal(stream_key_consumers(STREAM_DEPTH, STREAM_KEYS_PLAIN, "ETHUSDT", key),
                        "consumers:market-sbe-depth:ETHUSDT");
    assert_string_equal(stream_key_consumers(STREAM_DEPTH, STREAM_KEYS_HASHTAG, "ETHUSDT", key),
                        "consumers:market-sbe-depth:{ETHUSDT}");
}

static void stream_key_has_room_for_the_longest_symbol(void **state)
{
    (void)state;
    char key[STREAM_KEY_SIZE];
    assert_string_equal(stream_key_consumers(STREAM_BEST_BID_ASK, STREAM_KEYS_HASHTAG,
                                             "ABCDEFGHIJKLMNOPQRSTUVW", key),
                        "consumers:market-sbe-bestbidask:{ABCDEFGHIJKLMNOPQRSTUVW}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stream_key_names_each_partition_as_the_contract_says),
        cmocka_unit_test(stream_key_puts_the_consumers_hash_into_the_slot_of_its_stream),
        cmocka_unit_test(stream_key_has_room_for_the_longest_symbol),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
