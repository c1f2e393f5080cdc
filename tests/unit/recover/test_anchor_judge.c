/* Which REST depth replies are fit to anchor on. SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/prng.h"
#include "recover/anchor/anchor_judge.h"

static const char good[] = "{\"lastUpdateId\":77,\"bids\":[[\"10.02\",\"1.5\"],[\"10.01\",\"2\"]],"
                           "\"asks\":[[\"10.03\",\"0.1\"],[\"10.05\",\"3\"]]}";

static int judge(const char *text, struct err *err)
{
    int64_t id = 0;
    /* Exactly the bytes: a read behind them is seen. */
    size_t size = strlen(text);
    uint8_t *copy = malloc(size > 0 ? size : 1);
    memcpy(copy, text, size);
    int result = anchor_judge_depth(bytes_of(copy, size), &id, err);
    free(copy);
    return result;
}

static void assert_refused(const char *text, const char *why)
{
    struct err err = {0};
    assert_int_equal(judge(text, &err), ERR_MALFORMED);
    assert_non_null(strstr(err.text, why));
}

static void a_sound_reply_is_taken_with_its_id(void **state)
{
    int64_t id = 0;
    (void)state;
    assert_int_equal(anchor_judge_depth(bytes_text(good), &id, NULL), ERR_OK);
    assert_int_equal(id, 77);
}

static void prices_finer_than_eight_digits_are_understood(void **state)
{
    (void)state;
    assert_int_equal(judge("{\"lastUpdateId\":1,\"bids\":[[\"0.000000000101\",\"1\"]],"
                           "\"asks\":[[\"0.000000000102\",\"1\"]]}",
                           NULL),
                     ERR_OK);
    assert_refused("{\"lastUpdateId\":1,\"bids\":[[\"0.000000000102\",\"1\"]],"
                   "\"asks\":[[\"0.000000000102\",\"1\"]]}",
                   "crossed");
}

static void unsound_replies_are_refused_with_the_reason(void **state)
{
    (void)state;
    assert_refused("", "unreadable");
    assert_refused("[]", "unreadable");
    assert_refused("<html>502</html>", "unreadable");
    assert_refused("{\"code\":-1121,\"msg\":\"Invalid symbol.\"}", "wanted");
    assert_refused("{\"lastUpdateId\":0,\"bids\":[[\"1\",\"1\"]],\"asks\":[[\"2\",\"1\"]]}",
                   "lastUpdateId");
    assert_refused("{\"lastUpdateId\":1,\"bids\":[],\"asks\":[[\"2\",\"1\"]]}", "no bids");
    assert_refused("{\"lastUpdateId\":1,\"bids\":[[\"1\",\"1\"]],\"asks\":[]}", "no asks");
    assert_refused("{\"lastUpdateId\":1,\"bids\":[[\"1\",\"1\"]],\"asks\":[[\"2\",\"0\"]]}",
                   "not positive");
    assert_refused("{\"lastUpdateId\":1,\"bids\":[[\"0\",\"1\"]],\"asks\":[[\"2\",\"1\"]]}",
                   "not positive");
    assert_refused("{\"lastUpdateId\":1,\"bids\":[[\"3\",\"1\"]],\"asks\":[[\"2\",\"1\"]]}",
                   "crossed");
    assert_refused("{\"lastUpdateId\":1,\"bids\":[[\"2\",\"1\"]],\"asks\":[[\"2\",\"1\"]]}",
                   "crossed");
    assert_refused(
        "{\"lastUpdateId\":1,\"bids\":[[\"1\",\"1\"],[\"1.5\",\"1\"]],\"asks\":[[\"2\",\"1\"]]}",
        "bids 1 is out of order");
    assert_refused(
        "{\"lastUpdateId\":1,\"bids\":[[\"1\",\"1\"]],\"asks\":[[\"3\",\"1\"],[\"2\",\"1\"]]}",
        "asks 1 is out of order");
    assert_refused(
        "{\"lastUpdateId\":1,\"bids\":[[\"1\",\"1\"],[\"1.0\",\"1\"]],\"asks\":[[\"2\",\"1\"]]}",
        "twice");
}

/* Every prefix and many mutations: refused or taken, never a read outside. */
static void damaged_replies_never_crash(void **state)
{
    char copy[sizeof(good)];
    struct prng prng;
    (void)state;
    prng_init(&prng, 3);
    for (size_t size = 0; size < sizeof(good) - 1; size++) {
        memcpy(copy, good, size);
        copy[size] = 0;
        assert_int_equal(judge(copy, NULL), ERR_MALFORMED);
    }
    for (int round = 0; round < 5000; round++) {
        memcpy(copy, good, sizeof(good));
        copy[prng_below(&prng, sizeof(good) - 1)] = (char)(1 + prng_below(&prng, 255));
        int result = judge(copy, NULL);
        assert_true(result == ERR_OK || result == ERR_MALFORMED);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sound_reply_is_taken_with_its_id),
        cmocka_unit_test(prices_finer_than_eight_digits_are_understood),
        cmocka_unit_test(unsound_replies_are_refused_with_the_reason),
        cmocka_unit_test(damaged_replies_never_crash),
    };
    return cmocka_run_group_tests_name("anchor_judge", tests, NULL, NULL);
}
