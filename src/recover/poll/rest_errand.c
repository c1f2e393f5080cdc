/* One thing at a time that an agent fetches: asked for within the budget, asked again when
 * it fails. SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "recover/poll/rest_desk.h"
#include "wire/rest_json.h"

int rest_errand_open(struct rest_errand *errand, struct rest_desk *desk, enum weight_class class,
                     struct err *err)
{
    *errand = (struct rest_errand){.desk = desk, .class = class};
    errand->body = malloc(REST_DESK_BODY_MAX);
    if (errand->body == NULL)
        return err_set(err, ERR_MEMORY, "REST errand: out of memory");
    return ERR_OK;
}

void rest_errand_close(struct rest_errand *errand)
{
    free(errand->body);
    errand->body = NULL;
}

void rest_errand_start(struct rest_errand *errand, const struct rest_query *query)
{
    PRE(errand->state != REST_ERRAND_WAITING && errand->state != REST_ERRAND_FLYING);
    errand->query = *query;
    errand->tries = 0;
    errand->retry_us = 0;
    errand->state = REST_ERRAND_WAITING;
}

static void rest_errand_on_reply(void *context, const struct rest_reply *reply)
{
    struct rest_errand *errand = context;
    errand->answered = true;
    errand->result = reply->result;
    errand->status = reply->result == ERR_OK ? reply->status : 0;
    errand->retry_after_s = reply->retry_after_s;
    errand->used_weight = reply->used_weight;
    errand->duration_us = reply->duration_us;
    errand->body_size = 0;
    snprintf(errand->why, sizeof(errand->why), "%s", reply->why != NULL ? reply->why : "");
    if (reply->result != ERR_OK)
        return;
    if (reply->body.size > REST_DESK_BODY_MAX) {
        errand->result = ERR_FULL;
        snprintf(errand->why, sizeof(errand->why), "a reply of %zu bytes", reply->body.size);
        return;
    }
    if (reply->body.size > 0)
        memcpy(errand->body, reply->body.data, reply->body.size);
    errand->body_size = reply->body.size;
}

static void rest_errand_ask(struct rest_errand *errand)
{
    struct rest_desk *desk = errand->desk;
    const struct rest_port *port = &desk->options.rest;
    int64_t wait_us;
    if (desk->now.mono_us < errand->retry_us)
        return;
    if (!weight_budget_take(&desk->budget, errand->class, rest_query_weight(&errand->query),
                            desk->now.wall_us, &wait_us)) {
        metric_add(desk->yields, 1);
        errand->retry_us =
            desk->now.mono_us + (wait_us < REST_DESK_LOOK_US ? wait_us : REST_DESK_LOOK_US);
        return;
    }
    errand->requested_us = desk->now.wall_us;
    errand->answered = false;
    errand->retry_us = desk->now.mono_us + REST_DESK_RETRY_FIRST_US;
    if (port->get(port->self, desk->options.symbol, &errand->query, rest_errand_on_reply, errand) ==
        ERR_OK)
        errand->state = REST_ERRAND_FLYING;
}

/* Fails once more: full jitter. */
static void rest_errand_fail(struct rest_errand *errand, const char *why)
{
    struct rest_desk *desk = errand->desk;
    uint64_t skipped = 0;
    int doublings = errand->tries < 10 ? errand->tries : 10;
    int64_t most_us = (int64_t)REST_DESK_RETRY_FIRST_US << doublings;
    if (most_us > REST_DESK_RETRY_LAST_US)
        most_us = REST_DESK_RETRY_LAST_US;
    errand->tries++;
    errand->retry_us = desk->now.mono_us + (int64_t)prng_below(&desk->prng, (uint64_t)most_us);
    errand->state = REST_ERRAND_WAITING;
    desk->failures++;
    if (log_limit_pass(&desk->warn, desk->now.mono_us, &skipped))
        log_warn("rest_failed", "endpoint=%s status=%d try=%d reason=\"%s\" skipped=%llu",
                 rest_endpoint_name(errand->query.endpoint), errand->status, errand->tries, why,
                 (unsigned long long)skipped);
}

void rest_errand_retry(struct rest_errand *errand, const char *why)
{
    PRE(errand->state == REST_ERRAND_DONE);
    errand->desk->malformed++;
    rest_errand_fail(errand, why);
}

/* The exchange wants silence: the text of a ban may know better until when. */
static void rest_errand_silence(struct rest_errand *errand)
{
    struct rest_desk *desk = errand->desk;
    struct rest_error error;
    if (errand->status == 403)
        weight_budget_block(&desk->budget, desk->now.wall_us + REST_DESK_WAF_US);
    else if (rest_json_read_error(rest_errand_body(errand), &error, NULL) == ERR_OK &&
             error.banned_until_us > 0)
        weight_budget_block(&desk->budget, error.banned_until_us);
    metric_add(errand->status == 429 ? desk->throttled : desk->banned, errand->status != 403);
    log_warn("rest_silence", "endpoint=%s status=%d seconds=%lld",
             rest_endpoint_name(errand->query.endpoint), errand->status,
             (long long)((desk->budget.blocked_until_us - desk->now.wall_us) / CLOCK_US_PER_S));
}

static enum rest_desk_status rest_errand_judge(struct rest_errand *errand)
{
    if (errand->result != ERR_OK || errand->status >= 500 || errand->status == 429 ||
        errand->status == 418 || errand->status == 403 || errand->status == 408)
        return REST_DESK_FAILED;
    return errand->status == 200 ? REST_DESK_OK : REST_DESK_REFUSED;
}

static void rest_errand_take_reply(struct rest_errand *errand)
{
    struct rest_desk *desk = errand->desk;
    enum rest_desk_status outcome = rest_errand_judge(errand);
    char why[192];
    errand->received_us = desk->now.wall_us;
    metric_add(desk->calls[errand->query.endpoint][outcome], 1);
    metric_observe_ns(desk->duration, errand->duration_us * 1000);
    weight_budget_reply(&desk->budget, errand->status, errand->used_weight, errand->retry_after_s,
                        desk->now.wall_us);
    if (errand->status == 429 || errand->status == 418 || errand->status == 403)
        rest_errand_silence(errand);
    if (outcome == REST_DESK_OK) {
        errand->state = REST_ERRAND_DONE;
        return;
    }
    if (outcome == REST_DESK_REFUSED) {
        errand->state = REST_ERRAND_REFUSED;
        return;
    }
    if (errand->result != ERR_OK)
        snprintf(why, sizeof(why), "%s: %s", err_text(errand->result), errand->why);
    else
        snprintf(why, sizeof(why), "HTTP status %d", errand->status);
    rest_errand_fail(errand, why);
}

enum rest_errand_state rest_errand_do_work(struct rest_errand *errand)
{
    if (errand->state == REST_ERRAND_WAITING)
        rest_errand_ask(errand);
    else if (errand->state == REST_ERRAND_FLYING && errand->answered)
        rest_errand_take_reply(errand);
    return errand->state;
}

struct bytes rest_errand_body(const struct rest_errand *errand)
{
    return bytes_of(errand->body, errand->body_size);
}

bool rest_errand_drop(struct rest_errand *errand)
{
    if (errand->state == REST_ERRAND_FLYING)
        return false;
    errand->state = REST_ERRAND_IDLE;
    return true;
}
