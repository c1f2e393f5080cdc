/* `btcast record`: a stand-alone collector (exchange -> stamped records -> capture file), and
 * with --from-streams the tap on a running system's streams, controls included.
 * SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "edge/file/capture_writer.h"
#include "services/cli/commands.h"
#include "services/cli/ports.h"
#include "services/cli/record_anchor.h"
#include "services/cli/record_redis.h"
#include "services/cli/record_tap.h"
#include "services/sbe-ingestor/collector.h"
#include "services/service.h"
#include "services/service_options.h"

#define RECORD_FLAGS_SIZE 256
#define RECORD_WAIT_US    100000

struct record_flags {
    char exchange[RECORD_FLAGS_SIZE]; /* sim, binance, binance-public, replay:FILE */
    const char *out, *symbol, *url, *rest_url, *ca_file, *redis, *redis_user, *key_style;
    int64_t for_us; /* 0: until stopped */
    int64_t bytes_max, age_us_max, sync_us;
    bool sync_close, from_streams;
    int port_offset;
};

/* One recording under way. */
struct recording {
    struct record_flags flags;
    struct loop *loop;
    struct capture_writer *writer;
    struct record_anchor *anchor; /* NULL: no anchors are fetched */
    struct err err;               /* of the writer; set: stop */
    uint64_t refused;
};

static volatile sig_atomic_t record_stopping;
static struct loop *record_loop;

static void record_on_signal(int number)
{
    (void)number;
    record_stopping = 1;
    if (record_loop != NULL)
        loop_wake(record_loop);
}

static void record_catch_signals(struct loop *loop)
{
    record_loop = loop;
    struct sigaction action = {.sa_handler = record_on_signal};
    sigemptyset(&action.sa_mask);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
}

static void record_add(void *context, const struct record *record)
{
    struct recording *self = context;
    if (self->err.code == ERR_OK &&
        capture_writer_add(self->writer, record, loop_mono_us(), &self->err) != ERR_OK)
        record_stopping = 1;
}

static void record_follow(void *context, const struct record *record)
{
    struct recording *self = context;
    record_add(self, record);
    if (self->anchor != NULL)
        record_anchor_follow(self->anchor, record);
}

static int record_open_anchor(struct recording *self, struct err *err)
{
    const struct record_flags *flags = &self->flags;
    struct record_anchor_options options = {
        .symbol = flags->symbol, .ca_file = flags->ca_file, .record = record_add, .context = self};
    snprintf(options.rest_url, sizeof(options.rest_url), "%s", flags->rest_url);
    /* An exchange that was named by its own URL is asked for nothing elsewhere. */
    if (flags->rest_url[0] == '\0' && flags->url[0] == '\0')
        record_anchor_url(flags->exchange, flags->port_offset, options.rest_url);
    if (options.rest_url[0] == '\0')
        return ERR_OK;
    return record_anchor_open(&options, self->loop, &self->anchor, err);
}

static void record_refused(void *context, enum sbe_verdict verdict, size_t offset,
                           struct bytes frame)
{
    struct recording *self = context;
    self->refused++;
    log_warn("frame_refused", "cause=\"%s\" offset=%zu size=%zu", sbe_verdict_text(verdict), offset,
             frame.size);
}

static int record_open_writer(struct recording *self, struct err *err)
{
    struct capture_writer_options options = {
        .path = self->flags.out,
        .header = {.created_us = loop_wall_us()},
        .bytes_max = self->flags.bytes_max,
        .age_us_max = self->flags.age_us_max,
        .sync = self->flags.sync_close ? CAPTURE_WRITER_SYNC_CLOSE : CAPTURE_WRITER_SYNC_INTERVAL,
        .sync_us = self->flags.sync_us,
    };
    snprintf(options.header.symbol, sizeof(options.header.symbol), "%s", self->flags.symbol);
    return capture_writer_open(&options, loop_mono_us(), &self->writer, err);
}

/* Runs until the end: time, signal, end of a replay or an error of the writer. */
static bool record_goes_on(const struct recording *self, int64_t start_us, int64_t mono_us)
{
    return !record_stopping && self->err.code == ERR_OK &&
           (self->flags.for_us == 0 || mono_us - start_us < self->flags.for_us);
}

static void record_keep(struct recording *self, int64_t mono_us)
{
    struct err err = {0};
    if (capture_writer_do_work(self->writer, mono_us, &err) != ERR_OK)
        self->err = err;
}

static int record_collector_options(const struct recording *self, struct collector_options *out,
                                    struct err *err)
{
    const char *exchange = self->flags.exchange;
    *out = (struct collector_options){.sim_port = PORT_EXCHANGE_SIM + self->flags.port_offset,
                                      .watchdog_us = 5 * CLOCK_US_PER_S,
                                      .rotation_us = 85800 * CLOCK_US_PER_S,
                                      .replay_speed = 1,
                                      .seed = (uint64_t)loop_mono_ns()};
    const char *key = getenv("BINANCE_API_KEY");
    snprintf(out->symbol, sizeof(out->symbol), "%s", self->flags.symbol);
    snprintf(out->url, sizeof(out->url), "%s", self->flags.url);
    snprintf(out->ca_file, sizeof(out->ca_file), "%s", self->flags.ca_file);
    snprintf(out->api_key, sizeof(out->api_key), "%s", key != NULL ? key : "");
    if (strncmp(exchange, "replay:", 7) == 0) {
        out->source = COLLECTOR_REPLAY;
        snprintf(out->replay_file, sizeof(out->replay_file), "%s", exchange + 7);
        return ERR_OK;
    }
    for (int i = 0; i < COLLECTOR_REPLAY; i++)
        if (strcmp(exchange, collector_source_names[i]) == 0) {
            out->source = (enum collector_source)i;
            return ERR_OK;
        }
    return err_set(err, ERR_CONFIG,
                   "--exchange: expected sim, binance, binance-public or replay:FILE, found \"%s\"",
                   exchange);
}

static void record_collect_loop(struct recording *self, struct ingest *ingest,
                                struct collector *collector)
{
    const int64_t start_us = loop_mono_us();
    int64_t wait_us = 0;
    while (record_goes_on(self, start_us, loop_mono_us()) && !collector_finished(collector)) {
        collector_service(collector, wait_us);
        const struct clock_now now = loop_now();
        ingest_do_work(ingest, now);
        wait_us = collector_do_work(collector, now);
        if (self->anchor != NULL)
            record_anchor_do_work(self->anchor, now);
        const int64_t due_us = ingest_wait_us(ingest, now);
        wait_us = due_us < wait_us ? due_us : wait_us;
        wait_us = wait_us > RECORD_WAIT_US ? RECORD_WAIT_US : wait_us;
        record_keep(self, now.mono_us);
    }
}

static int record_collect(struct recording *self, struct err *err)
{
    struct collector_options options;
    struct ingest *ingest = NULL;
    struct collector *collector = NULL;
    const struct clock_now now = loop_now();
    struct ingest_options stamp = {.now = now,
                                   .publisher = {.epoch = (uint64_t)(now.wall_us / 1000)},
                                   .quarantine = record_refused,
                                   .tap = record_follow,
                                   .context = self};
    snprintf(stamp.symbol, sizeof(stamp.symbol), "%s", self->flags.symbol);
    int result = record_collector_options(self, &options, err);
    if (result == ERR_OK)
        result = ingest_open(&stamp, &ingest, err);
    if (result == ERR_OK)
        result = collector_open(&options, ingest, self->loop, &collector, err);
    if (result == ERR_OK)
        result = record_open_anchor(self, err);
    if (result == ERR_OK)
        result = record_open_writer(self, err);
    if (result == ERR_OK) {
        log_info("recording", "from=\"%s\" file=\"%s\"", collector_url(collector),
                 capture_writer_path(self->writer));
        record_collect_loop(self, ingest, collector);
    }
    record_anchor_close(self->anchor);
    self->anchor = NULL;
    collector_close(collector);
    ingest_close(ingest);
    return result;
}

static int record_tap_streams(struct recording *self, struct err *err)
{
    struct record_tap *tap = NULL;
    struct record_tap_options options = {
        .symbol = self->flags.symbol,
        .style =
            strcmp(self->flags.key_style, "hashtag") == 0 ? STREAM_KEYS_HASHTAG : STREAM_KEYS_PLAIN,
        .record = record_add,
        .context = self,
    };
    int result = record_redis_link(self->flags.redis, self->flags.redis_user, self->flags.ca_file,
                                   &options.link, err);
    if (result == ERR_OK)
        result = record_open_writer(self, err);
    if (result == ERR_OK)
        result = record_tap_open(&options, self->loop, &tap, err);
    if (result != ERR_OK)
        return result;
    log_info("recording", "from=\"%s\" file=\"%s\"", self->flags.redis,
             capture_writer_path(self->writer));
    const int64_t start_us = loop_mono_us();
    while (record_goes_on(self, start_us, loop_mono_us())) {
        record_keep(self, loop_mono_us());
        loop_run_once(self->loop, record_tap_do_work(tap, loop_mono_us()));
    }
    record_tap_finish(tap);
    record_tap_close(tap);
    return ERR_OK;
}

static bool record_flag_text(int argc, char **argv, int *at, struct record_flags *flags,
                             int *result, struct err *err)
{
    const char *value = NULL;
    const struct {
        const char *name;
        const char **out;
    } texts[] = {{"--out", &flags->out},
                 {"--symbol", &flags->symbol},
                 {"--url", &flags->url},
                 {"--tls-ca-file", &flags->ca_file},
                 {"--rest-url", &flags->rest_url},
                 {"--redis", &flags->redis},
                 {"--redis-user", &flags->redis_user},
                 {"--key-style", &flags->key_style}};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        if (service_options_flag(argc, argv, at, texts[i].name, &value, result, err)) {
            *texts[i].out = value;
            return true;
        }
    if (service_options_flag(argc, argv, at, "--exchange", &value, result, err)) {
        snprintf(flags->exchange, sizeof(flags->exchange), "%s", value != NULL ? value : "");
        return true;
    }
    return false;
}

static bool record_flag_number(int argc, char **argv, int *at, struct record_flags *flags,
                               int *result, struct err *err)
{
    int64_t offset = flags->port_offset;
    const struct {
        const char *name;
        int64_t *out, scale, maximum;
    } numbers[] = {{"--for-s", &flags->for_us, CLOCK_US_PER_S, 31536000},
                   {"--rotate-mib", &flags->bytes_max, 1024 * 1024, 1048576},
                   {"--rotate-s", &flags->age_us_max, CLOCK_US_PER_S, 31536000},
                   {"--fsync-ms", &flags->sync_us, CLOCK_US_PER_MS, 3600000},
                   {"--port-offset", &offset, 1, 50000}};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        const char *value = NULL;
        int64_t number = 0;
        if (!service_options_flag(argc, argv, at, numbers[i].name, &value, result, err))
            continue;
        if (*result == ERR_OK)
            *result =
                service_options_number(numbers[i].name, value, 0, numbers[i].maximum, &number, err);
        *numbers[i].out = number * numbers[i].scale;
        if (numbers[i].out == &flags->sync_us)
            flags->sync_close = number == 0;
        flags->port_offset = (int)offset;
        return true;
    }
    return false;
}

static int record_judge_flags(const struct record_flags *flags, struct err *err)
{
    if (flags->out == NULL)
        return err_set(err, ERR_CONFIG, "--out FILE is missing");
    if (flags->from_streams == (flags->exchange[0] != '\0'))
        return err_set(err, ERR_CONFIG, "expected either --exchange E or --from-streams");
    if (!sbe_symbol_valid(bytes_text(flags->symbol)))
        return err_set(err, ERR_CONFIG,
                       "--symbol: expected upper-case letters and digits, found "
                       "\"%s\"",
                       flags->symbol);
    if (strcmp(flags->key_style, "plain") != 0 && strcmp(flags->key_style, "hashtag") != 0)
        return err_set(err, ERR_CONFIG, "--key-style: expected plain or hashtag, found \"%s\"",
                       flags->key_style);
    return ERR_OK;
}

static int record_parse(int argc, char **argv, struct record_flags *flags, struct err *err)
{
    static const char *const known[] = {
        "--rest-url",    "--exchange",    "--from-streams", "--out",   "--symbol",     "--url",
        "--tls-ca-file", "--redis",       "--key-style",    "--for-s", "--rotate-mib", "--rotate-s",
        "--fsync-ms",    "--port-offset", "--redis-user",   NULL};
    int result = ERR_OK;
    *flags = (struct record_flags){.symbol = "BTCUSDT",
                                   .url = "",
                                   .rest_url = "",
                                   .ca_file = "",
                                   .redis = "127.0.0.1:6379",
                                   .redis_user = "",
                                   .key_style = "plain"};
    for (int i = 1; i < argc && result == ERR_OK; i++) {
        if (strcmp(argv[i], "--from-streams") == 0)
            flags->from_streams = true;
        else if (!record_flag_text(argc, argv, &i, flags, &result, err) &&
                 !record_flag_number(argc, argv, &i, flags, &result, err))
            result = service_options_unknown(argv[i], known, err);
    }
    return result == ERR_OK ? record_judge_flags(flags, err) : result;
}

static int record_finish(struct recording *self, int result, struct err *err)
{
    struct err closing = {0};
    if (self->writer != NULL) {
        const struct capture_writer_counters counters = *capture_writer_counters(self->writer);
        int closed = capture_writer_close(self->writer, &closing);
        if (result == ERR_OK && self->err.code != ERR_OK) {
            result = self->err.code;
            *err = self->err;
        } else if (result == ERR_OK && closed != ERR_OK) {
            result = closed;
            *err = closing;
        }
        log_info("recorded", "records=%llu bytes=%llu files=%llu refused=%llu",
                 (unsigned long long)counters.records, (unsigned long long)counters.bytes,
                 (unsigned long long)counters.files, (unsigned long long)self->refused);
    }
    return result;
}

static int record_run(int argc, char **argv)
{
    struct recording self = {0};
    struct err err = {0};
    log_init("record", LOG_INFO, loop_wall_us);
    int result = record_parse(argc, argv, &self.flags, &err);
    if (result == ERR_OK)
        result = loop_open(&self.loop, &err);
    if (result == ERR_OK) {
        record_catch_signals(self.loop);
        result =
            self.flags.from_streams ? record_tap_streams(&self, &err) : record_collect(&self, &err);
        result = record_finish(&self, result, &err);
        record_loop = NULL;
        loop_close(self.loop);
    }
    if (result == ERR_OK)
        return 0;
    fprintf(stderr, "btcast record: %s\n", err.text);
    return err.code == ERR_CONFIG ? SERVICE_EXIT_CONFIG : SERVICE_EXIT_FAILURE;
}

const struct command command_record = {
    .name = "record",
    .summary = "record raw frames with receive times into a capture file",
    .usage =
        "usage: btcast record --exchange E --out FILE [options]\n"
        "       btcast record --from-streams --redis TARGET --out FILE [options]\n\n"
        "The first form collects by itself: E is sim, binance (needs BINANCE_API_KEY),\n"
        "binance-public or replay:FILE. The second one taps the streams of a running system,\n"
        "with the anchors and holes its aggregator declared. FILE is never overwritten: when it\n"
        "exists, FILE.0001, FILE.0002 ... is written; readers take them as one.\n\n"
        "  --symbol S        market, BTCUSDT\n"
        "  --url URL         instead of the exchange's own address\n"
        "  --rest-url URL    its REST calls, for the book to start from (--url alone: none)\n"
        "  --tls-ca-file F   certificates to trust\n"
        "  --for-s N         stop after so many seconds\n"
        "  --rotate-mib N    begin a new file at this size, 1024\n"
        "  --rotate-s N      and at this age, 3600\n"
        "  --fsync-ms N      sync to disk so often, 1000; 0: only when a file is closed\n"
        "  --redis TARGET    127.0.0.1:6379; unix:/path, rediss://host:port and others as for\n"
        "                     btcast up; its password from BTCAST_REDIS_PASSWORD\n"
        "  --redis-user U    its ACL user\n"
        "  --key-style S     plain or hashtag\n"
        "  --port-offset N   where the built-in exchange listens\n",
    .run = record_run,
};
