/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/metrics.h"

static void metrics_registers_each_name_and_label_once(void **state)
{
    (void)state;
    struct metrics metrics = {0};
    struct metric *a = metrics_counter(&metrics, "x_total", NULL, "X.");
    struct metric *b = metrics_counter(&metrics, "x_total", "k=\"v\"", "X.");
    assert_ptr_equal(metrics_counter(&metrics, "x_total", "", "X."), a);
    assert_ptr_equal(metrics_counter(&metrics, "x_total", "k=\"v\"", "X."), b);
    assert_ptr_not_equal(a, b);
    assert_int_equal(metrics.count, 2);
    metrics_close(&metrics);
    assert_int_equal(metrics.count, 0);
    metrics_close(&metrics);
}

static void metrics_hold_what_was_put_in(void **state)
{
    (void)state;
    struct metrics metrics = {0};
    struct metric *counter = metrics_counter(&metrics, "x_total", NULL, "X.");
    struct metric *gauge = metrics_gauge(&metrics, "y", NULL, "Y.");
    struct metric *histogram = metrics_histogram(&metrics, "z_seconds", NULL, "Z.");
    assert_int_equal(metric_count(counter), 0);
    metric_add(counter, 2);
    metric_add(counter, 3);
    assert_int_equal(metric_count(counter), 5);
    uint64_t told = 2; /* of a total kept elsewhere */
    metric_follow(counter, 6, &told);
    metric_follow(counter, 6, &told);
    assert_int_equal(metric_count(counter), 9);
    metric_follow(counter, 1, &told); /* it began anew */
    metric_follow(counter, 3, &told);
    assert_int_equal(metric_count(counter), 11);
    metric_set(gauge, -1.5);
    assert_true(metric_value(gauge) == -1.5);
    metric_observe_ns(histogram, 30000000);
    assert_int_equal(histogram_count(&histogram->histogram), 1);
    metrics_close(&metrics);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(metrics_registers_each_name_and_label_once),
        cmocka_unit_test(metrics_hold_what_was_put_in),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
