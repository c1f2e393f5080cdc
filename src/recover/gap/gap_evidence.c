/* What the gap detector sees, and what it means for the state table.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/decimal.h"
#include "hot/state/state_parse.h"
#include "recover/gap/gap_detector_self.h"

/* Basis points of a whole. */
#define GAP_BP 10000

static void gap_evidence_see(struct gap_detector *detector, enum gap_evidence evidence,
                             const char *why)
{
    enum gap_state from = detector->judge.state;
    metric_add(detector->meters.evidence[evidence], 1);
    if (gap_judge_see(&detector->judge, evidence, gap_now_ms(detector)))
        gap_meters_moved(detector, from, why);
}

/* From here on the state is about this. */
static void gap_evidence_about(struct gap_detector *detector, const char *cause, uint64_t epoch,
                               uint64_t seq, int64_t recv_us)
{
    snprintf(detector->cause, sizeof(detector->cause), "%s", cause);
    detector->epoch = epoch;
    detector->seq = seq;
    detector->recv_us = recv_us;
    detector->detect_us = recv_us;
    detector->say_wanted = true;
}

static bool gap_evidence_is_forced(const struct gap_detector *detector)
{
    return detector->override.mode == GAP_FORCE &&
           gap_now_ms(detector) < detector->override.until_ms;
}

/* A hint that still counts is not told again and again. */
static void gap_evidence_hint(struct gap_detector *detector, enum gap_hint hint)
{
    struct gap_judge *judge = &detector->judge;
    int64_t now_ms = gap_now_ms(detector);
    enum gap_state from = judge->state;
    char why[GAP_CAUSE_SIZE];
    if (judge->hint_until_ms[hint] - now_ms > judge->options.hint_hold_ms / 2)
        return;
    metric_add(detector->meters.hints[hint], 1);
    snprintf(why, sizeof(why), "%s", gap_hint_text(hint));
    bool moved = gap_judge_hint(judge, hint, now_ms);
    if (gap_evidence_is_forced(detector) && judge->state != GAP_REANCHORING)
        moved |= gap_judge_see(judge, GAP_SAW_FORCE, now_ms);
    if (!moved)
        return;
    if (judge->state == GAP_REANCHORING)
        gap_evidence_about(detector, why, detector->epoch, detector->seq, 0);
    gap_meters_moved(detector, from, why);
}

/* --- events -------------------------------------------------------------------------- */

/* An event is told at least once; what has been seen of its kind is known by its place. */
static bool gap_evidence_is_new(struct gap_detector *detector, const struct gap_event *event)
{
    if (event->kind != GAP_LOSS && event->kind != GAP_TRADE_HOLE && event->kind != GAP_RECORD_HOLE)
        return true;
    bool known = event->epoch < detector->told[event->kind].epoch ||
                 (event->epoch == detector->told[event->kind].epoch &&
                  event->seq <= detector->told[event->kind].seq);
    if (known) {
        metric_add(detector->meters.duplicates, 1);
        return false;
    }
    detector->told[event->kind].epoch = event->epoch;
    detector->told[event->kind].seq = event->seq;
    return true;
}

static void gap_evidence_answered(struct gap_detector *detector, const struct gap_check *check);

static void gap_evidence_question(struct gap_detector *detector, const struct gap_event *event,
                                  const char *id)
{
    struct gap_check pushed_out;
    bool is_full = gap_checks_add(&detector->checks, event, id, detector->now.mono_us, &pushed_out);
    if (event->kind == GAP_TRADE_HOLE) {
        gap_judge_ask(&detector->judge);
        gap_evidence_see(detector, GAP_SAW_TRADES, event->cause);
    }
    if (!is_full)
        return;
    metric_add(detector->meters.checks_given_up, 1);
    gap_evidence_answered(detector, &pushed_out);
}

void gap_evidence_event(struct gap_detector *detector, const struct gap_event *event,
                        const char *id)
{
    detector->events++;
    metric_add(detector->meters.events[event->kind], 1);
    if (!gap_evidence_is_new(detector, event))
        return;
    switch (event->kind) {
    case GAP_LOSS:
        gap_evidence_about(detector, event->cause, event->epoch, event->seq, event->recv_us);
        gap_evidence_see(detector, GAP_SAW_LOSS, event->cause);
        break;
    case GAP_ANCHORED:
        detector->was_anchored = true;
        if (!detector->rest_book)
            gap_evidence_see(detector, GAP_SAW_ANCHORED, event->cause);
        break;
    case GAP_TRADE_HOLE:
        gap_evidence_question(detector, event, id);
        break;
    case GAP_MINUTE:
        if (event->complete)
            gap_evidence_question(detector, event, id);
        break;
    case GAP_RECORD_HOLE:
        gap_evidence_hint(detector, GAP_HINT_RECORDS);
        break;
    case GAP_STATE:
    case GAP_TRADES_ABSENT: /* the book and the windows have them */
    case GAP_KINDS:
        break;
    }
}

/* --- the exchange's answers ------------------------------------------------------------ */

/* Trades that the windows have lost for good need no anchor: the archive gets them from the
 * event itself. */
static bool gap_evidence_window_needs(const struct gap_detector *detector,
                                      const struct gap_event *event)
{
    int64_t missing = event->last_trade_id - event->first_trade_id + 1;
    return detector->now.wall_us - event->recv_us <= GAP_WINDOW_US &&
           missing >= detector->options.trade_hole_min;
}

static void gap_evidence_hole_answered(struct gap_detector *detector, const struct gap_check *check)
{
    const struct gap_event *event = &check->event;
    gap_judge_answer(&detector->judge);
    metric_add(detector->meters.holes[check->answer], 1);
    if (check->answer != GAP_ANSWER_LOST) {
        gap_say_audit(detector, check->answer == GAP_ANSWER_FINE ? "refuted" : "unknown",
                      event->cause, event);
        gap_evidence_see(detector, GAP_SAW_SETTLED, "trade ids do not exist");
        return;
    }
    detector->confirmed++;
    gap_say_audit(detector, "backfill", event->cause, event);
    if (!gap_evidence_window_needs(detector, event)) {
        gap_evidence_see(detector, GAP_SAW_SETTLED, "no window needs the trades");
        return;
    }
    if (detector->judge.state != GAP_REANCHORING)
        gap_evidence_about(detector, event->cause, event->epoch, event->seq, event->recv_us);
    gap_evidence_see(detector, GAP_SAW_CONFIRMED, "trades are missing");
}

static void gap_evidence_minute_answered(struct gap_detector *detector,
                                         const struct gap_check *check)
{
    const struct gap_event *event = &check->event;
    metric_add(detector->meters.minutes[check->answer], 1);
    detector->minutes_equal += check->answer == GAP_ANSWER_FINE;
    if (check->answer != GAP_ANSWER_LOST)
        return;
    detector->minutes_differ++;
    log_warn("minute_differs", "symbol=%s minute=%lld volume=%lld exponent=%d trades=%llu",
             detector->options.symbol, (long long)event->minute, (long long)event->volume,
             event->volume_exponent, (unsigned long long)event->trades);
    gap_evidence_hint(detector, GAP_HINT_VOLUME);
}

static void gap_evidence_answered(struct gap_detector *detector, const struct gap_check *check)
{
    if (check->event.kind == GAP_TRADE_HOLE)
        gap_evidence_hole_answered(detector, check);
    else
        gap_evidence_minute_answered(detector, check);
}

void gap_evidence_checks(struct gap_detector *detector)
{
    struct gap_check check;
    gap_checks_do_work(&detector->checks, detector->now.mono_us);
    while (gap_checks_take(&detector->checks, &check))
        gap_evidence_answered(detector, &check);
}

/* --- the hot state ---------------------------------------------------------------------- */

static int64_t gap_evidence_number(struct bytes text)
{
    int64_t value = 0;
    if (text.size == 0 || decimal_parse(text, 0, &value) != ERR_OK)
        return 0;
    return value;
}

static bool gap_evidence_is(struct bytes bytes, const char *text)
{
    return bytes.size == strlen(text) && memcmp(bytes.data, text, bytes.size) == 0;
}

bool gap_evidence_shows_rest(const struct gap_look *look)
{
    return gap_evidence_is(look->shown[GAP_SHOWN_SOURCE], "rest");
}

static struct gap_hot gap_evidence_read(const struct gap_look *look)
{
    struct state_decimal mid;
    struct gap_hot hot = {
        .last_update_id = gap_evidence_number(look->shown[GAP_SHOWN_LAST_UPDATE_ID]),
        .ts_us = gap_evidence_number(look->shown[GAP_SHOWN_TS_US]),
        .event_us = gap_evidence_number(look->shown[GAP_SHOWN_EVENT_US]),
        .last_trade_us = gap_evidence_number(look->shown[GAP_SHOWN_LAST_TRADE_US]),
        .book_live = gap_evidence_is(look->shown[GAP_SHOWN_BOOK_LIVE], "1"),
        .rest_book = gap_evidence_shows_rest(look),
    };
    hot.has_book = hot.last_update_id > 0;
    if (state_parse_decimal(look->shown[GAP_SHOWN_MID], &mid)) {
        hot.has_mid = mid.mantissa > 0;
        hot.mid = mid.mantissa;
        hot.mid_exponent = mid.exponent;
    }
    return hot;
}

/* Only while records arrive (ticks do not count as market): an aggregator that stands still
 * says nothing about the market. */
static void gap_evidence_silence(struct gap_detector *detector, const struct gap_hot *was,
                                 const struct gap_hot *is)
{
    bool moved = is->last_update_id != was->last_update_id || is->event_us != was->event_us ||
                 is->last_trade_us != was->last_trade_us;
    if (moved || is->ts_us == 0 || !was->has_book)
        detector->market_us = detector->now.mono_us;
    bool alive = is->ts_us != was->ts_us;
    if (alive && detector->now.mono_us - detector->market_us >= detector->options.silence_us)
        gap_evidence_hint(detector, GAP_HINT_SILENCE);
}

static void gap_evidence_price(struct gap_detector *detector, const struct gap_hot *was,
                               const struct gap_hot *is)
{
    if (!was->has_mid || !is->has_mid || was->mid_exponent != is->mid_exponent ||
        detector->now.mono_us - detector->shown_us > CLOCK_US_PER_S)
        return; /* what moved in a longer time did not jump */
    double jump = (double)(is->mid - was->mid) / (double)was->mid * GAP_BP;
    if (jump >= (double)detector->options.price_jump_bp ||
        jump <= -(double)detector->options.price_jump_bp)
        gap_evidence_hint(detector, GAP_HINT_PRICE);
}

/* Both times are of about the same moment only when a diff has just come. */
static void gap_evidence_skew(struct gap_detector *detector, const struct gap_hot *was,
                              const struct gap_hot *is)
{
    if (is->event_us == 0 || is->event_us == was->event_us || was->event_us == 0)
        return;
    if (llabs(is->ts_us - is->event_us) > detector->options.skew_us)
        gap_evidence_hint(detector, GAP_HINT_TIME);
}

static void gap_evidence_rest_book(struct gap_detector *detector)
{
    const struct gap_hot *hot = &detector->hot;
    bool degraded = detector->judge.state == GAP_DEGRADED;
    if (hot->rest_book && !degraded)
        gap_evidence_see(detector, GAP_SAW_SILENT, "the book comes from REST");
    else if (degraded && hot->book_live && !hot->rest_book)
        gap_evidence_see(detector, GAP_SAW_DATA, "market data again");
}

/* A book that is lost without an event that said so: events were trimmed, or their writer
 * died. */
static void gap_evidence_shown_lost(struct gap_detector *detector)
{
    const struct gap_hot *hot = &detector->hot;
    bool wanted = detector->judge.state == GAP_REANCHORING || detector->judge.state == GAP_DEGRADED;
    if (!hot->has_book || hot->book_live || hot->rest_book || wanted) {
        detector->shown_lost_us = 0;
        return;
    }
    if (detector->shown_lost_us == 0)
        detector->shown_lost_us = detector->now.mono_us;
    if (detector->now.mono_us - detector->shown_lost_us < GAP_SHOWN_LOST_US &&
        !detector->options.once)
        return;
    gap_evidence_about(detector, "book not live", 0, 0, 0);
    gap_evidence_see(detector, GAP_SAW_LOSS, "book not live");
}

/* The swap leaves its token at once, the aggregator's event comes a little later: after the
 * token nobody must ask any more. */
static void gap_evidence_swapped(struct gap_detector *detector, struct bytes token)
{
    if (token.size >= sizeof(detector->swapped) ||
        (token.size == strlen(detector->swapped) &&
         memcmp(token.data, detector->swapped, token.size) == 0))
        return;
    bool is_first = detector->swapped[0] == 0 && !detector->is_started;
    if (token.size > 0)
        memcpy(detector->swapped, token.data, token.size);
    detector->swapped[token.size] = 0;
    if (!is_first && token.size > 0 && !detector->was_anchored && !detector->hot.rest_book)
        gap_evidence_see(detector, GAP_SAW_ANCHORED, "swapped");
}

void gap_evidence_shown(struct gap_detector *detector, const struct gap_look *look)
{
    struct gap_hot was = detector->hot, is = gap_evidence_read(look);
    detector->hot = is;
    gap_evidence_swapped(detector, look->swapped);
    gap_evidence_silence(detector, &was, &is);
    gap_evidence_price(detector, &was, &is);
    gap_evidence_skew(detector, &was, &is);
    gap_evidence_rest_book(detector);
    gap_evidence_shown_lost(detector);
    detector->shown_us = detector->now.mono_us;
}

/* --- operator and time -------------------------------------------------------------------- */

void gap_evidence_override(struct gap_detector *detector, struct bytes json)
{
    struct gap_override override;
    struct err err = {0};
    uint64_t skipped;
    int64_t now_ms = gap_now_ms(detector);
    if (gap_json_read_override(json, &override, &err) != ERR_OK &&
        log_limit_pass(&detector->warn, detector->now.mono_us, &skipped))
        log_warn("override_malformed", "symbol=%s reason=\"%s\" skipped=%llu",
                 detector->options.symbol, err.text, (unsigned long long)skipped);
    if (override.mode != GAP_AUTO && now_ms >= override.until_ms)
        override.mode = GAP_AUTO;
    if (override.mode != detector->override.mode) {
        log_info("gap_override", "symbol=%s mode=%s by=\"%s\" until_ms=%lld",
                 detector->options.symbol, gap_mode_text(override.mode), override.by,
                 (long long) override.until_ms);
        detector->say_wanted = true;
    }
    metric_set(detector->meters.override, (double) override.mode);
    detector->override = override;
    if (override.mode != GAP_FORCE || override.at_ms <= detector->forced_ms)
        return;
    detector->forced_ms = override.at_ms;
    gap_evidence_about(detector, "forced by an operator", 0, 0, 0);
    gap_evidence_see(detector, GAP_SAW_FORCE, "forced by an operator");
}

void gap_evidence_time(struct gap_detector *detector)
{
    enum gap_state from = detector->judge.state;
    if (gap_judge_tick(&detector->judge, gap_now_ms(detector)))
        gap_meters_moved(detector, from, "time");
}
