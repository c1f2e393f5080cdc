/* SPDX-License-Identifier: Apache-2.0 */
#include "recover/poll/view_maker.h"

#include <stdlib.h>

#include "base/log.h"
#include "recover/poll/view_world.h"

struct view_maker {
    struct view_maker_options options;
    struct clock_now now;
    struct rest_errand depth_errand, trades_errand;
    struct view_world world;
    int64_t due_us;      /* wall */
    int64_t book_us;     /* monotonic: since when a book waits for its trades; 0: it has not come */
    bool wants_tick;     /* a book was applied: the view is written at its first tick */
    int64_t next_agg_id; /* 0: the newest */
    struct rest_depth depth;
    struct sbe_level bids[VIEW_MAKER_DEPTH_LIMIT], asks[VIEW_MAKER_DEPTH_LIMIT];
    struct rest_agg_trade trades[VIEW_MAKER_TRADES_LIMIT];
    struct view_maker_status status;
    struct metric *written, *yields, *malformed, *age;
};

/* --- asking --------------------------------------------------------------------------- */

/* Two seconds, or more when the weight would not last the minute otherwise: some age is
 * better than none for the rest of it. */
static int64_t view_maker_period_us(struct view_maker *maker)
{
    int64_t pace_us = weight_budget_pace_us(&maker->options.desk->budget, WEIGHT_VIEW,
                                            VIEW_MAKER_WEIGHT, maker->now.wall_us);
    int64_t periods = (pace_us + REST_VIEW_PERIOD_US - 1) / REST_VIEW_PERIOD_US;
    if (periods < 1)
        periods = 1;
    return (periods < VIEW_MAKER_PERIODS_MAX ? periods : VIEW_MAKER_PERIODS_MAX) *
           REST_VIEW_PERIOD_US;
}

static bool view_maker_due(struct view_maker *maker)
{
    int64_t wall_us = maker->now.wall_us;
    int64_t last_us = (wall_us - VIEW_MAKER_PHASE_US) / REST_VIEW_PERIOD_US * REST_VIEW_PERIOD_US +
                      VIEW_MAKER_PHASE_US;
    bool due = wall_us >= maker->due_us;
    bool set_back = maker->due_us > last_us + VIEW_MAKER_PERIODS_MAX * REST_VIEW_PERIOD_US;
    if (due || set_back)
        maker->due_us = last_us + view_maker_period_us(maker);
    return due;
}

/* True when the errand can be started anew; one that waits gives up its place. */
static bool view_maker_free(struct view_maker *maker, struct rest_errand *errand)
{
    bool waited = errand->state == REST_ERRAND_WAITING;
    if (waited || errand->state == REST_ERRAND_FLYING) {
        maker->status.yields++;
        metric_add(maker->yields, 1);
    }
    return rest_errand_drop(errand);
}

static void view_maker_ask(struct view_maker *maker)
{
    struct rest_query depth = {.endpoint = REST_ENDPOINT_DEPTH,
                               .limit = VIEW_MAKER_DEPTH_LIMIT,
                               .from_id = -1,
                               .start_us = -1,
                               .end_us = -1};
    struct rest_query trades = {.endpoint = REST_ENDPOINT_AGG_TRADES,
                                .limit = VIEW_MAKER_TRADES_LIMIT,
                                .from_id = maker->next_agg_id > 0 ? maker->next_agg_id : -1,
                                .start_us = -1,
                                .end_us = -1};
    if (view_maker_free(maker, &maker->depth_errand))
        rest_errand_start(&maker->depth_errand, &depth);
    if (view_maker_free(maker, &maker->trades_errand))
        rest_errand_start(&maker->trades_errand, &trades);
    maker->book_us = 0;
}

/* --- taking --------------------------------------------------------------------------- */

static void view_maker_reject(struct view_maker *maker, struct rest_errand *errand,
                              const char *what)
{
    maker->status.malformed++;
    metric_add(maker->malformed, 1);
    log_debug("view_reply", "symbol=%s reason=\"%s\"", maker->options.symbol, what);
    rest_errand_drop(errand); /* the next one comes in 2 s */
}

/* New trades into the array; their count. */
static uint32_t view_maker_take_trades(struct view_maker *maker)
{
    struct rest_errand *errand = &maker->trades_errand;
    struct err err = {0};
    uint32_t count = 0, fresh = 0;
    if (errand->state != REST_ERRAND_DONE)
        return 0;
    if (rest_json_read_agg_trades(rest_errand_body(errand), VIEW_WORLD_SCALE, maker->trades,
                                  VIEW_MAKER_TRADES_LIMIT, &count, &err) != ERR_OK) {
        view_maker_reject(maker, errand, err.text);
        return 0;
    }
    bool is_first = maker->next_agg_id == 0, is_full = count == VIEW_MAKER_TRADES_LIMIT;
    for (uint32_t i = 0; i < count; i++) {
        struct rest_agg_trade trade = maker->trades[i];
        if (trade.id < maker->next_agg_id || trade.first_id > trade.last_id)
            continue;
        maker->next_agg_id = trade.id + 1;
        maker->trades[fresh++] = trade;
    }
    rest_errand_drop(errand);
    /* What is older than the first book says nothing; and who is a whole page behind goes on
     * with the newest instead of falling back for ever. */
    if (is_full && !is_first)
        maker->next_agg_id = 0;
    return is_first ? 0 : fresh;
}

static bool view_maker_take_depth(struct view_maker *maker)
{
    struct err err = {0};
    maker->depth = (struct rest_depth){
        .bids = maker->bids, .asks = maker->asks, .capacity = VIEW_MAKER_DEPTH_LIMIT};
    if (rest_json_read_depth(rest_errand_body(&maker->depth_errand), VIEW_WORLD_SCALE,
                             &maker->depth, &err) != ERR_OK) {
        view_maker_reject(maker, &maker->depth_errand, err.text);
        return false;
    }
    rest_errand_drop(&maker->depth_errand);
    return true;
}

/* The book is there; its trades are, or cannot be waited for. */
static bool view_maker_is_complete(struct view_maker *maker)
{
    if (maker->depth_errand.state != REST_ERRAND_DONE)
        return false;
    if (maker->book_us == 0)
        maker->book_us = maker->now.mono_us;
    return maker->trades_errand.state != REST_ERRAND_FLYING ||
           maker->now.mono_us - maker->book_us >= VIEW_MAKER_PATIENCE_US;
}

/* The exchange (a test network, a simulated one) has begun anew. */
static void view_maker_reset(struct view_maker *maker)
{
    struct err err = {0};
    if (view_world_reset(&maker->world, &err) != ERR_OK)
        return;
    maker->next_agg_id = 0;
    log_warn("view_reset", "symbol=%s reason=\"the exchange's ids go back\"",
             maker->options.symbol);
}

static void view_maker_refresh(struct view_maker *maker)
{
    uint32_t count = view_maker_take_trades(maker);
    if (!view_maker_take_depth(maker))
        return;
    if (view_world_apply(&maker->world, &maker->depth, maker->trades, count, maker->now.wall_us))
        maker->wants_tick = true;
    else
        view_maker_reject(maker, &maker->depth_errand, "the book was refused");
    if (maker->world.refused >= VIEW_MAKER_REFUSED_MAX)
        view_maker_reset(maker);
}

static void view_maker_write(struct view_maker *maker)
{
    struct rest_view view;
    view_world_fill(&maker->world, &view);
    maker->wants_tick = false;
    if (view.mid2 <= 0 || view.best_bid >= view.best_ask)
        return;
    maker->options.put(maker->options.context, &view);
    maker->status.written++;
    maker->status.written_us = maker->now.wall_us;
    maker->status.has_vector = view.has_vector;
    metric_add(maker->written, 1);
}

int view_maker_do_work(struct view_maker *maker, struct clock_now now)
{
    maker->now = now;
    if (view_maker_due(maker))
        view_maker_ask(maker);
    rest_errand_do_work(&maker->depth_errand);
    rest_errand_do_work(&maker->trades_errand);
    if (view_maker_is_complete(maker))
        view_maker_refresh(maker);
    if (maker->wants_tick && view_world_tick(&maker->world, now.wall_us))
        view_maker_write(maker);
    metric_set(maker->age, maker->status.written_us == 0
                               ? -1.0
                               : (double)(now.wall_us - maker->status.written_us) / 1e6);
    return 0;
}

/* --- opening -------------------------------------------------------------------------- */

static void view_maker_measure(struct view_maker *maker)
{
    struct metrics *metrics = maker->options.metrics;
    maker->written =
        metrics_counter(metrics, "ingestor_rest_views_total", NULL, "REST views written.");
    maker->yields = metrics_counter(metrics, "ingestor_rest_view_yields_total", NULL,
                                    "Requests of the view given up for lack of weight or time.");
    maker->malformed = metrics_counter(metrics, "ingestor_rest_view_malformed_total", NULL,
                                       "Replies that the view could not use.");
    maker->age = metrics_gauge(metrics, "ingestor_rest_view_age_seconds", NULL,
                               "Since the last REST view; -1 before the first.");
}

int view_maker_open(const struct view_maker_options *options, struct view_maker **out,
                    struct err *err)
{
    struct view_maker *maker = calloc(1, sizeof(*maker));
    if (maker == NULL)
        return err_set(err, ERR_MEMORY, "REST view of %s: out of memory", options->symbol);
    maker->options = *options;
    int result = rest_errand_open(&maker->depth_errand, options->desk, WEIGHT_VIEW, err);
    if (result == ERR_OK)
        result = rest_errand_open(&maker->trades_errand, options->desk, WEIGHT_VIEW, err);
    if (result == ERR_OK)
        result = view_world_open(&maker->world, options, err);
    if (result != ERR_OK) {
        view_maker_close(maker);
        return result;
    }
    view_maker_measure(maker);
    *out = maker;
    return ERR_OK;
}

void view_maker_close(struct view_maker *maker)
{
    rest_errand_close(&maker->depth_errand);
    rest_errand_close(&maker->trades_errand);
    view_world_close(&maker->world);
    free(maker);
}

void view_maker_status(const struct view_maker *maker, struct view_maker_status *status)
{
    *status = maker->status;
}
