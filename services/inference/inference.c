/* The inference service: wiring of the slot machine, its Redis port, the model and the
 * HTTP face. SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "edge/redis/redis_infer.h"
#include "hot/infer/infer.h"
#include "services/cli/commands.h"
#include "services/inference/inference_board.h"
#include "services/inference/inference_models.h"
#include "services/inference/inference_options.h"
#include "services/inference/inference_priority.h"
#include "services/inference/inference_view.h"
#include "services/service_options.h"

#define INFERENCE_PORT   8085
#define INFERENCE_EVENTS "/events"
/* While an answer is owed the loop spins so long, then it waits properly: Redis may need the
 * core that it spins on. */
#define INFERENCE_ANSWER_SPIN_US 200
/* Replica n begins (n - 1) times so long after the slot. */
#define INFERENCE_STAGGER_US 1000
/* Reconnecting needs its own pace. */
#define INFERENCE_AWAY_WAIT_US 20000
#define INFERENCE_READY_US     4000000

struct inference {
    struct service service;
    struct inference_options options;
    struct redis_link *link;
    struct redis_infer *redis;
    struct inference_models models;
    struct inference_view view;
    struct infer infer;
    struct inference_board board;
};

/* --- HTTP thread -------------------------------------------------------------------- */

static void inference_get_latest(void *context, const struct http_request *request,
                                 struct http_reply *reply)
{
    struct inference *inference = context;
    (void)request;
    if (inference_board_latest(&inference->board, &reply->body))
        return;
    reply->status = 503;
    text_add(&reply->body, "{\"error\":\"no prediction yet\"}");
}

static void inference_get_list(void *context, const struct http_request *request,
                               struct http_reply *reply)
{
    struct inference *inference = context;
    char text[16];
    long limit = INFERENCE_HISTORY_DEFAULT;
    if (http_query(request, "limit", text, sizeof(text))) {
        char *end;
        limit = strtol(text, &end, 10);
        if (end == text || *end != '\0' || limit < 1 || limit > INFERENCE_HISTORY_MAX) {
            reply->status = 400;
            text_add_format(&reply->body, "{\"error\":\"limit: expected 1 to %d\"}",
                            INFERENCE_HISTORY_MAX);
            return;
        }
    }
    inference_board_predictions(&inference->board, (int)limit, &reply->body);
}

static bool inference_is_fresh(const struct inference_board *board)
{
    int64_t served_us = atomic_load(&board->served_mono_us);
    return served_us != 0 && loop_mono_us() - served_us < INFERENCE_READY_US;
}

static bool inference_ready(void *context)
{
    struct inference *inference = context;
    return atomic_load(&inference->board.has_model) && inference_is_fresh(&inference->board);
}

static enum service_health inference_health(void *context, struct text *components)
{
    struct inference *inference = context;
    inference_board_components(&inference->board, components);
    int mode = atomic_load(&inference->board.mode);
    if (!inference_is_fresh(&inference->board) || mode == DEGRADE_BLIND)
        return SERVICE_UNHEALTHY;
    return mode == DEGRADE_LIVE ? SERVICE_HEALTHY : SERVICE_DEGRADED;
}

/* --- slot thread -------------------------------------------------------------------- */

static void inference_served(void *context, const struct prediction *prediction,
                             const struct infer_timing *timing)
{
    struct inference *inference = context;
    char buffer[PREDICTION_JSON_MAX];
    struct text json = text_begin(buffer, sizeof(buffer));
    prediction_json(prediction, &json);
    struct bytes bytes = bytes_of(text_end(&json), json.size);
    inference_board_served(&inference->board, &inference->infer, timing, bytes,
                           redis_link_connected(inference->link), loop_mono_us());
    double confidence;
    if (prediction_f64(prediction, PREDICTION_CONFIDENCE, &confidence))
        metric_set(inference->board.confidence, confidence);
    http_server_publish(inference->service.http, INFERENCE_EVENTS, bytes);
}

static void inference_mode(void *context, enum degrade_mode from, enum degrade_mode to,
                           const char *reason)
{
    struct inference *inference = context;
    metric_add(inference->board.moves, 1);
    log_line(to == DEGRADE_LIVE ? LOG_INFO : LOG_WARN, "mode", "from=%s to=%s reason=\"%s\"",
             degrade_mode_name(from), degrade_mode_name(to), reason);
}

static void inference_clock_step(void *context, int64_t step_us)
{
    struct inference *inference = context;
    metric_add(inference->board.clock_steps, 1);
    log_warn("clock_step", "step_us=%lld followed=slowly", (long long)step_us);
}

static void inference_shadow(void *context, const struct infer_shadow *shadow)
{
    inference_models_shadow(&((struct inference *)context)->models, shadow);
}

static int64_t inference_mono_ns(void *clock)
{
    (void)clock;
    return loop_mono_ns();
}

static int64_t inference_step(void *context, struct clock_now now)
{
    struct inference *inference = context;
    redis_link_do_work(inference->link, now.mono_us);
    infer_do_work(&inference->infer, now);
    inference_models_do_work(&inference->models, &inference->infer, now.mono_us);
    int64_t wait_us = infer_wait_us(&inference->infer, now.mono_us);
    if (inference->infer.phase != INFER_IDLE) {
        int64_t working_us = now.mono_us - inference->infer.started_ns / 1000;
        return working_us < INFERENCE_ANSWER_SPIN_US ? 0 : wait_us;
    }
    wait_us -= inference->options.spin_us;
    if (!redis_link_connected(inference->link) && wait_us > INFERENCE_AWAY_WAIT_US)
        return INFERENCE_AWAY_WAIT_US;
    if (wait_us > MODEL_WATCH_LOOK_US)
        return MODEL_WATCH_LOOK_US; /* the registry is looked at between slots */
    return wait_us > 0 ? wait_us : 0;
}

/* --- wiring ------------------------------------------------------------------------- */

static int inference_open_redis(struct inference *inference, struct err *err)
{
    const struct inference_options *options = &inference->options;
    int result =
        redis_settings_open(&inference->options.redis, "inference", &inference->service.metrics,
                            inference->service.loop, &inference->link, err);
    if (result != ERR_OK)
        return result;
    return redis_infer_open(inference->link, (enum state_key_style)options->redis.key_style,
                            options->symbol, &inference->redis, err);
}

static int inference_open_agent(struct inference *inference, struct err *err)
{
    const struct inference_options *options = &inference->options;
    struct infer_options agent = {.journal_capacity = (int)options->journal_slots,
                                  .stagger_us = (options->replica - 1) * INFERENCE_STAGGER_US,
                                  .view = inference_view_port(&inference->view),
                                  .mono_ns = inference_mono_ns};
    snprintf(agent.symbol, sizeof(agent.symbol), "%s", options->symbol);
    struct infer_port port = redis_infer_port(inference->redis);
    struct infer_observer observer = {.context = inference,
                                      .served = inference_served,
                                      .mode = inference_mode,
                                      .clock_step = inference_clock_step,
                                      .shadow = inference_shadow};
    int result = infer_open(&inference->infer, &agent, &port, &observer, loop_now(), err);
    if (result != ERR_OK)
        return result;
    return infer_set_model(&inference->infer, inference->models.model);
}

static int inference_open(struct inference *inference, struct err *err)
{
    int result = service_options_symbol(inference->options.symbol, err);
    if (result == ERR_OK)
        result = inference_board_open(&inference->board, &inference->service.metrics, err);
    if (result == ERR_OK)
        result = inference_models_open(&inference->models, &inference->options,
                                       inference->service.loop, &inference->service.metrics, err);
    if (result == ERR_OK)
        result = inference_view_open(&inference->view, inference->options.view_path,
                                     inference->options.common.data_dir, inference->options.symbol,
                                     &inference->service.metrics, err);
    if (result == ERR_OK)
        result = inference_open_redis(inference, err);
    if (result == ERR_OK)
        result = inference_open_agent(inference, err);
    return result;
}

static void inference_close(struct inference *inference)
{
    infer_close(&inference->infer);
    if (inference->redis != NULL)
        redis_infer_close(inference->redis);
    if (inference->link != NULL)
        redis_link_close(inference->link);
    inference_models_close(&inference->models);
    inference_view_close(&inference->view);
    inference_board_close(&inference->board);
}

static int inference_run(int argc, char **argv)
{
    static struct inference inference;
    static const struct http_route routes[] = {
        {.method = "GET", .path = "/prediction", .fn = inference_get_latest},
        {.method = "GET", .path = "/predictions", .fn = inference_get_list},
        {.method = "GET", .path = INFERENCE_EVENTS},
    };
    const struct service_definition definition = {
        .name = "inference",
        .summary = command_inference.summary,
        .schema = &inference_schema,
        .default_port = INFERENCE_PORT,
        .health = inference_health,
        .ready = inference_ready,
        .routes = routes,
        .route_count = sizeof(routes) / sizeof(routes[0]),
        .context = &inference,
    };
    int status = 0;
    if (service_open(&inference.service, &definition, argc, argv, &inference.options, &status) !=
        ERR_OK)
        return status;
    struct err err = {0};
    atomic_store(&inference.board.mode, DEGRADE_BLIND);
    if (inference_open(&inference, &err) != ERR_OK) {
        status = service_refuse(definition.name, &err);
    } else if (service_serve(&inference.service, &definition, &status) == ERR_OK) {
        const char *priority = inference.options.priority == INFERENCE_PRIORITY_AUTO
                                   ? inference_priority_raise()
                                   : "normal";
        log_info("started", "replica=%lld model=%s kernel=%s priority=%s",
                 (long long)inference.options.replica, model_version(inference.models.model),
                 model_kernel_name(inference.models.model), priority);
        service_run(&inference.service, inference_step, &inference);
    }
    /* The link uses the loop, the HTTP thread the board: in this order. */
    service_unserve(&inference.service);
    inference_close(&inference);
    service_close(&inference.service);
    return status;
}

const struct command command_inference = {
    .name = "inference",
    .summary = "hot state to a prediction every 2 s",
    .run = inference_run,
    .schema = &inference_schema,
    .default_port = INFERENCE_PORT,
};
