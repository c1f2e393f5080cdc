/* The aggregator service: wiring of the aggregator agent, its streams, its store and its
 * health. SPDX-License-Identifier: Apache-2.0 */
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "edge/redis/redis_state.h"
#include "edge/redis/redis_stream.h"
#include "hot/state/aggregator.h"
#include "services/aggregator/aggregator_options.h"
#include "services/cli/commands.h"
#include "services/service_options.h"

#define AGGREGATOR_PORT            8082
#define AGGREGATOR_STOP_TIMEOUT_US 300000
/* One blocking read: how soon it is known at a start that there is nothing to read. */
#define AGGREGATOR_BLOCK_US 20000
/* Health: data older than this is degraded (DESIGN.md section 5, state table). */
#define AGGREGATOR_STALE_US 5000000

struct aggregator_service {
    struct service service;
    struct aggregator_service_options options;
    char owner[STATE_OWNER_SIZE]; /* kin and what makes it unique */
    char kin[STATE_OWNER_SIZE];
    struct redis_link *link;
    struct redis_state *state;
    struct redis_consumer *consumer;
    struct redis_producer *control;
    struct aggregator *aggregator;
    struct http_board *board; /* struct aggregator_status for the HTTP thread */
    int64_t board_us;
};

/* --- HTTP thread -------------------------------------------------------------------- */

static bool aggregator_service_read(struct aggregator_service *self,
                                    struct aggregator_status *status)
{
    return http_board_read(self->board, status, sizeof(*status)) == sizeof(*status);
}

static const char *aggregator_service_word(bool good)
{
    return good ? "healthy" : "degraded";
}

static void aggregator_service_components(const struct aggregator_status *status, bool fresh,
                                          struct text *out)
{
    static const char *const phases[] = {"loading", "controls", "following"};
    int64_t age_us = loop_wall_us() - status->recv_us;
    text_add_format(out,
                    "\"kinesis_consumers\":{\"status\":\"%s\",\"phase\":\"%s\",\"epoch\":%llu,"
                    "\"seq\":%llu,\"lag_ms\":%lld},",
                    aggregator_service_word(status->consumer_ready && fresh), phases[status->phase],
                    (unsigned long long)status->epoch, (unsigned long long)status->seq,
                    (long long)(status->epoch != 0 ? age_us / 1000 : -1));
    text_add_format(out,
                    "\"redis_cluster\":{\"status\":\"%s\",\"role\":\"%s\",\"holder\":\"%s\","
                    "\"fence\":%llu,\"flushes\":%llu,\"writes_refused\":%llu},",
                    aggregator_service_word(status->state_ready),
                    status->active ? "active" : "standby", status->holder,
                    (unsigned long long)status->fence, (unsigned long long)status->flushes,
                    (unsigned long long)status->writes_refused);
    text_add_format(out,
                    "\"feature_pipeline\":{\"status\":\"%s\",\"book_live\":%s,\"restores\":%llu},",
                    aggregator_service_word(status->book_live),
                    status->book_live ? "true" : "false", (unsigned long long)status->restores);
    text_add_format(out,
                    "\"reanchor_system\":{\"status\":\"%s\",\"anchors\":%llu,"
                    "\"anchors_refused\":%llu}",
                    aggregator_service_word(!status->anchoring),
                    (unsigned long long)status->anchors,
                    (unsigned long long)status->anchors_refused);
}

static enum service_health aggregator_service_health(void *context, struct text *components)
{
    struct aggregator_service *self = context;
    struct aggregator_status status;
    if (!aggregator_service_read(self, &status))
        return SERVICE_UNHEALTHY;
    bool fresh = loop_wall_us() - status.recv_us < AGGREGATOR_STALE_US;
    aggregator_service_components(&status, fresh, components);
    if (!status.state_ready && !status.consumer_ready)
        return SERVICE_UNHEALTHY;
    return status.state_ready && status.consumer_ready && status.book_live && fresh
               ? SERVICE_HEALTHY
               : SERVICE_DEGRADED;
}

static bool aggregator_service_ready(void *context)
{
    struct aggregator_status status;
    return aggregator_service_read(context, &status) && status.caught_up && status.state_ready;
}

/* --- the loop ----------------------------------------------------------------------- */

static int64_t aggregator_service_step(void *context, struct clock_now now)
{
    struct aggregator_service *self = context;
    int work = aggregator_do_work(self->aggregator, now);
    if (now.mono_us >= self->board_us) {
        struct aggregator_status status;
        aggregator_status(self->aggregator, &status);
        http_board_write(self->board, bytes_of(&status, sizeof(status)));
        self->board_us = now.mono_us + 100000;
    }
    return work > 0 ? 0 : aggregator_wait_us(self->aggregator, now);
}

/* The consumer's and the producer's callbacks come while the aggregator is open. */
static void aggregator_service_on_record(void *context, const struct stream_record *record,
                                         const char *position)
{
    struct aggregator_service *self = context;
    aggregator_on_record(self->aggregator, record, position);
}

static void aggregator_service_on_put(void *context, uint64_t ticket,
                                      const enum stream_outcome *outcome, int count)
{
    struct aggregator_service *self = context;
    aggregator_on_put(self->aggregator, ticket, outcome, count);
}

/* --- wiring ------------------------------------------------------------------------- */

static int aggregator_service_open_store(struct aggregator_service *self, struct err *err)
{
    const struct aggregator_service_options *options = &self->options;
    int result = redis_settings_open(&self->options.redis, "aggregator", &self->service.metrics,
                                     self->service.loop, &self->link, err);
    if (result != ERR_OK)
        return result;
    return redis_state_open(
        &(struct redis_state_options){.symbol = options->symbol,
                                      .style = (enum state_key_style)options->redis.key_style,
                                      .link = self->link,
                                      .metrics = &self->service.metrics},
        &self->state, err);
}

static int aggregator_service_open_streams(struct aggregator_service *self, struct err *err)
{
    const struct aggregator_service_options *options = &self->options;
    const enum stream_key_style style = (enum stream_key_style)options->redis.key_style;
    struct redis_consumer_options consumer = {
        .link = redis_settings_named(&options->redis, "aggregator-stream", &self->service.metrics),
        .style = style,
        .record = aggregator_service_on_record,
        .context = self,
        .block_us = AGGREGATOR_BLOCK_US,
        .metrics = &self->service.metrics};
    struct redis_producer_options producer = {
        .link = redis_settings_named(&options->redis, "aggregator-control", &self->service.metrics),
        .style = style,
        .done = aggregator_service_on_put,
        .context = self,
        .trim_checkpoint = true,
        .metrics = &self->service.metrics};
    snprintf(consumer.symbol, sizeof(consumer.symbol), "%s", options->symbol);
    snprintf(consumer.name, sizeof(consumer.name), "%s", options->consumer);
    snprintf(producer.symbol, sizeof(producer.symbol), "%s", options->symbol);
    int result = redis_consumer_open(&consumer, self->service.loop, &self->consumer, err);
    if (result != ERR_OK)
        return result;
    return redis_producer_open(&producer, self->service.loop, &self->control, err);
}

static int aggregator_service_open(struct aggregator_service *self, struct err *err)
{
    const struct aggregator_service_options *options = &self->options;
    if (options->lease_renew_ms * 2 > options->lease_ttl_ms)
        return err_set(err, ERR_CONFIG, "lease.renew_ms: expected at most half of lease.ttl_ms");
    int result = service_options_symbol(options->symbol, err);
    if (result != ERR_OK)
        return result;
    result = http_board_open(sizeof(struct aggregator_status), &self->board);
    if (result != ERR_OK)
        return err_set(err, result, "out of memory");
    result = aggregator_service_open_store(self, err);
    if (result == ERR_OK)
        result = aggregator_service_open_streams(self, err);
    if (result != ERR_OK)
        return result;
    snprintf(self->kin, sizeof(self->kin), "%.32s/", options->consumer);
    snprintf(self->owner, sizeof(self->owner), "%.32s/%d-%lld", options->consumer, (int)getpid(),
             (long long)self->service.started_wall_us);
    return aggregator_open(
        &(struct aggregator_options){.symbol = options->symbol,
                                     .owner = self->owner,
                                     .kin = self->kin,
                                     .lease_ttl_us = options->lease_ttl_ms * 1000,
                                     .lease_renew_us = options->lease_renew_ms * 1000,
                                     .hold_us = options->hold_ms * 1000,
                                     .flush_delay_us = options->flush_delay_us,
                                     .checkpoint_us = options->checkpoint_ms * 1000,
                                     .state = redis_state_port(self->state),
                                     .consumer = redis_consumer_port(self->consumer),
                                     .control = redis_producer_port(self->control),
                                     .metrics = &self->service.metrics,
                                     .stopwatch_ns = loop_mono_ns},
        &self->aggregator, err);
}

/* The lease is given back, so that a standby need not wait for it to run out. */
static void aggregator_service_finish(struct aggregator_service *self)
{
    aggregator_stop(self->aggregator);
    if (redis_link_connected(self->link))
        redis_link_wait(self->link, loop_mono_us() + AGGREGATOR_STOP_TIMEOUT_US);
}

static void aggregator_service_close(struct aggregator_service *self)
{
    if (self->consumer != NULL)
        redis_consumer_close(self->consumer);
    if (self->control != NULL)
        redis_producer_close(self->control);
    if (self->link != NULL)
        redis_link_close(self->link);
    if (self->state != NULL)
        redis_state_close(self->state);
    if (self->aggregator != NULL)
        aggregator_close(self->aggregator);
    if (self->board != NULL)
        http_board_close(self->board);
}

static int aggregator_service_run(int argc, char **argv)
{
    static struct aggregator_service self;
    const struct service_definition definition = {
        .name = "aggregator",
        .summary = command_aggregator.summary,
        .schema = &aggregator_schema,
        .default_port = AGGREGATOR_PORT,
        .health = aggregator_service_health,
        .ready = aggregator_service_ready,
        .context = &self,
    };
    int status = 0;
    if (service_open(&self.service, &definition, argc, argv, &self.options, &status) != ERR_OK)
        return status;
    struct err err = {0};
    if (aggregator_service_open(&self, &err) != ERR_OK) {
        status = service_refuse(definition.name, &err);
    } else if (service_serve(&self.service, &definition, &status) == ERR_OK) {
        log_info("started", "symbol=%s redis=%s owner=%s", self.options.symbol,
                 self.options.redis.target, self.owner);
        service_run(&self.service, aggregator_service_step, &self);
        aggregator_service_finish(&self);
    }
    /* The links use the loop, the HTTP thread the board: in this order. */
    service_unserve(&self.service);
    aggregator_service_close(&self);
    service_close(&self.service);
    return status;
}

const struct command command_aggregator = {
    .name = "aggregator",
    .summary = "streams to the hot state in Redis",
    .run = aggregator_service_run,
    .schema = &aggregator_schema,
    .default_port = AGGREGATOR_PORT,
};
