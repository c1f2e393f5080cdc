/* SPDX-License-Identifier: Apache-2.0 */
#include "services/exchange-sim/sim_options.h"

#include <stdio.h>
#include <string.h>

#define OPTIONS_WORD_SIZE 640
#define OPTIONS_WORDS_MAX 16

#define TEXT_FIELD(path_, member, default_, help_)                                                 \
    {                                                                                              \
        .path = path_, .type = CONFIG_TEXT, .offset = offsetof(struct sim_options, member),        \
        .size = sizeof(((struct sim_options *)0)->member), .initial = default_, .help = help_      \
    }
#define I64_FIELD(path_, member, low, high, default_, help_)                                       \
    {                                                                                              \
        .path = path_, .type = CONFIG_I64, .offset = offsetof(struct sim_options, member),         \
        .minimum = low, .maximum = high, .initial = default_, .help = help_                        \
    }
#define F64_FIELD(path_, member, low, high, default_, help_)                                       \
    {                                                                                              \
        .path = path_, .type = CONFIG_F64, .offset = offsetof(struct sim_options, member),         \
        .minimum = low, .maximum = high, .initial = default_, .help = help_                        \
    }
#define BOOL_FIELD(path_, member, default_, help_)                                                 \
    {                                                                                              \
        .path = path_, .type = CONFIG_BOOL, .offset = offsetof(struct sim_options, member),        \
        .initial = default_, .help = help_                                                         \
    }

static const struct config_field options_fields[] = {
    TEXT_FIELD("symbol", symbol, "BTCUSDT", "symbol, upper case"),
    I64_FIELD("market.seed", seed, 0, 9e15, "1", "the same seed gives the same market"),
    F64_FIELD("market.price", price, 5000, 500000, "61837.63", "first best bid"),
    F64_FIELD("market.rate", rate, 0.01, 5000, "1", "activity: 1 is the real market's"),
    I64_FIELD("market.diff_interval_ms", diff_interval_ms, 1, 1000, "20", "between depth diffs"),
    I64_FIELD("market.history_s", history_s, 0, 86400, "600", "tape that exists at the start"),
    I64_FIELD("market.books_kept", books_kept, 1, 1000000, "10000",
              "best-ten books kept for /control/book?id="),
    BOOL_FIELD("market.depth20", depth20, "true", "the depth20 stream exists"),
    BOOL_FIELD("server.require_key", require_key, "false", "SBE streams need X-MBX-APIKEY"),
    {.path = "server.api_key",
     .type = CONFIG_SECRET,
     .offset = offsetof(struct sim_options, api_key),
     .size = sizeof(((struct sim_options *)0)->api_key),
     .secret_env = "BTCAST_SIM_API_KEY",
     .initial = "",
     .help = "the key that is right; empty: any key is"},
    I64_FIELD("server.ping_interval_ms", ping_interval_ms, 10, 3600000, "20000", "between pings"),
    I64_FIELD("server.pong_timeout_ms", pong_timeout_ms, 10, 3600000, "60000",
              "without a pong a connection is closed"),
    I64_FIELD("server.life_s", life_s, 1, 864000, "86400", "longest life of a connection"),
    I64_FIELD("server.queue_bytes", queue_bytes, 65536, 1073741824, "16777216",
              "a client's queue; when full it is disconnected"),
    I64_FIELD("server.pace_us", pace_us, 50, 100000, "500", "events are sent at most so often"),
    TEXT_FIELD("server.tls_cert", tls_cert, "", "PEM certificate; empty: no TLS"),
    TEXT_FIELD("server.tls_key", tls_key, "", "PEM private key"),
    I64_FIELD("server.weight_limit", weight_limit, 1, 1e9, "6000", "request weight a minute"),
    TEXT_FIELD("replay.file", replay_file, "", "capture to serve instead of the market"),
    F64_FIELD("replay.speed", replay_speed, 0.01, 1000, "1", "1 is the recorded pace"),
    BOOL_FIELD("replay.loop", replay_loop, "false", "begin again at the end"),
    BOOL_FIELD("replay.wait", replay_wait, "true", "begin with the first subscriber"),
    BOOL_FIELD("replay.close_at_end", replay_close_at_end, "false",
               "close connections at the end; else stay quiet"),
    F64_FIELD("capture.hours", capture_hours, 0, 8760, "0", "write so much market and leave"),
    TEXT_FIELD("capture.out", capture_out, "", "capture file to write"),
    TEXT_FIELD("capture.oracle", capture_oracle, "", "CSV of slot,oracle_bp beside it"),
    I64_FIELD("capture.start_ms", capture_start_ms, 0, 4e12, "1767225600000",
              "wall time of the first record"),
};

const struct config_schema sim_schema = {
    .service = "exchange-sim",
    .fields = options_fields,
    .count = (int)(sizeof(options_fields) / sizeof(options_fields[0])),
    .options_size = sizeof(struct sim_options),
};

struct options_flag {
    const char *flag, *path;
    bool alone; /* takes no value: means true */
};

static const struct options_flag options_flags[] = {
    {"--hours", "capture.hours", false},   {"--out", "capture.out", false},
    {"--oracle", "capture.oracle", false}, {"--replay", "replay.file", false},
    {"--speed", "replay.speed", false},    {"--loop", "replay.loop", true},
    {"--seed", "market.seed", false},      {"--rate", "market.rate", false},
};

static const struct options_flag *options_flag(const char *word, const char **value)
{
    for (size_t i = 0; i < sizeof(options_flags) / sizeof(options_flags[0]); i++) {
        size_t size = strlen(options_flags[i].flag);
        if (strncmp(word, options_flags[i].flag, size) != 0)
            continue;
        *value = word[size] == '=' ? word + size + 1 : NULL;
        if (word[size] == '\0' || word[size] == '=')
            return &options_flags[i];
    }
    return NULL;
}

static bool options_set(const struct options_flag *flag, const char *value, int *used, char **out,
                        int *count)
{
    static char words[OPTIONS_WORDS_MAX][OPTIONS_WORD_SIZE]; /* as long as argv */
    static char set[] = "--set";
    if (*used == OPTIONS_WORDS_MAX)
        return false;
    int size = snprintf(words[*used], OPTIONS_WORD_SIZE, "%s=%s", flag->path, value);
    if (size < 0 || size >= OPTIONS_WORD_SIZE)
        return false;
    out[(*count)++] = set;
    out[(*count)++] = words[(*used)++];
    return true;
}

int sim_options_words(int argc, char **argv, char **out, int capacity)
{
    int count = 0, used = 0;
    for (int i = 0; i < argc; i++) {
        const char *value;
        if (count + 3 > capacity) {
            fprintf(stderr, "btcast exchange-sim: too many words\n");
            return -1;
        }
        const struct options_flag *flag = options_flag(argv[i], &value);
        if (!flag) {
            out[count++] = argv[i];
            continue;
        }
        if (flag->alone)
            value = "true";
        else if (!value && i + 1 < argc)
            value = argv[++i];
        if (!value || !options_set(flag, value, &used, out, &count)) {
            fprintf(stderr, "btcast exchange-sim: %s: a value is missing or too long\n",
                    flag->flag);
            return -1;
        }
    }
    out[count] = NULL;
    return count;
}
