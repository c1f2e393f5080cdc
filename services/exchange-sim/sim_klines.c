/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/clock.h"
#include "services/exchange-sim/sim_rest.h"

#define KLINES_DAY_S 86400LL
/* Monday, 5 January 1970: weeks start there. */
#define KLINES_MONDAY_S (4 * KLINES_DAY_S)

struct klines_interval {
    const char *name;
    int64_t seconds;
    int64_t origin_s;
};

/* A month has no fixed length; the tape holds a day, so its months are 30 days of 1970. */
static const struct klines_interval klines_intervals[] = {
    {"1s", 1, 0},
    {"1m", 60, 0},
    {"3m", 180, 0},
    {"5m", 300, 0},
    {"15m", 900, 0},
    {"30m", 1800, 0},
    {"1h", 3600, 0},
    {"2h", 7200, 0},
    {"4h", 14400, 0},
    {"6h", 21600, 0},
    {"8h", 28800, 0},
    {"12h", 43200, 0},
    {"1d", KLINES_DAY_S, 0},
    {"3d", 3 * KLINES_DAY_S, 0},
    {"1w", 7 * KLINES_DAY_S, KLINES_MONDAY_S},
    {"1M", 30 * KLINES_DAY_S, 0},
};

static const struct klines_interval *klines_interval(const char *name)
{
    for (size_t i = 0; i < sizeof(klines_intervals) / sizeof(klines_intervals[0]); i++)
        if (strcmp(name, klines_intervals[i].name) == 0)
            return &klines_intervals[i];
    return NULL;
}

static void klines_row(const struct sim_request *request, const struct sim_bar *bar,
                       int64_t seconds, struct text *body)
{
    int64_t open_us = bar->second * CLOCK_US_PER_S;
    int64_t last_us = request->microseconds ? 1 : CLOCK_US_PER_MS;
    int64_t close_us = open_us + seconds * CLOCK_US_PER_S - last_us;
    const int64_t prices[] = {bar->open, bar->high, bar->low, bar->close, bar->volume};
    text_add_format(body, "[%lld", (long long)sim_rest_time(request, open_us));
    for (size_t i = 0; i < sizeof(prices) / sizeof(prices[0]); i++) {
        text_add_char(body, ',');
        sim_rest_decimal(body, prices[i]);
    }
    text_add_format(body, ",%lld,", (long long)sim_rest_time(request, close_us));
    sim_rest_decimal(body, bar->quote_volume);
    text_add_format(body, ",%lld,", (long long)bar->trades);
    sim_rest_decimal(body, bar->buy_volume);
    text_add_char(body, ',');
    sim_rest_decimal(body, bar->buy_quote_volume);
    text_add(body, ",\"0\"]");
}

static int64_t klines_floor(int64_t second, const struct klines_interval *interval)
{
    int64_t since = second - interval->origin_s;
    return interval->origin_s + since / interval->seconds * interval->seconds;
}

/* The first interval to tell and how many, from what is known and what was asked. */
static int64_t klines_first(const struct sim_feed *feed, const struct sim_range *range,
                            const struct klines_interval *interval, int64_t *count)
{
    int64_t known = sim_tape_bar_count(&feed->tape);
    *count = 0;
    if (known == 0)
        return 0;
    int64_t step = interval->seconds;
    int64_t first = klines_floor(sim_tape_bar(&feed->tape, 0)->second, interval);
    int64_t last = klines_floor(sim_tape_bar(&feed->tape, known - 1)->second, interval);
    if (range->has_to && range->to_us / CLOCK_US_PER_S < last)
        last = klines_floor(range->to_us / CLOCK_US_PER_S, interval);
    if (range->has_from && range->from_us > first * CLOCK_US_PER_S) {
        int64_t from_s = (range->from_us + CLOCK_US_PER_S - 1) / CLOCK_US_PER_S;
        first = klines_floor(from_s + step - 1, interval);
    } else if (!range->has_from && last - first >= range->limit * step) {
        first = last - (range->limit - 1) * step;
    }
    *count = last < first ? 0 : (last - first) / step + 1;
    *count = *count < range->limit ? *count : range->limit;
    return first;
}

int sim_klines_answer(const struct sim_feed *feed, const struct sim_request *request,
                      struct text *body)
{
    char name[SIM_REST_VALUE_SIZE];
    struct sim_range range;
    if (!sim_rest_parameter(request->query, "interval", name))
        return sim_rest_error(body, 400, -1102,
                              "Mandatory parameter 'interval' was not sent, was empty/null, or "
                              "malformed.");
    const struct klines_interval *interval = klines_interval(name);
    if (!interval)
        return sim_rest_error(body, 400, -1120, "Invalid interval.");
    int rc = sim_rest_range(request, &range, body);
    if (rc != 200)
        return rc;
    int64_t count;
    int64_t first = klines_first(feed, &range, interval, &count);
    text_add_char(body, '[');
    bool some = false;
    for (int64_t i = 0; i < count; i++) {
        struct sim_bar bar;
        int64_t second = first + i * interval->seconds;
        if (!sim_tape_span(&feed->tape, second, interval->seconds, &bar))
            continue;
        if (some)
            text_add_char(body, ',');
        klines_row(request, &bar, interval->seconds, body);
        some = true;
    }
    text_add_char(body, ']');
    return 200;
}
