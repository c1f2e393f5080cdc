/* The published record and the journal. SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "hot/infer/journal.h"
#include "hot/infer/prediction.h"

static struct prediction_inputs example(void)
{
    return (struct prediction_inputs){.symbol = "BTCUSDT",
                                      .model_version = "baseline-1",
                                      .source = "redis",
                                      .mode = "live",
                                      .reason = "",
                                      .calibration = "prior",
                                      .slot = 885000000,
                                      .mid = 61837635000000LL,
                                      .mid_exponent = -9,
                                      .return_bp = 1,
                                      .confidence = 0.53,
                                      .p10_bp = -4,
                                      .p90_bp = 5,
                                      .latency_us = 1234,
                                      .features_age_us = 5321,
                                      .epoch = 1770000000000,
                                      .seq = 991,
                                      .outcomes = 12};
}

static void prediction_shows_the_exact_mid(void **state)
{
    (void)state;
    struct prediction prediction;
    struct prediction_inputs inputs = example();
    prediction_fill(&prediction, &inputs);
    assert_string_equal(prediction.value[PREDICTION_CURRENT_PRICE], "61837.635");
    inputs.mid = 61837000000000LL;
    prediction_fill(&prediction, &inputs);
    assert_string_equal(prediction.value[PREDICTION_CURRENT_PRICE], "61837.00");
    assert_string_equal(prediction.value[PREDICTION_TIMESTAMP], "1770000000000");
    assert_string_equal(prediction.value[PREDICTION_PREDICTED_PRICE_10S], "61843.184009");
}

static void prediction_json_is_exact(void **state)
{
    (void)state;
    struct prediction prediction;
    struct prediction_inputs inputs = example();
    prediction_fill(&prediction, &inputs);
    char buffer[PREDICTION_JSON_MAX];
    struct text json = text_begin(buffer, sizeof(buffer));
    prediction_json(&prediction, &json);
    assert_string_equal(
        text_end(&json),
        "{\"symbol\":\"BTCUSDT\",\"timestamp\":1770000000000,\"current_price\":61837.635,"
        "\"predicted_price_10s\":61843.819073,\"confidence\":0.530000,\"latency_ms\":1,"
        "\"model_version\":\"baseline-1\",\"features_age_ms\":5,\"source\":\"redis\","
        "\"latency_us\":1234,\"slot\":885000000,\"ingest_epoch\":1770000000000,\"seq\":991,"
        "\"p10\":61812.904892,\"p90\":61868.561548,\"mode\":\"live\",\"reason\":\"\","
        "\"return_bp\":1,\"calibration\":\"prior\",\"outcomes\":12}");
}

static void prediction_reads_back_what_it_published(void **state)
{
    (void)state;
    struct prediction one;
    struct prediction two = {0};
    struct prediction_inputs inputs = example();
    prediction_fill(&one, &inputs);
    for (int field = 0; field < PREDICTION_FIELDS; field++) {
        const char *name = prediction_field_name((enum prediction_field)field);
        assert_int_equal(prediction_set(&two, bytes_text(name), bytes_text(one.value[field])),
                         ERR_OK);
    }
    assert_memory_equal(&one, &two, sizeof(one));
    int64_t slot;
    assert_true(prediction_i64(&two, PREDICTION_SLOT, &slot));
    assert_int_equal(slot, 885000000);
}

static void prediction_refuses_values_that_would_break_the_json(void **state)
{
    (void)state;
    static const char *const bad[] = {"0x10", "1,\"x\":2", "nan", "inf", "", " 1", "+1", "1e999"};
    struct prediction prediction = {0};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_not_equal(
            prediction_set(&prediction, bytes_text("confidence"), bytes_text(bad[i])), ERR_OK);
    assert_int_not_equal(prediction_set(&prediction, bytes_text("reason"), bytes_of("a\nb", 3)),
                         ERR_OK);
    char longer[PREDICTION_TEXT_SIZE + 1];
    memset(longer, 'a', sizeof(longer));
    struct bytes too_long = bytes_of(longer, sizeof(longer));
    assert_int_not_equal(prediction_set(&prediction, bytes_text("reason"), too_long), ERR_OK);
    assert_int_equal(prediction_set(&prediction, bytes_text("unknown"), bytes_text("x")), ERR_OK);
}

static void journal_keeps_slot_order_and_drops_the_oldest_when_full(void **state)
{
    (void)state;
    struct journal journal;
    struct prediction prediction = {0};
    assert_int_equal(journal_open(&journal, 4, NULL), ERR_OK);
    assert_null(journal_first(&journal));
    for (int64_t slot = 1; slot <= 6; slot++)
        journal_push(&journal, slot, &prediction);
    assert_int_equal(journal.dropped, 2);
    assert_int_equal(journal_first(&journal)->slot, 3);
    journal_pop_through(&journal, 4);
    assert_int_equal(journal_first(&journal)->slot, 5);
    journal_pop_through(&journal, 100);
    assert_null(journal_first(&journal));
    assert_int_equal(journal.first, 0);
    journal_close(&journal);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prediction_shows_the_exact_mid),
        cmocka_unit_test(prediction_json_is_exact),
        cmocka_unit_test(prediction_reads_back_what_it_published),
        cmocka_unit_test(prediction_refuses_values_that_would_break_the_json),
        cmocka_unit_test(journal_keeps_slot_order_and_drops_the_oldest_when_full),
    };
    return cmocka_run_group_tests_name("prediction", tests, NULL, NULL);
}
