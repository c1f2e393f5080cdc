/* Rows on their way into the store: what is escaped, and what is refused.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "learn/store/copy_text.h"
#include "learn/store/feature_rows.h"
#include "learn/store/prediction_rows.h"

static void what_would_break_a_row_is_escaped(void **state)
{
    (void)state;
    char buffer[256];
    struct text out = text_begin(buffer, sizeof(buffer));
    copy_text_string(&out, bytes_of("a\tb\nc\r\\N\0d", 10));
    copy_text_null(&out);
    copy_text_f64(&out, NAN);
    copy_text_f64(&out, 0.1);
    copy_text_u64(&out, UINT64_MAX);
    copy_text_decimal(&out, -12345, -8);
    copy_text_bool(&out, true);
    const float values[] = {0.1f, -3.4028235e38f, INFINITY};
    copy_text_floats(&out, values, 3);
    copy_text_end_row(&out);
    assert_string_equal(text_end(&out),
                        "a\\tb\\nc\\r\\\\N?d\t\\N\t\\N\t0.1\t18446744073709551615\t-0.00012345\tt\t"
                        "{0.100000001,-3.40282347e+38,NaN}\n");
}

static const char *const fields[][2] = {{"symbol", "BTCUSDT"},  {"slot", "77"},
                                        {"model_version", "m"}, {"current_price", "1.5"},
                                        {"confidence", "0.5"},  {"seq", "18446744073709551"}};
#define FIELDS ((int)(sizeof(fields) / sizeof(fields[0])))

static int add_with(int which, const char *value)
{
    char buffer[PREDICTION_ROWS_ROW_MAX];
    struct text out = text_begin(buffer, sizeof(buffer));
    struct prediction_pair pairs[FIELDS];
    struct err err = {0};
    for (int i = 0; i < FIELDS; i++)
        pairs[i] = (struct prediction_pair){bytes_text(fields[i][0]),
                                            bytes_text(i == which ? value : fields[i][1])};
    int result = prediction_rows_add("BTCUSDT", "live", 77, pairs, FIELDS, &out, &err);
    assert_true(result == ERR_OK ? out.size > 0 : out.size == 0 && err.text[0] != '\0');
    return result;
}

static void a_record_that_is_none_is_refused_whole(void **state)
{
    (void)state;
    assert_int_equal(add_with(3, "1.5"), ERR_OK);
    assert_int_equal(add_with(3, ""), ERR_OK); /* not known */
    assert_int_equal(add_with(0, "ETHUSDT"), ERR_MALFORMED);
    assert_int_equal(add_with(1, "78"), ERR_MALFORMED);
    assert_int_equal(add_with(2, ""), ERR_MALFORMED);
    const char *no_decimals[] = {"1e5", "nan", "1.5.2", "0x10",
                                 " 1",  "-",   ".",     "12345678901234567890"};
    for (size_t i = 0; i < sizeof(no_decimals) / sizeof(no_decimals[0]); i++)
        assert_int_equal(add_with(3, no_decimals[i]), ERR_MALFORMED);
    const char *no_numbers[] = {"inf", "nan", "1e999", "0x1p3", "1 ", "one"};
    for (size_t i = 0; i < sizeof(no_numbers) / sizeof(no_numbers[0]); i++)
        assert_int_equal(add_with(4, no_numbers[i]), ERR_MALFORMED);
    assert_int_equal(add_with(5, "1.5"), ERR_MALFORMED);
}

static void mids_are_read_around_what_is_malformed(void **state)
{
    (void)state;
    struct bytes text =
        bytes_text("  9:100.5:1 8:x:1 7:1:2 :1:1 6:-1:1 1234567890123456:1:1 5::1 4:99:0 3:1");
    struct prediction_mid mid;
    uint64_t malformed = 0;
    assert_true(prediction_rows_next_mid(&text, &mid, &malformed));
    assert_true(mid.slot == 9 && mid.valid && mid.mid.size == 5);
    assert_true(prediction_rows_next_mid(&text, &mid, &malformed));
    assert_true(mid.slot == 4 && !mid.valid);
    assert_false(prediction_rows_next_mid(&text, &mid, &malformed));
    assert_int_equal(malformed, 7);
}

static void a_vector_must_be_that_of_its_slot(void **state)
{
    (void)state;
    char buffer[FEATURE_ROWS_ROW_MAX];
    struct text out = text_begin(buffer, sizeof(buffer));
    struct feature_vector vector = {.schema = feature_schema_hash(),
                                    .as_of_us = 200000000 - 5000,
                                    .mid2 = 1001,
                                    .price_exponent = -2,
                                    .valid = true};
    struct feature_row row = {.symbol = "BTCUSDT", .slot = 100, .vector = &vector, .quality = 1};
    assert_int_equal(feature_rows_add(&row, &out, NULL), ERR_OK);
    assert_non_null(strstr(text_end(&out), "BTCUSDT\t100\t5.005\t"));
    size_t size = out.size;
    vector.as_of_us = 200000001;
    assert_int_equal(feature_rows_add(&row, &out, NULL), ERR_INVALID);
    vector.as_of_us = 198000000;
    assert_int_equal(feature_rows_add(&row, &out, NULL), ERR_INVALID);
    vector.as_of_us = 200000000;
    row.label = FEATURE_LABEL_VALID; /* without a price */
    assert_int_equal(feature_rows_add(&row, &out, NULL), ERR_INVALID);
    row.label = FEATURE_LABEL_UNKNOWN;
    vector.schema++;
    assert_int_equal(feature_rows_add(&row, &out, NULL), ERR_INVALID);
    assert_int_equal(out.size, size);
    vector.schema--;
    struct text small = text_begin(buffer, 100);
    assert_int_equal(feature_rows_add(&row, &small, NULL), ERR_FULL);
    assert_int_equal(small.size, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_would_break_a_row_is_escaped),
        cmocka_unit_test(a_record_that_is_none_is_refused_whole),
        cmocka_unit_test(mids_are_read_around_what_is_malformed),
        cmocka_unit_test(a_vector_must_be_that_of_its_slot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
