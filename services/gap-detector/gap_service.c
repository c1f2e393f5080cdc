/* The gap detector service: wiring of the gap detector, its store and the exchange's REST
 * calls; as a daemon, or once per call for a scheduler.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "edge/redis/redis_gap.h"
#include "recover/gap/gap_detector.h"
#include "recover/gap/gap_json.h"
#include "services/cli/commands.h"
#include "services/gap-detector/gap_options.h"
#include "services/service_options.h"

#define GAP_SERVICE_PORT            8087
#define GAP_SERVICE_WAIT_US         5000
#define GAP_SERVICE_REST_TIMEOUT_US 5000000
#define GAP_SERVICE_BOARD_US        100000
/* One judgement takes at most so long: longer than the questions to the exchange may. */
#define GAP_SERVICE_ONCE_US 75000000

struct gap_service {
    struct service service;
    struct gap_service_options options;
    struct redis_link *link;
    struct redis_gap *store;
    struct redis_silence silence;
    struct https_rest rest;
    struct rest_desk desk;
    struct gap_detector *detector;
    struct http_board *board; /* struct gap_detector_status for the HTTP thread */
    int64_t board_us, began_us;
    bool once_failed;
};

/* --- HTTP thread -------------------------------------------------------------------- */

static void gap_service_component(struct text *out, const struct gap_detector_status *status)
{
    bool calm = status->state == GAP_LIVE || status->state == GAP_COOLDOWN;
    text_add_format(out, "\"gap_detection\":{\"status\":\"%s\",\"state\":\"%s\",\"since_ms\":%lld,",
                    calm ? "healthy" : "degraded", gap_state_text(status->state),
                    (long long)status->since_ms);
    text_add_format(
        out, "\"verdict\":\"%s\",\"cause\":", gap_action_text((enum gap_action)status->action));
    text_add_json_string(out, status->cause, strlen(status->cause));
    text_add_format(out,
                    ",\"book_live\":%s,\"rest_book\":%s,\"events\":%llu,\"anchors_wanted\":%llu,"
                    "\"trade_holes_confirmed\":%llu,\"minutes_equal\":%llu,"
                    "\"minutes_differ\":%llu,\"open_checks\":%d,\"last_id\":",
                    status->book_live ? "true" : "false", status->rest_book ? "true" : "false",
                    (unsigned long long)status->events, (unsigned long long)status->anchors_wanted,
                    (unsigned long long)status->trade_holes_confirmed,
                    (unsigned long long)status->minutes_equal,
                    (unsigned long long)status->minutes_differ, status->open_checks);
    text_add_json_string(out, status->last_id, strlen(status->last_id));
    text_add_format(out, ",\"override\":{\"mode\":\"%s\",\"until_ms\":%lld,\"by\":",
                    status->override_mode, (long long)status->override_until_ms);
    text_add_json_string(out, status->override_by, strlen(status->override_by));
    text_add(out, "}}");
}

static enum service_health gap_service_health(void *context, struct text *components)
{
    struct gap_service *self = context;
    struct gap_detector_status status;
    if (http_board_read(self->board, &status, sizeof(status)) != sizeof(status))
        return SERVICE_UNHEALTHY;
    text_add_format(components, "\"redis_cluster\":{\"status\":\"%s\"},",
                    status.ready ? "healthy" : "degraded");
    gap_service_component(components, &status);
    if (!status.ready || !status.started)
        return SERVICE_UNHEALTHY;
    return status.state == GAP_LIVE || status.state == GAP_COOLDOWN ? SERVICE_HEALTHY
                                                                    : SERVICE_DEGRADED;
}

static bool gap_service_ready(void *context)
{
    struct gap_service *self = context;
    struct gap_detector_status status;
    return http_board_read(self->board, &status, sizeof(status)) == sizeof(status) &&
           status.ready && status.started;
}

/* --- the loop ----------------------------------------------------------------------- */

static void gap_service_once(struct gap_service *self, struct clock_now now)
{
    if (!self->options.once)
        return;
    self->once_failed = now.mono_us - self->began_us > GAP_SERVICE_ONCE_US;
    if (gap_detector_is_done(self->detector) || self->once_failed)
        service_stop(&self->service);
}

static int64_t gap_service_step(void *context, struct clock_now now)
{
    struct gap_service *self = context;
    gap_detector_do_work(self->detector, now);
    gap_service_once(self, now);
    if (now.mono_us >= self->board_us) {
        struct gap_detector_status status;
        gap_detector_status(self->detector, &status);
        http_board_write(self->board, bytes_of(&status, sizeof(status)));
        self->board_us = now.mono_us + GAP_SERVICE_BOARD_US;
    }
    return GAP_SERVICE_WAIT_US;
}

/* --- wiring ------------------------------------------------------------------------- */

static int gap_service_open_redis(struct gap_service *self, struct err *err)
{
    struct gap_service_options *options = &self->options;
    options->redis.require |= options->once; /* a judgement of nothing is none */
    int result = redis_settings_open(&options->redis, "gap-detector", &self->service.metrics,
                                     self->service.loop, &self->link, err);
    if (result != ERR_OK)
        return result;
    rest_settings_silence(&options->redis, self->link, options->symbol, &self->silence);
    return redis_gap_open(self->link, (enum state_key_style)options->redis.key_style,
                          options->symbol, &self->store, err);
}

static int gap_service_open_detector(struct gap_service *self, struct err *err)
{
    const struct gap_service_options *options = &self->options;
    rest_desk_open(&self->desk,
                   &(struct rest_desk_options){.symbol = options->symbol,
                                               .rest = https_rest_port(&self->rest),
                                               .silence = redis_silence_port(&self->silence),
                                               .metrics = &self->service.metrics,
                                               .seed = (uint64_t)loop_mono_ns()});
    struct gap_detector_options detector = {
        .symbol = options->symbol,
        .by = "gap-detector",
        .judge = {.cooldown_ms = options->cooldown_s * 1000,
                  .hint_hold_ms = options->hint_hold_s * 1000,
                  .overdue_ms = options->overdue_s * 1000},
        .silence_us = options->silence_ms * 1000,
        .price_jump_bp = options->price_jump_bp,
        .skew_us = options->skew_ms * 1000,
        .trade_hole_min = options->trade_hole_min,
        .once = options->once,
        .port = redis_gap_port(self->store),
        .desk = &self->desk,
        .metrics = &self->service.metrics,
    };
    return gap_detector_open(&detector, &self->detector, err);
}

static int gap_service_open(struct gap_service *self, struct err *err)
{
    int result = service_options_symbol(self->options.symbol, err);
    if (result == ERR_OK)
        result = rest_settings_check(&self->options.rest, err);
    if (result != ERR_OK)
        return result;
    result = http_board_open(sizeof(struct gap_detector_status), &self->board);
    if (result != ERR_OK)
        return err_set(err, result, "out of memory");
    result = rest_settings_open(&self->options.rest, self->service.loop,
                                GAP_SERVICE_REST_TIMEOUT_US, &self->rest, err);
    if (result == ERR_OK)
        result = gap_service_open_redis(self, err);
    return result == ERR_OK ? gap_service_open_detector(self, err) : result;
}

static void gap_service_close(struct gap_service *self)
{
    if (self->rest.https != NULL)
        https_close(self->rest.https);
    if (self->link != NULL)
        redis_link_close(self->link);
    if (self->store != NULL)
        redis_gap_close(self->store);
    if (self->detector != NULL)
        gap_detector_close(self->detector);
    if (self->board != NULL)
        http_board_close(self->board);
}

/* Alone on its port as a daemon; a single judgement needs none. */
static int gap_service_serve(struct gap_service *self, const struct service_definition *definition,
                             int *status)
{
    return self->options.once ? ERR_OK : service_serve(&self->service, definition, status);
}

/* `--once` is short for `--set once=true`; returns the words for service_open. */
static int gap_service_words(int argc, char **argv, char **words)
{
    static char set[] = "--set", once[] = "once=true";
    int count = 0;
    for (int i = 0; i < argc; i++) {
        bool is_once = i > 0 && strcmp(argv[i], "--once") == 0;
        words[count++] = is_once ? set : argv[i];
        if (is_once)
            words[count++] = once;
    }
    return count;
}

static int gap_service_run(int argc, char **argv)
{
    static struct gap_service self;
    const struct service_definition definition = {
        .name = "gap-detector",
        .summary = command_gap_detector.summary,
        .schema = &gap_schema,
        .default_port = GAP_SERVICE_PORT,
        .health = gap_service_health,
        .ready = gap_service_ready,
        .context = &self,
    };
    char *words[2 * CONFIG_OVERRIDES_MAX];
    int status = 0;
    if (argc > CONFIG_OVERRIDES_MAX) {
        fprintf(stderr, "btcast gap-detector: more than %d words\n", CONFIG_OVERRIDES_MAX);
        return SERVICE_EXIT_CONFIG;
    }
    int count = gap_service_words(argc, argv, words);
    if (service_open(&self.service, &definition, count, words, &self.options, &status) != ERR_OK)
        return status;
    struct err err = {0};
    if (gap_service_open(&self, &err) != ERR_OK) {
        status = service_refuse(definition.name, &err);
    } else if (gap_service_serve(&self, &definition, &status) == ERR_OK) {
        log_info("started", "symbol=%s redis=%s rest=%s once=%s", self.options.symbol,
                 self.options.redis.target, self.options.rest.url,
                 self.options.once ? "true" : "false");
        self.began_us = loop_mono_us();
        service_run(&self.service, gap_service_step, &self);
        status = self.once_failed ? SERVICE_EXIT_FAILURE : 0;
    }
    service_unserve(&self.service);
    gap_service_close(&self);
    service_close(&self.service);
    return status;
}

const struct command command_gap_detector = {
    .name = "gap-detector",
    .summary = "the verdict on losses: anchor, ignore or wait (--once: one judgement)",
    .run = gap_service_run,
    .schema = &gap_schema,
    .default_port = GAP_SERVICE_PORT,
};
