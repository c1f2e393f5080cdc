/* SPDX-License-Identifier: Apache-2.0 */
#include "services/cli/up_options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hot/state/state_keys.h"
#include "services/redis_settings.h"
#include "services/service_options.h"

#define UP_PORT_OFFSET_MAX 50000
#define UP_WORDS_MAX       24
#define UP_WORD_SIZE       600

#define UP_TEXT(key, member, start, words)                                                         \
    {                                                                                              \
        .path = (key), .type = CONFIG_TEXT, .offset = offsetof(struct up_options, member),         \
        .size = sizeof(((struct up_options *)0)->member), .initial = (start), .help = (words)      \
    }
#define UP_I64(key, member, low, high, start, words)                                               \
    {                                                                                              \
        .path = (key), .type = CONFIG_I64, .offset = offsetof(struct up_options, member),          \
        .minimum = (low), .maximum = (high), .initial = (start), .help = (words)                   \
    }

static const char *const up_show_names[] = {"auto", "all", "warnings", NULL};

static const struct config_field up_fields[] = {
    UP_TEXT("exchange", exchange_text, "sim", "sim, binance, binance-public or replay:FILE"),
    UP_TEXT("data_dir", data, ".btcast", "data and logs"),
    UP_TEXT("record", record, "", "capture file of the stamped stream; empty: none"),
    UP_TEXT("symbol", symbol, "BTCUSDT", "symbol, upper case"),
    UP_I64("replicas", replicas, 1, UP_REPLICAS_MAX, "2", "inference processes"),
    UP_I64("aggregators", aggregators, 1, UP_AGGREGATORS_MAX, "1",
           "aggregators; one writes, the others stand by"),
    UP_I64("for_s", for_s, 0, 31536000, "0", "stop after so long; 0: when told"),
    UP_TEXT("redis.target", redis_target, "",
            "a Redis that runs already (docs/redis.md); empty: a private one is started"),
    {.path = "redis.key_style",
     .type = CONFIG_CHOICE,
     .offset = offsetof(struct up_options, redis_key_style),
     .choices = redis_settings_key_styles,
     .initial = "plain",
     .help = "plain, or hashtag; always hashtag on a cluster"},
    UP_TEXT("redis.username", redis_username, "", "its user; passwords come from the environment"),
    UP_TEXT("redis.sentinel_username", redis_sentinel_username, "", "user of its sentinels"),
    UP_TEXT("redis.tls_ca_file", redis_tls_ca_file, "", "CA certificates of its TLS"),
    UP_TEXT("redis.tls_cert_file", redis_tls_cert_file, "", "our certificate for it"),
    UP_TEXT("redis.tls_key_file", redis_tls_key_file, "", "the key of that certificate"),
    UP_TEXT("redis.server", redis_server, "redis-server", "program of the private Redis"),
    UP_I64("redis.maxmemory_mb", redis_memory_mb, 32, 65536, "512", "its memory limit"),
    UP_TEXT("postgres", postgres, "auto",
            "none, private, auto (DATABASE_URL, or private when installed) or a URL"),
    {.path = "learn",
     .type = CONFIG_BOOL,
     .offset = offsetof(struct up_options, learn),
     .initial = "false",
     .help = "train in the background, when there is a database"},
    UP_I64("learn_delay_s", learn_delay_s, 0, 86400, "30", "no training sooner after the start"),
    UP_I64("learn_simulated_h", learn_simulated_h, 0, 8760, "24",
           "with the built-in exchange: hours of it, made at full speed, for the first training"),
    UP_I64("restart.backoff_max_ms", backoff_max_ms, 1, 600000, "5000",
           "longest wait before a restart"),
    UP_I64("stop_timeout_ms", stop_timeout_ms, 100, 600000, "5000",
           "a service that takes longer to stop is killed"),
    UP_I64("log.file_mb", log_mb, 1, 10240, "8", "a log file is rotated at this size, one is kept"),
    {.path = "log.show",
     .type = CONFIG_CHOICE,
     .offset = offsetof(struct up_options, log_show),
     .choices = up_show_names,
     .initial = "auto",
     .help =
         "log lines that are shown: all, warnings and worse, auto: those on a terminal, else all"},
    UP_TEXT("config.sbe_ingestor", config_sbe_ingestor, "", "its configuration file"),
    UP_TEXT("config.rest_ingestor", config_rest_ingestor, "", "its configuration file"),
    UP_TEXT("config.aggregator", config_aggregator, "", "its configuration file"),
    UP_TEXT("config.re_anchor_service", config_re_anchor, "", "its configuration file"),
    UP_TEXT("config.gap_detector", config_gap, "", "its configuration file"),
    UP_TEXT("config.inference", config_inference, "", "its configuration file"),
    UP_TEXT("config.data_connector", config_data_connector, "", "its configuration file"),
    UP_TEXT("config.trainer", config_trainer, "", "its configuration file"),
    UP_TEXT("config.exchange_sim", config_exchange_sim, "", "its configuration file"),
};

const struct config_schema up_schema = {"up", up_fields, sizeof(up_fields) / sizeof(up_fields[0]),
                                        sizeof(struct up_options)};

/* "90", "90s", "10m", "2h" -> seconds. */
static int up_options_duration(const char *text, int64_t *seconds, struct err *err)
{
    char number[24];
    size_t length = strlen(text);
    int64_t unit = 1;
    if (length > 0 && strchr("smh", text[length - 1]) != NULL) {
        unit = text[length - 1] == 's' ? 1 : text[length - 1] == 'm' ? 60 : 3600;
        length--;
    }
    if (length == 0 || length >= sizeof(number))
        return err_set(err, ERR_CONFIG, "--for: expected a time like 90s, 10m or 2h, found \"%s\"",
                       text);
    memcpy(number, text, length);
    number[length] = '\0';
    if (service_options_number("--for", number, 1, 31536000 / unit, seconds, NULL) != ERR_OK)
        return err_set(err, ERR_CONFIG, "--for: expected a time like 90s, 10m or 2h, found \"%s\"",
                       text);
    *seconds *= unit;
    return ERR_OK;
}

/* Flags become overrides of settings, so that both are judged in one place. */
struct up_words {
    char text[UP_WORDS_MAX][UP_WORD_SIZE];
    const char *list[CONFIG_OVERRIDES_MAX];
    int texts, count;
    const char *config;
};

static int up_words_add(struct up_words *words, const char *key, const char *value, struct err *err)
{
    if (words->count == CONFIG_OVERRIDES_MAX || words->texts == UP_WORDS_MAX)
        return err_set(err, ERR_CONFIG, "too many options");
    if (key == NULL) {
        words->list[words->count++] = value;
        return ERR_OK;
    }
    char *text = words->text[words->texts++];
    int size = snprintf(text, UP_WORD_SIZE, "%s=%s", key, value);
    if (size < 0 || size >= UP_WORD_SIZE)
        return err_set(err, ERR_CONFIG, "%s: the value is too long", key);
    words->list[words->count++] = text;
    return ERR_OK;
}

static int up_words_duration(struct up_words *words, const char *value, struct err *err)
{
    char number[24];
    int64_t seconds = 0;
    int result = up_options_duration(value, &seconds, err);
    snprintf(number, sizeof(number), "%lld", (long long)seconds);
    return result == ERR_OK ? up_words_add(words, "for_s", number, err) : result;
}

/* "on" or "off". */
static int up_words_learn(struct up_words *words, const char *value, struct err *err)
{
    bool on = strcmp(value, "on") == 0;
    if (!on && strcmp(value, "off") != 0)
        return err_set(err, ERR_CONFIG, "--learn: expected on or off, found \"%s\"", value);
    return up_words_add(words, "learn", on ? "true" : "false", err);
}

static int up_words_take(int argc, char **argv, int *at, struct up_words *words, int *port_offset,
                         struct err *err)
{
    static const char *const known[] = {"--exchange",    "--for",      "--data",    "--config",
                                        "--port-offset", "--replicas", "--record",  "--set",
                                        "--redis",       "--postgres", "--verbose", "--aggregators",
                                        "--learn",       "--help",     NULL};
    static const char *const keys[][2] = {
        {"--exchange", "exchange"},  {"--data", "data_dir"},
        {"--replicas", "replicas"},  {"--record", "record"},
        {"--redis", "redis.target"}, {"--aggregators", "aggregators"},
        {"--postgres", "postgres"},  {"--set", NULL}};
    const char *value = NULL;
    int result = ERR_OK;
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        if (service_options_flag(argc, argv, at, keys[i][0], &value, &result, err))
            return result != ERR_OK ? result : up_words_add(words, keys[i][1], value, err);
    if (strcmp(argv[*at], "--verbose") == 0)
        return up_words_add(words, "log.show", up_show_names[UP_SHOW_ALL], err);
    if (service_options_flag(argc, argv, at, "--config", &words->config, &result, err))
        return result;
    if (service_options_flag(argc, argv, at, "--learn", &value, &result, err))
        return result != ERR_OK ? result : up_words_learn(words, value, err);
    if (service_options_flag(argc, argv, at, "--for", &value, &result, err))
        return result != ERR_OK ? result : up_words_duration(words, value, err);
    if (service_options_flag(argc, argv, at, "--port-offset", &value, &result, err)) {
        int64_t offset = 0;
        if (result == ERR_OK)
            result =
                service_options_number("--port-offset", value, 0, UP_PORT_OFFSET_MAX, &offset, err);
        *port_offset = (int)offset;
        return result;
    }
    return service_options_unknown(argv[*at], known, err);
}

static int up_options_exchange(struct up_options *options, struct err *err)
{
    static const char *const names[] = {"sim", "binance", "binance-public"};
    for (int i = 0; i < 3; i++) {
        if (strcmp(options->exchange_text, names[i]) == 0) {
            options->exchange = (enum up_exchange)i;
            return ERR_OK;
        }
    }
    if (strncmp(options->exchange_text, "replay:", 7) != 0 || options->exchange_text[7] == '\0')
        return err_set(err, ERR_CONFIG,
                       "exchange: expected sim, binance, binance-public or replay:FILE, found "
                       "\"%s\"",
                       options->exchange_text);
    options->exchange = UP_REPLAY;
    options->replay_file = options->exchange_text + 7;
    if (access(options->replay_file, R_OK) != 0)
        return err_set(err, ERR_CONFIG, "exchange: cannot read the capture %s",
                       options->replay_file);
    return ERR_OK;
}

/* The target is judged here, before six services say the same of it. */
static int up_options_redis(struct up_options *options, struct err *err)
{
    struct redis_target target;
    if (options->redis_target[0] == '\0')
        return ERR_OK;
    int result = redis_target_parse(options->redis_target, &target, err);
    if (result == ERR_OK && target.kind == REDIS_TARGET_CLUSTER)
        options->redis_key_style = STATE_KEYS_HASHTAG;
    return result;
}

int up_options_parse(int argc, char **argv, struct up_options *options, struct err *err)
{
    struct up_words *words = calloc(1, sizeof(*words));
    if (words == NULL)
        return err_set(err, ERR_MEMORY, "out of memory");
    int port_offset = 0;
    int result = ERR_OK;
    for (int at = 1; at < argc && result == ERR_OK; at++)
        result = up_words_take(argc, argv, &at, words, &port_offset, err);
    if (result == ERR_OK)
        result = config_load(&up_schema, words->config, words->list, words->count, options, err);
    free(words);
    options->port_offset = port_offset;
    if (result == ERR_OK)
        result = service_options_symbol(options->symbol, err);
    if (result == ERR_OK)
        result = up_options_redis(options, err);
    return result == ERR_OK ? up_options_exchange(options, err) : result;
}
