/* SPDX-License-Identifier: Apache-2.0 */
#include "services/sbe-ingestor/collector.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "edge/websocket/ws_url.h"
#include "wire/exchange_json.h"

/* Frames not yet acknowledged while which a replay at full speed waits. */
#define COLLECTOR_REPLAY_PENDING_MAX 64

const char *const collector_source_names[] = {"sim", "binance", "binance-public", "replay", NULL};

struct collector {
    struct collector_options options;
    char url[COLLECTOR_URL_SIZE];
    struct ingest *ingest;
    struct loop *loop;
    struct ws_client *client;
    struct feed feed;
    struct replay_source *replay;
    struct exchange_json *json;
    uint8_t *frame; /* EXCHANGE_JSON_FRAME_MAX */
    struct collector_counters counters;
    int64_t last_frame_us;
    struct log_limit close_log, text_log;
};

static void collector_streams(const struct collector_options *options, char *out, size_t size)
{
    char symbol[RECORD_SYMBOL_SIZE] = {0};
    for (size_t i = 0; i + 1 < sizeof(symbol) && options->symbol[i] != '\0'; i++)
        symbol[i] = (char)tolower((unsigned char)options->symbol[i]);
    static const char *const sbe[] = {"trade", "bestBidAsk", "depth", "depth20"};
    static const char *const json[] = {"trade", "bookTicker", "depth@100ms", "depth20@100ms"};
    const char *const *names = options->source == COLLECTOR_BINANCE_PUBLIC ? json : sbe;
    struct text text = text_begin(out, size);
    for (int i = 0; i < 4; i++)
        text_add_format(&text, "%s%s@%s", i == 0 ? "/stream?streams=" : "/", symbol, names[i]);
    text_end(&text);
}

/* The configured URL, or the source's own; host and port alone get the path added. */
static int collector_make_url(struct collector *collector, struct err *err)
{
    const struct collector_options *options = &collector->options;
    char host[COLLECTOR_URL_SIZE], streams[256];
    struct ws_url url;
    if (options->url[0] != '\0')
        snprintf(host, sizeof(host), "%s", options->url);
    else if (options->source == COLLECTOR_SIM)
        snprintf(host, sizeof(host), "ws://127.0.0.1:%d", options->sim_port);
    else
        snprintf(host, sizeof(host), "%s",
                 options->source == COLLECTOR_BINANCE ? "wss://stream-sbe.binance.com:9443"
                                                      : "wss://stream.binance.com:9443");
    int result = ws_url_parse(host, &url, err);
    if (result != ERR_OK)
        return err_wrap(err, result, "source_url");
    collector_streams(options, streams, sizeof(streams));
    const bool bare = strcmp(url.path, "/") == 0;
    const size_t length = strlen(host);
    if (bare && host[length - 1] == '/')
        host[length - 1] = '\0';
    if (snprintf(collector->url, sizeof(collector->url), "%s%s", host, bare ? streams : "") >=
        (int)sizeof(collector->url))
        return err_set(err, ERR_CONFIG, "source_url is too long");
    return ERR_OK;
}

static enum sbe_verdict collector_push(struct collector *collector, int line, struct bytes frame,
                                       uint8_t flags)
{
    const struct clock_now now = loop_now();
    const enum sbe_verdict verdict = ingest_frame(collector->ingest, line, frame, flags, now);
    if (collector->options.decode_duration != NULL)
        metric_observe_ns(collector->options.decode_duration, loop_mono_ns() - now.mono_us * 1000);
    if (verdict == SBE_OK)
        collector->last_frame_us = now.mono_us;
    return verdict;
}

static void collector_reply(struct collector *collector,
                            const struct exchange_json_message *message)
{
    collector->counters.control_replies++;
    if (message->code == 0)
        return;
    collector->counters.control_errors++;
    log_warn("control_refused", "code=%lld text=\"%.*s\"", (long long)message->code,
             (int)message->text.size, (const char *)message->text.data);
}

static void collector_text_bad(struct collector *collector, struct bytes text,
                               const struct err *err)
{
    uint64_t skipped = 0;
    collector->counters.text_malformed++;
    if (log_limit_pass(&collector->text_log, loop_mono_us(), &skipped))
        log_warn("text_refused", "reason=\"%s\" size=%zu skipped=%llu", err->text, text.size,
                 (unsigned long long)skipped);
}

/* JSON: market data of a keyless source, control replies and serverShutdown of any. */
static void collector_text(struct collector *collector, int line, struct bytes text)
{
    struct exchange_json_message message;
    struct err err = {0};
    const int64_t recv_us = ingest_now_us(collector->ingest, loop_now());
    if (exchange_json_read(collector->json, text, recv_us, collector->frame,
                           EXCHANGE_JSON_FRAME_MAX, &message, &err) != ERR_OK) {
        collector_text_bad(collector, text, &err);
        return;
    }
    switch (message.kind) {
    case EXCHANGE_JSON_FRAME:
        if (collector->options.source != COLLECTOR_BINANCE_PUBLIC)
            collector->counters.wrong_kind++;
        else if (collector_push(collector, line, bytes_of(collector->frame, message.frame_size),
                                message.flags) == SBE_OK)
            feed_data(&collector->feed, line, loop_mono_us());
        break;
    case EXCHANGE_JSON_SHUTDOWN:
        collector->counters.shutdowns++;
        log_info("server_shutdown", "line=%d", line);
        feed_shutdown(&collector->feed, line, loop_mono_us());
        break;
    case EXCHANGE_JSON_REPLY:
        collector_reply(collector, &message);
        break;
    default:
        collector->counters.ignored++;
        break;
    }
}

static void collector_on_message(void *context, int line, bool is_text, struct bytes message)
{
    struct collector *collector = context;
    if (is_text)
        collector_text(collector, line, message);
    else if (collector->options.source == COLLECTOR_BINANCE_PUBLIC)
        collector->counters.wrong_kind++;
    else if (collector_push(collector, line, message, 0) == SBE_OK)
        feed_data(&collector->feed, line, collector->last_frame_us);
}

static void collector_on_opened(void *context, int line)
{
    struct collector *collector = context;
    const struct clock_now now = loop_now();
    log_info("connected", "line=%d url=\"%s\"", line, collector->url);
    ingest_source(collector->ingest, line, true, now);
    feed_opened(&collector->feed, line, now.mono_us);
}

static void collector_on_closed(void *context, int line, int code, const char *reason)
{
    struct collector *collector = context;
    const struct clock_now now = loop_now();
    uint64_t skipped = 0;
    collector->counters.closes++;
    if (log_limit_pass(&collector->close_log, now.mono_us, &skipped))
        log_warn("disconnected", "line=%d code=%d reason=\"%s\" skipped=%llu", line, code, reason,
                 (unsigned long long)skipped);
    ingest_source(collector->ingest, line, false, now);
    feed_closed(&collector->feed, line, now.mono_us);
}

static void collector_connect(void *context, int line)
{
    struct collector *collector = context;
    struct err err = {0};
    const char *key =
        collector->options.source == COLLECTOR_BINANCE_PUBLIC ? NULL : collector->options.api_key;
    /* The URL was judged at open; what can still fail is reported by collector_on_closed. */
    if (ws_client_connect(collector->client, line, collector->url, key, &err) != ERR_OK)
        collector_on_closed(collector, line, 0, err.text);
}

static void collector_drop(void *context, int line, enum feed_cause cause)
{
    struct collector *collector = context;
    log_info("dropped", "line=%d cause=%s", line, feed_cause_text(cause));
    ws_client_drop(collector->client, line);
    ingest_source(collector->ingest, line, false, loop_now());
}

static void collector_on_replay(void *context, struct bytes frame, uint8_t flags)
{
    collector_push(context, 0, frame, flags);
}

static int collector_open_live(struct collector *collector, struct err *err)
{
    const struct collector_options *options = &collector->options;
    if (options->source == COLLECTOR_BINANCE && options->api_key[0] == '\0')
        return err_set(err, ERR_CONFIG,
                       "source binance needs an API key: set BINANCE_API_KEY in the environment");
    int result = collector_make_url(collector, err);
    if (result != ERR_OK)
        return result;
    struct ws_client_options client = {.ca_file = options->ca_file,
                                       .context = collector,
                                       .opened = collector_on_opened,
                                       .message = collector_on_message,
                                       .closed = collector_on_closed};
    result = ws_client_open(&client, collector->loop, &collector->client, err);
    if (result != ERR_OK)
        return result;
    struct feed_options feed = {.second = options->second,
                                .watchdog_us = options->watchdog_us,
                                .rotation_us = options->rotation_us,
                                .seed = options->seed,
                                .context = collector,
                                .connect = collector_connect,
                                .drop = collector_drop};
    feed_init(&collector->feed, &feed, loop_mono_us());
    return ERR_OK;
}

static int collector_open_source(struct collector *collector, struct err *err)
{
    collector->frame = malloc(EXCHANGE_JSON_FRAME_MAX);
    if (collector->frame == NULL)
        return err_set(err, ERR_MEMORY, "collector");
    int result = exchange_json_open(&collector->json, err);
    if (result != ERR_OK)
        return result;
    if (collector->options.source != COLLECTOR_REPLAY)
        return collector_open_live(collector, err);
    if (collector->options.replay_file[0] == '\0')
        return err_set(err, ERR_CONFIG, "source replay needs replay.file");
    result = replay_source_open(collector->options.replay_file, collector->options.replay_speed,
                                collector->options.symbol, collector_on_replay, collector,
                                &collector->replay, err);
    if (result == ERR_OK)
        ingest_source(collector->ingest, 0, true, loop_now());
    return result;
}

int collector_open(const struct collector_options *options, struct ingest *ingest,
                   struct loop *loop, struct collector **out, struct err *err)
{
    struct collector *collector = calloc(1, sizeof(*collector));
    if (collector == NULL)
        return err_set(err, ERR_MEMORY, "collector");
    collector->options = *options;
    collector->ingest = ingest;
    collector->loop = loop;
    collector->close_log = collector->text_log = LOG_LIMIT_DEFAULT;
    int result = collector_open_source(collector, err);
    if (result != ERR_OK) {
        collector_close(collector);
        return result;
    }
    *out = collector;
    return ERR_OK;
}

void collector_close(struct collector *collector)
{
    if (collector == NULL)
        return;
    ws_client_close(collector->client);
    replay_source_close(collector->replay);
    if (collector->json != NULL)
        exchange_json_close(collector->json);
    free(collector->frame);
    free(collector);
}

void collector_service(struct collector *collector, int64_t wait_us)
{
    if (collector->client != NULL)
        ws_client_service(collector->client, wait_us);
    else
        loop_run_once(collector->loop, wait_us);
}

/* A replay at full speed must not outrun the stream: memory is for outages. */
static bool collector_replay_held(const struct collector *collector)
{
    const struct publisher *publisher = ingest_publisher(collector->ingest);
    return collector->options.replay_speed <= 0 && publisher != NULL &&
           (publisher_state(publisher) != PUBLISHER_STREAMING ||
            publisher_pending(publisher) > COLLECTOR_REPLAY_PENDING_MAX);
}

int64_t collector_do_work(struct collector *collector, struct clock_now now)
{
    if (collector->replay == NULL) {
        const int64_t due_us = feed_do_work(&collector->feed, now.mono_us);
        return due_us == INT64_MAX ? INT64_MAX : due_us - now.mono_us;
    }
    if (collector_replay_held(collector))
        return 1000;
    return replay_source_do_work(collector->replay, now.mono_us);
}

const struct collector_counters *collector_counters(const struct collector *collector)
{
    return &collector->counters;
}

const struct feed *collector_feed(const struct collector *collector)
{
    return collector->replay == NULL ? &collector->feed : NULL;
}

const struct replay_counters *collector_replay(const struct collector *collector)
{
    return collector->replay == NULL ? NULL : replay_source_counters(collector->replay);
}

bool collector_connected(const struct collector *collector)
{
    return collector->replay != NULL ? !replay_source_finished(collector->replay)
                                     : feed_any_live(&collector->feed);
}

bool collector_finished(const struct collector *collector)
{
    return collector->replay != NULL && replay_source_finished(collector->replay);
}

int64_t collector_last_frame_us(const struct collector *collector)
{
    return collector->last_frame_us;
}

const char *collector_url(const struct collector *collector)
{
    return collector->replay != NULL ? collector->options.replay_file : collector->url;
}
