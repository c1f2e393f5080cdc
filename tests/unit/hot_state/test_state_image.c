/* The hot state, written and read back: fields of CONTRACTS.md section 1, exact values,
 * and a reader that refuses what is malformed. SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/decimal.h"
#include "base/prng.h"
#include "hot/state/state_image.h"
#include "hot/state/state_parse.h"

static struct world_view view_full(void)
{
    struct world_view view = {.epoch = 1700000000123,
                              .seq = 42,
                              .recv_us = 1770000000123456,
                              .price_exponent = -8,
                              .qty_exponent = -8,
                              .book_live = true,
                              .book_id = 77453519765,
                              .book_event_us = 1770000000123000,
                              .bid_count = WORLD_LEVELS,
                              .ask_count = WORLD_LEVELS,
                              .best_bid = 9553554000000,
                              .best_ask = 9553555000000,
                              .mid2 = 9553554000000 + 9553555000000};
    for (int i = 0; i < WORLD_LEVELS; i++) {
        view.bids[i] = (struct world_level){9553554000000 - i * 1000000LL, 100000000 + i};
        view.asks[i] = (struct world_level){9553555000000 + i * 1000000LL, 50000000 + i};
    }
    view.one_second = (struct world_window){.count = 15,
                                            .vol = 200000000,
                                            .signed_vol = -50000000,
                                            .vwap_minus_mid = -0.125,
                                            .interarr_mean_s = 0.0625,
                                            .interarr_var_s2 = 0.001,
                                            .last_us = 1770000000120000};
    view.five_seconds = view.one_second;
    view.vector = (struct feature_vector){.schema = feature_schema_hash(),
                                          .epoch = view.epoch,
                                          .seq = 40,
                                          .as_of_us = 1770000000100000,
                                          .mid2 = view.mid2,
                                          .price_exponent = -8,
                                          .valid = true};
    for (int i = 0; i < FEATURE_COUNT; i++)
        view.vector.values[i] = (float)i * 0.37f - 3;
    return view;
}

static void image_of(const struct world_view *view, struct state_image *image)
{
    static const struct world_slot_mid mids[] = {{885000000, 19107109000000, true},
                                                 {884999999, 19107108000000, false}};
    state_image_make(
        &(struct state_image_input){
            .view = view, .mids = mids, .mid_count = 2, .writer = 1700000000999, .source = "sbe"},
        image);
}

static void read_of(const struct state_image *image, struct state_read *read)
{
    state_parse_begin(read);
    for (int hash = 0; hash < STATE_HASH_COUNT; hash++)
        for (int i = 0; i < image->count[hash]; i++)
            state_parse_field(read, (enum state_key)hash, image->pairs[hash][i].field,
                              image->pairs[hash][i].value);
    state_parse_finish(read);
}

static void assert_value(const struct state_image *image, enum state_key hash, const char *field,
                         const char *expected)
{
    struct bytes value = state_image_value(image, hash, field);
    assert_non_null(value.data);
    assert_int_equal(value.size, strlen(expected));
    assert_memory_equal(value.data, expected, value.size);
}

static void image_holds_every_specified_field(void **state)
{
    (void)state;
    static const char *const ob[] = {"best_bid", "best_ask", "spread", "ts_us",
                                     "bid1_p",   "bid10_p",  "bid1_q", "bid10_q",
                                     "ask1_p",   "ask10_p",  "ask1_q", "ask10_q"};
    static const char *const tr[] = {"count", "vol", "signed_vol", "vwap_minus_mid", "last_ts_us"};
    static const char *const feat[] = {
        "ret_1s", "ret_5s", "vol_imbalance", "spread_bp", "ob_imbalance", "trade_intensity", "ts"};
    struct world_view view = view_full();
    struct state_image image;
    image_of(&view, &image);
    for (size_t i = 0; i < sizeof(ob) / sizeof(ob[0]); i++)
        assert_non_null(state_image_value(&image, STATE_OB, ob[i]).data);
    for (size_t i = 0; i < sizeof(tr) / sizeof(tr[0]); i++) {
        assert_non_null(state_image_value(&image, STATE_TR_1S, tr[i]).data);
        assert_non_null(state_image_value(&image, STATE_TR_5S, tr[i]).data);
    }
    for (size_t i = 0; i < sizeof(feat) / sizeof(feat[0]); i++)
        assert_non_null(state_image_value(&image, STATE_FEAT, feat[i]).data);
    assert_non_null(state_image_value(&image, STATE_TR_1S, "interarr_mean").data);
    assert_non_null(state_image_value(&image, STATE_TR_1S, "interarr_var").data);
    assert_null(state_image_value(&image, STATE_TR_5S, "interarr_mean").data);
    for (int hash = 0; hash < STATE_HASH_COUNT; hash++) {
        assert_value(&image, (enum state_key)hash, "epoch", "1700000000123");
        assert_value(&image, (enum state_key)hash, "seq", "42");
        assert_value(&image, (enum state_key)hash, "last_update_id", "77453519765");
    }
}

static void image_writes_exact_decimals(void **state)
{
    (void)state;
    struct world_view view = view_full();
    struct state_image image;
    image_of(&view, &image);
    assert_value(&image, STATE_OB, "best_bid", "95535.54000000");
    assert_value(&image, STATE_OB, "spread", "0.01000000");
    assert_value(&image, STATE_OB, "bid10_p", "95535.45000000");
    assert_value(&image, STATE_OB, "ask10_q", "0.50000009");
    assert_value(&image, STATE_TR_1S, "signed_vol", "-0.50000000");
    assert_value(&image, STATE_TR_1S, "vwap_minus_mid", "-0.125000000000");
    assert_value(&image, STATE_FEAT, "mid", "95535.545000000");
    assert_value(&image, STATE_FEAT, "vol_imbalance", "-0.250000000000");
    assert_value(&image, STATE_FEAT, "trade_intensity", "15");
    assert_value(&image, STATE_FEAT, "ts", "1770000000.123456");
    assert_value(&image, STATE_FEAT, "slot_mids",
                 "885000000:95535.545000000:1 884999999:95535.540000000:0");
}

/* One cent at 95 535.545 is 0.00105 bp; 1.50 at 45 230 is 0.33 bp, not 3.3. */
static void spread_bp_is_the_spread_over_the_mid(void **state)
{
    (void)state;
    struct world_view view = view_full();
    struct state_image image;
    view.bids[0].price = 4523000000000;
    view.asks[0].price = 4523150000000;
    image_of(&view, &image);
    assert_value(&image, STATE_FEAT, "spread_bp", "0.331632794062");
}

static void a_short_side_has_only_its_own_levels(void **state)
{
    (void)state;
    struct world_view view = view_full();
    struct state_image image;
    view.bid_count = 3;
    image_of(&view, &image);
    assert_non_null(state_image_value(&image, STATE_OB, "bid3_p").data);
    assert_null(state_image_value(&image, STATE_OB, "bid4_p").data);
    assert_null(state_image_value(&image, STATE_OB, "bid10_q").data);
    assert_non_null(state_image_value(&image, STATE_OB, "ask10_q").data);
}

static void a_quiet_market_still_has_its_windows(void **state)
{
    (void)state;
    struct world_view view = view_full();
    struct state_image image;
    memset(&view.one_second, 0, sizeof(view.one_second));
    memset(&view.five_seconds, 0, sizeof(view.five_seconds));
    image_of(&view, &image);
    assert_value(&image, STATE_TR_1S, "count", "0");
    assert_value(&image, STATE_TR_1S, "vol", "0.00000000");
    assert_value(&image, STATE_TR_5S, "count", "0");
    assert_value(&image, STATE_FEAT, "vol_imbalance", "0.000000000000");
}

static void a_world_without_book_or_vector_is_readable(void **state)
{
    (void)state;
    struct world_view view = {.epoch = 7, .seq = 1, .recv_us = 5};
    struct state_image image;
    struct state_read read;
    image_of(&view, &image);
    read_of(&image, &read);
    assert_true(read.consistent);
    assert_false(read.has_vector);
    assert_false(read.book_live);
    assert_int_equal(read.best_bid.mantissa, 0);
    assert_string_equal(state_image_judge(&image), "best_bid");
}

static void the_named_fields_are_all_that_a_reader_needs(void **state)
{
    (void)state;
    struct world_view view = view_full();
    struct state_image image;
    struct state_read whole, named;
    image_of(&view, &image);
    read_of(&image, &whole);
    state_parse_begin(&named);
    for (int hash = 0; hash < STATE_HASH_COUNT; hash++) {
        const char *const *names;
        int count = state_parse_fields((enum state_key)hash, &names);
        assert_in_range(count, 2, STATE_PARSE_FIELDS_MAX);
        for (int i = 0; i < count; i++) {
            struct bytes value = state_image_value(&image, (enum state_key)hash, names[i]);
            assert_non_null(value.data);
            state_parse_field(&named, (enum state_key)hash, bytes_text(names[i]), value);
        }
    }
    state_parse_finish(&named);
    assert_memory_equal(&whole, &named, offsetof(struct state_read, mids));
    assert_int_equal(whole.seen, named.seen);
    assert_int_equal(whole.mid_count, named.mid_count);
    for (int i = 0; i < whole.mid_count; i++)
        assert_int_equal(whole.mids[i].mid.mantissa, named.mids[i].mid.mantissa);
}

static void reader_gets_back_what_was_written(void **state)
{
    (void)state;
    struct world_view view = view_full();
    struct state_image image;
    struct state_read read;
    image_of(&view, &image);
    read_of(&image, &read);
    assert_true(read.consistent);
    assert_true(read.has_vector);
    assert_int_equal(read.malformed, 0);
    assert_int_equal(read.epoch[STATE_FEAT], view.epoch);
    assert_int_equal(read.seq[STATE_TR_5S], view.seq);
    assert_int_equal(read.last_update_id, view.book_id);
    assert_int_equal(read.ts_us, view.recv_us);
    assert_int_equal(read.source, STATE_SOURCE_SBE);
    assert_true(read.book_live);
    assert_int_equal(read.writer, 1700000000999);
    assert_int_equal(read.best_bid.mantissa, view.bids[0].price);
    assert_int_equal(read.best_bid.exponent, -8);
    assert_int_equal(read.schema, view.vector.schema);
    assert_int_equal(read.vec_epoch, view.vector.epoch);
    assert_int_equal(read.vec_seq, view.vector.seq);
    assert_int_equal(read.as_of_us, view.vector.as_of_us);
    assert_int_equal(read.mid.mantissa, view.vector.mid2 * 5);
    assert_int_equal(read.mid.exponent, -9);
    assert_memory_equal(read.values, view.vector.values, sizeof(read.values));
    assert_int_equal(read.mid_count, 2);
    assert_int_equal(read.mids[0].slot, 885000000);
    assert_int_equal(read.mids[0].mid.mantissa, 19107109000000 * 5);
    assert_true(read.mids[0].valid);
    assert_false(read.mids[1].valid);
}

static void hashes_of_two_flushes_are_not_consistent(void **state)
{
    (void)state;
    struct world_view view = view_full();
    struct state_image image;
    image_of(&view, &image);
    for (int odd = 0; odd < STATE_HASH_COUNT; odd++) {
        struct state_read read;
        read_of(&image, &read);
        read.seq[odd]++;
        state_parse_finish(&read);
        assert_false(read.consistent);
        read_of(&image, &read);
        read.present[odd] = false;
        state_parse_finish(&read);
        assert_false(read.consistent);
    }
}

static void assert_refused(enum state_key hash, const char *field, const char *value)
{
    struct state_read read;
    state_parse_begin(&read);
    state_parse_field(&read, hash, bytes_text(field), bytes_text(value));
    assert_int_equal(read.malformed, 1);
}

static void reader_refuses_malformed_values(void **state)
{
    (void)state;
    assert_refused(STATE_OB, "epoch", "-1");
    assert_refused(STATE_OB, "seq", "18446744073709551616");
    assert_refused(STATE_OB, "seq", "");
    assert_refused(STATE_OB, "last_update_id", "9223372036854775808");
    assert_refused(STATE_OB, "source", "SBE");
    assert_refused(STATE_OB, "best_bid", "1e5");
    assert_refused(STATE_OB, "best_bid", "-1.0");
    assert_refused(STATE_OB, "best_bid", "1.");
    assert_refused(STATE_OB, "best_bid", "1.2.3");
    assert_refused(STATE_OB, "best_ask", "92233720368547758070");
    assert_refused(STATE_FEAT, "book_live", "yes");
    assert_refused(STATE_FEAT, "vec", "short");
    assert_refused(STATE_FEAT, "slot_mids", "1:2.0:1 3:4.0");
    assert_refused(STATE_FEAT, "slot_mids", "1:2.0:7");
    assert_refused(STATE_FEAT, "mid", "nan");
}

static void a_vector_with_a_nan_is_refused(void **state)
{
    (void)state;
    struct world_view view = view_full();
    struct state_image image;
    struct state_read read;
    memset(&view.vector.values[5], 0xff, sizeof(float));
    image_of(&view, &image);
    read_of(&image, &read);
    assert_int_equal(read.malformed, 1);
    assert_false(read.has_vector);
}

/* Random bytes in every field the reader knows: refused or taken, never a crash. */
static void reader_survives_random_values(void **state)
{
    (void)state;
    struct world_view view = view_full();
    struct state_image image;
    struct prng prng;
    prng_init(&prng, 11);
    image_of(&view, &image);
    for (int round = 0; round < 2000; round++) {
        struct state_read read;
        state_parse_begin(&read);
        for (int i = 0; i < image.count[STATE_FEAT]; i++) {
            struct bytes value = image.pairs[STATE_FEAT][i].value;
            uint8_t copy[1024];
            size_t size = prng_below(&prng, value.size + 1);
            memcpy(copy, value.data, value.size);
            if (size > 0)
                copy[prng_below(&prng, size)] = (uint8_t)prng_u64(&prng);
            state_parse_field(&read, STATE_FEAT, image.pairs[STATE_FEAT][i].field,
                              bytes_of(copy, size));
        }
        state_parse_finish(&read);
        assert_false(read.consistent);
        assert_true(read.mid_count <= WORLD_SLOT_MIDS);
    }
}

static void judge_names_the_wrong_field(void **state)
{
    (void)state;
    struct world_view view = view_full();
    struct state_image image;
    image_of(&view, &image);
    assert_null(state_image_judge(&image));
    view.asks[0].price = view.bids[0].price;
    image_of(&view, &image);
    assert_string_equal(state_image_judge(&image), "spread");
    view = view_full();
    view.ask_count = 0;
    image_of(&view, &image);
    assert_string_equal(state_image_judge(&image), "best_ask");
    view = view_full();
    view.bids[0].qty = 0;
    image_of(&view, &image);
    assert_string_equal(state_image_judge(&image), "bid1_q");
}

static void keys_follow_the_two_styles(void **state)
{
    (void)state;
    char key[STATE_KEY_SIZE];
    assert_string_equal(state_key(STATE_OB, STATE_KEYS_PLAIN, "BTCUSDT", key), "ob:BTCUSDT");
    assert_string_equal(state_key(STATE_TR_1S, STATE_KEYS_PLAIN, "BTCUSDT", key), "tr:BTCUSDT:1s");
    assert_string_equal(state_key(STATE_TR_5S, STATE_KEYS_HASHTAG, "BTCUSDT", key),
                        "tr:{BTCUSDT}:5s");
    assert_string_equal(state_key(STATE_NEW_TR_1S, STATE_KEYS_PLAIN, "BTCUSDT", key),
                        "tr:new:BTCUSDT:1s");
    assert_string_equal(state_key(STATE_NEW_OB, STATE_KEYS_HASHTAG, "BTCUSDT", key),
                        "ob:new:{BTCUSDT}");
    assert_string_equal(state_key(STATE_FEAT, STATE_KEYS_HASHTAG, "BTCUSDT", key),
                        "feat:{BTCUSDT}");
    assert_string_equal(state_key(STATE_REANCHOR, STATE_KEYS_PLAIN, "BTCUSDT", key),
                        "reanchor:BTCUSDT");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(image_holds_every_specified_field),
        cmocka_unit_test(image_writes_exact_decimals),
        cmocka_unit_test(spread_bp_is_the_spread_over_the_mid),
        cmocka_unit_test(a_short_side_has_only_its_own_levels),
        cmocka_unit_test(a_quiet_market_still_has_its_windows),
        cmocka_unit_test(a_world_without_book_or_vector_is_readable),
        cmocka_unit_test(reader_gets_back_what_was_written),
        cmocka_unit_test(the_named_fields_are_all_that_a_reader_needs),
        cmocka_unit_test(hashes_of_two_flushes_are_not_consistent),
        cmocka_unit_test(reader_refuses_malformed_values),
        cmocka_unit_test(a_vector_with_a_nan_is_refused),
        cmocka_unit_test(reader_survives_random_values),
        cmocka_unit_test(judge_names_the_wrong_field),
        cmocka_unit_test(keys_follow_the_two_styles),
    };
    return cmocka_run_group_tests_name("state_image", tests, NULL, NULL);
}
