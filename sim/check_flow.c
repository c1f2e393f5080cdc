/* Anchors, positions, slots and streams. SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hot/state/state_checkpoint.h"
#include "sim/checks.h"
#include "sim/simulation.h"
#include "wire/envelope.h"

/* --- anchors ---------------------------------------------------------------------------- */

static void check_swap(struct checks *checks, const struct virtual_step *step)
{
    char token[STATE_TOKEN_SIZE];
    struct bytes text = step->args[1];
    snprintf(token, sizeof(token), "%.*s", (int)text.size, (const char *)text.data);
    checks->simulation->result.swaps++;
    simulation_trace(checks->simulation, "%s swaps %s in", step->process->name, token);
    if (strcmp(token, checks->claim) != 0)
        simulation_fail(checks->simulation, CHECK_ANCHOR_CLAIM, "%s swapped, %s holds the claim",
                        token, checks->claim);
    for (int i = 0; i < checks->token_count; i++)
        if (strcmp(token, checks->tokens[i]) == 0)
            simulation_fail(checks->simulation, CHECK_ANCHOR_ONCE, "%s was swapped before", token);
    if (checks->token_count < CHECK_TOKENS_MAX)
        snprintf(checks->tokens[checks->token_count++], STATE_TOKEN_SIZE, "%s", token);
}

void check_anchor_step(struct checks *checks, const struct virtual_step *step,
                       const redisReply *reply)
{
    if (step->script == NULL && reply->type == REDIS_REPLY_STATUS &&
        step->process->kind == PROCESS_REANCHOR) {
        struct bytes token = step->args[2];
        snprintf(checks->claim, sizeof(checks->claim), "%.*s", (int)token.size,
                 (const char *)token.data);
        simulation_trace(checks->simulation, "%s claims %s", step->process->name, checks->claim);
    } else if (step->script != NULL && reply->type == REDIS_REPLY_ARRAY &&
               strcmp(reply->element[0]->str, "ok") == 0) {
        check_swap(checks, step);
    }
}

void check_commit_step(struct checks *checks, const struct virtual_step *step)
{
    (void)checks;
    (void)step;
}

/* --- slots ------------------------------------------------------------------------------ */

static const struct model_stream *check_stream(struct checks *checks, int key)
{
    struct simulation *simulation = checks->simulation;
    return &model_redis_value(simulation->redis, key, simulation->queue.now_us)->stream;
}

void check_slots_appended(struct checks *checks)
{
    const struct model_stream *stream = check_stream(checks, checks->keys[STATE_PREDICTIONS]);
    if (stream->count == 0)
        return;
    const struct model_entry *newest = &stream->entries[stream->first + stream->count - 1];
    int64_t slot = (int64_t)newest->id.ms;
    if (slot <= checks->top_slot || newest->id.seq != 0)
        simulation_fail(checks->simulation, CHECK_SLOT_ONCE, "slot %lld-%llu after %lld",
                        (long long)slot, (unsigned long long)newest->id.seq,
                        (long long)checks->top_slot);
    checks->top_slot = slot;
    checks->simulation->result.predictions++;
}

void checks_served(struct checks *checks, const struct process *process,
                   const struct prediction *prediction, const struct infer_timing *timing)
{
    (void)process;
    (void)prediction;
    if (checks->first_slot == 0)
        checks->first_slot = timing->slot;
    int64_t at = timing->slot - checks->first_slot;
    if (at >= 0 && at < CHECK_SLOTS_MAX)
        checks->served[at]++;
    if (timing->slot > checks->last_slot)
        checks->last_slot = timing->slot;
}

void check_slots_end(struct checks *checks)
{
    const struct model_stream *stream = check_stream(checks, checks->keys[STATE_PREDICTIONS]);
    int64_t before = 0;
    for (int i = 0; i < stream->count; i++) {
        int64_t slot = (int64_t)stream->entries[stream->first + i].id.ms;
        if (before != 0 && slot != before + 1)
            simulation_fail(checks->simulation, CHECK_SLOT_MISSING, "slot %lld follows %lld",
                            (long long)slot, (long long)before);
        before = slot;
    }
    for (int64_t at = 0; at < checks->last_slot - checks->first_slot && at < CHECK_SLOTS_MAX; at++)
        if (checks->served[at] == 0)
            simulation_fail(checks->simulation, CHECK_SLOT_SERVED, "slot %lld was served by nobody",
                            (long long)(checks->first_slot + at));
    if (before < checks->last_slot - 1)
        simulation_fail(checks->simulation, CHECK_SLOT_MISSING,
                        "slot %lld is the last in the stream, %lld was served", (long long)before,
                        (long long)checks->last_slot);
}

/* --- streams ---------------------------------------------------------------------------- */

void checks_stamped(struct checks *checks, const struct record *record)
{
    checks->epoch = record->epoch;
    checks->seq = record->seq;
}

void check_streams_appended(struct checks *checks)
{
    (void)checks;
}

void check_streams_end(struct checks *checks)
{
    (void)checks;
}
