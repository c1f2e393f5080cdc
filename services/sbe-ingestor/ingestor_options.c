/* SPDX-License-Identifier: Apache-2.0 */
#include "services/sbe-ingestor/ingestor_options.h"

#include <stdio.h>
#include <string.h>

#include "hot/stream/stream_key.h"
#include "services/service_options.h"

#define AT(member)      offsetof(struct ingestor_options, member)
#define SIZE_OF(member) sizeof(((struct ingestor_options *)0)->member)

static const char *const ingestor_ends[] = {"stop", "stay", NULL};

static const struct config_field ingestor_fields[] = {
    {.path = "symbol",
     .type = CONFIG_TEXT,
     .offset = AT(symbol),
     .size = SIZE_OF(symbol),
     .initial = "BTCUSDT",
     .help = "the market to follow"},
    {.path = "source",
     .type = CONFIG_CHOICE,
     .offset = AT(source),
     .choices = collector_source_names,
     .initial = "sim",
     .help = "where frames come from; binance needs BINANCE_API_KEY, replay needs replay.file"},
    {.path = "source_url",
     .type = CONFIG_TEXT,
     .offset = AT(source_url),
     .size = SIZE_OF(source_url),
     .initial = "",
     .help = "ws:// or wss:// URL; empty: the source's own; without a path: it is added"},
    {.path = "api_key",
     .type = CONFIG_SECRET,
     .offset = AT(api_key),
     .size = SIZE_OF(api_key),
     .secret_env = "BINANCE_API_KEY",
     .initial = "",
     .help = "Ed25519 key for source binance"},
    {.path = "tls_ca_file",
     .type = CONFIG_TEXT,
     .offset = AT(ca_file),
     .size = SIZE_OF(ca_file),
     .initial = "",
     .help = "certificates to trust instead of the system's"},
    {.path = "second_connection",
     .type = CONFIG_BOOL,
     .offset = AT(second_connection),
     .initial = "false",
     .help = "keep two connections and merge them by id"},
    {.path = "rotation_s",
     .type = CONFIG_I64,
     .offset = AT(rotation_s),
     .minimum = 5,
     .maximum = 86400,
     .initial = "85800",
     .help = "age at which a connection is replaced; the exchange cuts at 86400"},
    {.path = "watchdog_ms",
     .type = CONFIG_I64,
     .offset = AT(watchdog_ms),
     .minimum = 100,
     .maximum = 600000,
     .initial = "5000",
     .help = "silence after which it is replaced"},
    REDIS_SETTINGS_FIELDS(struct ingestor_options),
    {.path = "redis.stream_length_max",
     .type = CONFIG_I64,
     .offset = AT(stream_length_max),
     .minimum = 1000,
     .maximum = 100000000,
     .initial = "200000",
     .help = "entries a stream keeps at most, about"},
    {.path = "redis.stream_readers",
     .type = CONFIG_TEXT,
     .offset = AT(stream_readers),
     .size = SIZE_OF(stream_readers),
     .initial = "data-connector",
     .help = "consumers that nothing is trimmed before, though they start later; commas between"},
    {.path = "ring_mib",
     .type = CONFIG_I64,
     .offset = AT(ring_mib),
     .minimum = 4,
     .maximum = 4096,
     .initial = "16",
     .help = "memory for records not acknowledged, and for recent ones"},
    {.path = "spool_mib",
     .type = CONFIG_I64,
     .offset = AT(spool_mib),
     .minimum = 0,
     .maximum = 1048576,
     .initial = "256",
     .help = "disk under data_dir for what memory cannot hold, 0: none, else at least 16"},
    {.path = "replay.file",
     .type = CONFIG_TEXT,
     .offset = AT(replay_file),
     .size = SIZE_OF(replay_file),
     .initial = "",
     .help = "btcast capture, or JSON capture (plain or gzip)"},
    {.path = "replay.speed",
     .type = CONFIG_F64,
     .offset = AT(replay_speed),
     .minimum = 0,
     .maximum = 1e6,
     .initial = "1",
     .help = "times its own pace, 0: as fast as possible"},
    {.path = "replay.at_end",
     .type = CONFIG_CHOICE,
     .offset = AT(replay_end),
     .choices = ingestor_ends,
     .initial = "stop",
     .help = "after the last frame"},
};

const struct config_schema ingestor_schema = {
    .service = "sbe-ingestor",
    .fields = ingestor_fields,
    .count = sizeof(ingestor_fields) / sizeof(ingestor_fields[0]),
    .options_size = sizeof(struct ingestor_options),
};

int ingestor_options_judge(const struct ingestor_options *options, struct err *err)
{
    int result = service_options_symbol(options->symbol, err);
    if (result != ERR_OK)
        return result;
    if (options->spool_mib > 0 && options->spool_mib < 16)
        return err_set(err, ERR_CONFIG, "spool_mib: expected 0 or at least 16, found %lld",
                       (long long)options->spool_mib);
    if (options->source == COLLECTOR_BINANCE && options->api_key[0] == '\0')
        return err_set(err, ERR_CONFIG,
                       "api_key: source binance needs an API key, set BINANCE_API_KEY in the "
                       "environment");
    if (options->source == COLLECTOR_REPLAY && options->replay_file[0] == '\0')
        return err_set(err, ERR_CONFIG, "replay.file: source replay needs a file");
    return ERR_OK;
}

void ingestor_options_collector(const struct ingestor_options *options, int port_offset,
                                struct collector_options *out)
{
    *out = (struct collector_options){
        .source = (enum collector_source)options->source,
        .sim_port = INGESTOR_SIM_PORT + port_offset,
        .second = options->second_connection,
        .watchdog_us = options->watchdog_ms * CLOCK_US_PER_MS,
        .rotation_us = options->rotation_s * CLOCK_US_PER_S,
        .replay_speed = options->replay_speed,
    };
    memcpy(out->symbol, options->symbol, sizeof(out->symbol));
    memcpy(out->url, options->source_url, sizeof(out->url));
    memcpy(out->api_key, options->api_key, sizeof(out->api_key));
    memcpy(out->ca_file, options->ca_file, sizeof(out->ca_file));
    memcpy(out->replay_file, options->replay_file, sizeof(out->replay_file));
}
