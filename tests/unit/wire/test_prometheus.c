/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wire/prometheus.h"

struct page {
    struct metrics metrics;
    char buffer[65536];
};

static int setup(void **state)
{
    *state = calloc(1, sizeof(struct page));
    return *state == NULL;
}

static int teardown(void **state)
{
    struct page *page = *state;
    metrics_close(&page->metrics);
    free(page);
    return 0;
}

static const char *render(struct page *page)
{
    struct text text = text_begin(page->buffer, sizeof(page->buffer));
    prometheus_write(&page->metrics, "aggregator", &text);
    assert_false(text.truncated);
    return text_end(&text);
}

static int occurrences(const char *text, const char *part)
{
    int count = 0;
    for (const char *at = strstr(text, part); at != NULL; at = strstr(at + 1, part))
        count++;
    return count;
}

static void assert_line(const char *text, const char *line)
{
    char with_ends[512];
    snprintf(with_ends, sizeof(with_ends), "\n%s\n", line);
    if (strstr(text, with_ends) == NULL)
        fail_msg("missing line: %s\nin:\n%s", line, text);
}

static void prometheus_writes_head_once_for_all_labels_of_a_name(void **state)
{
    struct page *page = *state;
    struct metric *trade = metrics_counter(&page->metrics, "ingestor_sbe_messages_total",
                                           "message_type=\"trade\"", "Frames \\ by type.\nTwo.");
    struct metric *between = metrics_gauge(&page->metrics, "between", NULL, "Something else.");
    struct metric *depth = metrics_counter(&page->metrics, "ingestor_sbe_messages_total",
                                           "message_type=\"depth\"", "Frames by type.");
    metric_add(trade, 3);
    metric_add(depth, 18446744073709551615u);
    metric_set(between, 0.5);
    const char *text = render(page);
    assert_line(text, "# HELP ingestor_sbe_messages_total Frames \\\\ by type.\\nTwo.\n"
                      "# TYPE ingestor_sbe_messages_total counter\n"
                      "ingestor_sbe_messages_total{message_type=\"trade\"} 3\n"
                      "ingestor_sbe_messages_total{message_type=\"depth\"} 18446744073709551615");
    assert_int_equal(occurrences(text, "# TYPE ingestor_sbe_messages_total"), 1);
    assert_line(text, "# TYPE between gauge\nbetween 0.5");
    assert_line(text, "btcast_build_info{service=\"aggregator\",version=\"" BTCAST_VERSION "\"} 1");
}

static void prometheus_writes_gauges_that_are_no_numbers(void **state)
{
    struct page *page = *state;
    metric_set(metrics_gauge(&page->metrics, "a", NULL, "A."), NAN);
    metric_set(metrics_gauge(&page->metrics, "b", NULL, "B."), INFINITY);
    metric_set(metrics_gauge(&page->metrics, "c", NULL, "C."), -INFINITY);
    const char *text = render(page);
    assert_line(text, "a NaN");
    assert_line(text, "b +Inf");
    assert_line(text, "c -Inf");
}

static void prometheus_histograms_are_cumulative_seconds_with_exact_limits(void **state)
{
    struct page *page = *state;
    struct metric *metric =
        metrics_histogram(&page->metrics, "inference_total_latency_seconds", "mode=\"live\"", "L.");
    metric_observe_ns(metric, 30000000);
    metric_observe_ns(metric, 30000001);
    metric_observe_ns(metric, 100000000);
    metric_observe_ns(metric, 100000001);
    metric_observe_ns(metric, 1000000000000);
    metric_observe_ns(metric, -500);
    const char *text = render(page);
    assert_line(text, "inference_total_latency_seconds_bucket{mode=\"live\",le=\"0.03\"} 2");
    assert_line(text, "inference_total_latency_seconds_bucket{mode=\"live\",le=\"0.1\"} 4");
    assert_line(text, "inference_total_latency_seconds_bucket{mode=\"live\",le=\"1e-06\"} 1");
    assert_line(text, "inference_total_latency_seconds_bucket{mode=\"live\",le=\"+Inf\"} 6");
    assert_line(text, "inference_total_latency_seconds_sum{mode=\"live\"} 1000.259999502");
    assert_line(text, "inference_total_latency_seconds_count{mode=\"live\"} 6");
}

static void prometheus_empty_histograms_still_show_their_limits(void **state)
{
    struct page *page = *state;
    metrics_histogram(&page->metrics, "x_seconds", NULL, "X.");
    const char *text = render(page);
    assert_line(text, "x_seconds_bucket{le=\"0.03\"} 0");
    assert_line(text, "x_seconds_bucket{le=\"0.1\"} 0");
    assert_line(text, "x_seconds_bucket{le=\"+Inf\"} 0");
    assert_line(text, "x_seconds_sum 0.000000000");
    assert_line(text, "x_seconds_count 0");
    assert_true(occurrences(text, "_bucket{") < 35);
}

/* Values on the page rise with the edges, whatever was observed. */
static void prometheus_buckets_never_fall(void **state)
{
    struct page *page = *state;
    struct metric *metric = metrics_histogram(&page->metrics, "x_seconds", NULL, "X.");
    for (int64_t ns = 100; ns < 200000000000; ns = ns * 5 / 4 + 7)
        metric_observe_ns(metric, ns);
    const char *text = render(page);
    double edge_before = -1;
    unsigned long long before = 0;
    int lines = 0;
    for (const char *at = strstr(text, "_bucket{le=\""); at != NULL;
         at = strstr(at + 1, "_bucket{le=\"")) {
        double edge = strtod(at + 12, NULL);
        unsigned long long value = strtoull(strchr(at, '}') + 2, NULL, 10);
        assert_true(edge > edge_before);
        assert_true(value >= before);
        edge_before = edge;
        before = value;
        lines++;
    }
    assert_true(lines > 100);
    assert_true(isinf(edge_before));
    assert_int_equal(before, histogram_count(&metric->histogram));
}

static void prometheus_labels_are_escaped(void **state)
{
    (void)state;
    char buffer[64];
    struct text labels = text_begin(buffer, sizeof(buffer));
    prometheus_add_label(&labels, "a", "x\"y\\z\nw");
    prometheus_add_label(&labels, "b", "");
    assert_string_equal(text_end(&labels), "a=\"x\\\"y\\\\z\\nw\",b=\"\"");
}

static void prometheus_says_when_the_buffer_is_too_small(void **state)
{
    struct page *page = *state;
    metrics_histogram(&page->metrics, "x_seconds", NULL, "X.");
    struct text text = text_begin(page->buffer, 200);
    prometheus_write(&page->metrics, "aggregator", &text);
    assert_true(text.truncated);
}

int main(void)
{
#define WITH_PAGE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        WITH_PAGE(prometheus_writes_head_once_for_all_labels_of_a_name),
        WITH_PAGE(prometheus_writes_gauges_that_are_no_numbers),
        WITH_PAGE(prometheus_histograms_are_cumulative_seconds_with_exact_limits),
        WITH_PAGE(prometheus_empty_histograms_still_show_their_limits),
        WITH_PAGE(prometheus_buckets_never_fall),
        cmocka_unit_test(prometheus_labels_are_escaped),
        WITH_PAGE(prometheus_says_when_the_buffer_is_too_small),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
