/* One anchor at a time, and what a writer may register. SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hot/state/aggregator.h"
#include "hot/state/state_checkpoint.h"
#include "sim/agents.h"
#include "sim/checks.h"
#include "sim/simulation.h"

void check_claim(struct checks *checks, const struct virtual_step *step)
{
    struct bytes token = step->args[2];
    snprintf(checks->claim, sizeof(checks->claim), "%.*s", (int)token.size,
             (const char *)token.data);
    simulation_trace(checks->simulation, "%s has claimed %s", step->process->name, checks->claim);
}

void check_swap(struct checks *checks, const struct virtual_step *step)
{
    char token[STATE_TOKEN_SIZE];
    struct bytes text = step->args[1];
    snprintf(token, sizeof(token), "%.*s", (int)text.size, (const char *)text.data);
    checks->simulation->result.swaps++;
    (void)check_number(checks, STATE_OB, STATE_FIELD_TS_US, &checks->anchor_ts_us);
    simulation_trace(checks->simulation, "%s has swapped %s in", step->process->name, token);
    if (strcmp(token, checks->claim) != 0)
        simulation_fail(checks->simulation, CHECK_ANCHOR_CLAIM, "%s swapped, %s holds the claim",
                        token, checks->claim);
    for (int i = 0; i < checks->token_count; i++)
        if (strcmp(token, checks->tokens[i]) == 0)
            simulation_fail(checks->simulation, CHECK_ANCHOR_ONCE, "%s was swapped before", token);
    if (checks->token_count < CHECK_TOKENS_MAX)
        memcpy(checks->tokens[checks->token_count++], token, sizeof(token));
}

void check_anchor_relearn(struct checks *checks)
{
    checks->token_count = 0;
    for (int i = 0; i < STREAM_COUNT; i++)
        checks->trimmed[i] = (struct model_id){0, 0};
}

/* Never past what the stored checkpoint begins with, and without one nothing goes. */
void check_trim(struct checks *checks)
{
    const struct model_value *saved = check_value(checks, checks->keys[STATE_CHECKPOINT]);
    for (int i = 0; i < STREAM_COUNT; i++) {
        const char *text = "";
        if (saved->type == MODEL_STRING)
            text = (const char *)saved->data->data + STATE_CHECKPOINT_POSITION_AT(i);
        struct model_id trimmed = check_value(checks, checks->streams[i])->stream.trimmed;
        struct model_id stored = {0, 0}, before = checks->trimmed[i];
        checks->trimmed[i] = trimmed;
        if (model_id_compare(trimmed, before) == 0 ||
            (text[0] != '\0' && !model_id_parse(bytes_text(text), &stored)))
            continue;
        if (model_id_compare(trimmed, stored) > 0)
            simulation_fail(checks->simulation, CHECK_POSITION_DURABLE,
                            "%s is trimmed up to %llu-%llu, the checkpoint is at %s",
                            stream_name_text((enum stream_name)i), (unsigned long long)trimmed.ms,
                            (unsigned long long)trimmed.seq, text);
    }
}

static const struct aggregator *check_aggregator(struct checks *checks, int index)
{
    struct process *process = simulation_process(checks->simulation, PROCESS_AGGREGATOR, index);
    return process_is_up(process) ? agent_aggregator_of(process->agent) : NULL;
}

void check_worlds(struct checks *checks)
{
    const struct aggregator *both[2] = {check_aggregator(checks, 0), check_aggregator(checks, 1)};
    struct aggregator_status status[2];
    size_t size[2] = {0, 0};
    struct err err = {0};
    uint8_t *bytes[2];
    if (both[0] == NULL || both[1] == NULL)
        return;
    for (int i = 0; i < 2; i++)
        aggregator_status(both[i], &status[i]);
    if (status[0].epoch != status[1].epoch || status[0].seq != status[1].seq)
        return;
    for (int i = 0; i < 2; i++) {
        size_t room = world_save_size_max(aggregator_world(both[i]));
        bytes[i] = malloc(room);
        if (world_save(aggregator_world(both[i]), bytes[i], room, &size[i], &err) != ERR_OK)
            size[i] = 0;
    }
    if (size[0] != size[1] || memcmp(bytes[0], bytes[1], size[0]) != 0)
        simulation_fail(checks->simulation, CHECK_WORLD_SAME,
                        "at (%llu, %llu) their worlds of %zu and %zu bytes differ",
                        (unsigned long long)status[0].epoch, (unsigned long long)status[0].seq,
                        size[0], size[1]);
    free(bytes[0]);
    free(bytes[1]);
}
