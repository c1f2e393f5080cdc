/* `btcast gap force|ignore|auto SYMBOL`: what an operator says goes before every verdict,
 * whether the gap detector runs or not: the override, the verdict that follows from it, the
 * ask of a forced one and an audit record go to Redis in one step.
 * SPDX-License-Identifier: Apache-2.0 */
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "edge/loop/loop.h"
#include "edge/redis/redis_link.h"
#include "hot/state/state_keys.h"
#include "recover/gap/gap_json.h"
#include "services/cli/commands.h"
#include "services/gap-detector/gap_options.h"
#include "services/service_options.h"

#define GAP_CLI_FOR_MS INT64_C(600000)
/* A forced ask waits so long for a re-anchor service; the detector repeats its own. */
#define GAP_CLI_ASK_MS     30000
#define GAP_CLI_DATA       "./.btcast"
#define GAP_CLI_TIMEOUT_US 5000000

struct gap_cli {
    enum gap_mode mode;
    const char *symbol;
    const char *config, *redis, *data;
    int64_t for_ms;
    struct gap_service_options options;
};

/* KEYS override verdict ask audit; ARGV override ttl_ms verdict ttl_ms ask ttl_ms mode by cause
 * at_ms until_ms symbol. */
static const char gap_cli_script[] =
    "local function put(key, value, ttl)\n"
    "  if value == '' then redis.call('DEL', key) else redis.call('SET', key, value, 'PX', ttl) "
    "end\n"
    "end\n"
    "put(KEYS[1], ARGV[1], ARGV[2])\n"
    "put(KEYS[2], ARGV[3], ARGV[4])\n"
    "if ARGV[5] ~= '' then redis.call('SET', KEYS[3], ARGV[5], 'PX', ARGV[6]) end\n"
    "if ARGV[7] == 'ignore' then redis.call('DEL', KEYS[3]) end\n"
    "return redis.call('XADD', KEYS[4], 'MAXLEN', '~', 10000, '*', 'symbol', ARGV[12], 'what',\n"
    "  'override', 'mode', ARGV[7], 'by', ARGV[8], 'cause', ARGV[9], 'at_ms', ARGV[10],\n"
    "  'until_ms', ARGV[11])\n";

/* "90s", "10m", "2h", "1d" in milliseconds. */
static int gap_cli_duration(const char *text, int64_t *ms, struct err *err)
{
    static const struct {
        char unit;
        int64_t ms;
    } units[] = {{'s', 1000}, {'m', 60000}, {'h', 3600000}, {'d', 86400000}};
    char *end = NULL;
    long long count = strtoll(text, &end, 10);
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
        if (end != text && end[0] == units[i].unit && end[1] == 0 && count > 0 &&
            count <= GAP_OVERRIDE_MS_MAX / units[i].ms) {
            *ms = count * units[i].ms;
            return ERR_OK;
        }
    return err_set(err, ERR_CONFIG, "--for: expected 90s, 10m, 2h … at most 7d, found \"%s\"",
                   text);
}

static int gap_cli_word(struct gap_cli *cli, const char *word, int *words, struct err *err)
{
    if (*words == 0 && !gap_mode_parse(bytes_text(word), &cli->mode))
        return err_set(err, ERR_CONFIG, "expected force, ignore or auto, found \"%s\"", word);
    if (*words == 1)
        cli->symbol = word;
    if (++*words > 2)
        return err_set(err, ERR_CONFIG, "unexpected word \"%s\"", word);
    return ERR_OK;
}

static int gap_cli_parse(struct gap_cli *cli, int argc, char **argv, struct err *err)
{
    static const char *const known[] = {"--for", "--config", "--redis", "--data", "--help", NULL};
    int result = ERR_OK, words = 0;
    for (int at = 1; at < argc && result == ERR_OK; at++) {
        const char *value = NULL;
        if (argv[at][0] != '-')
            result = gap_cli_word(cli, argv[at], &words, err);
        else if (service_options_flag(argc, argv, &at, "--for", &value, &result, err))
            result = result == ERR_OK ? gap_cli_duration(value, &cli->for_ms, err) : result;
        else if (!service_options_flag(argc, argv, &at, "--config", &cli->config, &result, err) &&
                 !service_options_flag(argc, argv, &at, "--redis", &cli->redis, &result, err) &&
                 !service_options_flag(argc, argv, &at, "--data", &cli->data, &result, err))
            result = service_options_unknown(argv[at], known, err);
    }
    if (result == ERR_OK && words < 2)
        result = err_set(err, ERR_CONFIG, "expected force|ignore|auto SYMBOL");
    return result == ERR_OK ? service_options_symbol(cli->symbol, err) : result;
}

/* --redis, else the file's, else the private server of `btcast up` here, else the default. */
static int gap_cli_settings(struct gap_cli *cli, struct err *err)
{
    char override[256];
    char socket[160];
    const char *overrides[] = {override};
    snprintf(socket, sizeof(socket), "%.120s/run/redis.sock",
             cli->data != NULL ? cli->data : GAP_CLI_DATA);
    bool is_up = cli->config == NULL && access(socket, F_OK) == 0;
    if (cli->redis != NULL)
        snprintf(override, sizeof(override), "redis.target=%s", cli->redis);
    else
        snprintf(override, sizeof(override), "redis.target=unix:%s", socket);
    return config_load(&gap_schema, cli->config, overrides, cli->redis != NULL || is_up ? 1 : 0,
                       &cli->options, err);
}

static void gap_cli_who(char *out, size_t size)
{
    char host[32] = "localhost";
    const struct passwd *user = getpwuid(geteuid());
    (void)gethostname(host, sizeof(host) - 1);
    host[sizeof(host) - 1] = 0;
    snprintf(out, size, "%.24s@%.31s", user != NULL ? user->pw_name : "operator", host);
}

static struct bytes gap_cli_number(char buffer[24], int64_t value)
{
    struct text text = text_begin(buffer, 24);
    text_add_i64(&text, value);
    return bytes_of(buffer, text.size);
}

/* The four texts of a saying. */
struct gap_cli_texts {
    struct gap_override override;
    struct gap_verdict verdict;
    char json[3][GAP_JSON_SIZE], keys[4][STATE_KEY_SIZE], numbers[5][24];
    struct text override_json, verdict_json, ask_json;
};

static void gap_cli_compose(const struct gap_cli *cli, struct gap_cli_texts *texts)
{
    int64_t at_ms = loop_wall_us() / CLOCK_US_PER_MS;
    bool is_force = cli->mode == GAP_FORCE, is_auto = cli->mode == GAP_AUTO;
    struct gap_override *override = &texts->override;
    struct gap_verdict *verdict = &texts->verdict;
    *override = (struct gap_override){
        .mode = cli->mode, .at_ms = at_ms, .until_ms = is_auto ? 0 : at_ms + cli->for_ms};
    gap_cli_who(override->by, sizeof(override->by));
    *verdict = (struct gap_verdict){.action = is_force ? GAP_ACT_ANCHOR : GAP_ACT_IGNORE,
                                    .until_ms = override->until_ms};
    snprintf(verdict->cause, sizeof(verdict->cause), "%s",
             is_force  ? "forced by an operator"
             : is_auto ? "back to automatic"
                       : "an operator wants none");
    snprintf(verdict->by, sizeof(verdict->by), "%s", override->by);
    texts->override_json = text_begin(texts->json[0], GAP_JSON_SIZE);
    texts->verdict_json = text_begin(texts->json[1], GAP_JSON_SIZE);
    texts->ask_json = text_begin(texts->json[2], GAP_JSON_SIZE);
    if (!is_auto) {
        gap_json_override(override, &texts->override_json);
        gap_json_verdict(verdict, &texts->verdict_json);
    }
    if (is_force)
        gap_json_ask(verdict, 0, &texts->ask_json);
}

static struct bytes gap_cli_view(const struct text *text)
{
    return bytes_of(text->at, text->size);
}

/* What the store answers to the script: the audit record's id. */
struct gap_cli_answer {
    bool came;
    int result;
    char text[128];
};

static void gap_cli_on_reply(void *context, int result, const redisReply *reply)
{
    struct gap_cli_answer *answer = context;
    bool has_text = reply != NULL && reply->str != NULL;
    answer->came = true;
    answer->result = reply != NULL && reply->type != REDIS_REPLY_STRING ? ERR_IO : result;
    snprintf(answer->text, sizeof(answer->text), "%s",
             has_text ? reply->str : err_text(answer->result));
}

static int gap_cli_send(const struct gap_cli *cli, struct gap_cli_texts *texts,
                        struct redis_link *link, struct gap_cli_answer *answer)
{
    static const enum state_key order[] = {STATE_GAP_OVERRIDE, STATE_GAP_VERDICT,
                                           STATE_REANCHOR_ASK, STATE_GAP_AUDIT};
    static struct redis_script script = {.name = "gap_override", .source = gap_cli_script};
    enum state_key_style style = (enum state_key_style)cli->options.redis.key_style;
    struct bytes keys[4];
    for (int i = 0; i < 4; i++)
        keys[i] = bytes_text(state_key(order[i], style, cli->symbol, texts->keys[i]));
    /* A forced verdict without a detector to take it back must not outlive its ask. */
    int64_t verdict_ms = cli->mode == GAP_FORCE ? GAP_CLI_ASK_MS : cli->for_ms;
    struct bytes args[] = {gap_cli_view(&texts->override_json),
                           gap_cli_number(texts->numbers[0], cli->for_ms),
                           gap_cli_view(&texts->verdict_json),
                           gap_cli_number(texts->numbers[1], verdict_ms),
                           gap_cli_view(&texts->ask_json),
                           gap_cli_number(texts->numbers[2], GAP_CLI_ASK_MS),
                           bytes_text(gap_mode_text(cli->mode)),
                           bytes_text(texts->override.by),
                           bytes_text(texts->verdict.cause),
                           gap_cli_number(texts->numbers[3], texts->override.at_ms),
                           gap_cli_number(texts->numbers[4], texts->override.until_ms),
                           bytes_text(cli->symbol)};
    return redis_link_eval(link, &script, keys, 4, args, sizeof(args) / sizeof(args[0]),
                           gap_cli_on_reply, answer);
}

static int gap_cli_say(const struct gap_cli *cli, struct redis_link *link, struct err *err)
{
    struct gap_cli_texts texts;
    struct gap_cli_answer answer = {.came = false};
    int64_t deadline_us = loop_mono_us() + GAP_CLI_TIMEOUT_US;
    gap_cli_compose(cli, &texts);
    if (!redis_link_wait_connected(link, deadline_us))
        return err_set(err, ERR_CONNECTION, "%s cannot be reached: %s", cli->options.redis.target,
                       redis_link_error(link));
    int result = gap_cli_send(cli, &texts, link, &answer);
    if (result == ERR_OK && !redis_link_wait(link, deadline_us) && !answer.came)
        result = ERR_TIMEOUT;
    if (result != ERR_OK || answer.result != ERR_OK)
        return err_set(err, result != ERR_OK ? result : answer.result, "%s: %s",
                       cli->options.redis.target,
                       result != ERR_OK ? err_text(result) : answer.text);
    printf("{\"symbol\":\"%s\",\"mode\":\"%s\",\"until_ms\":%lld,\"by\":\"%s\",\"audit\":\"%s\"}\n",
           cli->symbol, gap_mode_text(cli->mode), (long long)texts.override.until_ms,
           texts.override.by, answer.text);
    return ERR_OK;
}

/* The same link as the services': also behind Sentinel, in a cluster, over TLS. */
static int gap_cli_connect(const struct gap_cli *cli, struct err *err)
{
    struct redis_link_options options = redis_settings_link(&cli->options.redis);
    struct loop *loop;
    struct redis_link *link;
    int result = loop_open(&loop, err);
    if (result != ERR_OK)
        return result;
    options.quiet = true;
    result = redis_link_open(&options, loop, &link, err);
    if (result == ERR_OK) {
        char key[STATE_KEY_SIZE];
        redis_link_bind(link,
                        state_key(STATE_GAP, (enum state_key_style)cli->options.redis.key_style,
                                  cli->symbol, key));
        result = gap_cli_say(cli, link, err);
        redis_link_close(link);
    }
    loop_close(loop);
    return result;
}

static int gap_cli_run(int argc, char **argv)
{
    struct gap_cli cli = {.for_ms = GAP_CLI_FOR_MS};
    struct err err = {0};
    int result = gap_cli_parse(&cli, argc, argv, &err);
    if (result == ERR_OK)
        result = gap_cli_settings(&cli, &err);
    if (result != ERR_OK) {
        fprintf(stderr, "btcast gap: %s\n", err.text);
        return SERVICE_EXIT_CONFIG;
    }
    result = gap_cli_connect(&cli, &err);
    if (result != ERR_OK)
        fprintf(stderr, "btcast gap: %s\n", err.text);
    return result == ERR_OK ? 0 : result == ERR_CONFIG ? SERVICE_EXIT_CONFIG : SERVICE_EXIT_FAILURE;
}

const struct command command_gap = {
    .name = "gap",
    .summary = "overrule the gap detector: force, ignore or auto",
    .usage =
        "usage: btcast gap force|ignore|auto SYMBOL [--for 10m] [--redis TARGET]\n"
        "                  [--config FILE] [--data DIR]\n\n"
        "force    wants an anchor now, and one at every hint until then; no cool-down applies\n"
        "ignore   wants none until then, whatever is lost (`btcast reanchor` still works)\n"
        "auto     ends both\n\n"
        "--for takes 90s, 10m, 2h, 7d (default 10m). Works without a running gap detector.\n"
        "Redis: --redis, else that of a gap-detector FILE, else the private server of\n"
        "`btcast up` under DIR (default ./.btcast), else 127.0.0.1:6379. Each call leaves a\n"
        "record in the stream gap-audit:SYMBOL.\n",
    .run = gap_cli_run,
};
