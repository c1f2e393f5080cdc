/* SPDX-License-Identifier: Apache-2.0 */
#include "recover/poll/poller.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "recover/anchor/anchor_judge.h"
#include "recover/poll/poller_self.h"

#define POLLER_SAVE_RETRY_US CLOCK_US_PER_S
#define POLLER_FIELDS        13
#define POLLER_INFO_SCALE    ((struct sbe_scale){-8, -8})

static void poller_fields(struct poller *poller, struct progress_field *fields)
{
    struct poller_page *trades = &poller->trades_page, *klines = &poller->klines_page;
    const struct progress_field all[POLLER_FIELDS] = {
        {"start_us", &poller->start_us},
        {"next_agg_id", &poller->next_agg_id},
        {"next_open_us", &poller->next_open_us},
        {"trades_first", &trades->first},
        {"trades_last", &trades->last},
        {"trades_count", &trades->count},
        {"trades_requested_us", &trades->requested_us},
        {"trades_received_us", &trades->received_us},
        {"klines_first", &klines->first},
        {"klines_last", &klines->last},
        {"klines_count", &klines->count},
        {"klines_requested_us", &klines->requested_us},
        {"klines_received_us", &klines->received_us},
    };
    memcpy(fields, all, sizeof(all));
}

/* --- what the tracks share ------------------------------------------------------------ */

bool poller_due(struct poller *poller, struct poller_track *track)
{
    int64_t period_us = poller->options.period_us, wall_us = poller->now.wall_us;
    int64_t next_us = ((wall_us - POLLER_SETTLE_US) / period_us + 1) * period_us + POLLER_SETTLE_US;
    bool due = wall_us >= track->due_us;
    /* Also after the clock was set back. */
    if (due || track->due_us > next_us)
        track->due_us = next_us;
    return due;
}

bool poller_save(struct poller *poller, struct poller_track *track)
{
    struct progress_field fields[POLLER_FIELDS];
    struct err err = {0};
    if (poller->now.mono_us < track->save_us)
        return false;
    poller_fields(poller, fields);
    if (progress_save(&poller->options.progress, fields, POLLER_FIELDS, &err) == ERR_OK)
        return true;
    metric_add(poller->save_errors, 1);
    track->save_us = poller->now.mono_us + POLLER_SAVE_RETRY_US;
    log_warn("position_not_saved", "symbol=%s reason=\"%s\"", poller->options.symbol, err.text);
    return false;
}

void poller_reject(struct poller *poller, struct poller_track *track, const char *why)
{
    metric_add(poller->malformed, 1);
    rest_errand_retry(&track->errand, why);
}

void poller_put(struct poller *poller, struct poller_track *track, enum archive_rest type,
                const struct poller_page *page, int64_t first_id)
{
    rest_shelf_put(&track->shelf,
                   &(struct archive_rest_reply){.type = type,
                                                .symbol = poller->options.symbol,
                                                .requested_us = page->requested_us,
                                                .received_us = page->received_us,
                                                .first_id = first_id,
                                                .reason = "poll",
                                                .body = rest_errand_body(&track->errand)});
    track->step = POLLER_STORING;
}

bool poller_stored(struct poller *poller, struct poller_track *track)
{
    enum rest_shelf_state state = rest_shelf_do_work(&track->shelf, poller->now.mono_us);
    if (state != REST_SHELF_STORED && state != REST_SHELF_QUARANTINED)
        return false;
    metric_add(state == REST_SHELF_STORED ? track->archived : poller->quarantined, 1);
    poller->pages++;
    rest_errand_drop(&track->errand);
    return true;
}

/* --- depth ---------------------------------------------------------------------------- */

static void poller_depth_take(struct poller *poller)
{
    struct poller_track *track = &poller->depth;
    struct err err = {0};
    if (anchor_judge_depth(rest_errand_body(&track->errand), &poller->depth_id, &err) != ERR_OK) {
        poller_reject(poller, track, err.text);
        return;
    }
    poller_put(poller, track, ARCHIVE_REST_DEPTH,
               &(struct poller_page){.requested_us = track->errand.requested_us,
                                     .received_us = track->errand.received_us},
               poller->depth_id);
}

static void poller_depth_do_work(struct poller *poller)
{
    struct poller_track *track = &poller->depth;
    bool due = poller_due(poller, track);
    if (due && (track->step == POLLER_ASKING || track->late)) {
        /* The moment has passed: one snapshot stands for both rounds. */
        metric_add(poller->rounds_missed, 1);
        poller->missed++;
    }
    /* A slow archive does not cost the next round its picture. */
    track->late = track->step == POLLER_STORING && (track->late || due);
    if (track->step == POLLER_STORING && poller_stored(poller, track)) {
        track->step = POLLER_IDLE;
        track->done_us = poller->now.wall_us;
    }
    if ((due || track->late) && track->step == POLLER_IDLE) {
        track->late = false;
        rest_errand_start(&track->errand, &(struct rest_query){.endpoint = REST_ENDPOINT_DEPTH,
                                                               .limit = POLLER_DEPTH_LIMIT,
                                                               .from_id = -1,
                                                               .start_us = -1,
                                                               .end_us = -1});
        track->step = POLLER_ASKING;
    }
    if (track->step == POLLER_ASKING) {
        enum rest_errand_state state = rest_errand_do_work(&track->errand);
        if (state == REST_ERRAND_DONE)
            poller_depth_take(poller);
        else if (state == REST_ERRAND_REFUSED)
            track->step = POLLER_IDLE;
    }
}

/* --- exchangeInfo --------------------------------------------------------------------- */

static void poller_info_take(struct poller *poller)
{
    struct rest_exchange_info info;
    struct err err = {0};
    int result = rest_json_read_exchange_info(
        rest_errand_body(&poller->info), poller->options.symbol, POLLER_INFO_SCALE, &info, &err);
    if (result != ERR_OK) {
        metric_add(poller->malformed, 1);
        rest_errand_retry(&poller->info, err.text);
        return;
    }
    rest_errand_drop(&poller->info);
    weight_budget_limit(&poller->options.desk->budget, info.request_weight_per_minute);
    if (!poller->limit_known || poller->trading != info.trading)
        log_info("exchange_info", "symbol=%s trading=%d weight_limit=%lld", info.symbol,
                 info.trading, (long long)info.request_weight_per_minute);
    poller->limit_known = info.request_weight_per_minute > 0;
    poller->trading = info.trading;
}

static void poller_info_do_work(struct poller *poller)
{
    if (poller->info.state == REST_ERRAND_IDLE && poller->now.mono_us >= poller->info_us) {
        poller->info_us = poller->now.mono_us + POLLER_INFO_US;
        rest_errand_start(&poller->info, &(struct rest_query){.endpoint = REST_ENDPOINT_INFO,
                                                              .from_id = -1,
                                                              .start_us = -1,
                                                              .end_us = -1});
    }
    enum rest_errand_state state = rest_errand_do_work(&poller->info);
    if (state == REST_ERRAND_DONE)
        poller_info_take(poller);
    else if (state == REST_ERRAND_REFUSED)
        rest_errand_drop(&poller->info);
}

int poller_do_work(struct poller *poller, struct clock_now now)
{
    uint64_t pages = poller->pages;
    poller->now = now;
    poller_info_do_work(poller);
    poller_depth_do_work(poller);
    poller_trades_do_work(poller);
    poller_klines_do_work(poller);
    return (int)(poller->pages - pages);
}

/* --- opening -------------------------------------------------------------------------- */

static void poller_measure(struct poller *poller)
{
    struct metrics *metrics = poller->options.metrics;
    static const char *const name = "ingestor_rest_archived_total";
    static const char *const help = "Replies of the minute's polls that are durable.";
    poller->depth.archived = metrics_counter(metrics, name, "type=\"depth\"", help);
    poller->trades.archived = metrics_counter(metrics, name, "type=\"aggTrades\"", help);
    poller->klines.archived = metrics_counter(metrics, name, "type=\"klines\"", help);
    poller->ids = metrics_counter(metrics, "ingestor_rest_agg_trades_total", NULL,
                                  "Aggregated trades archived by the minute's polls.");
    poller->lost = metrics_counter(metrics, "ingestor_rest_lost_ids_total", NULL,
                                   "Aggregated trades that the exchange no longer had.");
    poller->breaks = metrics_counter(metrics, "ingestor_rest_chain_breaks_total", NULL,
                                     "Places where the exchange's own ids do not go on.");
    poller->malformed = metrics_counter(metrics, "ingestor_rest_malformed_total", NULL,
                                        "Replies that were not what was asked for.");
    poller->quarantined = metrics_counter(metrics, "ingestor_rest_quarantined_total", NULL,
                                          "Replies that the archive put aside.");
    poller->rounds_missed = metrics_counter(metrics, "ingestor_rest_rounds_missed_total", NULL,
                                            "Rounds without a depth snapshot of their own.");
    poller->save_errors = metrics_counter(metrics, "ingestor_rest_position_errors_total", NULL,
                                          "Times that the position could not be saved or read.");
}

static int poller_open_track(struct poller *poller, struct poller_track *track, struct err *err)
{
    track->shelf.archive = poller->options.archive;
    return rest_errand_open(&track->errand, poller->options.desk, WEIGHT_MINUTE, err);
}

static void poller_load(struct poller *poller)
{
    struct progress_field fields[POLLER_FIELDS];
    struct err err = {0};
    poller_fields(poller, fields);
    int result = progress_load(&poller->options.progress, fields, POLLER_FIELDS, &err);
    if (result == ERR_OK || result == ERR_NOT_FOUND)
        return;
    metric_add(poller->save_errors, 1);
    log_warn("position_not_read", "symbol=%s reason=\"%s\"", poller->options.symbol, err.text);
}

int poller_open(const struct poller_options *options, struct poller **out, struct err *err)
{
    struct poller *poller = calloc(1, sizeof(*poller));
    if (poller == NULL)
        return err_set(err, ERR_MEMORY, "poller of %s: out of memory", options->symbol);
    poller->options = *options;
    if (options->page_limit <= 0 || options->page_limit > POLLER_PAGE_LIMIT)
        poller->options.page_limit = POLLER_PAGE_LIMIT;
    poller->last_raw_id = -1;
    int result = poller_open_track(poller, &poller->depth, err);
    if (result == ERR_OK)
        result = poller_open_track(poller, &poller->trades, err);
    if (result == ERR_OK)
        result = poller_open_track(poller, &poller->klines, err);
    if (result == ERR_OK)
        result = rest_errand_open(&poller->info, options->desk, WEIGHT_MINUTE, err);
    if (result != ERR_OK) {
        poller_close(poller);
        return result;
    }
    poller_measure(poller);
    poller_load(poller);
    *out = poller;
    return ERR_OK;
}

void poller_close(struct poller *poller)
{
    rest_errand_close(&poller->depth.errand);
    rest_errand_close(&poller->trades.errand);
    rest_errand_close(&poller->klines.errand);
    rest_errand_close(&poller->info);
    free(poller);
}

void poller_status(const struct poller *poller, struct poller_status *status)
{
    *status = (struct poller_status){.limit_known = poller->limit_known,
                                     .trading = poller->trading,
                                     .trades_busy = poller->trades.step != POLLER_IDLE,
                                     .klines_busy = poller->klines.step != POLLER_IDLE,
                                     .depth_busy = poller->depth.step != POLLER_IDLE,
                                     .depth_us = poller->depth.done_us,
                                     .trades_us = poller->trades.done_us,
                                     .klines_us = poller->klines.done_us,
                                     .next_agg_id = poller->next_agg_id,
                                     .next_open_us = poller->next_open_us,
                                     .pages = poller->pages,
                                     .lost_ids = poller->lost_ids,
                                     .missed = poller->missed};
}
