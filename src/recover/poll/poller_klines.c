/* Klines of a minute, each once and only when closed: closed by the exchange's own clock,
 * which is asked first, so that a clock of ours that runs ahead archives no open one.
 * SPDX-License-Identifier: Apache-2.0 */
#include "recover/poll/poller_self.h"

#define POLLER_KLINES_SCALE ((struct sbe_scale){-8, -8})
/* A millisecond: an end in the query includes all of its millisecond. */
#define POLLER_KLINES_BEFORE_US 1000

static void poller_klines_end(struct poller *poller)
{
    rest_errand_drop(&poller->klines.errand);
    poller->klines.step = POLLER_IDLE;
    poller->klines.done_us = poller->now.wall_us;
}

static void poller_klines_start(struct poller *poller)
{
    rest_errand_start(&poller->klines.errand, &(struct rest_query){.endpoint = REST_ENDPOINT_TIME,
                                                                   .from_id = -1,
                                                                   .start_us = -1,
                                                                   .end_us = -1});
    poller->klines.step = POLLER_TIMING;
}

static void poller_klines_ask(struct poller *poller)
{
    struct poller_page *page = &poller->klines_page;
    struct rest_query query = {.endpoint = REST_ENDPOINT_KLINES,
                               .limit = poller->options.page_limit,
                               .from_id = -1,
                               .start_us = poller->next_open_us,
                               .end_us = poller->klines_end_us};
    poller->repeats_klines = page->count > 0;
    if (poller->repeats_klines) {
        query.start_us = page->first;
        query.end_us = page->last;
        query.limit = (int)page->count;
    } else if (poller->next_open_us > poller->klines_end_us) {
        poller_klines_end(poller);
        return;
    }
    rest_errand_start(&poller->klines.errand, &query);
    poller->klines.step = POLLER_ASKING;
}

static void poller_klines_take_time(struct poller *poller)
{
    struct err err = {0};
    int64_t server_us;
    if (rest_json_read_time(rest_errand_body(&poller->klines.errand), &server_us, &err) != ERR_OK) {
        poller_reject(poller, &poller->klines, err.text);
        return;
    }
    int64_t closed_us = (server_us - POLLER_SETTLE_US) / POLLER_KLINE_US * POLLER_KLINE_US;
    poller->klines_end_us = closed_us - POLLER_KLINES_BEFORE_US;
    if (poller->next_open_us == 0) {
        int64_t back = poller->options.lookback_us / POLLER_KLINE_US;
        poller->next_open_us = closed_us - (back > 0 ? back : 1) * POLLER_KLINE_US;
    }
    rest_errand_drop(&poller->klines.errand);
    poller_klines_ask(poller);
}

/* Why the page is not what was asked for; NULL: it is. Minutes may be missing: a market
 * that was halted has none. */
static const char *poller_klines_judge(const struct poller *poller, uint32_t count)
{
    const struct rest_query *query = &poller->klines.errand.query;
    for (uint32_t i = 0; i < count; i++) {
        const struct rest_kline *bar = &poller->bars[i];
        if (bar->open_us % POLLER_KLINE_US != 0)
            return "klines: one does not begin with a minute";
        if (bar->open_us < query->start_us || bar->open_us > query->end_us)
            return "klines: one that was not asked for";
        if (i > 0 && bar->open_us <= poller->bars[i - 1].open_us)
            return "klines: times do not rise";
    }
    return NULL;
}

static void poller_klines_note(struct poller *poller, uint32_t count)
{
    struct poller_page *page = &poller->klines_page;
    int64_t first = poller->bars[0].open_us, last = poller->bars[count - 1].open_us;
    if (poller->repeats_klines && page->first == first && page->last == last)
        return;
    *page = (struct poller_page){.first = first,
                                 .last = last,
                                 .count = count,
                                 .requested_us = poller->klines.errand.requested_us,
                                 .received_us = poller->klines.errand.received_us};
}

static void poller_klines_take(struct poller *poller)
{
    struct poller_track *track = &poller->klines;
    struct err err = {0};
    uint32_t count = 0;
    int result = rest_json_read_klines(rest_errand_body(&track->errand), POLLER_KLINES_SCALE,
                                       poller->bars, REST_JSON_LIST_MAX, &count, &err);
    const char *why = result != ERR_OK ? err.text : poller_klines_judge(poller, count);
    if (why != NULL) {
        poller_reject(poller, track, why);
        return;
    }
    if (count == 0) {
        poller->klines_page.count = 0;
        poller_klines_end(poller);
        return;
    }
    poller_klines_note(poller, count);
    track->step = POLLER_NOTING;
}

static void poller_klines_advance(struct poller *poller)
{
    struct poller_track *track = &poller->klines;
    struct poller_page *page = &poller->klines_page;
    track->more = poller->repeats_klines || page->count >= track->errand.query.limit;
    poller->next_open_us = page->last + POLLER_KLINE_US;
    page->count = 0;
    track->step = POLLER_SAVING;
}

static void poller_klines_next(struct poller *poller)
{
    if (poller->klines.more)
        poller_klines_ask(poller);
    else
        poller_klines_end(poller);
}

void poller_klines_do_work(struct poller *poller)
{
    struct poller_track *track = &poller->klines;
    bool due = poller_due(poller, track);
    if (due && track->step == POLLER_IDLE)
        poller_klines_start(poller);
    if (track->step == POLLER_TIMING || track->step == POLLER_ASKING) {
        enum rest_errand_state state = rest_errand_do_work(&track->errand);
        if (state == REST_ERRAND_REFUSED)
            track->step = POLLER_IDLE;
        else if (state == REST_ERRAND_DONE && track->step == POLLER_TIMING)
            poller_klines_take_time(poller);
        else if (state == REST_ERRAND_DONE)
            poller_klines_take(poller);
    }
    if (track->step == POLLER_NOTING && poller_save(poller, track))
        poller_put(poller, track, ARCHIVE_REST_KLINES, &poller->klines_page,
                   poller->klines_page.first / CLOCK_US_PER_MS);
    if (track->step == POLLER_STORING && poller_stored(poller, track))
        poller_klines_advance(poller);
    if (track->step == POLLER_SAVING && poller_save(poller, track))
        poller_klines_next(poller);
}
