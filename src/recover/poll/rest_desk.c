/* SPDX-License-Identifier: Apache-2.0 */
#include "recover/poll/rest_desk.h"

#include <stdio.h>

#include "base/check.h"

static void rest_desk_measure(struct rest_desk *desk)
{
    struct metrics *metrics = desk->options.metrics;
    static const char *const statuses[] = {"ok", "refused", "failed"};
    char labels[METRICS_LABELS_SIZE];
    for (int i = 0; i < REST_ENDPOINTS; i++)
        for (int k = 0; k < 3; k++) {
            snprintf(labels, sizeof(labels), "endpoint=\"%s\",status=\"%s\"",
                     rest_endpoint_name((enum rest_endpoint)i), statuses[k]);
            desk->calls[i][k] = metrics_counter(metrics, "ingestor_rest_api_calls_total", labels,
                                                "REST calls by endpoint and outcome.");
        }
    desk->duration = metrics_histogram(metrics, "ingestor_rest_api_duration_seconds", NULL,
                                       "From a REST request to its whole reply.");
    desk->remaining = metrics_gauge(metrics, "ingestor_rest_rate_limit_remaining", NULL,
                                    "Request weight left this minute, others' use counted.");
    desk->limit = metrics_gauge(metrics, "ingestor_rest_rate_limit", NULL,
                                "Request weight a minute, as exchangeInfo says.");
    desk->throttled = metrics_counter(metrics, "ingestor_rest_throttled_total", "status=\"429\"",
                                      "Replies that wanted silence.");
    desk->banned = metrics_counter(metrics, "ingestor_rest_throttled_total", "status=\"418\"",
                                   "Replies that wanted silence.");
    desk->yields = metrics_counter(metrics, "ingestor_rest_budget_waits_total", NULL,
                                   "Times that a request found no room in the weight budget.");
}

void rest_desk_open(struct rest_desk *desk, const struct rest_desk_options *options)
{
    *desk = (struct rest_desk){.options = *options, .warn = LOG_LIMIT_DEFAULT};
    weight_budget_init(&desk->budget);
    prng_init(&desk->prng, options->seed);
    rest_desk_measure(desk);
}

int64_t rest_desk_blocked_until_us(const struct rest_desk *desk)
{
    int64_t until_us = desk->budget.blocked_until_us;
    return until_us > desk->now.wall_us ? until_us : 0;
}

/* What one of us was told holds for all. */
static void rest_desk_share(struct rest_desk *desk)
{
    const struct rest_silence_port *silence = &desk->options.silence;
    int64_t until_us = rest_desk_blocked_until_us(desk);
    if (silence->self == NULL)
        return;
    silence->do_work(silence->self, desk->now.mono_us);
    int64_t heard_us = silence->until_us(silence->self);
    if (heard_us > desk->now.wall_us)
        weight_budget_block(&desk->budget, heard_us);
    if (until_us > desk->said_until_us && until_us > heard_us)
        silence->say(silence->self, until_us);
    desk->said_until_us = until_us;
}

int rest_desk_do_work(struct rest_desk *desk, struct clock_now now)
{
    desk->now = now;
    int work = desk->options.rest.do_work(desk->options.rest.self, now.mono_us);
    rest_desk_share(desk);
    metric_set(desk->limit, (double)desk->budget.limit);
    metric_set(desk->remaining, (double)(desk->budget.limit - desk->budget.used));
    return work;
}
