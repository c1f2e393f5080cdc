/* What the gap detector says: the verdict, the ask, its memory, audit records.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "recover/gap/gap_detector_self.h"

#define GAP_AUDIT_PAIRS 10

static void gap_say_answer(void *context, int result)
{
    struct gap_call *call = context;
    call->in_flight = false;
    call->answered = true;
    call->result = result;
}

static bool gap_say_wants_anchor(const struct gap_detector *detector)
{
    const struct gap_hot *hot = &detector->hot;
    /* Degraded for want of data: the aggregator takes REST books by itself. Degraded
     * because anchors do not succeed: still wanted. */
    return detector->judge.state == GAP_REANCHORING ||
           (detector->judge.state == GAP_DEGRADED && hot->has_book && !hot->book_live &&
            !hot->rest_book);
}

static struct gap_verdict gap_say_verdict(const struct gap_detector *detector)
{
    struct gap_verdict verdict = {.action = GAP_ACT_NONE};
    int64_t now_ms = gap_now_ms(detector);
    snprintf(verdict.by, sizeof(verdict.by), "%s", detector->options.by);
    verdict.until_ms = now_ms + GAP_VERDICT_TTL_MS;
    if (detector->override.mode == GAP_IGNORE && now_ms < detector->override.until_ms) {
        verdict.action = GAP_ACT_IGNORE;
        verdict.until_ms = detector->override.until_ms;
        snprintf(verdict.cause, sizeof(verdict.cause), "an operator wants none");
        snprintf(verdict.by, sizeof(verdict.by), "%s", detector->override.by);
        return verdict;
    }
    if (gap_say_wants_anchor(detector))
        verdict.action = GAP_ACT_ANCHOR;
    else if (detector->judge.open_questions > 0)
        verdict.action = GAP_ACT_WAIT;
    if (verdict.action != GAP_ACT_NONE) {
        snprintf(verdict.cause, sizeof(verdict.cause), "%s",
                 verdict.action == GAP_ACT_WAIT ? "asking for the missing trades"
                                                : detector->cause);
        verdict.epoch = detector->epoch;
        verdict.seq = detector->seq;
    }
    return verdict;
}

static bool gap_say_is_same(const struct gap_verdict *a, const struct gap_verdict *b)
{
    return a->action == b->action && a->epoch == b->epoch && a->seq == b->seq &&
           strcmp(a->cause, b->cause) == 0 &&
           (a->action != GAP_ACT_IGNORE || a->until_ms == b->until_ms);
}

/* --- memory ----------------------------------------------------------------------------- */

/* Up to the oldest entry that is still in question: it is asked about again. */
static void gap_say_remember(struct gap_detector *detector)
{
    const char *open = gap_checks_oldest(&detector->checks);
    struct gap_memory memory = {.state = detector->judge.state,
                                .since_ms = detector->judge.since_ms,
                                .cooled_ms = detector->judge.cooled_ms,
                                .forced_ms = detector->forced_ms};
    if (open != NULL)
        return; /* what was remembered before still holds */
    snprintf(memory.id, sizeof(memory.id), "%s", detector->last_id);
    snprintf(memory.swapped, sizeof(memory.swapped), "%s", detector->swapped);
    memcpy(memory.hint_until_ms, detector->judge.hint_until_ms, sizeof(memory.hint_until_ms));
    struct text text = text_begin(detector->memory, sizeof(detector->memory));
    gap_json_memory(&memory, &text);
    text_end(&text);
}

void gap_say_restore(struct gap_detector *detector, struct bytes json)
{
    struct gap_memory memory;
    struct err err = {0};
    int result = gap_json_read_memory(json, &memory, &err);
    if (result == ERR_MALFORMED)
        log_warn("memory_malformed", "symbol=%s reason=\"%s\"", detector->options.symbol, err.text);
    if (result != ERR_OK)
        return;
    snprintf(detector->last_id, sizeof(detector->last_id), "%s", memory.id);
    snprintf(detector->swapped, sizeof(detector->swapped), "%s", memory.swapped);
    detector->forced_ms = memory.forced_ms;
    detector->judge.state = memory.state;
    detector->judge.since_ms = memory.since_ms;
    detector->judge.cooled_ms = memory.cooled_ms;
    memcpy(detector->judge.hint_until_ms, memory.hint_until_ms, sizeof(memory.hint_until_ms));
    snprintf(detector->cause, sizeof(detector->cause), "remembered");
    metric_set(detector->meters.state, (double)memory.state);
}

/* --- saying ------------------------------------------------------------------------------- */

static bool gap_say_send(struct gap_detector *detector, const struct gap_verdict *verdict)
{
    const struct gap_port *port = &detector->options.port;
    char json[GAP_JSON_SIZE], ask[GAP_JSON_SIZE];
    struct text verdict_text = text_begin(json, sizeof(json));
    struct text ask_text = text_begin(ask, sizeof(ask));
    struct gap_saying saying = {.ask_ttl_ms = GAP_ASK_TTL_MS,
                                .swapped = bytes_text(detector->swapped),
                                .memory = bytes_text(detector->memory)};
    if (verdict->action != GAP_ACT_NONE)
        gap_json_verdict(verdict, &verdict_text);
    if (verdict->action == GAP_ACT_ANCHOR)
        gap_json_ask(verdict, detector->recv_us, &ask_text);
    saying.verdict = bytes_of(json, verdict_text.size);
    saying.verdict_ttl_ms = verdict->until_ms - gap_now_ms(detector);
    saying.ask = bytes_of(ask, ask_text.size);
    memcpy(detector->memory_sent, detector->memory, sizeof(detector->memory_sent));
    return port->say(port->self, &saying, gap_say_answer, &detector->say) == ERR_OK;
}

static void gap_say_retry(struct gap_detector *detector)
{
    detector->say_wanted = true;
    detector->say_us = detector->now.mono_us + GAP_LOOK_US;
}

static void gap_say_said(struct gap_detector *detector)
{
    if (detector->say.result != ERR_OK) {
        gap_say_retry(detector);
        return;
    }
    memcpy(detector->memory_said, detector->memory_sent, sizeof(detector->memory_said));
    if (detector->sent_detect_us != 0)
        metric_observe_ns(detector->meters.detection,
                          (detector->now.wall_us - detector->sent_detect_us) * 1000);
    detector->sent_detect_us = 0;
}

static void gap_say_changed(struct gap_detector *detector, const struct gap_verdict *verdict)
{
    metric_add(detector->meters.verdicts[verdict->action], 1);
    detector->anchors_wanted += verdict->action == GAP_ACT_ANCHOR;
    detector->sent_detect_us = verdict->action == GAP_ACT_ANCHOR ? detector->detect_us : 0;
    detector->detect_us = 0;
    log_info("gap_verdict", "symbol=%s action=%s cause=\"%s\" epoch=%llu seq=%llu state=%s",
             detector->options.symbol, gap_action_text(verdict->action), verdict->cause,
             (unsigned long long)verdict->epoch, (unsigned long long)verdict->seq,
             gap_state_text(detector->judge.state));
    if (verdict->action == GAP_ACT_ANCHOR || verdict->action == GAP_ACT_IGNORE)
        gap_say_audit(detector, gap_action_text(verdict->action), verdict->cause, NULL);
}

static void gap_say_verdict_out(struct gap_detector *detector)
{
    struct gap_verdict verdict = gap_say_verdict(detector);
    bool changed = !gap_say_is_same(&verdict, &detector->verdict);
    bool once = detector->options.once, due = detector->now.mono_us >= detector->say_us;
    gap_say_remember(detector);
    bool news = strcmp(detector->memory, detector->memory_said) != 0 || detector->say_wanted;
    bool again = due && !once && verdict.action != GAP_ACT_NONE;
    if (detector->say.in_flight || !(changed || again || (news && (due || once))))
        return;
    if (changed)
        gap_say_changed(detector, &verdict);
    detector->say_us = detector->now.mono_us + GAP_SAY_US;
    detector->verdict = verdict;
    detector->say_wanted = false;
    detector->say.in_flight = gap_say_send(detector, &verdict);
    if (!detector->say.in_flight)
        gap_say_retry(detector);
}

/* --- audit ---------------------------------------------------------------------------------- */

void gap_say_audit(struct gap_detector *detector, const char *what, const char *cause,
                   const struct gap_event *event)
{
    if (detector->audit_tail - detector->audit_head == GAP_AUDITS_MAX) {
        detector->audit_head++;
        metric_add(detector->meters.audits_dropped, 1);
    }
    struct gap_audit *audit = &detector->audits[detector->audit_tail++ % GAP_AUDITS_MAX];
    *audit = (struct gap_audit){.epoch = event != NULL ? event->epoch : detector->epoch,
                                .seq = event != NULL ? event->seq : detector->seq,
                                .first_id = event != NULL ? event->first_trade_id : 0,
                                .last_id = event != NULL ? event->last_trade_id : 0,
                                .at_ms = gap_now_ms(detector)};
    snprintf(audit->what, sizeof(audit->what), "%s", what);
    snprintf(audit->cause, sizeof(audit->cause), "%s", cause);
    snprintf(audit->by, sizeof(audit->by), "%s", detector->options.by);
}

static void gap_say_pair(struct state_pair *pairs, int *count, struct text *text, const char *field,
                         int64_t value)
{
    size_t start = text->size;
    text_add_i64(text, value);
    pairs[(*count)++] =
        (struct state_pair){bytes_text(field), bytes_of(text->at + start, text->size - start)};
}

static bool gap_say_audit_send(struct gap_detector *detector, const struct gap_audit *audit)
{
    const struct gap_port *port = &detector->options.port;
    struct state_pair pairs[GAP_AUDIT_PAIRS];
    char bytes[160];
    struct text text = text_begin(bytes, sizeof(bytes));
    int count = 0;
    pairs[count++] =
        (struct state_pair){BYTES_LITERAL("symbol"), bytes_text(detector->options.symbol)};
    pairs[count++] = (struct state_pair){BYTES_LITERAL("what"), bytes_text(audit->what)};
    pairs[count++] = (struct state_pair){BYTES_LITERAL("cause"), bytes_text(audit->cause)};
    pairs[count++] = (struct state_pair){BYTES_LITERAL("by"), bytes_text(audit->by)};
    gap_say_pair(pairs, &count, &text, "at_ms", audit->at_ms);
    gap_say_pair(pairs, &count, &text, "epoch", (int64_t)audit->epoch);
    gap_say_pair(pairs, &count, &text, "seq", (int64_t)audit->seq);
    if (audit->last_id > 0) {
        gap_say_pair(pairs, &count, &text, "first_trade_id", audit->first_id);
        gap_say_pair(pairs, &count, &text, "last_trade_id", audit->last_id);
    }
    return port->audit(port->self, pairs, count, gap_say_answer, &detector->audit) == ERR_OK;
}

static void gap_say_audits_out(struct gap_detector *detector)
{
    if (detector->audit_head == detector->audit_tail || detector->audit.in_flight)
        return;
    const struct gap_audit *audit = &detector->audits[detector->audit_head % GAP_AUDITS_MAX];
    if (!gap_say_audit_send(detector, audit))
        return;
    detector->audit.in_flight = true;
    detector->audit_head++; /* told at most once: a lost answer is not a second record */
}

int gap_say_do_work(struct gap_detector *detector)
{
    const struct gap_port *port = &detector->options.port;
    if (gap_answered(&detector->say))
        gap_say_said(detector);
    (void)gap_answered(&detector->audit);
    if (!port->ready(port->self) || !detector->is_started)
        return 0;
    gap_say_verdict_out(detector);
    gap_say_audits_out(detector);
    return detector->say.in_flight;
}

bool gap_say_is_done(const struct gap_detector *detector)
{
    return !detector->say.in_flight && !detector->audit.in_flight && !detector->say_wanted &&
           detector->audit_head == detector->audit_tail &&
           strcmp(detector->memory, detector->memory_said) == 0;
}
