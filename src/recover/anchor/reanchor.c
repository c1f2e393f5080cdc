/* SPDX-License-Identifier: Apache-2.0 */
#include "recover/anchor/reanchor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/log.h"
#include "base/text.h"
#include "hot/state/anchor_document.h"
#include "recover/anchor/anchor_judge.h"
#include "wire/json_scan.h"

#define REANCHOR_AUDIT_PAIRS 10

/* An answer that waits for do_work. */
struct reanchor_call {
    bool in_flight, answered;
    int result;
};

struct reanchor {
    struct reanchor_options options;
    struct clock_now now;
    enum reanchor_step step;
    char token[STATE_TOKEN_SIZE];
    uint64_t tokens;
    char cause[ANCHOR_CAUSE_SIZE];
    bool forced;

    struct reanchor_call look, claim, renew, hand, drop, audit, rest;
    int64_t look_us, renew_us;
    bool has_looked;
    /* the last look */
    bool asked, has_document;
    char ask_cause[ANCHOR_CAUSE_SIZE];
    char flag[STATE_TOKEN_SIZE], swapped[STATE_TOKEN_SIZE];

    int64_t started_us, claimed_us, handed_us; /* monotonic */
    int64_t fetch_us;      /* no fetch before (monotonic) */
    int64_t requested_us;  /* wall */
    uint32_t tries;
    int64_t blocked_until_us; /* monotonic: the exchange wants silence */
    /* the last reply */
    int status;
    int64_t retry_after_s;
    char why[128];
    char *document; /* REANCHOR_REPLY_MAX and its envelope */
    uint8_t *body;
    size_t body_size, document_size;

    int64_t finished_us, duration_us;
    uint64_t succeeded, failed;
    char outcome[64];
    struct metric *success, *failure, *duration, *rest_ok, *rest_error, *weight;
};

static void reanchor_on_call(void *context, const struct anchor_reply *reply)
{
    struct reanchor_call *call = context;
    call->in_flight = false;
    call->answered = true;
    call->result = reply->result;
}

static bool reanchor_answered(struct reanchor_call *call)
{
    bool answered = call->answered;
    call->answered = false;
    return answered;
}

/* --- looking ------------------------------------------------------------------------ */

static void reanchor_read_cause(struct reanchor *reanchor, struct bytes ask)
{
    struct json_scan scan = json_scan_begin(ask);
    struct bytes key;
    struct bytes cause = {NULL, 0};
    if (json_scan_object(&scan))
        while (json_scan_member(&scan, &key)) {
            if (JSON_SCAN_IS(key, "cause"))
                (void)json_scan_string(&scan, &cause);
            else
                (void)json_scan_skip(&scan, NULL);
        }
    if (!json_scan_finish(&scan) || cause.size == 0)
        cause = bytes_text("unreadable ask");
    snprintf(reanchor->ask_cause, sizeof(reanchor->ask_cause), "%.*s",
             (int)(cause.size < ANCHOR_CAUSE_SIZE ? cause.size : ANCHOR_CAUSE_SIZE - 1),
             (const char *)cause.data);
}

static void reanchor_on_look(void *context, const struct anchor_look *look)
{
    struct reanchor *reanchor = context;
    reanchor->look.in_flight = false;
    reanchor->look.answered = true;
    reanchor->look.result = look->result;
    if (look->result != ERR_OK)
        return;
    reanchor->asked = look->ask.size > 0;
    if (reanchor->asked)
        reanchor_read_cause(reanchor, look->ask);
    reanchor->has_document = look->has_document;
    snprintf(reanchor->flag, sizeof(reanchor->flag), "%s", look->flag);
    snprintf(reanchor->swapped, sizeof(reanchor->swapped), "%s", look->swapped);
}

/* True when a fresh look came. */
static bool reanchor_look(struct reanchor *reanchor)
{
    const struct anchor_claim_port *port = &reanchor->options.claim;
    if (reanchor_answered(&reanchor->look) && reanchor->look.result == ERR_OK)
        return true;
    if (reanchor->look.in_flight || reanchor->now.mono_us < reanchor->look_us)
        return false;
    reanchor->look_us = reanchor->now.mono_us + REANCHOR_LOOK_US;
    reanchor->look.in_flight = port->look(port->self, reanchor_on_look, reanchor) == ERR_OK;
    return false;
}

/* --- the end ------------------------------------------------------------------------ */

struct reanchor_audit {
    struct text text;
    struct state_pair pairs[REANCHOR_AUDIT_PAIRS];
    int count;
    char bytes[160];
};

static void reanchor_audit_text(struct reanchor_audit *audit, const char *field, const char *value)
{
    audit->pairs[audit->count++] = (struct state_pair){bytes_text(field), bytes_text(value)};
}

static void reanchor_audit_i64(struct reanchor_audit *audit, const char *field, int64_t value)
{
    size_t start = audit->text.size;
    text_add_i64(&audit->text, value);
    audit->pairs[audit->count++] = (struct state_pair){
        bytes_text(field), bytes_of(audit->text.at + start, audit->text.size - start)};
}

static void reanchor_audit(struct reanchor *reanchor)
{
    const struct anchor_claim_port *port = &reanchor->options.claim;
    struct reanchor_audit audit = {.count = 0};
    audit.text = text_begin(audit.bytes, sizeof(audit.bytes));
    reanchor_audit_text(&audit, "symbol", reanchor->options.symbol);
    reanchor_audit_text(&audit, "token", reanchor->token);
    reanchor_audit_text(&audit, "cause", reanchor->cause);
    reanchor_audit_text(&audit, "forced", reanchor->forced ? "1" : "0");
    reanchor_audit_text(&audit, "result", reanchor->outcome);
    reanchor_audit_i64(&audit, "tries", reanchor->tries);
    reanchor_audit_i64(&audit, "duration_ms", reanchor->duration_us / 1000);
    reanchor_audit_i64(&audit, "finished_us", reanchor->finished_us);
    if (port->audit(port->self, audit.pairs, audit.count, reanchor_on_call, &reanchor->audit) ==
        ERR_OK)
        reanchor->audit.in_flight = true;
}

static void reanchor_finish(struct reanchor *reanchor, bool success, const char *outcome)
{
    const struct anchor_claim_port *port = &reanchor->options.claim;
    reanchor->finished_us = reanchor->now.wall_us;
    reanchor->duration_us = reanchor->now.mono_us - reanchor->started_us;
    snprintf(reanchor->outcome, sizeof(reanchor->outcome), "%s", outcome);
    reanchor->succeeded += success;
    reanchor->failed += !success;
    metric_add(success ? reanchor->success : reanchor->failure, 1);
    if (success)
        metric_observe_ns(reanchor->duration, reanchor->duration_us * 1000);
    log_line(success ? LOG_INFO : LOG_WARN, "reanchor",
             "symbol=%s result=\"%s\" cause=\"%s\" tries=%u duration_ms=%lld",
             reanchor->options.symbol, outcome, reanchor->cause, reanchor->tries,
             (long long)(reanchor->duration_us / 1000));
    reanchor_audit(reanchor);
    if (!success && reanchor->step != REANCHOR_CLAIMING &&
        port->drop(port->self, reanchor->token, reanchor_on_call, &reanchor->drop) == ERR_OK)
        reanchor->drop.in_flight = true;
    reanchor->step = REANCHOR_IDLE;
    reanchor->forced = false;
    reanchor->asked = false; /* as far as the next look says otherwise */
    if (success)
        reanchor->fetch_us = 0;
}

/* --- claim -------------------------------------------------------------------------- */

static void reanchor_start(struct reanchor *reanchor)
{
    const struct anchor_claim_port *port = &reanchor->options.claim;
    if (reanchor->flag[0] != 0)
        return; /* somebody else is at it, or a flag of ours runs out */
    snprintf(reanchor->token, sizeof(reanchor->token), "%.40s-%llu", reanchor->options.owner,
             (unsigned long long)++reanchor->tokens);
    if (!reanchor->forced)
        snprintf(reanchor->cause, sizeof(reanchor->cause), "%s", reanchor->ask_cause);
    if (port->claim(port->self, reanchor->token, REANCHOR_CLAIM_TTL_MS, reanchor_on_call,
                    &reanchor->claim) != ERR_OK)
        return;
    reanchor->claim.in_flight = true;
    reanchor->step = REANCHOR_CLAIMING;
    reanchor->started_us = reanchor->now.mono_us;
    reanchor->tries = 0;
}

static void reanchor_claimed(struct reanchor *reanchor)
{
    if (reanchor->claim.result != ERR_OK) {
        reanchor->step = REANCHOR_IDLE;
        return;
    }
    reanchor->claimed_us = reanchor->now.mono_us;
    reanchor->renew_us = reanchor->now.mono_us + REANCHOR_RENEW_US;
    reanchor->step = REANCHOR_FETCHING;
}

/* Keeps the claim. False when it is lost or has lasted too long: finished. */
static bool reanchor_keep(struct reanchor *reanchor)
{
    const struct anchor_claim_port *port = &reanchor->options.claim;
    if (reanchor_answered(&reanchor->renew) && reanchor->renew.result == ERR_REFUSED &&
        strcmp(reanchor->swapped, reanchor->token) != 0 && reanchor->step != REANCHOR_WAITING) {
        reanchor_finish(reanchor, false, "claim lost");
        return false;
    }
    if (reanchor->now.mono_us - reanchor->claimed_us > REANCHOR_LIFE_US) {
        reanchor_finish(reanchor, false, "gave up");
        return false;
    }
    if (reanchor->renew.in_flight || reanchor->now.mono_us < reanchor->renew_us)
        return true;
    reanchor->renew_us = reanchor->now.mono_us + REANCHOR_RENEW_US;
    reanchor->renew.in_flight = port->renew(port->self, reanchor->token, REANCHOR_CLAIM_TTL_MS,
                                            reanchor_on_call, &reanchor->renew) == ERR_OK;
    return true;
}

/* --- fetch -------------------------------------------------------------------------- */

static void reanchor_on_rest(void *context, const struct anchor_rest_reply *reply)
{
    struct reanchor *reanchor = context;
    reanchor->rest.in_flight = false;
    reanchor->rest.answered = true;
    reanchor->rest.result = reply->result;
    reanchor->status = reply->status;
    reanchor->retry_after_s = reply->retry_after_s;
    reanchor->body_size = 0;
    snprintf(reanchor->why, sizeof(reanchor->why), "%s", reply->why != NULL ? reply->why : "");
    if (reply->used_weight >= 0)
        metric_set(reanchor->weight, (double)reply->used_weight);
    if (reply->result != ERR_OK)
        return;
    if (reply->body.size > REANCHOR_REPLY_MAX) {
        reanchor->rest.result = ERR_FULL;
        return;
    }
    if (reply->body.size > 0)
        memcpy(reanchor->body, reply->body.data, reply->body.size);
    reanchor->body_size = reply->body.size;
}

static void reanchor_fetch(struct reanchor *reanchor)
{
    const struct anchor_rest_port *port = &reanchor->options.rest;
    struct anchor_rest_query query = {
        .call = ANCHOR_REST_DEPTH, .symbol = reanchor->options.symbol, .limit = REANCHOR_DEPTH_LIMIT};
    if (reanchor->rest.in_flight || reanchor->now.mono_us < reanchor->fetch_us ||
        reanchor->now.mono_us < reanchor->blocked_until_us)
        return;
    reanchor->requested_us = reanchor->now.wall_us;
    /* Should this one fail, the next is not to follow at once. */
    reanchor->fetch_us = reanchor->now.mono_us + REANCHOR_BACKOFF_US;
    if (port->get(port->self, &query, reanchor_on_rest, reanchor) != ERR_OK)
        return;
    reanchor->rest.in_flight = true;
    reanchor->tries++;
}

/* 429 and 418: nothing is asked before the time the exchange names (BINANCE.md section 8). */
static void reanchor_respect(struct reanchor *reanchor)
{
    int64_t wait_s =
        reanchor->retry_after_s >= 0 ? reanchor->retry_after_s : REANCHOR_RETRY_AFTER_S;
    reanchor->blocked_until_us = reanchor->now.mono_us + wait_s * CLOCK_US_PER_S;
    log_warn("rest_limited", "symbol=%s status=%d wait_s=%lld", reanchor->options.symbol,
             reanchor->status, (long long)wait_s);
}

static bool reanchor_judge(struct reanchor *reanchor)
{
    int64_t last_update_id;
    struct err err = {0};
    if (reanchor->rest.result != ERR_OK)
        err_set(&err, reanchor->rest.result, "%s: %s", err_text(reanchor->rest.result),
                reanchor->why);
    else if (reanchor->status != 200)
        err_set(&err, ERR_REFUSED, "HTTP status %d", reanchor->status);
    else if (anchor_judge_depth(bytes_of(reanchor->body, reanchor->body_size), &last_update_id,
                                &err) == ERR_OK)
        return true;
    if (reanchor->status == 429 || reanchor->status == 418)
        reanchor_respect(reanchor);
    log_warn("rest_failed", "symbol=%s try=%u reason=\"%s\"", reanchor->options.symbol,
             reanchor->tries, err.text);
    return false;
}

/* --- hand over ---------------------------------------------------------------------- */

static void reanchor_hand(struct reanchor *reanchor)
{
    const struct anchor_claim_port *port = &reanchor->options.claim;
    struct anchor_document meta = {.requested_us = reanchor->requested_us,
                                   .received_us = reanchor->now.wall_us};
    struct text out = text_begin(reanchor->document, REANCHOR_REPLY_MAX + 1024);
    snprintf(meta.symbol, sizeof(meta.symbol), "%s", reanchor->options.symbol);
    snprintf(meta.token, sizeof(meta.token), "%s", reanchor->token);
    snprintf(meta.cause, sizeof(meta.cause), "%s", reanchor->cause);
    anchor_document_write(&meta, bytes_of(reanchor->body, reanchor->body_size), &out);
    CHECK(!out.truncated);
    reanchor->document_size = out.size;
    if (port->hand(port->self, reanchor->token, bytes_of(reanchor->document, out.size),
                   REANCHOR_DOCUMENT_TTL_MS, reanchor_on_call, &reanchor->hand) != ERR_OK)
        return; /* stays in FETCHING: fetched anew when the store is back */
    reanchor->hand.in_flight = true;
    reanchor->step = REANCHOR_HANDING;
}

static void reanchor_fetching(struct reanchor *reanchor)
{
    if (!reanchor_answered(&reanchor->rest)) {
        reanchor_fetch(reanchor);
        return;
    }
    bool good = reanchor_judge(reanchor);
    metric_add(good ? reanchor->rest_ok : reanchor->rest_error, 1);
    if (good)
        reanchor_hand(reanchor);
}

static void reanchor_handed(struct reanchor *reanchor)
{
    if (!reanchor_answered(&reanchor->hand))
        return;
    if (reanchor->hand.result == ERR_OK) {
        reanchor->handed_us = reanchor->now.mono_us;
        reanchor->look_us = 0;
        reanchor->has_looked = false;
        reanchor->step = REANCHOR_WAITING;
    } else if (reanchor->hand.result == ERR_REFUSED) {
        reanchor_finish(reanchor, false, "claim lost");
    } else {
        reanchor->step = REANCHOR_FETCHING;
    }
}

/* A look that was sent before the document was there says nothing about it. */
static void reanchor_waiting(struct reanchor *reanchor, bool looked)
{
    if (looked && !reanchor->has_looked) {
        reanchor->has_looked = true;
        looked = reanchor->has_document;
    }
    if (looked && strcmp(reanchor->flag, reanchor->token) != 0)
        reanchor_finish(reanchor, false, "claim lost");
    else if (looked && !reanchor->has_document)
        reanchor->step = REANCHOR_FETCHING; /* the aggregator wants another one */
    else if (reanchor->now.mono_us - reanchor->handed_us > REANCHOR_WAIT_US)
        reanchor_finish(reanchor, false, "no aggregator took it");
}

int reanchor_do_work(struct reanchor *reanchor, struct clock_now now)
{
    const struct anchor_claim_port *claim = &reanchor->options.claim;
    const struct anchor_rest_port *rest = &reanchor->options.rest;
    reanchor->now = now;
    int work = claim->do_work(claim->self, now.mono_us) + rest->do_work(rest->self, now.mono_us);
    bool looked = claim->ready(claim->self) && reanchor_look(reanchor);
    /* In any step: the answer to the hand-over may have been lost. */
    if (looked && reanchor->step != REANCHOR_IDLE &&
        strcmp(reanchor->swapped, reanchor->token) == 0) {
        reanchor_finish(reanchor, true, "swapped");
        return work;
    }
    if (reanchor->step != REANCHOR_IDLE && reanchor->step != REANCHOR_CLAIMING &&
        !reanchor_keep(reanchor))
        return work;
    switch (reanchor->step) {
    case REANCHOR_IDLE:
        /* A reply that came after the end is nobody's. */
        reanchor->rest.answered = false;
        reanchor->renew.answered = false;
        if (looked && (reanchor->asked || reanchor->forced) && !reanchor->rest.in_flight)
            reanchor_start(reanchor);
        break;
    case REANCHOR_CLAIMING:
        if (reanchor_answered(&reanchor->claim))
            reanchor_claimed(reanchor);
        break;
    case REANCHOR_FETCHING:
        if (looked && !reanchor->asked && !reanchor->forced && !reanchor->rest.in_flight)
            reanchor_finish(reanchor, false, "not wanted any more");
        else
            reanchor_fetching(reanchor);
        break;
    case REANCHOR_HANDING:
        reanchor_handed(reanchor);
        break;
    case REANCHOR_WAITING:
        reanchor_waiting(reanchor, looked);
        break;
    }
    return work;
}

void reanchor_force(struct reanchor *reanchor, const char *cause)
{
    if (reanchor->step != REANCHOR_IDLE && reanchor->step != REANCHOR_CLAIMING)
        return; /* one is under way: it serves */
    reanchor->forced = true;
    snprintf(reanchor->cause, sizeof(reanchor->cause), "%s", cause);
}

void reanchor_stop(struct reanchor *reanchor)
{
    if (reanchor->step != REANCHOR_IDLE)
        reanchor_finish(reanchor, false, "service stopped");
}

static void reanchor_measure(struct reanchor *reanchor)
{
    struct metrics *metrics = reanchor->options.metrics;
    static const char *const name = "aggregator_reanchor_operations_total";
    static const char *const help = "Re-anchors of the book, by outcome.";
    static const char *const calls = "reanchor_rest_calls_total";
    static const char *const calls_help = "Snapshots fetched from the exchange, by verdict.";
    reanchor->success = metrics_counter(metrics, name, "status=\"success\"", help);
    reanchor->failure = metrics_counter(metrics, name, "status=\"failed\"", help);
    reanchor->duration = metrics_histogram(metrics, "aggregator_reanchor_duration_seconds", NULL,
                                           "From the claim to the swap.");
    reanchor->rest_ok = metrics_counter(metrics, calls, "status=\"ok\"", calls_help);
    reanchor->rest_error = metrics_counter(metrics, calls, "status=\"error\"", calls_help);
    reanchor->weight = metrics_gauge(metrics, "reanchor_rest_used_weight", NULL,
                                     "Request weight used this minute, as the exchange says.");
}

int reanchor_open(const struct reanchor_options *options, struct reanchor **out, struct err *err)
{
    struct reanchor *reanchor = calloc(1, sizeof(*reanchor));
    if (reanchor == NULL)
        return err_set(err, ERR_MEMORY, "reanchor of %s: out of memory", options->symbol);
    reanchor->options = *options;
    reanchor->body = malloc(REANCHOR_REPLY_MAX);
    reanchor->document = malloc(REANCHOR_REPLY_MAX + 1024);
    if (reanchor->body == NULL || reanchor->document == NULL) {
        reanchor_close(reanchor);
        return err_set(err, ERR_MEMORY, "reanchor of %s: out of memory", options->symbol);
    }
    reanchor_measure(reanchor);
    *out = reanchor;
    return ERR_OK;
}

void reanchor_close(struct reanchor *reanchor)
{
    free(reanchor->body);
    free(reanchor->document);
    free(reanchor);
}

void reanchor_status(const struct reanchor *reanchor, struct reanchor_status *status)
{
    const struct anchor_claim_port *claim = &reanchor->options.claim;
    int64_t blocked_us = reanchor->blocked_until_us - reanchor->now.mono_us;
    *status = (struct reanchor_status){
        .step = reanchor->step,
        .ready = claim->ready(claim->self),
        .asked = reanchor->asked,
        .blocked_until_us = blocked_us > 0 ? reanchor->now.wall_us + blocked_us : 0,
        .finished_us = reanchor->finished_us,
        .duration_us = reanchor->duration_us,
        .succeeded = reanchor->succeeded,
        .failed = reanchor->failed,
        .tries = reanchor->tries};
    snprintf(status->cause, sizeof(status->cause), "%s", reanchor->cause);
    snprintf(status->result, sizeof(status->result), "%s", reanchor->outcome);
}

const char *reanchor_step_text(enum reanchor_step step)
{
    static const char *const texts[] = {"idle", "claiming", "fetching", "handing over",
                                        "waiting for the swap"};
    return texts[step];
}
