/* Metrics and log lines of the gap detector. SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "recover/gap/gap_detector_self.h"

static struct metric *gap_meter(struct gap_detector *detector, const char *name, const char *label,
                                const char *value, const char *help)
{
    char labels[METRICS_LABELS_SIZE];
    snprintf(labels, sizeof(labels), "%s=\"%s\"", label, value);
    return metrics_counter(detector->options.metrics, name, labels, help);
}

static void gap_meters_moves(struct gap_detector *detector)
{
    char labels[METRICS_LABELS_SIZE];
    for (int from = 0; from < GAP_STATES; from++)
        for (int to = 0; to < GAP_STATES; to++) {
            if (from == to)
                continue;
            snprintf(labels, sizeof(labels), "from=\"%s\",to=\"%s\"",
                     gap_state_text((enum gap_state)from), gap_state_text((enum gap_state)to));
            detector->meters.moves[from][to] =
                metrics_counter(detector->options.metrics, "gap_transitions_total", labels,
                                "Moves of the gap detector's state.");
        }
}

static void gap_meters_answers(struct gap_detector *detector)
{
    static const char *const holes[GAP_ANSWERS] = {"open", "confirmed", "refuted", "unknown"};
    static const char *const minutes[GAP_ANSWERS] = {"open", "different", "equal", "unknown"};
    for (int i = 1; i < GAP_ANSWERS; i++) {
        detector->meters.holes[i] =
            gap_meter(detector, "gap_trade_holes_total", "result", holes[i],
                      "Jumps of trade ids, by what the exchange says of them.");
        detector->meters.minutes[i] =
            gap_meter(detector, "gap_minutes_total", "result", minutes[i],
                      "Complete minutes of trades against the exchange's kline.");
    }
}

static void gap_meters_lists(struct gap_detector *detector)
{
    struct gap_meters *meters = &detector->meters;
    for (int i = 0; i < GAP_EVIDENCES; i++)
        meters->evidence[i] = gap_meter(detector, "gap_evidence_total", "evidence",
                                        gap_evidence_text((enum gap_evidence)i),
                                        "What the state table was asked about.");
    for (int i = 0; i < GAP_HINTS; i++)
        meters->hints[i] =
            gap_meter(detector, "gap_hints_total", "hint", gap_hint_text((enum gap_hint)i),
                      "Hints at a loss, none of which acts alone.");
    for (int i = 0; i < GAP_KINDS; i++)
        meters->events[i] =
            gap_meter(detector, "gap_events_total", "kind", gap_kind_text((enum gap_kind)i),
                      "Entries of gap-events read.");
    for (int i = 0; i < GAP_ACTIONS; i++)
        meters->verdicts[i] =
            gap_meter(detector, "gap_verdicts_total", "action", gap_action_text((enum gap_action)i),
                      "Verdicts said, repetitions not counted.");
}

void gap_meters_open(struct gap_detector *detector)
{
    struct metrics *metrics = detector->options.metrics;
    struct gap_meters *meters = &detector->meters;
    gap_meters_moves(detector);
    gap_meters_answers(detector);
    gap_meters_lists(detector);
    meters->state = metrics_gauge(metrics, "gap_state", NULL,
                                  "0 live, 1 suspect, 2 re-anchoring, 3 cool-down, 4 degraded.");
    meters->override = metrics_gauge(metrics, "gap_override", NULL, "0 auto, 1 force, 2 ignore.");
    meters->detection = metrics_histogram(
        metrics, "gap_detection_seconds", NULL,
        "From receiving the record that shows a loss to the verdict in the store.");
    meters->malformed = metrics_counter(metrics, "gap_events_malformed_total", NULL,
                                        "Entries of gap-events that could not be read.");
    meters->duplicates = metrics_counter(metrics, "gap_events_duplicate_total", NULL,
                                         "Entries of gap-events that told the same again.");
    meters->looks_failed =
        metrics_counter(metrics, "gap_looks_failed_total", NULL, "Looks at the store that failed.");
    meters->checks_given_up = metrics_counter(metrics, "gap_checks_given_up_total", NULL,
                                              "Questions to the exchange that had no room.");
    meters->audits_dropped = metrics_counter(metrics, "gap_audits_dropped_total", NULL,
                                             "Audit records given up because too many waited.");
}

void gap_meters_moved(struct gap_detector *detector, enum gap_state from, const char *why)
{
    enum gap_state to = detector->judge.state;
    metric_set(detector->meters.state, (double)to);
    metric_add(detector->meters.moves[from][to], 1);
    log_line(to == GAP_LIVE || to == GAP_COOLDOWN ? LOG_INFO : LOG_WARN, "gap_state",
             "symbol=%s from=%s to=%s why=\"%s\" epoch=%llu seq=%llu", detector->options.symbol,
             gap_state_text(from), gap_state_text(to), why, (unsigned long long)detector->epoch,
             (unsigned long long)detector->seq);
}
