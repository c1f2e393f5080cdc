/* Counting what is missing, also of an epoch that another one has followed.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "learn/lake/archive_tally.h"

#define HOLD ARCHIVE_TALLY_HOLD_US

static void take(struct archive_tally *tally, uint64_t epoch, uint64_t from, uint64_t to)
{
    for (uint64_t seq = from; seq <= to; seq++)
        archive_tally_take(tally, epoch, seq, (int64_t)seq);
}

/* An epoch of 100 of which 41 to 50 are absent, and a new one behind it. */
static struct archive_tally of_two_epochs(void)
{
    struct archive_tally tally;
    archive_tally_begin(&tally, 7, 0);
    take(&tally, 7, 1, 40);
    take(&tally, 7, 51, 100);
    archive_tally_look(&tally, false, 1);
    take(&tally, 8, 1, 20);
    return tally;
}

static void what_an_epoch_lacks_is_counted_after_another_has_begun(void **state)
{
    (void)state;
    struct archive_tally tally = of_two_epochs();
    archive_tally_look(&tally, true, 2);
    archive_tally_look(&tally, true, 1 + HOLD);
    assert_int_equal(tally.holes, 0);
    assert_true(tally.complete);
    assert_int_equal(tally.complete_epoch, 8);
    archive_tally_look(&tally, true, 2 + HOLD);
    assert_int_equal(tally.holes, 1);
    assert_int_equal(tally.lost, 10);
    archive_tally_look(&tally, true, 3 + 2 * HOLD);
    assert_int_equal(tally.lost, 10);
}

static void another_stream_may_still_have_it(void **state)
{
    (void)state;
    struct archive_tally tally = of_two_epochs();
    archive_tally_look(&tally, true, 2);
    archive_tally_look(&tally, false, 3 + HOLD); /* there is more to read: counted from anew */
    take(&tally, 7, 41, 46);
    archive_tally_look(&tally, true, 4 + HOLD);
    take(&tally, 7, 47, 50);
    take(&tally, 7, 101, 103);
    archive_tally_look(&tally, true, 5 + 3 * HOLD);
    assert_int_equal(tally.holes, 0);
    assert_int_equal(tally.past_count, 0);
}

static void an_epoch_without_a_known_beginning_lacks_nothing(void **state)
{
    (void)state;
    struct archive_tally tally;
    archive_tally_begin(&tally, 0, 0);
    take(&tally, 7, 30, 40);
    take(&tally, 7, 60, 70);
    take(&tally, 8, 1, 5);
    archive_tally_look(&tally, true, 1);
    archive_tally_look(&tally, true, 2 + HOLD);
    assert_int_equal(tally.holes, 0);
}

static void of_many_epochs_the_oldest_is_given_up(void **state)
{
    (void)state;
    struct archive_tally tally;
    archive_tally_begin(&tally, 1, 0);
    for (uint64_t epoch = 1; epoch <= ARCHIVE_TALLY_PAST_MAX + 2; epoch++)
        take(&tally, epoch, 2, 3); /* 1 is absent in each */
    assert_int_equal(tally.past_count, ARCHIVE_TALLY_PAST_MAX);
    archive_tally_look(&tally, true, 1);
    archive_tally_look(&tally, true, 1 + HOLD);
    /* The newest one's is counted beside them. */
    assert_int_equal(tally.lost, ARCHIVE_TALLY_PAST_MAX + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_an_epoch_lacks_is_counted_after_another_has_begun),
        cmocka_unit_test(another_stream_may_still_have_it),
        cmocka_unit_test(an_epoch_without_a_known_beginning_lacks_nothing),
        cmocka_unit_test(of_many_epochs_the_oldest_is_given_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
