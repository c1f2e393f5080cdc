/* The re-anchor service: wiring of the re-anchor agent, its claim in Redis, the exchange's
 * REST calls and the operator's POST /reanchor. SPDX-License-Identifier: Apache-2.0 */
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "edge/redis/redis_anchor.h"
#include "market/record.h"
#include "recover/anchor/reanchor.h"
#include "services/cli/commands.h"
#include "services/re-anchor-service/reanchor_options.h"
#include "services/service_options.h"

#define REANCHOR_SERVICE_PORT            8084
#define REANCHOR_SERVICE_WAIT_US         10000
#define REANCHOR_SERVICE_STOP_TIMEOUT_US 300000
#define REANCHOR_SERVICE_REST_TIMEOUT_US 10000000 /* CONTRACTS.md section 7, row 1 */

struct reanchor_service {
    struct service service;
    struct reanchor_service_options options;
    char owner[STATE_OWNER_SIZE];
    struct redis_link *link;
    struct redis_anchor *claim;
    struct https_rest rest;
    struct redis_silence silence;
    struct reanchor *reanchor;
    struct http_board *board; /* struct reanchor_status for the HTTP thread */
    int64_t board_us;
    atomic_bool forced; /* by POST /reanchor, taken by the loop */
};

/* --- HTTP thread -------------------------------------------------------------------- */

static void reanchor_service_post(void *context, const struct http_request *request,
                                  struct http_reply *reply)
{
    struct reanchor_service *self = context;
    char symbol[RECORD_SYMBOL_SIZE];
    if (!http_query(request, "symbol", symbol, sizeof(symbol)) ||
        strcmp(symbol, self->options.symbol) != 0) {
        reply->status = 404;
        text_add_format(&reply->body, "{\"error\":\"symbol: expected %s\"}", self->options.symbol);
        return;
    }
    atomic_store(&self->forced, true);
    loop_wake(self->service.loop);
    reply->status = 202;
    text_add_format(&reply->body, "{\"symbol\":\"%s\",\"accepted\":true}", symbol);
}

static enum service_health reanchor_service_health(void *context, struct text *components)
{
    struct reanchor_service *self = context;
    struct reanchor_status status;
    if (http_board_read(self->board, &status, sizeof(status)) != sizeof(status))
        return SERVICE_UNHEALTHY;
    text_add_format(components, "\"redis_cluster\":{\"status\":\"%s\"},",
                    status.ready ? "healthy" : "degraded");
    text_add_format(components,
                    "\"reanchor_system\":{\"status\":\"%s\",\"step\":\"%s\",\"asked\":%s,"
                    "\"succeeded\":%llu,\"failed\":%llu,\"last_result\":",
                    status.step == REANCHOR_IDLE ? "healthy" : "degraded",
                    reanchor_step_text(status.step), status.asked ? "true" : "false",
                    (unsigned long long)status.succeeded, (unsigned long long)status.failed);
    text_add_json_string(components, status.result, strlen(status.result));
    text_add(components, ",\"last_cause\":");
    text_add_json_string(components, status.cause, strlen(status.cause));
    text_add_format(components, ",\"last_duration_ms\":%lld},",
                    (long long)(status.duration_us / 1000));
    text_add_format(components,
                    "\"exchange_rest\":{\"status\":\"%s\",\"blocked_until_us\":%lld,"
                    "\"weight_used\":%lld,\"weight_limit\":%lld}",
                    status.blocked_until_us == 0 ? "healthy" : "degraded",
                    (long long)status.blocked_until_us, (long long)status.weight_used,
                    (long long)status.weight_limit);
    if (!status.ready)
        return SERVICE_UNHEALTHY;
    return status.step == REANCHOR_IDLE && status.blocked_until_us == 0 ? SERVICE_HEALTHY
                                                                        : SERVICE_DEGRADED;
}

static bool reanchor_service_ready(void *context)
{
    struct reanchor_service *self = context;
    struct reanchor_status status;
    return http_board_read(self->board, &status, sizeof(status)) == sizeof(status) && status.ready;
}

/* --- the loop ----------------------------------------------------------------------- */

static int64_t reanchor_service_step(void *context, struct clock_now now)
{
    struct reanchor_service *self = context;
    if (atomic_exchange(&self->forced, false))
        reanchor_force(self->reanchor, "forced by an operator");
    reanchor_do_work(self->reanchor, now);
    if (now.mono_us >= self->board_us) {
        struct reanchor_status status;
        reanchor_status(self->reanchor, &status);
        http_board_write(self->board, bytes_of(&status, sizeof(status)));
        self->board_us = now.mono_us + 100000;
    }
    return REANCHOR_SERVICE_WAIT_US;
}

/* --- wiring ------------------------------------------------------------------------- */

static int reanchor_service_open_redis(struct reanchor_service *self, struct err *err)
{
    const struct reanchor_service_options *options = &self->options;
    int result = redis_settings_open(&self->options.redis, "re-anchor-service",
                                     &self->service.metrics, self->service.loop, &self->link, err);
    if (result != ERR_OK)
        return result;
    rest_settings_silence(&options->redis, self->link, options->symbol, &self->silence);
    return redis_anchor_open(self->link, (enum state_key_style)options->redis.key_style,
                             options->symbol, &self->claim, err);
}

static int reanchor_service_open(struct reanchor_service *self, struct err *err)
{
    const struct reanchor_service_options *options = &self->options;
    int result = service_options_symbol(options->symbol, err);
    if (result == ERR_OK)
        result = rest_settings_check(&options->rest, err);
    if (result != ERR_OK)
        return result;
    result = http_board_open(sizeof(struct reanchor_status), &self->board);
    if (result != ERR_OK)
        return err_set(err, result, "out of memory");
    result = rest_settings_open(&options->rest, self->service.loop,
                                REANCHOR_SERVICE_REST_TIMEOUT_US, &self->rest, err);
    if (result == ERR_OK)
        result = reanchor_service_open_redis(self, err);
    if (result != ERR_OK)
        return result;
    snprintf(self->owner, sizeof(self->owner), "%d-%lld", (int)getpid(),
             (long long)self->service.started_wall_us);
    return reanchor_open(&(struct reanchor_options){.symbol = options->symbol,
                                                    .owner = self->owner,
                                                    .claim = redis_anchor_port(self->claim),
                                                    .rest = https_rest_port(&self->rest),
                                                    .silence = redis_silence_port(&self->silence),
                                                    .metrics = &self->service.metrics},
                         &self->reanchor, err);
}

/* The flag is given back, so that another coordinator need not wait for it to run out. */
static void reanchor_service_finish(struct reanchor_service *self)
{
    reanchor_stop(self->reanchor);
    if (redis_link_connected(self->link))
        redis_link_wait(self->link, loop_mono_us() + REANCHOR_SERVICE_STOP_TIMEOUT_US);
}

static void reanchor_service_close(struct reanchor_service *self)
{
    if (self->rest.https != NULL)
        https_close(self->rest.https);
    if (self->link != NULL)
        redis_link_close(self->link);
    if (self->claim != NULL)
        redis_anchor_close(self->claim);
    if (self->reanchor != NULL)
        reanchor_close(self->reanchor);
    if (self->board != NULL)
        http_board_close(self->board);
}

static int reanchor_service_run(int argc, char **argv)
{
    static struct reanchor_service self;
    static const struct http_route routes[] = {
        {.method = "POST", .path = "/reanchor", .fn = reanchor_service_post, .changes = true}};
    const struct service_definition definition = {
        .name = "re-anchor-service",
        .summary = command_reanchor_service.summary,
        .schema = &reanchor_schema,
        .default_port = REANCHOR_SERVICE_PORT,
        .health = reanchor_service_health,
        .ready = reanchor_service_ready,
        .routes = routes,
        .route_count = 1,
        .context = &self,
    };
    int status = 0;
    if (service_open(&self.service, &definition, argc, argv, &self.options, &status) != ERR_OK)
        return status;
    struct err err = {0};
    if (reanchor_service_open(&self, &err) != ERR_OK) {
        status = service_refuse(definition.name, &err);
    } else if (service_serve(&self.service, &definition, &status) == ERR_OK) {
        log_info("started", "symbol=%s redis=%s rest=%s", self.options.symbol,
                 self.options.redis.target, self.options.rest.url);
        service_run(&self.service, reanchor_service_step, &self);
        reanchor_service_finish(&self);
    }
    /* The links use the loop, the HTTP thread the board: in this order. */
    service_unserve(&self.service);
    reanchor_service_close(&self);
    service_close(&self.service);
    return status;
}

const struct command command_reanchor_service = {
    .name = "re-anchor-service",
    .summary = "a REST snapshot for the aggregator when the book is lost",
    .run = reanchor_service_run,
    .schema = &reanchor_schema,
    .default_port = REANCHOR_SERVICE_PORT,
};
