/* What the re-anchor agent sees in the store, and how one re-anchor ends.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "recover/anchor/reanchor_self.h"
#include "wire/json_scan.h"

#define REANCHOR_AUDIT_PAIRS 12

void reanchor_on_call(void *context, const struct anchor_reply *reply)
{
    struct reanchor_call *call = context;
    call->in_flight = false;
    call->answered = true;
    call->result = reply->result;
}

bool reanchor_answered(struct reanchor_call *call)
{
    bool answered = call->answered;
    call->answered = false;
    return answered;
}

/* The aggregator's and gap-detector's: cause, and what the snapshot should be like. */
static void reanchor_read_ask(struct reanchor *reanchor, struct bytes ask)
{
    struct json_scan scan = json_scan_begin(ask);
    struct bytes key;
    struct bytes cause = {NULL, 0};
    int64_t min_id = 0, levels = 0;
    if (json_scan_object(&scan))
        while (json_scan_member(&scan, &key)) {
            if (JSON_SCAN_IS(key, "cause"))
                (void)json_scan_string(&scan, &cause);
            else if (JSON_SCAN_IS(key, "min_id"))
                (void)json_scan_i64(&scan, &min_id);
            else if (JSON_SCAN_IS(key, "levels"))
                (void)json_scan_i64(&scan, &levels);
            else
                (void)json_scan_skip(&scan, NULL);
        }
    if (!json_scan_finish(&scan) || cause.size == 0) {
        cause = bytes_text("unreadable ask");
        min_id = levels = 0;
    }
    reanchor->ask_min_id = min_id;
    reanchor->ask_levels = levels > 0 && levels <= REANCHOR_DEPTH_MAX ? (int)levels : 0;
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
    if (!reanchor->asked)
        reanchor->ask_min_id = reanchor->ask_levels = 0;
    if (reanchor->asked)
        reanchor_read_ask(reanchor, look->ask);
    reanchor->has_document = look->has_document;
    snprintf(reanchor->flag, sizeof(reanchor->flag), "%s", look->flag);
    snprintf(reanchor->swapped, sizeof(reanchor->swapped), "%s", look->swapped);
}

/* True when a fresh look came. */
bool reanchor_look(struct reanchor *reanchor)
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

struct reanchor_audit {
    struct text text;
    struct state_pair pairs[REANCHOR_AUDIT_PAIRS];
    int count;
    char bytes[256];
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
    reanchor_audit_i64(&audit, "last_update_id", reanchor->touch.last_update_id);
    reanchor_audit_i64(&audit, "agg_trades", reanchor->chain.count);
    reanchor_audit_i64(&audit, "duration_ms", reanchor->duration_us / 1000);
    reanchor_audit_i64(&audit, "finished_us", reanchor->finished_us);
    if (port->audit(port->self, audit.pairs, audit.count, reanchor_on_call, &reanchor->audit) ==
        ERR_OK)
        reanchor->audit.in_flight = true;
}

void reanchor_finish(struct reanchor *reanchor, bool success, const char *outcome)
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
    reanchor_fetch_abandon(reanchor);
    reanchor->step = REANCHOR_IDLE;
    reanchor->forced = false;
    reanchor->asked = false; /* as far as the next look says otherwise */
    if (success)
        reanchor->fetch_us = 0;
}
