/* What the aggregator sees of losses, for whoever judges them: the gap hash of the symbol
 * and the stream gap-events (DESIGN.md section 6, Verdict).
 * SPDX-License-Identifier: Apache-2.0 */
#include "base/text.h"
#include "hot/state/aggregator_parts.h"

#define AGGREGATOR_REPORT_PAIRS_MAX 20

struct aggregator_report {
    struct text text;
    struct state_pair pairs[AGGREGATOR_REPORT_PAIRS_MAX];
    int count;
    char bytes[1024];
};

static void aggregator_report_text(struct aggregator_report *report, const char *field,
                                   const char *value)
{
    report->pairs[report->count++] = (struct state_pair){bytes_text(field), bytes_text(value)};
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

static void aggregator_report_fill(const struct aggregator *aggregator,
                                   struct aggregator_report *report)
{
    struct world_view view;
    world_view(aggregator->world, &view);
    report->count = 0;
    report->text = text_begin(report->bytes, sizeof(report->bytes));
    aggregator_report_text(report, "symbol", aggregator->options.symbol);
    aggregator_report_text(report, "state", view.book_live ? "live" : "gap");
    aggregator_report_text(report, "cause", aggregator->report_cause);
    aggregator_report_number(report, "epoch", view.epoch);
    aggregator_report_number(report, "seq", view.seq);
    aggregator_report_number(report, "last_update_id", (uint64_t)view.book_id);
    aggregator_report_number(report, "recv_us", (uint64_t)view.recv_us);
    aggregator_report_number(report, "writer", aggregator->lease.epoch);
    aggregator_report_counters(report, world_counters(aggregator->world));
}

int aggregator_report_do_work(struct aggregator *aggregator)
{
    const struct state_port *state = &aggregator->options.state;
    struct aggregator_report report;
    if (aggregator_answered(&aggregator->report) && aggregator->report.result != ERR_OK &&
        aggregator->report_cause == NULL)
        aggregator->report_cause = "report repeated";
    if (!aggregator->lease.holds) {
        aggregator->report_cause = NULL; /* the active one says it */
        return 0;
    }
    if (aggregator->report_cause == NULL || aggregator->report.in_flight ||
        !state->ready(state->self))
        return 0;
    aggregator_report_fill(aggregator, &report);
    if (state->gap_report(state->self, report.pairs, report.count, aggregator_answer,
                          &aggregator->report) != ERR_OK)
        return 0;
    aggregator->report.in_flight = true;
    aggregator->report_cause = NULL;
    return 1;
}
