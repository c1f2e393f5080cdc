/* What the aggregator sees of losses, for whoever judges them: the gap hash of the symbol
 * and the stream gap-events:{symbol} (DESIGN.md section 6, Verdict). An event waits in a
 * ring until the store has it; one is under way at a time, never before a flush.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "base/log.h"
#include "hot/state/aggregator_parts.h"

/* The event's own pairs and the counters, which only the hash is read for. */
#define AGGREGATOR_REPORT_PAIRS_MAX (GAP_EVENT_PAIRS_MAX + 8)

struct aggregator_report {
    struct text text;
    struct state_pair pairs[AGGREGATOR_REPORT_PAIRS_MAX];
    int count;
    char bytes[GAP_EVENT_BYTES + 256];
};

static struct gap_event *aggregator_report_at(struct aggregator *aggregator, uint32_t index)
{
    return &aggregator->reports.entries[index % AGGREGATOR_REPORTS_MAX];
}

static void aggregator_report_follow(struct aggregator_reports *reports)
{
    if ((int32_t)(reports->head - reports->told) > 0)
        reports->told = reports->head;
}

/* The head may be under way: it is then told twice rather than not at all. */
static struct gap_event *aggregator_report_push(struct aggregator *aggregator)
{
    struct aggregator_reports *reports = &aggregator->reports;
    if (reports->tail - reports->head == AGGREGATOR_REPORTS_MAX) {
        bool is_lost = aggregator->lease.holds && reports->head == reports->told;
        reports->head++;
        reports->dropped += is_lost;
        metric_add(aggregator->metrics.reports_dropped, is_lost);
    }
    aggregator_report_follow(reports);
    return aggregator_report_at(aggregator, reports->tail++);
}

static struct gap_event *aggregator_report_begin(struct aggregator *aggregator, enum gap_kind kind,
                                                 const char *cause)
{
    struct gap_event *event = aggregator_report_push(aggregator);
    struct world_view view;
    world_view(aggregator->world, &view);
    *event = (struct gap_event){.kind = kind,
                                .epoch = view.epoch,
                                .seq = view.seq,
                                .recv_us = view.recv_us,
                                .writer = aggregator->lease.epoch,
                                .last_update_id = view.book_id,
                                .book_live = view.book_live,
                                .volume_exponent = view.qty_exponent};
    snprintf(event->cause, sizeof(event->cause), "%s", cause);
    return event;
}

void aggregator_report_add(struct aggregator *aggregator, enum gap_kind kind, const char *cause)
{
    (void)aggregator_report_begin(aggregator, kind, cause);
}

static void aggregator_report_trades(struct aggregator *aggregator)
{
    struct gap_event *event = aggregator_report_begin(aggregator, GAP_TRADE_HOLE, "trade id hole");
    world_trade_hole(aggregator->world, &event->first_trade_id, &event->last_trade_id);
}

static void aggregator_report_absent(struct aggregator *aggregator)
{
    struct gap_event *event =
        aggregator_report_begin(aggregator, GAP_TRADES_ABSENT, "trades of an anchor only");
    world_trades_absent(aggregator->world, &event->first_trade_id, &event->last_trade_id);
}

static void aggregator_report_records(struct aggregator *aggregator, const struct record *record)
{
    struct gap_event *event =
        aggregator_report_begin(aggregator, GAP_RECORD_HOLE, "records missing");
    if (record->payload.size != 16)
        return;
    event->next_epoch = bytes_load_u64(record->payload.data);
    event->next_seq = bytes_load_u64(record->payload.data + 8);
}

/* Oldest first, each once. */
static void aggregator_report_minutes(struct aggregator *aggregator)
{
    struct minute list[MINUTES_KEPT];
    int count = world_minutes(aggregator->world, list, MINUTES_KEPT);
    for (int i = count - 1; i >= 0; i--) {
        const struct minute *minute = &list[i];
        if (minute->minute <= aggregator->reports.minute_told)
            continue;
        struct gap_event *event = aggregator_report_begin(aggregator, GAP_MINUTE, "");
        event->minute = minute->minute;
        event->volume = minute->volume;
        event->trades = minute->trades;
        event->complete = minute->is_complete;
        event->first_trade_id = minute->first_id;
        event->last_trade_id = minute->last_id;
        aggregator->reports.minute_told = minute->minute;
    }
}

void aggregator_report_effects(struct aggregator *aggregator, unsigned effects,
                               const struct record *record, const char *loss)
{
    if (record->kind == RECORD_HOLE)
        aggregator_report_records(aggregator, record);
    if (effects & WORLD_TRADE_HOLE)
        aggregator_report_trades(aggregator);
    if (effects & WORLD_TRADES_ABSENT)
        aggregator_report_absent(aggregator);
    if (loss != NULL)
        aggregator_report_add(aggregator, GAP_LOSS, loss);
    if (effects & WORLD_MINUTE)
        aggregator_report_minutes(aggregator);
}

static void aggregator_report_number(struct aggregator_report *report, const char *field,
                                     uint64_t value)
{
    size_t start = report->text.size;
    text_add_u64(&report->text, value);
    report->pairs[report->count++] = (struct state_pair){
        bytes_text(field), bytes_of(report->text.at + start, report->text.size - start)};
}

static void aggregator_report_counters(struct aggregator_report *report,
                                       const struct world_counters *counters)
{
    aggregator_report_number(report, "gaps", counters->gaps);
    aggregator_report_number(report, "depth_ids_missing", counters->depth_ids_missing);
    aggregator_report_number(report, "diverged", counters->snapshots_diverged);
    aggregator_report_number(report, "trade_holes", counters->trade_holes);
    aggregator_report_number(report, "trades_missing", counters->trades_missing);
    aggregator_report_number(report, "holes", counters->holes);
    aggregator_report_number(report, "anchors", counters->anchors);
}

/* The head is with the store, or has to be told again. */
static void aggregator_report_told(struct aggregator *aggregator)
{
    struct aggregator_reports *reports = &aggregator->reports;
    if (reports->call.result != ERR_OK) {
        reports->retry_us = aggregator->now.mono_us + AGGREGATOR_RETRY_US;
        return;
    }
    metric_add(aggregator->metrics.reports, 1);
    if ((int32_t)(reports->sent + 1 - reports->head) > 0) /* else it was given up meanwhile */
        reports->head = reports->sent + 1;
    aggregator_report_follow(reports);
}

static bool aggregator_report_has_ids(const struct gap_event *event)
{
    return event->kind == GAP_TRADE_HOLE || event->kind == GAP_TRADES_ABSENT;
}

/* A store that was away may come back empty, or without its last writes. What backfill has
 * not read by then would never be fetched, so the holes of the last minutes are told again
 * as far as the ring has them. */
static void aggregator_report_rewind(struct aggregator *aggregator)
{
    struct aggregator_reports *reports = &aggregator->reports;
    int64_t oldest_us = aggregator->now.wall_us - AGGREGATOR_REPORT_KEEP_US;
    uint32_t least =
        reports->tail < AGGREGATOR_REPORTS_MAX ? 0 : reports->tail - AGGREGATOR_REPORTS_MAX;
    while (reports->head != least &&
           aggregator_report_at(aggregator, reports->head - 1)->recv_us >= oldest_us)
        reports->head--;
}

/* What was told before is told again only if somebody fetches by it. */
static void aggregator_report_skip(struct aggregator *aggregator)
{
    struct aggregator_reports *reports = &aggregator->reports;
    while (reports->head != reports->told &&
           !aggregator_report_has_ids(aggregator_report_at(aggregator, reports->head)))
        reports->head++;
}

/* The active one tells it: a standby keeps only what is fresh. */
static void aggregator_report_age(struct aggregator *aggregator)
{
    struct aggregator_reports *reports = &aggregator->reports;
    int64_t oldest_us = aggregator->now.wall_us - AGGREGATOR_REPORT_KEEP_US;
    while (reports->head != reports->tail &&
           aggregator_report_at(aggregator, reports->head)->recv_us < oldest_us)
        reports->head++;
    aggregator_report_follow(reports);
}

static bool aggregator_report_send(struct aggregator *aggregator)
{
    const struct state_port *state = &aggregator->options.state;
    struct aggregator_reports *reports = &aggregator->reports;
    struct gap_event *event = aggregator_report_at(aggregator, reports->head);
    struct aggregator_report report;
    event->writer = aggregator->lease.epoch;
    report.text = text_begin(report.bytes, sizeof(report.bytes));
    report.count = gap_event_write(event, aggregator->options.symbol, &report.text, report.pairs);
    aggregator_report_counters(&report, world_counters(aggregator->world));
    reports->sent = reports->head;
    return state->gap_report(state->self, report.pairs, report.count, aggregator_answer,
                             &reports->call) == ERR_OK;
}

int aggregator_report_do_work(struct aggregator *aggregator)
{
    const struct state_port *state = &aggregator->options.state;
    struct aggregator_reports *reports = &aggregator->reports;
    if (aggregator_answered(&reports->call))
        aggregator_report_told(aggregator);
    if (!aggregator->lease.holds) {
        aggregator_report_age(aggregator);
        return 0;
    }
    bool was_ready = reports->was_ready;
    reports->was_ready = state->ready(state->self) && (was_ready || !reports->call.in_flight);
    if (!reports->was_ready || reports->call.in_flight)
        return 0;
    if (!was_ready)
        aggregator_report_rewind(aggregator);
    aggregator_report_skip(aggregator);
    if (reports->head == reports->tail || aggregator->now.mono_us < reports->retry_us)
        return 0;
    reports->call.in_flight = aggregator_report_send(aggregator);
    return reports->call.in_flight;
}
