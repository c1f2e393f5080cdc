/* The trades of an id hole, page by page. SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"
#include "recover/backfill/backfill_self.h"

static struct rest_query backfill_trades_query(enum rest_endpoint endpoint, int64_t from_id,
                                               int64_t count)
{
    return (struct rest_query){.endpoint = endpoint,
                               .limit =
                                   (int)(count < BACKFILL_PAGE_LIMIT ? count : BACKFILL_PAGE_LIMIT),
                               .from_id = from_id,
                               .start_us = -1,
                               .end_us = -1};
}

/* The very page that was about to be archived before a restart. */
static void backfill_trades_repeat(struct backfill *backfill)
{
    bool single = backfill->page_type == ARCHIVE_REST_TRADES;
    struct rest_query query =
        backfill_trades_query(single ? REST_ENDPOINT_TRADES : REST_ENDPOINT_AGG_TRADES,
                              backfill->page_first, backfill->page_count);
    rest_errand_start(&backfill->trades, &query);
    backfill->step = single ? BACKFILL_ASKING : BACKFILL_SEARCHING;
}

static void backfill_trades_search(struct backfill *backfill)
{
    struct rest_query query = backfill_trades_query(
        REST_ENDPOINT_AGG_TRADES, backfill->search_id > 0 ? backfill->search_id : -1,
        BACKFILL_PAGE_LIMIT);
    if (query.from_id < 0)
        query.start_us = backfill->event.recv_us - backfill->back_us;
    rest_errand_start(&backfill->trades, &query);
    backfill->step = BACKFILL_SEARCHING;
}

void backfill_trades_begin(struct backfill *backfill)
{
    int64_t left = backfill->event.last_trade_id - backfill->next_id + 1;
    backfill->repeats = backfill->page_count > 0;
    if (backfill->repeats) {
        backfill_trades_repeat(backfill);
    } else if (left <= 0) {
        backfill_depth_begin(backfill);
    } else if (backfill->uses_aggregates) {
        backfill_trades_search(backfill);
    } else {
        struct rest_query query =
            backfill_trades_query(REST_ENDPOINT_TRADES, backfill->next_id, left);
        rest_errand_start(&backfill->trades, &query);
        backfill->step = BACKFILL_ASKING;
    }
}

static void backfill_trades_reject(struct backfill *backfill, const char *why)
{
    metric_add(backfill->malformed, 1);
    rest_errand_retry(&backfill->trades, why);
}

/* Bounds of the page, unless it is the one that was noted before a restart. */
static void backfill_trades_note(struct backfill *backfill, enum archive_rest type, int64_t first,
                                 int64_t last, int64_t count)
{
    bool same = backfill->repeats && backfill->page_first == first && backfill->page_last == last &&
                backfill->page_count == count;
    backfill->step = BACKFILL_NOTING;
    if (same)
        return;
    backfill->page_type = type;
    backfill->page_first = first;
    backfill->page_last = last;
    backfill->page_count = count;
    backfill->page_requested_us = backfill->trades.requested_us;
    backfill->page_received_us = backfill->trades.received_us;
}

/* --- trades by id ------------------------------------------------------------------------ */

/* Nothing of the rest of the hole is there. */
static void backfill_trades_nothing(struct backfill *backfill)
{
    if (backfill->trades.tries < BACKFILL_EMPTY_TRIES) {
        rest_errand_retry(&backfill->trades, "trades: none of the ids that were asked for");
        return;
    }
    backfill_lose(backfill, backfill->next_id, backfill->event.last_trade_id);
    backfill->page_count = 0;
    backfill->next_id = backfill->event.last_trade_id + 1;
    rest_errand_drop(&backfill->trades);
    backfill_depth_begin(backfill);
}

static const char *backfill_trades_judge(const struct backfill *backfill, uint32_t count)
{
    const struct trade *list = backfill->single.list;
    for (uint32_t i = 1; i < count; i++)
        if (list[i].id <= list[i - 1].id)
            return "trades: ids do not rise";
    if (count > 0 && list[0].id < backfill->trades.query.from_id)
        return "trades: begin before the id that was asked for";
    return NULL;
}

static void backfill_trades_take(struct backfill *backfill)
{
    const struct trade *list = backfill->single.list;
    struct err err = {0};
    uint32_t count = 0;
    int result = rest_json_read_trades(rest_errand_body(&backfill->trades), BACKFILL_SCALE,
                                       backfill->single.list, backfill->single.times_us,
                                       REST_JSON_LIST_MAX, &count, &err);
    const char *why = result != ERR_OK ? err.text : backfill_trades_judge(backfill, count);
    if (why != NULL)
        backfill_trades_reject(backfill, why);
    else if (count == 0 || list[0].id > backfill->event.last_trade_id)
        backfill_trades_nothing(backfill);
    else
        backfill_trades_note(backfill, ARCHIVE_REST_TRADES, list[0].id, list[count - 1].id, count);
}

/* A page of single trades is durable: what it skipped is not to be had. */
static void backfill_trades_stored(struct backfill *backfill)
{
    const struct trade *list = backfill->single.list;
    for (int64_t i = 0; i < backfill->page_count; i++) {
        if (list[i].id > backfill->event.last_trade_id)
            break;
        backfill_lose(backfill, backfill->next_id, list[i].id - 1);
        backfill->next_id = list[i].id + 1;
        backfill->fetched++;
    }
}

/* --- aggregates -------------------------------------------------------------------------- */

/* The page begins behind the hole's first id: the search goes further back, or what lies
 * before the page is lost. True when the page is of no use. */
static bool backfill_trades_back(struct backfill *backfill, uint32_t count)
{
    bool late = count == 0 || backfill->aggregates[0].first_id > backfill->next_id;
    if (!late || backfill->search_id > 0 || backfill->back_us >= BACKFILL_BACK_MAX_US)
        return count == 0;
    backfill->back_us *= 16;
    if (backfill->back_us > BACKFILL_BACK_MAX_US)
        backfill->back_us = BACKFILL_BACK_MAX_US;
    rest_errand_drop(&backfill->trades);
    backfill_trades_search(backfill);
    return true;
}

static void backfill_trades_take_aggregates(struct backfill *backfill)
{
    const struct rest_agg_trade *list = backfill->aggregates;
    struct err err = {0};
    uint32_t count = 0;
    if (rest_json_read_agg_trades(rest_errand_body(&backfill->trades), BACKFILL_SCALE,
                                  backfill->aggregates, REST_JSON_LIST_MAX, &count,
                                  &err) != ERR_OK) {
        backfill_trades_reject(backfill, err.text);
        return;
    }
    if (!backfill->repeats && backfill_trades_back(backfill, count)) {
        if (backfill->step == BACKFILL_SEARCHING && backfill->trades.state == REST_ERRAND_DONE)
            backfill_trades_nothing(backfill);
        return;
    }
    if (count == 0 || list[0].first_id > backfill->event.last_trade_id) {
        backfill_trades_nothing(backfill);
        return;
    }
    if (list[count - 1].last_id < backfill->next_id) { /* not there yet */
        backfill->search_id = list[count - 1].id + 1;
        rest_errand_drop(&backfill->trades);
        backfill_trades_search(backfill);
        return;
    }
    backfill_trades_note(backfill, ARCHIVE_REST_AGG_TRADES, list[0].id, list[count - 1].id, count);
}

static void backfill_trades_stored_aggregates(struct backfill *backfill)
{
    const struct rest_agg_trade *list = backfill->aggregates;
    int64_t end = backfill->event.last_trade_id;
    for (int64_t i = 0; i < backfill->page_count && backfill->next_id <= end; i++) {
        int64_t last = list[i].last_id < end ? list[i].last_id : end;
        if (last < backfill->next_id)
            continue;
        if (list[i].first_id > backfill->next_id)
            backfill_lose(backfill, backfill->next_id,
                          list[i].first_id <= end ? list[i].first_id - 1 : end);
        int64_t first = list[i].first_id > backfill->next_id ? list[i].first_id : backfill->next_id;
        backfill->fetched += last >= first ? (uint64_t)(last - first + 1) : 0;
        backfill->next_id = last + 1;
    }
    backfill->search_id = backfill->page_last + 1;
}

/* --- both -------------------------------------------------------------------------------- */

/* historicalTrades is not served everywhere (BINANCE.md section 1). */
static void backfill_trades_refused(struct backfill *backfill)
{
    if (backfill->step == BACKFILL_SEARCHING || backfill->uses_aggregates) {
        backfill_lose(backfill, backfill->next_id, backfill->event.last_trade_id);
        backfill->next_id = backfill->event.last_trade_id + 1;
        backfill->page_count = 0;
        backfill_depth_begin(backfill);
        return;
    }
    log_warn("historical_trades_refused", "symbol=%s status=%d", backfill->options.symbol,
             backfill->trades.status);
    backfill->uses_aggregates = true;
    backfill->page_count = 0;
    backfill_trades_begin(backfill);
}

static void backfill_trades_archive(struct backfill *backfill)
{
    rest_shelf_put(&backfill->shelf,
                   &(struct archive_rest_reply){.type = (enum archive_rest)backfill->page_type,
                                                .symbol = backfill->options.symbol,
                                                .requested_us = backfill->page_requested_us,
                                                .received_us = backfill->page_received_us,
                                                .first_id = backfill->page_first,
                                                .reason = backfill->reason,
                                                .body = rest_errand_body(&backfill->trades)});
    backfill->step = BACKFILL_STORING;
}

static void backfill_trades_finish_page(struct backfill *backfill)
{
    if (backfill->page_type == ARCHIVE_REST_TRADES)
        backfill_trades_stored(backfill);
    else
        backfill_trades_stored_aggregates(backfill);
    backfill->page_count = 0;
    rest_errand_drop(&backfill->trades);
    backfill_trades_begin(backfill);
}

void backfill_trades_do_work(struct backfill *backfill)
{
    if (backfill->step == BACKFILL_ASKING || backfill->step == BACKFILL_SEARCHING) {
        enum rest_errand_state state = rest_errand_do_work(&backfill->trades);
        if (state == REST_ERRAND_REFUSED)
            backfill_trades_refused(backfill);
        else if (state == REST_ERRAND_DONE && backfill->step == BACKFILL_ASKING)
            backfill_trades_take(backfill);
        else if (state == REST_ERRAND_DONE)
            backfill_trades_take_aggregates(backfill);
    }
    if (backfill->step == BACKFILL_NOTING && backfill_save(backfill))
        backfill_trades_archive(backfill);
    if (backfill->step == BACKFILL_STORING) {
        enum rest_shelf_state state = rest_shelf_do_work(&backfill->shelf, backfill->now.mono_us);
        if (state == REST_SHELF_STORED || state == REST_SHELF_QUARANTINED)
            backfill_trades_finish_page(backfill);
    }
}
