/* SPDX-License-Identifier: Apache-2.0 */
#include "recover/anchor/reanchor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "recover/anchor/reanchor_self.h"

static void reanchor_start(struct reanchor *reanchor)
{
    const struct anchor_claim_port *port = &reanchor->options.claim;
    if (reanchor->flag[0] != 0)
        return; /* somebody else is at it, or a flag of ours runs out */
    snprintf(reanchor->token, sizeof(reanchor->token), "%.40s-%llu", reanchor->options.owner,
             (unsigned long long)++reanchor->tokens);
    snprintf(reanchor->cause, sizeof(reanchor->cause), "%s",
             reanchor->force_wanted ? reanchor->force_cause : reanchor->ask_cause);
    if (port->claim(port->self, reanchor->token, REANCHOR_CLAIM_TTL_MS, reanchor_on_call,
                    &reanchor->claim) != ERR_OK)
        return;
    reanchor->claim.in_flight = true;
    reanchor->step = REANCHOR_CLAIMING;
    reanchor->started_us = reanchor->now.mono_us;
    reanchor->tries = 0;
    reanchor->touch = (struct anchor_touch){0};
    reanchor->chain = (struct anchor_chain){0};
}

static void reanchor_claimed(struct reanchor *reanchor)
{
    if (reanchor->claim.result != ERR_OK) {
        reanchor->step = REANCHOR_IDLE;
        return;
    }
    reanchor->forced = reanchor->force_wanted;
    reanchor->force_wanted = false;
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
    const struct rest_port *rest = &reanchor->options.rest;
    reanchor->now = now;
    int work = claim->do_work(claim->self, now.mono_us) + rest->do_work(rest->self, now.mono_us);
    reanchor_budget_do_work(reanchor);
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
        reanchor->renew.answered = false; /* one that came after the end is nobody's */
        if (looked && (reanchor->asked || reanchor->force_wanted))
            reanchor_start(reanchor);
        break;
    case REANCHOR_CLAIMING:
        if (reanchor_answered(&reanchor->claim))
            reanchor_claimed(reanchor);
        break;
    case REANCHOR_FETCHING:
        if (looked && !reanchor->asked && !reanchor->forced && !reanchor->collecting)
            reanchor_finish(reanchor, false, "not wanted any more");
        else
            reanchor_fetch_do_work(reanchor);
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
    reanchor->force_wanted = true;
    snprintf(reanchor->force_cause, sizeof(reanchor->force_cause), "%s", cause);
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
    static const char *const calls_help = "REST calls for anchors, by kind and outcome.";
    static const char *const kinds[REANCHOR_PARTS] = {"depth", "aggTrades", "klines",
                                                      "exchangeInfo"};
    reanchor->success = metrics_counter(metrics, name, "status=\"success\"", help);
    reanchor->failure = metrics_counter(metrics, name, "status=\"failed\"", help);
    reanchor->duration = metrics_histogram(metrics, "aggregator_reanchor_duration_seconds", NULL,
                                           "From the claim to the swap.");
    for (int part = 0; part < REANCHOR_PARTS; part++) {
        char labels[METRICS_LABELS_SIZE];
        snprintf(labels, sizeof(labels), "call=\"%s\",status=\"ok\"", kinds[part]);
        reanchor->rest_ok[part] = metrics_counter(metrics, calls, labels, calls_help);
        snprintf(labels, sizeof(labels), "call=\"%s\",status=\"error\"", kinds[part]);
        reanchor->rest_error[part] = metrics_counter(metrics, calls, labels, calls_help);
    }
    static const char *const refused = "reanchor_snapshots_refused_total";
    static const char *const refused_help = "Snapshots not handed over, by what was wrong.";
    reanchor->refused_old = metrics_counter(metrics, refused, "reason=\"old\"", refused_help);
    reanchor->refused_unsound =
        metrics_counter(metrics, refused, "reason=\"unsound\"", refused_help);
    reanchor->refused_far =
        metrics_counter(metrics, refused, "reason=\"implausible\"", refused_help);
    reanchor->waits = metrics_counter(metrics, "reanchor_rest_waits_total", NULL,
                                      "REST calls put off because the weight is used up.");
    reanchor->without = metrics_counter(metrics, "reanchor_documents_without_trades_total", NULL,
                                        "Snapshots handed over before their trades had come.");
    reanchor->weight = metrics_gauge(metrics, "reanchor_rest_used_weight", NULL,
                                     "Request weight used this minute, as the exchange says.");
}

static bool reanchor_take_room(struct reanchor *reanchor)
{
    static const size_t sizes[REANCHOR_PARTS] = {REANCHOR_REPLY_MAX, REANCHOR_TRADES_MAX,
                                                 REANCHOR_KLINES_MAX, REANCHOR_REPLY_MAX};
    bool good = true;
    for (int part = 0; part < REANCHOR_PARTS; part++) {
        struct reanchor_fetch *fetch = &reanchor->fetch[part];
        fetch->reanchor = reanchor;
        fetch->capacity = sizes[part];
        fetch->body = malloc(sizes[part]);
        good = good && fetch->body != NULL;
    }
    reanchor->trades = malloc(REANCHOR_TRADES_MAX);
    reanchor->document = malloc(REANCHOR_DOCUMENT_MAX);
    return good && reanchor->trades != NULL && reanchor->document != NULL;
}

int reanchor_open(const struct reanchor_options *options, struct reanchor **out, struct err *err)
{
    struct reanchor *reanchor = calloc(1, sizeof(*reanchor));
    if (reanchor == NULL)
        return err_set(err, ERR_MEMORY, "reanchor of %s: out of memory", options->symbol);
    reanchor->options = *options;
    weight_budget_init(&reanchor->budget);
    if (!reanchor_take_room(reanchor)) {
        reanchor_close(reanchor);
        return err_set(err, ERR_MEMORY, "reanchor of %s: out of memory", options->symbol);
    }
    reanchor_measure(reanchor);
    *out = reanchor;
    return ERR_OK;
}

void reanchor_close(struct reanchor *reanchor)
{
    for (int part = 0; part < REANCHOR_PARTS; part++)
        free(reanchor->fetch[part].body);
    free(reanchor->trades);
    free(reanchor->document);
    free(reanchor);
}

void reanchor_status(const struct reanchor *reanchor, struct reanchor_status *status)
{
    const struct anchor_claim_port *claim = &reanchor->options.claim;
    int64_t until_us = reanchor->budget.blocked_until_us;
    *status = (struct reanchor_status){.step = reanchor->step,
                                       .ready = claim->ready(claim->self),
                                       .asked = reanchor->asked,
                                       .blocked_until_us =
                                           until_us > reanchor->now.wall_us ? until_us : 0,
                                       .weight_used = reanchor->budget.used,
                                       .weight_limit = reanchor->budget.limit,
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
