/* When the aggregator asks for an anchor: while the book is lost and gap-detector has not
 * said otherwise, every two seconds while the market is silent, once the market is back
 * (DESIGN.md section 5, Degradation, and section 6, Verdict), and when the price nears the
 * end of what the last snapshot covered.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "hot/state/aggregator_parts.h"

#define AGGREGATOR_ASK_SIZE 512
/* A book of the silent market has to be fresh, not deep: 5 of weight instead of 50. */
#define AGGREGATOR_ASK_LEVELS_SILENT 100
#define AGGREGATOR_ASK_LEVELS        1000
/* All there is, for 250 of weight, so that the price does not come to the end soon again. */
#define AGGREGATOR_ASK_LEVELS_EDGE 5000
#define AGGREGATOR_EDGE_CAUSE      "price near the end of the known book"

void aggregator_ask_want(struct aggregator *aggregator, const char *cause)
{
    struct aggregator_anchor *anchor = &aggregator->anchor;
    int64_t recv_us;
    snprintf(anchor->cause, sizeof(anchor->cause), "%s", cause);
    anchor->next_ask_us = anchor->next_look_us = 0;
    anchor->levels = AGGREGATOR_ASK_LEVELS;
    state_feed_place(aggregator->feed, &anchor->lost_epoch, &anchor->lost_seq, &recv_us);
    if (anchor->started_us == 0)
        anchor->started_us = aggregator->now.mono_us;
}

void aggregator_ask_done(struct aggregator *aggregator)
{
    struct aggregator_anchor *anchor = &aggregator->anchor;
    anchor->started_us = 0;
    anchor->cause[0] = 0;
    anchor->wanted = false;
}

void aggregator_ask_heard(struct aggregator *aggregator, struct bytes json)
{
    struct err err = {0};
    if (state_verdict_read(json, &aggregator->anchor.verdict, &err) == ERR_OK) {
        aggregator->anchor.verdict_was_bad = false;
        return;
    }
    metric_add(aggregator->metrics.verdicts_bad, 1);
    if (!aggregator->anchor.verdict_was_bad)
        log_warn("verdict_unreadable", "symbol=%s reason=\"%s\"", aggregator->options.symbol,
                 err.text);
    aggregator->anchor.verdict_was_bad = true;
}

/* The verdict, if it stands and speaks of this loss; an ignore is about all of them. */
static enum state_verdict_action aggregator_ask_verdict(const struct aggregator *aggregator)
{
    const struct aggregator_anchor *anchor = &aggregator->anchor;
    const struct state_verdict *verdict = &anchor->verdict;
    int64_t now_ms = aggregator->now.wall_us / CLOCK_US_PER_MS;
    if (verdict->until_ms != 0 && verdict->until_ms <= now_ms)
        return STATE_VERDICT_NONE;
    if (verdict->action != STATE_VERDICT_IGNORE && verdict->epoch != 0 &&
        record_compare(verdict->epoch, verdict->seq, anchor->lost_epoch, anchor->lost_seq) < 0)
        return STATE_VERDICT_NONE;
    return verdict->action;
}

/* No book ever: nothing that a verdict could be about. */
static bool aggregator_ask_is_first(const struct aggregator *aggregator)
{
    const struct world_counters *counters = world_counters(aggregator->world);
    struct world_view view;
    if (counters->anchors > 0)
        return false;
    world_view(aggregator->world, &view);
    return view.book_id == 0;
}

static bool aggregator_ask_may(const struct aggregator *aggregator)
{
    const struct aggregator_anchor *anchor = &aggregator->anchor;
    if (aggregator_ask_is_first(aggregator))
        return true;
    switch (aggregator_ask_verdict(aggregator)) {
    case STATE_VERDICT_IGNORE:
    case STATE_VERDICT_WAIT:
        return false;
    case STATE_VERDICT_ANCHOR:
        return true;
    case STATE_VERDICT_NONE:
        break;
    }
    return anchor->wanted || aggregator->now.mono_us - anchor->started_us >= AGGREGATOR_VERDICT_US;
}

/* A snapshot from before the first buffered diff might not join it (BINANCE.md section 6,
 * rule 2: fetch after the first event). */
static bool aggregator_ask_has_diffs(const struct aggregator *aggregator)
{
    const struct world_counters *counters = world_counters(aggregator->world);
    return counters->diffs_buffered + counters->diffs_applied > 0;
}

bool aggregator_ask_wanted(const struct aggregator *aggregator)
{
    return aggregator->anchor.wanted ||
           (!aggregator->book_live && aggregator_ask_has_diffs(aggregator));
}

/* Said again and again while it is true, so that a store that has lost it hears it. */
static void aggregator_ask_send(struct aggregator *aggregator)
{
    const struct state_port *state = &aggregator->options.state;
    struct aggregator_anchor *anchor = &aggregator->anchor;
    char buffer[AGGREGATOR_ASK_SIZE];
    struct text json = text_begin(buffer, sizeof(buffer));
    struct world_view view;
    world_view(aggregator->world, &view);
    text_add(&json, "{\"cause\":");
    text_add_json_string(&json, anchor->cause, strlen(anchor->cause));
    text_add_format(&json,
                    ",\"epoch\":%llu,\"seq\":%llu,\"recv_us\":%lld,\"min_id\":%lld,"
                    "\"levels\":%d}",
                    (unsigned long long)view.epoch, (unsigned long long)view.seq,
                    (long long)view.recv_us, (long long)view.join_min, anchor->levels);
    anchor->next_ask_us = aggregator->now.mono_us + AGGREGATOR_ASK_US;
    anchor->ask.in_flight =
        state->anchor_ask(state->self, aggregator->lease.epoch, bytes_of(buffer, json.size),
                          AGGREGATOR_ASK_TTL_MS, aggregator_answer, &anchor->ask) == ERR_OK;
}

/* No market frame for a long time, by the order's own clock: REST is all there is. */
static void aggregator_ask_in_silence(struct aggregator *aggregator)
{
    struct aggregator_anchor *anchor = &aggregator->anchor;
    bool silent = world_silence_us(aggregator->world) >= WORLD_SILENCE_US;
    if (silent != anchor->silent)
        log_line(silent ? LOG_WARN : LOG_INFO, silent ? "market_silent" : "market_back",
                 "symbol=%s", aggregator->options.symbol);
    anchor->silent = silent;
    if (!silent || anchor->wanted || aggregator->now.mono_us < anchor->next_rest_us)
        return;
    anchor->next_rest_us = aggregator->now.mono_us + AGGREGATOR_REST_US;
    aggregator_ask_want(aggregator, "no market data");
    anchor->levels = AGGREGATOR_ASK_LEVELS_SILENT;
    anchor->wanted = true;
}

/* The diffs go on from a REST book, which is shallow: a deep one takes its place. Lost
 * instead, it is replaced like any other. */
static void aggregator_ask_after_silence(struct aggregator *aggregator)
{
    struct aggregator_anchor *anchor = &aggregator->anchor;
    bool is_rest = world_book_is_rest(aggregator->world);
    bool goes_on = anchor->book_was_rest && !is_rest && aggregator->book_live;
    anchor->book_was_rest = is_rest;
    if (!goes_on)
        return;
    aggregator_ask_want(aggregator, "market data is back");
    anchor->wanted = true;
}

/* Beyond the last snapshot's levels the book knows only what has changed since: before the
 * price gets there, a snapshot from here is wanted (BINANCE.md section 6). One that has the
 * price at its edge from the start, as of a nearly empty book, is not asked for again. */
static void aggregator_ask_at_edge(struct aggregator *aggregator)
{
    struct aggregator_anchor *anchor = &aggregator->anchor;
    bool near = aggregator->book_live && world_book_is_near_edge(aggregator->world);
    if (aggregator->book_live && !near)
        anchor->edge_was_far = true;
    if (!near || !anchor->edge_was_far || anchor->wanted ||
        aggregator->now.mono_us < anchor->next_edge_us)
        return;
    anchor->edge_was_far = false;
    anchor->next_edge_us = aggregator->now.mono_us + AGGREGATOR_EDGE_US;
    aggregator_ask_want(aggregator, AGGREGATOR_EDGE_CAUSE);
    anchor->levels = AGGREGATOR_ASK_LEVELS_EDGE;
    anchor->wanted = true;
}

void aggregator_ask_do_work(struct aggregator *aggregator)
{
    struct aggregator_anchor *anchor = &aggregator->anchor;
    aggregator_ask_after_silence(aggregator);
    aggregator_ask_in_silence(aggregator);
    aggregator_ask_at_edge(aggregator);
    if (!aggregator_ask_wanted(aggregator) || anchor->ask.in_flight ||
        aggregator->now.mono_us < anchor->next_ask_us)
        return;
    if (anchor->cause[0] == 0)
        aggregator_ask_want(aggregator, "no book yet");
    if (aggregator_ask_may(aggregator))
        aggregator_ask_send(aggregator);
}
