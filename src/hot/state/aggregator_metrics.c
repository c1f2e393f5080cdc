/* The aggregator's metrics (CONTRACTS.md section 9 and docs/hot-state.md).
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "hot/state/aggregator_parts.h"

static void aggregator_metrics_streams(struct aggregator_metrics *own, struct metrics *metrics)
{
    for (int i = 0; i < STREAM_COUNT; i++) {
        char labels[METRICS_LABELS_SIZE];
        snprintf(labels, sizeof(labels), "stream=\"%s\",status=\"ok\"",
                 stream_name_text((enum stream_name)i));
        own->records[i] = metrics_counter(metrics, "aggregator_kinesis_records_processed_total",
                                          labels, "Records read from the streams, by outcome.");
        snprintf(labels, sizeof(labels), "stream=\"%s\",status=\"error\"",
                 stream_name_text((enum stream_name)i));
        own->envelopes_bad[i] =
            metrics_counter(metrics, "aggregator_kinesis_records_processed_total", labels,
                            "Records read from the streams, by outcome.");
    }
}

static void aggregator_metrics_flush(struct aggregator_metrics *own, struct metrics *metrics)
{
    own->flushes = metrics_counter(metrics, "aggregator_flushes_total", NULL,
                                   "Flushes of the hot state acknowledged by Redis.");
    own->flushes_fenced = metrics_counter(metrics, "aggregator_writes_fenced_total", NULL,
                                          "Writes refused because a newer writer holds the fence.");
    own->flushes_failed = metrics_counter(metrics, "aggregator_flushes_failed_total", NULL,
                                          "Flushes without an acknowledgement; all are repeated.");
    own->checkpoints = metrics_counter(metrics, "aggregator_checkpoints_total", NULL,
                                       "Checkpoints acknowledged by Redis.");
    own->checkpoint_bytes =
        metrics_gauge(metrics, "aggregator_checkpoint_bytes", NULL, "Size of the last checkpoint.");
    own->frame_to_flush = metrics_histogram(
        metrics, "aggregator_frame_to_flush_seconds", NULL,
        "From the receive time of a flush's oldest frame to its acknowledgement.");
    own->updates = metrics_counter(metrics, "aggregator_feature_updates_total", NULL,
                                   "Feature vectors computed.");
    own->computation = metrics_histogram(metrics, "aggregator_feature_computation_duration_seconds",
                                         NULL, "Computing the vector and the image of a flush.");
}

static void aggregator_metrics_anchor(struct aggregator_metrics *own, struct metrics *metrics)
{
    static const char *const name = "aggregator_reanchor_operations_total";
    static const char *const help = "Anchors that came to the aggregator, by outcome.";
    own->anchors = metrics_counter(metrics, name, "status=\"success\"", help);
    own->anchors_old = metrics_counter(metrics, name, "status=\"old\"", help);
    own->anchors_bad = metrics_counter(metrics, name, "status=\"bad\"", help);
    own->anchors_lost = metrics_counter(metrics, name, "status=\"failed\"", help);
    own->anchor_duration = metrics_histogram(metrics, "aggregator_reanchor_duration_seconds", NULL,
                                             "From the loss of the book to its replacement.");
    own->swaps_wrong =
        metrics_counter(metrics, "aggregator_swaps_wrong_total", NULL,
                        "Live keys that, read back after a swap, were not what was swapped in.");
    own->verdicts_bad = metrics_counter(metrics, "aggregator_verdicts_unreadable_total", NULL,
                                        "Verdicts of gap-detector that could not be read.");
    own->takeovers = metrics_counter(metrics, "aggregator_takeovers_total", NULL,
                                     "Times this process became the active writer.");
    own->losses = metrics_counter(metrics, "aggregator_lease_losses_total", NULL,
                                  "Times this process stopped being the active writer.");
    own->resyncs = metrics_counter(metrics, "aggregator_resyncs_total", NULL,
                                   "Times a standby took the writer's checkpoint over.");
    own->active = metrics_gauge(metrics, "aggregator_active", NULL, "1 while the active writer.");
}

static void aggregator_metrics_world(struct aggregator_metrics *own, struct metrics *metrics)
{
    own->lag = metrics_gauge(metrics, "aggregator_kinesis_lag_seconds", NULL,
                             "Age of the last record applied.");
    own->book_live = metrics_gauge(metrics, "aggregator_book_live", NULL,
                                   "1 while the book is synced with the exchange's.");
    own->gaps = metrics_gauge(metrics, "aggregator_book_gaps", NULL,
                              "Losses of the book since its world began.");
    own->diverged = metrics_gauge(metrics, "aggregator_book_diverged", NULL,
                                  "Books that differed from the exchange's top 20 at the same id.");
    own->crossed = metrics_gauge(metrics, "aggregator_book_crossed", NULL,
                                 "Events that left the book crossed.");
    own->trades_missing =
        metrics_gauge(metrics, "aggregator_trades_missing", NULL, "Trade ids that were skipped.");
    own->trades_refilled = metrics_gauge(metrics, "aggregator_trades_refilled", NULL,
                                         "Lost trades that anchors put back into the windows.");
    own->book_rest = metrics_gauge(metrics, "aggregator_book_rest", NULL,
                                   "1 while the book is REST's because the market is silent.");
    own->holes = metrics_gauge(metrics, "aggregator_stream_holes", NULL,
                               "Holes declared in the order of the streams.");
    own->missing = metrics_gauge(metrics, "aggregator_stream_records_missing", NULL,
                                 "Records given up in those holes.");
    own->reports = metrics_counter(metrics, "aggregator_gap_reports_total", NULL,
                                   "Losses, holes and closed minutes told to gap-events.");
    own->reports_dropped =
        metrics_counter(metrics, "aggregator_gap_reports_dropped_total", NULL,
                        "Reports given up because too many waited for the store.");
    own->duplicates = metrics_gauge(metrics, "aggregator_stream_duplicates", NULL,
                                    "Records delivered more than once and dropped.");
    own->refused = metrics_gauge(metrics, "aggregator_records_refused", NULL,
                                 "Records whose payload was malformed.");
    own->controls_late = metrics_gauge(metrics, "aggregator_controls_late", NULL,
                                       "Control records that came after their place.");
    own->controls_dropped = metrics_counter(metrics, "aggregator_controls_dropped_total", NULL,
                                            "Control records given up before they were written.");
}

void aggregator_metrics_open(struct aggregator *aggregator)
{
    struct metrics *metrics = aggregator->options.metrics;
    aggregator_metrics_streams(&aggregator->metrics, metrics);
    aggregator_metrics_flush(&aggregator->metrics, metrics);
    aggregator_metrics_anchor(&aggregator->metrics, metrics);
    aggregator_metrics_world(&aggregator->metrics, metrics);
}

void aggregator_metrics_update(struct aggregator *aggregator)
{
    struct aggregator_metrics *own = &aggregator->metrics;
    const struct state_feed_counters *feed = state_feed_counters(aggregator->feed);
    const struct merge_counters *merge = state_feed_merge_counters(aggregator->feed);
    const struct world_counters *world = world_counters(aggregator->world);
    uint64_t epoch, seq;
    int64_t recv_us;
    state_feed_place(aggregator->feed, &epoch, &seq, &recv_us);
    for (int i = 0; i < STREAM_COUNT; i++) {
        metric_follow(own->records[i], feed->records[i], &own->seen_records[i]);
        metric_follow(own->envelopes_bad[i], feed->envelopes_bad[i], &own->seen_bad[i]);
    }
    metric_set(own->lag, epoch == 0 ? 0 : (double)(aggregator->now.wall_us - recv_us) / 1e6);
    metric_set(own->book_live, aggregator->book_live);
    metric_set(own->gaps, (double)world->gaps);
    metric_set(own->diverged, (double)world->snapshots_diverged);
    metric_set(own->crossed, (double)world->crossed_events);
    metric_set(own->trades_missing, (double)world->trades_missing);
    metric_set(own->trades_refilled, (double)world->trades_refilled);
    metric_set(own->book_rest, world_book_is_rest(aggregator->world));
    metric_set(own->holes, (double)world->holes);
    metric_set(own->missing, (double)merge->records_missing);
    metric_set(own->duplicates, (double)merge->duplicates);
    metric_set(own->refused, (double)feed->records_refused);
    metric_set(own->controls_late, (double)feed->controls_late);
}
