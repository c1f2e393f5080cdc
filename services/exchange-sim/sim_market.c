/* SPDX-License-Identifier: Apache-2.0 */
#include "services/exchange-sim/sim_market.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

/* Ids begin at the clock, two update ids and one trade id a microsecond: faster than any rate
 * uses them up, so that a restarted exchange goes on above its last ids, as a real one does. */
#define MARKET_BOOK_IDS_PER_US 2
#define MARKET_PASSIVE_RATE    325.0
#define MARKET_TOUCH_RATE      40.0
#define MARKET_REFILL_WAIT_US  1200.0
#define MARKET_LEAN_US         100000
#define MARKET_SNAPSHOT_US     50000
#define MARKET_DIFF_100MS_US   100000
#define MARKET_HORIZON_S       10.0

static int64_t market_wait_us(struct sim_market *market, double rate_per_s)
{
    return 1 + (int64_t)(1e6 / rate_per_s * prng_exponential(&market->prng));
}

/* Bursts by thinning: between events the intensity only falls, so now's is a bound. */
static void market_draw_burst(struct sim_market *market)
{
    market->burst_bound = sim_signal_intensity(&market->signal, market->now_us);
    market->due_us[SIM_EVENT_BURST] = market->now_us + market_wait_us(market, market->burst_bound);
}

static void market_draw(struct sim_market *market, enum sim_market_event event, double rate)
{
    market->due_us[event] = market->now_us + market_wait_us(market, rate);
}

static void market_next_sweep(struct sim_market *market)
{
    struct sim_burst *burst;
    market->due_us[SIM_EVENT_SWEEP] = sim_signal_next(&market->signal, &burst);
}

static int64_t market_grid(int64_t now_us, int64_t step_us)
{
    return (now_us / step_us + 1) * step_us;
}

static void market_schedule(struct sim_market *market)
{
    market->due_us[SIM_EVENT_SWEEP] = INT64_MAX;
    market->due_us[SIM_EVENT_REFILL] = INT64_MAX;
    market_draw(market, SIM_EVENT_GROUP, SIM_GROUP_RATE_PER_S);
    market_draw_burst(market);
    market_draw(market, SIM_EVENT_PASSIVE, MARKET_PASSIVE_RATE);
    market_draw(market, SIM_EVENT_TOUCH, MARKET_TOUCH_RATE);
    market->due_us[SIM_EVENT_LEAN] = market_grid(market->now_us, MARKET_LEAN_US);
    market->due_us[SIM_EVENT_SNAPSHOT] = market_grid(market->now_us, MARKET_SNAPSHOT_US);
    market->due_us[SIM_EVENT_DIFF] = market_grid(market->now_us, market->options.diff_interval_us);
    market->due_us[SIM_EVENT_DIFF_100MS] =
        market->options.fast_only ? INT64_MAX : market_grid(market->now_us, MARKET_DIFF_100MS_US);
}

int sim_market_open(struct sim_market *market, const struct sim_market_options *options,
                    const struct sim_sink *sink, struct err *err)
{
    memset(market, 0, sizeof(*market));
    market->options = *options;
    market->sink = *sink;
    market->now_us = options->start_us;
    market->next_trade_id = options->start_us;
    market->fair = (int64_t)(options->price * 100.0 + 0.5);
    prng_init(&market->prng, options->seed);
    sim_signal_init(&market->signal, market->now_us);
    int rc = sim_book_open(&market->book, options->start_us * MARKET_BOOK_IDS_PER_US, err);
    if (rc != ERR_OK)
        return rc;
    market->diff = malloc(sizeof(*market->diff));
    if (!market->diff) {
        sim_book_close(&market->book);
        return err_set(err, ERR_MEMORY, "simulated market");
    }
    market->book.silent[SIM_CADENCE_100MS] = options->fast_only;
    sim_flow_fill(market);
    market_schedule(market);
    return ERR_OK;
}

void sim_market_close(struct sim_market *market)
{
    sim_book_close(&market->book);
    free(market->diff);
    market->diff = NULL;
}

static enum sim_market_event market_first(const struct sim_market *market)
{
    int first = 0;
    for (int i = 1; i < SIM_EVENT_COUNT; i++)
        if (market->due_us[i] < market->due_us[first])
            first = i;
    return (enum sim_market_event)first;
}

int64_t sim_market_next_us(const struct sim_market *market)
{
    return market->due_us[market_first(market)];
}

static void market_sweep(struct sim_market *market, struct sim_burst *burst)
{
    sim_flow_sweep(market, burst->sign);
    sim_signal_swept(burst, &market->prng, market->now_us);
    market_next_sweep(market);
    market->due_us[SIM_EVENT_REFILL] =
        market->now_us + market_wait_us(market, 1e6 / MARKET_REFILL_WAIT_US);
}

static void market_burst(struct sim_market *market)
{
    double intensity = sim_signal_intensity(&market->signal, market->now_us);
    if (prng_f64(&market->prng) * market->burst_bound < intensity) {
        struct sim_burst *burst = sim_signal_start(&market->signal, &market->prng, market->now_us);
        if (burst)
            market_sweep(market, burst);
    }
    market_draw_burst(market);
}

static void market_refill(struct sim_market *market)
{
    market->due_us[SIM_EVENT_REFILL] =
        sim_flow_refill(market)
            ? market->now_us + market_wait_us(market, 1e6 / MARKET_REFILL_WAIT_US)
            : INT64_MAX;
}

static void market_diff(struct sim_market *market, enum sim_cadence cadence)
{
    if (sim_book_take(&market->book, cadence, market->diff))
        market->sink.diff(market->sink.context, market->now_us, cadence, market->diff);
}

static void market_snapshot(struct sim_market *market)
{
    struct sbe_level bids[SIM_SNAPSHOT_LEVELS], asks[SIM_SNAPSHOT_LEVELS];
    int bid_count = sim_book_copy(&market->book, SIM_BID, bids, SIM_SNAPSHOT_LEVELS);
    int ask_count = sim_book_copy(&market->book, SIM_ASK, asks, SIM_SNAPSHOT_LEVELS);
    market->sink.snapshot(market->sink.context, market->now_us, market->book.last_id, bids,
                          bid_count, asks, ask_count);
}

static void market_grid_event(struct sim_market *market, enum sim_market_event event)
{
    int64_t step_us = MARKET_DIFF_100MS_US;
    if (event == SIM_EVENT_SNAPSHOT) {
        step_us = MARKET_SNAPSHOT_US;
        market_snapshot(market);
    } else if (event == SIM_EVENT_DIFF) {
        step_us = market->options.diff_interval_us;
        market_diff(market, SIM_CADENCE_FAST);
    } else if (event == SIM_EVENT_DIFF_100MS) {
        market_diff(market, SIM_CADENCE_100MS);
    } else {
        step_us = MARKET_LEAN_US;
        sim_signal_step(&market->signal, &market->prng);
        sim_flow_lean(market);
    }
    market->due_us[event] = market_grid(market->now_us, step_us);
}

static void market_event(struct sim_market *market, enum sim_market_event event)
{
    struct sim_burst *burst;
    switch (event) {
    case SIM_EVENT_SWEEP:
        (void)sim_signal_next(&market->signal, &burst);
        market_sweep(market, burst);
        break;
    case SIM_EVENT_REFILL:
        market_refill(market);
        break;
    case SIM_EVENT_GROUP:
        sim_flow_group(market);
        market_draw(market, event, SIM_GROUP_RATE_PER_S);
        break;
    case SIM_EVENT_BURST:
        market_burst(market);
        break;
    case SIM_EVENT_PASSIVE:
        sim_flow_passive(market);
        market_draw(market, event, MARKET_PASSIVE_RATE);
        break;
    case SIM_EVENT_TOUCH:
        sim_flow_touch(market);
        market_draw(market, event, MARKET_TOUCH_RATE);
        break;
    default:
        market_grid_event(market, event);
    }
}

/* A diff that is about to overflow goes out before its time. */
static void market_spill(struct sim_market *market)
{
    for (int i = 0; i < SIM_CADENCE_COUNT; i++)
        if (market->book.changes[i]->count > SIM_CHANGES_MAX / 2)
            market_diff(market, (enum sim_cadence)i);
}

void sim_market_run(struct sim_market *market, int64_t until_us)
{
    for (;;) {
        enum sim_market_event event = market_first(market);
        if (market->due_us[event] >= until_us)
            break;
        market->now_us = market->due_us[event];
        market_event(market, event);
        market_spill(market);
    }
    if (until_us > market->now_us)
        market->now_us = until_us;
}

double sim_market_oracle_bp(struct sim_market *market)
{
    double fair = (double)market->fair + 0.5;
    double mid = 0.5 *
                 (double)(sim_book_level(&market->book, SIM_BID, 0)->price +
                          sim_book_level(&market->book, SIM_ASK, 0)->price) /
                 (double)SIM_TICK;
    struct sim_forecast forecast =
        sim_signal_forecast(&market->signal, market->now_us, MARKET_HORIZON_S, fair);
    /* Behind a sweep the makers are about to close the spread: that part is certain. */
    return 1e4 * log(fair / mid) + forecast.linear_bp + forecast.nonlinear_bp + forecast.burst_bp;
}
