/* SPDX-License-Identifier: Apache-2.0 */
#include "services/sbe-ingestor/ingestor_metrics.h"

#include <stdio.h>

#include "base/check.h"

static void ingestor_metrics_add(struct ingestor_metrics *self, struct metrics *metrics,
                                 const char *name, const char *label, const char *value,
                                 const char *help, const uint64_t *source)
{
    char labels[METRICS_LABELS_SIZE] = "";
    if (label != NULL)
        snprintf(labels, sizeof(labels), "%s=\"%s\"", label, value);
    CHECK(self->count < INGESTOR_METRICS_COUNTERS_MAX);
    self->counters[self->count++] = (struct ingestor_counter){
        .metric = metrics_counter(metrics, name, labels, help), .source = source};
}

void ingestor_metrics_open(struct ingestor_metrics *self, struct metrics *metrics)
{
    *self = (struct ingestor_metrics){0};
    self->decode = metrics_histogram(metrics, "ingestor_sbe_decode_duration_seconds", NULL,
                                     "From a whole message to its stamped record.");
    self->publish = metrics_histogram(metrics, "ingestor_publish_duration_seconds", NULL,
                                      "From a message at the socket to its entry acknowledged.");
    self->connected = metrics_gauge(metrics, "ingestor_sbe_connection_status", NULL,
                                    "1 while at least one connection brings data.");
    self->lines_live =
        metrics_gauge(metrics, "ingestor_connections_live", NULL, "Connections that bring data.");
    self->throughput = metrics_gauge(metrics, "ingestor_sbe_throughput_messages_per_second", NULL,
                                     "Accepted messages a second.");
    self->seq = metrics_gauge(metrics, "ingestor_seq", NULL, "Last seq stamped.");
    self->epoch = metrics_gauge(metrics, "ingestor_epoch", NULL, "Ingest epoch.");
    self->pending = metrics_gauge(metrics, "ingestor_pending_entries", NULL,
                                  "Stream entries not acknowledged, memory and disk.");
    self->ring_bytes =
        metrics_gauge(metrics, "ingestor_ring_bytes", NULL, "Bytes of entries kept in memory.");
    self->spool_bytes =
        metrics_gauge(metrics, "ingestor_spool_bytes", NULL, "Bytes of entries on disk.");
    self->last_age = metrics_gauge(metrics, "ingestor_last_message_age_seconds", NULL,
                                   "Since the last accepted message; -1 before the first.");
    self->stream_ready = metrics_gauge(metrics, "ingestor_stream_status", NULL,
                                       "1 while entries go into the streams.");
    self->clock_steps = metrics_gauge(metrics, "ingestor_clock_steps", NULL,
                                      "Steps of the wall clock that were not followed.");
}

static void ingestor_metrics_follow_ingest(struct ingestor_metrics *self, struct metrics *metrics,
                                           const struct ingest_counters *counters)
{
    static const char *const types[SPLICE_STREAMS] = {"trade", "depth", "bestBidAsk", "depth20"};
    static const char *const causes[SBE_VERDICT_COUNT] = {
        [SBE_TRUNCATED] = "truncated",       [SBE_BLOCK_SHORT] = "block_short",
        [SBE_UNKNOWN_SCHEMA] = "schema",     [SBE_UNKNOWN_TEMPLATE] = "template",
        [SBE_GROUP_STRIDE] = "group_stride", [SBE_GROUP_COUNT] = "group_count",
        [SBE_NULL_VALUE] = "null_value",     [SBE_BAD_VALUE] = "bad_value",
        [SBE_BAD_SYMBOL] = "symbol",         [SBE_BAD_IDS] = "ids"};
    for (int i = 0; i < SPLICE_STREAMS; i++)
        ingestor_metrics_add(self, metrics, "ingestor_sbe_messages_total", "message_type", types[i],
                             "Accepted messages.", &counters->messages[i]);
    for (int i = SBE_OK + 1; i < SBE_VERDICT_COUNT; i++)
        ingestor_metrics_add(self, metrics, "ingestor_sbe_malformed_total", "cause", causes[i],
                             "Refused messages by cause.", &counters->verdicts[i]);
    ingestor_metrics_add(self, metrics, "ingestor_sbe_bytes_total", NULL, NULL,
                         "Bytes of all messages.", &counters->bytes);
    ingestor_metrics_add(self, metrics, "ingestor_sbe_newer_version_total", NULL, NULL,
                         "Messages of a newer, compatible schema version.",
                         &counters->newer_version);
    ingestor_metrics_add(self, metrics, "ingestor_sbe_extended_total", "where", "block",
                         "Messages read although they are longer than the schema says.",
                         &counters->longer_block);
    ingestor_metrics_add(self, metrics, "ingestor_sbe_extended_total", "where", "end",
                         "Messages read although they are longer than the schema says.",
                         &counters->trailing);
    ingestor_metrics_add(self, metrics, "ingestor_records_total", NULL, NULL,
                         "Records stamped, ticks included.", &counters->records);
    ingestor_metrics_add(self, metrics, "ingestor_ticks_total", NULL, NULL, "Ticks stamped.",
                         &counters->ticks);
    ingestor_metrics_add(self, metrics, "ingestor_envelopes_total", NULL, NULL,
                         "Stream entries sealed.", &counters->envelopes);
    ingestor_metrics_add(self, metrics, "ingestor_recv_clamped_total", NULL, NULL,
                         "Receive times held up because the clock fell.", &counters->recv_clamped);
}

static void ingestor_metrics_follow_splice(struct ingestor_metrics *self, struct metrics *metrics,
                                           const struct splice *splice)
{
    static const char *const types[SPLICE_STREAMS] = {"trade", "depth", "bestBidAsk", "depth20"};
    for (int i = 0; i < SPLICE_STREAMS; i++) {
        const struct splice_counters *counters = splice_counters(splice, (enum splice_stream)i);
        ingestor_metrics_add(self, metrics, "ingestor_duplicates_total", "message_type", types[i],
                             "Messages already seen by id.", &counters->duplicates);
        ingestor_metrics_add(self, metrics, "ingestor_rebases_total", "message_type", types[i],
                             "Times the ids started over.", &counters->rebases);
        if (i != SPLICE_TRADES && i != SPLICE_DIFFS)
            continue;
        ingestor_metrics_add(self, metrics, "ingestor_sbe_sequence_gaps_total", "message_type",
                             types[i], "Holes in the exchange's ids.", &counters->holes);
        ingestor_metrics_add(self, metrics, "ingestor_missing_ids_total", "message_type", types[i],
                             "Ids in those holes.", &counters->missing_ids);
        ingestor_metrics_add(self, metrics, "ingestor_held_total", "message_type", types[i],
                             "Messages that waited for the other connection.", &counters->held);
        ingestor_metrics_add(self, metrics, "ingestor_filled_total", "message_type", types[i],
                             "Of those, let go because the hole was filled.", &counters->filled);
    }
}

static void ingestor_metrics_follow_publisher(struct ingestor_metrics *self,
                                              struct metrics *metrics,
                                              const struct publisher_counters *counters)
{
    const struct {
        const char *name, *help;
        const uint64_t *source;
    } rows[] = {
        {"ingestor_entries_written_total", "Entries acknowledged.", &counters->entries_written},
        {"ingestor_records_written_total", "Records in them.", &counters->records_written},
        {"ingestor_entries_duplicate_total", "Entries that were there already.",
         &counters->duplicates},
        {"ingestor_entries_retried_total", "Entries refused and sent again.", &counters->retries},
        {"ingestor_entries_lost_total", "Entries whose answer was lost.", &counters->lost},
        {"ingestor_entries_resent_total", "Entries sent again after a reconnect.",
         &counters->resent},
        {"ingestor_entries_spooled_total", "Entries put on disk.", &counters->spooled},
        {"ingestor_entries_unspooled_total", "Entries sent from disk.", &counters->unspooled},
        {"ingestor_spool_errors_total", "Entries that the disk did not take.",
         &counters->spool_failed},
        {"ingestor_entries_dropped_total", "Entries lost because memory and disk were full.",
         &counters->entries_dropped},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        ingestor_metrics_add(self, metrics, rows[i].name, NULL, NULL, rows[i].help, rows[i].source);
}

static void ingestor_metrics_follow_feed(struct ingestor_metrics *self, struct metrics *metrics,
                                         const struct feed *feed)
{
    ingestor_metrics_add(self, metrics, "ingestor_connect_attempts_total", NULL, NULL,
                         "Connection attempts.", &feed->counters.attempts);
    ingestor_metrics_add(self, metrics, "ingestor_connect_limited_total", NULL, NULL,
                         "Attempts put off by the exchange's limit.", &feed->counters.limited);
    for (int i = 0; i < FEED_STATES; i++)
        ingestor_metrics_add(self, metrics, "ingestor_connection_entered_total", "state",
                             feed_state_text((enum feed_state)i),
                             "Times a connection came into a state.", &feed->counters.entered[i]);
    for (int i = FEED_NO_CAUSE + 1; i < FEED_CAUSES; i++)
        ingestor_metrics_add(self, metrics, "ingestor_sbe_reconnections_total", "cause",
                             feed_cause_text((enum feed_cause)i),
                             "Connections replaced or lost, by cause.", &feed->counters.causes[i]);
}

void ingestor_metrics_follow(struct ingestor_metrics *self, struct metrics *metrics,
                             const struct ingest *ingest, const struct collector *collector)
{
    const struct collector_counters *text = collector_counters(collector);
    ingestor_metrics_follow_ingest(self, metrics, ingest_counters(ingest));
    ingestor_metrics_follow_splice(self, metrics, ingest_splice(ingest));
    ingestor_metrics_follow_publisher(self, metrics, publisher_counters(ingest_publisher(ingest)));
    if (collector_feed(collector) != NULL)
        ingestor_metrics_follow_feed(self, metrics, collector_feed(collector));
    ingestor_metrics_add(self, metrics, "ingestor_text_malformed_total", NULL, NULL,
                         "Text messages that could not be read.", &text->text_malformed);
    ingestor_metrics_add(self, metrics, "ingestor_server_shutdowns_total", NULL, NULL,
                         "serverShutdown messages.", &text->shutdowns);
    ingestor_metrics_add(self, metrics, "ingestor_control_errors_total", NULL, NULL,
                         "Control requests that the exchange refused.", &text->control_errors);
}

static double ingestor_metrics_rate(struct ingestor_metrics *self, const struct ingest *ingest,
                                    int64_t mono_us)
{
    const struct ingest_counters *counters = ingest_counters(ingest);
    uint64_t messages = 0;
    for (int i = 0; i < SPLICE_STREAMS; i++)
        messages += counters->messages[i];
    const double seconds = (double)(mono_us - self->last_us) / CLOCK_US_PER_S;
    const double rate = (double)(messages - self->last_messages) / seconds;
    self->last_messages = messages;
    self->last_us = mono_us;
    return rate;
}

static int ingestor_metrics_live(const struct feed *feed)
{
    int live = 0;
    for (int i = 0; feed != NULL && i < FEED_LINES; i++)
        live += feed->lines[i].state == FEED_LIVE;
    return live;
}

void ingestor_metrics_update(struct ingestor_metrics *self, const struct ingest *ingest,
                             const struct collector *collector, const struct spool_file *spool,
                             int64_t mono_us)
{
    if (mono_us - self->last_us < INGESTOR_METRICS_PERIOD_US)
        return;
    for (int i = 0; i < self->count; i++) {
        struct ingestor_counter *counter = &self->counters[i];
        metric_add(counter->metric, *counter->source - counter->last);
        counter->last = *counter->source;
    }
    const struct publisher *publisher = ingest_publisher(ingest);
    const int64_t last_us = collector_last_frame_us(collector);
    metric_set(self->throughput, ingestor_metrics_rate(self, ingest, mono_us));
    metric_set(self->connected, collector_connected(collector) ? 1 : 0);
    metric_set(self->lines_live, ingestor_metrics_live(collector_feed(collector)));
    metric_set(self->seq, (double)ingest_seq(ingest));
    metric_set(self->epoch, (double)ingest_epoch(ingest));
    metric_set(self->pending, (double)publisher_pending(publisher));
    metric_set(self->ring_bytes, (double)publisher_ring_bytes(publisher));
    metric_set(self->spool_bytes, spool == NULL ? 0 : (double)spool_file_bytes(spool));
    metric_set(self->last_age, last_us == 0 ? -1 : (double)(mono_us - last_us) / CLOCK_US_PER_S);
    metric_set(self->stream_ready, publisher_state(publisher) == PUBLISHER_STREAMING ? 1 : 0);
    metric_set(self->clock_steps, (double)ingest_clock_steps(ingest));
}
