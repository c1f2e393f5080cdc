/* The chain of aggTrades: page after page by id until caught up (BINANCE.md section 7).
 * SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"
#include "recover/poll/poller_self.h"

#define POLLER_TRADES_SCALE ((struct sbe_scale){-8, -8})

static void poller_trades_ask(struct poller *poller)
{
    struct poller_track *track = &poller->trades;
    struct rest_query query = {.endpoint = REST_ENDPOINT_AGG_TRADES,
                               .limit = poller->options.page_limit,
                               .from_id = poller->next_agg_id > 0 ? poller->next_agg_id : -1,
                               .start_us = -1,
                               .end_us = -1};
    if (poller->start_us == 0)
        poller->start_us = poller->now.wall_us - poller->options.lookback_us;
    if (query.from_id < 0)
        query.start_us = poller->start_us;
    poller->repeats_trades = poller->trades_page.count > 0;
    if (poller->repeats_trades) {
        query.from_id = poller->trades_page.first;
        query.start_us = -1;
        query.limit = (int)poller->trades_page.count;
    }
    poller->probes_trades = !poller->repeats_trades && query.from_id >= 0 &&
                            poller->quiet_rounds >= POLLER_QUIET_ROUNDS;
    if (poller->probes_trades) {
        query.from_id = -1;
        query.limit = 1;
    }
    rest_errand_start(&track->errand, &query);
    track->step = POLLER_ASKING;
}

/* Places within the page where the aggregates' own ids do not go on. */
static uint64_t poller_trades_breaks(const struct poller *poller, uint32_t count)
{
    uint64_t breaks = 0;
    for (uint32_t i = 1; i < count; i++)
        breaks += poller->list[i].id != poller->list[i - 1].id + 1;
    return breaks;
}

/* Why the page is not what was asked for; NULL: it is. */
static const char *poller_trades_judge(const struct poller *poller, uint32_t count)
{
    const struct rest_query *query = &poller->trades.errand.query;
    for (uint32_t i = 1; i < count; i++)
        if (poller->list[i].id <= poller->list[i - 1].id)
            return "aggTrades: ids do not rise";
    if (count > 0 && query->from_id >= 0 && poller->list[0].id < query->from_id)
        return "aggTrades: begins before the id that was asked for";
    if (count > (uint32_t)query->limit)
        return "aggTrades: more than was asked for";
    if (poller_trades_breaks(poller, count) > 0 && poller->trades.errand.tries < POLLER_BREAK_TRIES)
        return "aggTrades: a hole within the page";
    return NULL;
}

/* fromId far in the past silently starts later: what lies between is gone. */
static void poller_trades_count_lost(struct poller *poller, int64_t first)
{
    int64_t from_id = poller->trades.errand.query.from_id;
    if (from_id < 0 || first <= from_id)
        return;
    poller->lost_ids += (uint64_t)(first - from_id);
    metric_add(poller->lost, (uint64_t)(first - from_id));
    log_warn("agg_trades_lost", "symbol=%s first=%lld last=%lld", poller->options.symbol,
             (long long)from_id, (long long)first - 1);
}

static void poller_trades_count_breaks(struct poller *poller, uint32_t count)
{
    uint64_t breaks = poller_trades_breaks(poller, count);
    int64_t raw = poller->last_raw_id;
    for (uint32_t i = 0; i < count; i++) {
        breaks += raw >= 0 && poller->list[i].first_id != raw + 1;
        raw = poller->list[i].last_id;
    }
    poller->last_raw_id = raw;
    metric_add(poller->breaks, breaks);
}

/* The bounds of the page, or those it had before a restart. */
static void poller_trades_note(struct poller *poller, uint32_t count)
{
    struct poller_page *page = &poller->trades_page;
    bool same = poller->repeats_trades && page->first == poller->list[0].id &&
                page->last == poller->list[count - 1].id && page->count == count;
    if (same)
        return;
    *page = (struct poller_page){.first = poller->list[0].id,
                                 .last = poller->list[count - 1].id,
                                 .count = count,
                                 .requested_us = poller->trades.errand.requested_us,
                                 .received_us = poller->trades.errand.received_us};
}

static void poller_trades_end(struct poller *poller)
{
    rest_errand_drop(&poller->trades.errand);
    poller->trades.step = POLLER_IDLE;
    poller->trades.done_us = poller->now.wall_us;
}

/* A test network or a simulated exchange may begin anew with lower ids: the chain would wait
 * for ids that do not come. */
static void poller_trades_probe(struct poller *poller, uint32_t count)
{
    poller->quiet_rounds = 0;
    if (count > 0 && poller->list[count - 1].id + 1 < poller->next_agg_id) {
        log_warn("chain_reset", "symbol=%s expected=%lld newest=%lld", poller->options.symbol,
                 (long long)poller->next_agg_id, (long long)poller->list[count - 1].id);
        poller->next_agg_id = 0;
        poller->last_raw_id = -1;
        poller->start_us = poller->now.wall_us - poller->options.lookback_us;
    }
    poller_trades_end(poller);
}

static void poller_trades_take(struct poller *poller)
{
    struct poller_track *track = &poller->trades;
    struct err err = {0};
    uint32_t count = 0;
    int result = rest_json_read_agg_trades(rest_errand_body(&track->errand), POLLER_TRADES_SCALE,
                                           poller->list, REST_JSON_LIST_MAX, &count, &err);
    const char *why = result != ERR_OK ? err.text : poller_trades_judge(poller, count);
    if (why != NULL) {
        poller_reject(poller, track, why);
        return;
    }
    if (poller->probes_trades) {
        poller_trades_probe(poller, count);
        return;
    }
    if (count == 0) {
        poller->quiet_rounds++;
        poller->trades_page.count = 0;
        poller_trades_end(poller);
        return;
    }
    poller->quiet_rounds = 0;
    poller_trades_count_lost(poller, poller->list[0].id);
    poller_trades_count_breaks(poller, count);
    poller_trades_note(poller, count);
    track->step = POLLER_NOTING;
}

/* Durable: the page is no longer pending, and a full one has a successor. */
static void poller_trades_advance(struct poller *poller)
{
    struct poller_track *track = &poller->trades;
    struct poller_page *page = &poller->trades_page;
    metric_add(poller->ids, (uint64_t)page->count);
    track->more = poller->repeats_trades || page->count >= track->errand.query.limit;
    poller->next_agg_id = page->last + 1;
    page->count = 0;
    track->step = POLLER_SAVING;
}

static void poller_trades_next(struct poller *poller)
{
    if (poller->trades.more)
        poller_trades_ask(poller);
    else
        poller_trades_end(poller);
}

void poller_trades_do_work(struct poller *poller)
{
    struct poller_track *track = &poller->trades;
    bool due = poller_due(poller, track);
    if (due && track->step == POLLER_IDLE)
        poller_trades_ask(poller);
    if (track->step == POLLER_ASKING) {
        enum rest_errand_state state = rest_errand_do_work(&track->errand);
        if (state == REST_ERRAND_DONE)
            poller_trades_take(poller);
        else if (state == REST_ERRAND_REFUSED)
            track->step = POLLER_IDLE;
    }
    if (track->step == POLLER_NOTING && poller_save(poller, track))
        poller_put(poller, track, ARCHIVE_REST_AGG_TRADES, &poller->trades_page,
                   poller->trades_page.first);
    if (track->step == POLLER_STORING && poller_stored(poller, track))
        poller_trades_advance(poller);
    if (track->step == POLLER_SAVING && poller_save(poller, track))
        poller_trades_next(poller);
}
