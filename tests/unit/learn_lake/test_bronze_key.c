/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "learn/lake/bronze_key.h"

#define KEY                                                                                        \
    "bronze/sbe/BTCUSDT/year=2025/month=11/day=20/hour=12/"                                        \
    "trades_20251120_1205_1763640000000000-17.parquet"

static struct archive_block sample(void)
{
    struct record record = {
        .epoch = 1763640000000000, .seq = 17 * ARCHIVE_BLOCK_SEQS + 3, .recv_us = 1763640359999999};
    struct archive_block block;
    bronze_key_block(ARCHIVE_TRADES, "BTCUSDT", &record, &block);
    return block;
}

static void a_block_is_named_by_kind_minute_epoch_and_number(void **state)
{
    (void)state;
    char key[OBJECT_KEY_SIZE];
    struct archive_block block = sample(), again;
    assert_int_equal(bronze_key_of_block(&block, key), ERR_OK);
    assert_string_equal(key, KEY);
    assert_int_equal(bronze_key_read_block(key, &again), ERR_OK);
    assert_true(bronze_key_block_equal(&block, &again));
    again.minute++;
    assert_false(bronze_key_block_equal(&block, &again));
    assert_true(bronze_key_block_compare(&block, &again) < 0);
}

static void a_key_that_is_no_block_is_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "",
        "bronze/sbe/BTCUSDT/",
        "bronze/rest/BTCUSDT/depth/year=2025/month=11/day=20/depth_20251120_1205_9.parquet",
        KEY "x",
        /* hour of the folder and of the name differ */
        "bronze/sbe/BTCUSDT/year=2025/month=11/day=20/hour=13/"
        "trades_20251120_1205_1763640000000000-17.parquet",
        "bronze/sbe/BTCUSDT/year=2025/month=11/day=20/hour=12/"
        "quotes_20251120_1205_1763640000000000-17.parquet",
        "bronze/sbe/BTCUSDT/year=2025/month=11/day=20/hour=12/"
        "trades_20251120_1261_1763640000000000-17.parquet",
        "bronze/sbe/btcusdt/year=2025/month=11/day=20/hour=12/"
        "trades_20251120_1205_1763640000000000-17.parquet",
    };
    struct archive_block block;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_int_equal(bronze_key_read_block(wrong[i], &block), ERR_MALFORMED);
}

static void a_block_without_a_usable_name_has_none(void **state)
{
    (void)state;
    char key[OBJECT_KEY_SIZE];
    struct archive_block block = sample();
    block.minute = -1;
    assert_int_equal(bronze_key_of_block(&block, key), ERR_INVALID);
    block.minute = BRONZE_KEY_MINUTE_MAX;
    assert_int_equal(bronze_key_of_block(&block, key), ERR_OK);
    assert_non_null(strstr(key, "_99991231_2359_"));
    block.minute++;
    assert_int_equal(bronze_key_of_block(&block, key), ERR_INVALID);
    block = sample();
    snprintf(block.symbol, sizeof(block.symbol), "..");
    assert_int_equal(bronze_key_of_block(&block, key), ERR_INVALID);
    snprintf(block.symbol, sizeof(block.symbol), ".BTC");
    assert_int_equal(bronze_key_of_block(&block, key), ERR_INVALID);
    snprintf(block.symbol, sizeof(block.symbol), "A/B");
    assert_int_equal(bronze_key_of_block(&block, key), ERR_INVALID);
}

static void a_reply_is_named_by_type_minute_and_first_id(void **state)
{
    (void)state;
    char key[OBJECT_KEY_SIZE];
    struct archive_rest_reply reply = {.type = ARCHIVE_REST_AGG_TRADES,
                                       .symbol = "ETHUSDT",
                                       .received_us = 1763640359999999,
                                       .first_id = 3300112233};
    assert_int_equal(bronze_key_of_reply(&reply, key), ERR_OK);
    assert_string_equal(key, "bronze/rest/ETHUSDT/aggTrades/year=2025/month=11/day=20/"
                             "aggTrades_20251120_1205_3300112233.parquet");
    reply.first_id = -1;
    assert_int_equal(bronze_key_of_reply(&reply, key), ERR_INVALID);
}

static void keys_hold_nothing_that_an_engine_could_stumble_over(void **state)
{
    (void)state;
    char longest[OBJECT_KEY_SIZE + 1];
    memset(longest, 'a', sizeof(longest));
    longest[OBJECT_KEY_SIZE] = '\0';
    assert_true(bronze_key_valid(KEY));
    assert_false(bronze_key_valid(longest));
    longest[OBJECT_KEY_SIZE - 1] = '\0';
    assert_true(bronze_key_valid(longest));
    static const char *const wrong[] = {"",    "/a",  "a/",   "a//b", "a/../b", "..",   "a/.b/c",
                                        "a b", "a!b", "a\nb", ".",    "a/.",    "a\\b", "é"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_false(bronze_key_valid(wrong[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_block_is_named_by_kind_minute_epoch_and_number),
        cmocka_unit_test(a_key_that_is_no_block_is_refused),
        cmocka_unit_test(a_block_without_a_usable_name_has_none),
        cmocka_unit_test(a_reply_is_named_by_type_minute_and_first_id),
        cmocka_unit_test(keys_hold_nothing_that_an_engine_could_stumble_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
