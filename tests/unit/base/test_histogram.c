/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdlib.h>

#include "base/histogram.h"

static int setup(void **state)
{
    *state = calloc(1, sizeof(struct histogram));
    return *state == NULL;
}

static int teardown(void **state)
{
    free(*state);
    return 0;
}

static int edge_index(int64_t edge_ns)
{
    for (int i = 0; i < HISTOGRAM_EDGES; i++)
        if (histogram_edges_ns()[i] == edge_ns)
            return i;
    return -1;
}

static void histogram_edges_rise_and_hold_the_specified_limits(void **state)
{
    (void)state;
    const int64_t *edges = histogram_edges_ns();
    assert_int_equal(edges[0], 1000);
    assert_true(edges[HISTOGRAM_EDGES - 1] > 60000000000);
    for (int i = 1; i < HISTOGRAM_EDGES; i++)
        assert_true(edges[i] > edges[i - 1]);
    assert_true(edge_index(30000000) > 0);
    assert_true(edge_index(100000000) > 0);
}

static void histogram_counts_a_value_on_its_edge_below_it(void **state)
{
    struct histogram *histogram = *state;
    int limit = edge_index(30000000);
    histogram_add(histogram, 30000000);
    histogram_add(histogram, 30000001);
    assert_int_equal(histogram->counts[limit], 1);
    assert_int_equal(histogram->counts[limit + 1], 1);
    histogram_add(histogram, INT64_MAX / 4);
    assert_int_equal(histogram->counts[HISTOGRAM_EDGES], 1);
    assert_int_equal(histogram_count(histogram), 3);
}

static void histogram_keeps_negative_values_as_data(void **state)
{
    struct histogram *histogram = *state;
    histogram_add(histogram, -5000);
    histogram_add(histogram, 0);
    histogram_add(histogram, 2000);
    assert_int_equal(histogram->counts[0], 2);
    assert_int_equal(histogram->sum_ns, -3000);
}

static void histogram_quantiles_stay_within_a_bucket_of_the_truth(void **state)
{
    struct histogram *histogram = *state;
    assert_int_equal(histogram_quantile_ns(histogram, 0.5), 0);
    for (int64_t ns = 1000; ns <= 1000000; ns += 1000)
        histogram_add(histogram, ns);
    for (int q = 5; q <= 99; q++) {
        double truth = 10000.0 * q;
        double found = (double)histogram_quantile_ns(histogram, q / 100.0);
        assert_true(found > truth * 0.8 && found < truth * 1.2);
    }
}

static void histogram_quantile_above_every_edge_is_the_last_edge(void **state)
{
    struct histogram *histogram = *state;
    histogram_add(histogram, INT64_MAX / 4);
    assert_int_equal(histogram_quantile_ns(histogram, 0.5),
                     histogram_edges_ns()[HISTOGRAM_EDGES - 1]);
}

static void *read_often(void *self)
{
    uint64_t before = 0;
    for (int i = 0; i < 2000; i++) {
        uint64_t now = histogram_count(self);
        if (now < before)
            return self;
        before = now;
    }
    return NULL;
}

static void histogram_can_be_read_while_it_is_written(void **state)
{
    struct histogram *histogram = *state;
    pthread_t reader;
    void *wrong = NULL;
    assert_int_equal(pthread_create(&reader, NULL, read_often, histogram), 0);
    for (int i = 0; i < 20000; i++)
        histogram_add(histogram, i * 100);
    assert_int_equal(pthread_join(reader, &wrong), 0);
    assert_null(wrong);
    assert_int_equal(histogram_count(histogram), 20000);
}

int main(void)
{
#define WITH_HISTOGRAM(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(histogram_edges_rise_and_hold_the_specified_limits),
        WITH_HISTOGRAM(histogram_counts_a_value_on_its_edge_below_it),
        WITH_HISTOGRAM(histogram_keeps_negative_values_as_data),
        WITH_HISTOGRAM(histogram_quantiles_stay_within_a_bucket_of_the_truth),
        WITH_HISTOGRAM(histogram_quantile_above_every_edge_is_the_last_edge),
        WITH_HISTOGRAM(histogram_can_be_read_while_it_is_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
