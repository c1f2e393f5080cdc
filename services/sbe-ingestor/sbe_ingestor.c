/* The sbe-ingestor: one connection (or two) to the exchange in, stamped envelopes into the
 * streams out (DESIGN.md section 5). The main loop is the WebSocket client's; Redis, the
 * alarm for ticks and signals live in the loop nested into it.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "edge/redis/redis_stream.h"
#include "services/cli/commands.h"
#include "services/sbe-ingestor/ingestor_metrics.h"
#include "services/sbe-ingestor/ingestor_options.h"
#include "services/sbe-ingestor/quarantine.h"
#include "services/service_probes.h"

#define SBE_INGESTOR_BOARD_SIZE  4096
#define SBE_INGESTOR_DRAIN_US    2000000 /* a clean stop waits so long for answers */
#define SBE_INGESTOR_WAIT_US_MAX 100000
#define SBE_INGESTOR_SILENCE_US  5000000 /* health: unhealthy after */

struct sbe_ingestor {
    struct ingestor_options options;
    struct service service;
    struct redis_producer *producer;
    struct stream_producer port;
    struct spool_file *spool;
    struct ingest *ingest;
    struct collector *collector;
    struct ingestor_metrics metrics;
    struct quarantine quarantine;
    struct http_board *board; /* health, from this thread to the HTTP thread */
    int64_t board_us;
    int64_t wait_us;
    enum publisher_state seen_state;
    int exit_status;
};

/* What the HTTP thread reads. */
struct sbe_ingestor_board {
    int32_t health;
    int32_t ready;
    char components[SBE_INGESTOR_BOARD_SIZE - 8];
};

static void sbe_ingestor_on_put(void *context, uint64_t ticket, const enum stream_outcome *outcome,
                                int count)
{
    struct sbe_ingestor *self = context;
    publisher_on_put(ingest_publisher(self->ingest), ticket, outcome, count);
}

static void sbe_ingestor_on_ack(void *context, int64_t since_us)
{
    struct sbe_ingestor *self = context;
    metric_observe_ns(self->metrics.publish, loop_mono_ns() - since_us * 1000);
}

static void sbe_ingestor_on_link(void *context, bool connected)
{
    struct sbe_ingestor *self = context;
    log_info(connected ? "redis_connected" : "redis_lost", "target=\"%s\"",
             self->options.redis.target);
    if (self->ingest != NULL)
        publisher_reconnected(ingest_publisher(self->ingest));
}

static int sbe_ingestor_open_stream(struct sbe_ingestor *self, struct err *err)
{
    const struct ingestor_options *options = &self->options;
    struct redis_producer_options producer = {
        .link = redis_settings_link(&options->redis),
        .style = (enum stream_key_style)options->redis.key_style,
        .done = sbe_ingestor_on_put,
        .context = self,
        .length_max = options->stream_length_max,
        .trim_checkpoint = true,
        .readers = options->stream_readers,
        .metrics = &self->service.metrics,
    };
    memcpy(producer.symbol, options->symbol, sizeof(producer.symbol));
    snprintf(producer.link.name, sizeof(producer.link.name), "sbe-ingestor");
    producer.link.metrics = &self->service.metrics;
    int result = redis_producer_open(&producer, self->service.loop, &self->producer, err);
    if (result != ERR_OK)
        return result;
    self->port = redis_producer_port(self->producer);
    redis_link_on_state(redis_producer_link(self->producer), sbe_ingestor_on_link, self);
    return ERR_OK;
}

static int sbe_ingestor_open_spool(struct sbe_ingestor *self, struct err *err)
{
    char folder[300];
    if (self->options.spool_mib == 0)
        return ERR_OK;
    snprintf(folder, sizeof(folder), "%s/spool", self->options.common.data_dir);
    return spool_file_open(folder, self->options.spool_mib * 1024 * 1024, &self->spool, err);
}

/* The epoch grows with each start; what the streams hold is asked as soon as they answer. */
static uint64_t sbe_ingestor_epoch(const struct sbe_ingestor *self, int64_t wall_us)
{
    const uint64_t wall_ms = (uint64_t)(wall_us / CLOCK_US_PER_MS);
    const uint64_t spooled = self->spool == NULL ? 0 : spool_file_newest_epoch(self->spool);
    return wall_ms > spooled ? wall_ms : spooled + 1;
}

static int sbe_ingestor_open_ingest(struct sbe_ingestor *self, struct err *err)
{
    const struct clock_now now = loop_now();
    struct ingest_options ingest = {
        .now = now,
        .publisher = {.producer = &self->port,
                      .spool = self->spool == NULL ? NULL : spool_file_port(self->spool),
                      .ring_bytes_max = (size_t)self->options.ring_mib * 1024 * 1024,
                      .epoch = sbe_ingestor_epoch(self, now.wall_us),
                      .on_ack = sbe_ingestor_on_ack,
                      .context = self},
        .quarantine = quarantine_frame,
        .context = &self->quarantine,
    };
    memcpy(ingest.symbol, self->options.symbol, sizeof(ingest.symbol));
    return ingest_open(&ingest, &self->ingest, err);
}

static int sbe_ingestor_open_parts(struct sbe_ingestor *self, struct err *err)
{
    struct collector_options collector;
    ingestor_metrics_open(&self->metrics, &self->service.metrics);
    quarantine_open(&self->quarantine, self->options.common.data_dir, self->options.symbol,
                    loop_wall_us());
    int result = http_board_open(SBE_INGESTOR_BOARD_SIZE, &self->board);
    if (result != ERR_OK)
        return err_set(err, result, "health board");
    result = sbe_ingestor_open_spool(self, err);
    if (result == ERR_OK)
        result = sbe_ingestor_open_stream(self, err);
    if (result == ERR_OK)
        result = sbe_ingestor_open_ingest(self, err);
    if (result != ERR_OK)
        return result;
    ingestor_options_collector(&self->options, self->service.port_offset, &collector);
    collector.seed = (uint64_t)loop_mono_ns();
    collector.decode_duration = self->metrics.decode;
    result = collector_open(&collector, self->ingest, self->service.loop, &self->collector, err);
    if (result != ERR_OK)
        return result;
    ingestor_metrics_follow(&self->metrics, &self->service.metrics, self->ingest, self->collector);
    log_info("collecting", "symbol=%s source=%s url=\"%s\" epoch=%llu", self->options.symbol,
             collector_source_names[self->options.source], collector_url(self->collector),
             (unsigned long long)ingest_epoch(self->ingest));
    return ERR_OK;
}

static void sbe_ingestor_lines(const struct sbe_ingestor *self, int64_t mono_us, struct text *out)
{
    const struct feed *feed = collector_feed(self->collector);
    for (int i = 0; feed != NULL && i < FEED_LINES; i++)
        text_add_format(out, "%s{\"state\":\"%s\",\"state_age_ms\":%lld}", i == 0 ? "" : ",",
                        feed_state_text(feed->lines[i].state),
                        (long long)(mono_us - feed->lines[i].since_us) / 1000);
}

static enum service_health sbe_ingestor_judge(const struct sbe_ingestor *self, int64_t mono_us)
{
    const int64_t last_us = collector_last_frame_us(self->collector);
    const bool silent = last_us == 0 || mono_us - last_us > SBE_INGESTOR_SILENCE_US;
    if (publisher_state(ingest_publisher(self->ingest)) != PUBLISHER_STREAMING)
        return silent ? SERVICE_UNHEALTHY : SERVICE_DEGRADED;
    return silent ? SERVICE_DEGRADED : SERVICE_HEALTHY;
}

static void sbe_ingestor_publish_health(struct sbe_ingestor *self, int64_t mono_us)
{
    struct sbe_ingestor_board board = {0};
    const struct publisher *publisher = ingest_publisher(self->ingest);
    const int64_t last_us = collector_last_frame_us(self->collector);
    if (mono_us - self->board_us < INGESTOR_METRICS_PERIOD_US)
        return;
    self->board_us = mono_us;
    struct text text = text_begin(board.components, sizeof(board.components));
    text_add_format(&text, "\"connection\":{\"status\":\"%s\",\"source\":\"%s\",\"lines\":[",
                    collector_connected(self->collector) ? "healthy" : "unhealthy",
                    collector_source_names[self->options.source]);
    sbe_ingestor_lines(self, mono_us, &text);
    text_add_format(&text, "],\"last_message_age_ms\":%lld},",
                    last_us == 0 ? -1LL : (long long)(mono_us - last_us) / 1000);
    text_add_format(&text,
                    "\"stream_producer\":{\"status\":\"%s\",\"state\":\"%s\",\"pending\":%llu,"
                    "\"ring_bytes\":%zu,\"spooled\":%llu,\"dropped\":%llu},",
                    publisher_state(publisher) == PUBLISHER_STREAMING ? "healthy" : "unhealthy",
                    publisher_state_text(publisher_state(publisher)),
                    (unsigned long long)publisher_pending(publisher),
                    publisher_ring_bytes(publisher),
                    (unsigned long long)publisher_counters(publisher)->spooled,
                    (unsigned long long)publisher_counters(publisher)->entries_dropped);
    text_add_format(&text,
                    "\"order\":{\"status\":\"healthy\",\"epoch\":%llu,\"seq\":%llu,"
                    "\"clock_steps\":%llu}",
                    (unsigned long long)ingest_epoch(self->ingest),
                    (unsigned long long)ingest_seq(self->ingest),
                    (unsigned long long)ingest_clock_steps(self->ingest));
    text_end(&text);
    board.health = (int32_t)sbe_ingestor_judge(self, mono_us);
    board.ready = collector_connected(self->collector);
    http_board_write(self->board, bytes_of(&board, sizeof(board)));
}

static enum service_health sbe_ingestor_health(void *context, struct text *components)
{
    const struct sbe_ingestor *self = context;
    struct sbe_ingestor_board board;
    if (http_board_read(self->board, &board, sizeof(board)) != sizeof(board)) {
        text_add(components, "\"connection\":{\"status\":\"unhealthy\"}");
        return SERVICE_UNHEALTHY;
    }
    text_add(components, board.components);
    return (enum service_health)board.health;
}

static bool sbe_ingestor_ready(void *context)
{
    const struct sbe_ingestor *self = context;
    struct sbe_ingestor_board board;
    return http_board_read(self->board, &board, sizeof(board)) == sizeof(board) && board.ready != 0;
}

static void sbe_ingestor_watch_state(struct sbe_ingestor *self)
{
    const enum publisher_state state = publisher_state(ingest_publisher(self->ingest));
    if (state == self->seen_state)
        return;
    self->seen_state = state;
    log_info("stream_state", "state=%s epoch=%llu seq=%llu pending=%llu",
             publisher_state_text(state), (unsigned long long)ingest_epoch(self->ingest),
             (unsigned long long)ingest_seq(self->ingest),
             (unsigned long long)publisher_pending(ingest_publisher(self->ingest)));
    if (state != PUBLISHER_FENCED)
        return;
    log_error("fenced", "reason=\"a newer sbe-ingestor writes these streams\" epoch=%llu",
              (unsigned long long)ingest_epoch(self->ingest));
    self->exit_status = SERVICE_EXIT_FAILURE;
    service_stop(&self->service);
}

/* Everything between two waits: first what came is stamped and sent, then the rest. */
static void sbe_ingestor_work(struct sbe_ingestor *self)
{
    const struct clock_now now = loop_now();
    ingest_do_work(self->ingest, now);
    self->port.do_work(self->port.self, now.mono_us);
    self->wait_us = collector_do_work(self->collector, now);
    const int64_t due_us = ingest_wait_us(self->ingest, now);
    if (due_us < self->wait_us)
        self->wait_us = due_us;
    if (self->wait_us > SBE_INGESTOR_WAIT_US_MAX)
        self->wait_us = SBE_INGESTOR_WAIT_US_MAX;
    ingestor_metrics_update(&self->metrics, self->ingest, self->collector, self->spool,
                            now.mono_us);
    quarantine_do_work(&self->quarantine, now.mono_us);
    sbe_ingestor_publish_health(self, now.mono_us);
    sbe_ingestor_watch_state(self);
}

static int64_t sbe_ingestor_step(void *context, struct clock_now now)
{
    struct sbe_ingestor *self = context;
    (void)now; /* read again after the wait below */
    collector_service(self->collector, self->wait_us);
    sbe_ingestor_work(self);
    if (collector_finished(self->collector) && self->options.replay_end == 0 &&
        publisher_pending(ingest_publisher(self->ingest)) == 0) {
        const struct replay_counters *replay = collector_replay(self->collector);
        log_info("replay_end", "frames=%llu skipped=%llu malformed=%llu",
                 (unsigned long long)replay->frames, (unsigned long long)replay->skipped,
                 (unsigned long long)replay->malformed);
        service_stop(&self->service);
    }
    return 0;
}

/* A clean stop: what is open is sealed and sent; what the stream does not take in time goes
 * to the spool for the next start. */
static void sbe_ingestor_drain(struct sbe_ingestor *self)
{
    struct publisher *publisher = ingest_publisher(self->ingest);
    const int64_t end_us = loop_mono_us() + SBE_INGESTOR_DRAIN_US;
    ingest_seal(self->ingest);
    while (publisher_pending(publisher) > 0 && loop_mono_us() < end_us &&
           publisher_state(publisher) == PUBLISHER_STREAMING) {
        publisher_do_work(publisher, loop_mono_us());
        self->port.do_work(self->port.self, loop_mono_us());
        loop_run_once(self->service.loop, 1000);
    }
    const uint64_t left = publisher_pending(publisher);
    if (left > 0 && publisher_state(publisher) != PUBLISHER_FENCED) {
        publisher_save(publisher);
        log_warn("stopped_with_pending", "entries=%llu spooled=%llu dropped=%llu",
                 (unsigned long long)left,
                 (unsigned long long)publisher_counters(publisher)->spooled,
                 (unsigned long long)publisher_counters(publisher)->entries_dropped);
    }
}

static void sbe_ingestor_close(struct sbe_ingestor *self)
{
    /* The HTTP thread first: it reads what is closed below. */
    service_probes_close(&self->service);
    collector_close(self->collector);
    if (self->producer != NULL)
        redis_producer_close(self->producer);
    ingest_close(self->ingest);
    spool_file_close(self->spool);
    quarantine_close(&self->quarantine);
    if (self->board != NULL)
        http_board_close(self->board);
}

static int sbe_ingestor_start(struct sbe_ingestor *self,
                              const struct service_definition *definition)
{
    struct err err = {0};
    int status = 0;
    int result = ingestor_options_judge(&self->options, &err);
    if (result == ERR_OK)
        result = sbe_ingestor_open_parts(self, &err);
    if (result == ERR_OK)
        result = redis_settings_wait(&self->options.redis, redis_producer_link(self->producer),
                                     self->service.loop, &err);
    if (result != ERR_OK)
        return service_refuse(definition->name, &err);
    if (service_serve(&self->service, definition, &status) != ERR_OK)
        return status;
    service_run(&self->service, sbe_ingestor_step, self);
    sbe_ingestor_drain(self);
    return self->exit_status;
}

static int sbe_ingestor_run(int argc, char **argv)
{
    static struct sbe_ingestor self;
    const struct service_definition definition = {
        .name = "sbe-ingestor",
        .summary = "exchange frames into the streams",
        .schema = &ingestor_schema,
        .default_port = INGESTOR_DEFAULT_PORT,
        .health = sbe_ingestor_health,
        .ready = sbe_ingestor_ready,
        .context = &self,
    };
    int status = 0;
    if (service_open(&self.service, &definition, argc, argv, &self.options, &status) != ERR_OK)
        return status;
    status = sbe_ingestor_start(&self, &definition);
    sbe_ingestor_close(&self);
    service_close(&self.service);
    return status;
}

const struct command command_sbe_ingestor = {
    .name = "sbe-ingestor",
    .summary = "exchange frames into the streams",
    .run = sbe_ingestor_run,
    .schema = &ingestor_schema,
    .default_port = INGESTOR_DEFAULT_PORT,
};
