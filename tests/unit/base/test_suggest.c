/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/suggest.h"

static void suggest_counts_edits(void **state)
{
    (void)state;
    assert_int_equal(suggest_distance("", ""), 0);
    assert_int_equal(suggest_distance("abc", "abc"), 0);
    assert_int_equal(suggest_distance("", "abc"), 3);
    assert_int_equal(suggest_distance("kitten", "sitting"), 3);
    assert_int_equal(suggest_distance("hepl", "help"), 1);
    assert_int_equal(suggest_distance("ab", "ba"), 1);
    assert_int_equal(suggest_distance("help", "hepl"), suggest_distance("hepl", "help"));
}

static void suggest_keeps_the_nearest_and_nothing_far(void **state)
{
    (void)state;
    const char *best = NULL;
    suggest_offer("agregator", "inference", &best);
    assert_null(best);
    suggest_offer("agregator", "aggregators", &best);
    suggest_offer("agregator", "aggregator", &best);
    suggest_offer("agregator", "aggregatory", &best);
    assert_string_equal(best, "aggregator");
}

static void suggest_bounds_the_names_it_compares(void **state)
{
    (void)state;
    char longest[SUGGEST_NAME_MAX + 2];
    memset(longest, 'a', sizeof(longest));
    longest[SUGGEST_NAME_MAX] = '\0';
    assert_int_equal(suggest_distance(longest, "a"), SUGGEST_NAME_MAX - 1);
    longest[SUGGEST_NAME_MAX] = 'a';
    longest[SUGGEST_NAME_MAX + 1] = '\0';
    assert_true(suggest_distance(longest, longest) > SUGGEST_NAME_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(suggest_counts_edits),
        cmocka_unit_test(suggest_keeps_the_nearest_and_nothing_far),
        cmocka_unit_test(suggest_bounds_the_names_it_compares),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
