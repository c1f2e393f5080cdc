/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/redis/redis_predictions.h"

#include <stdio.h>
#include <string.h>

/* Slots of the next thousand years. */
#define REDIS_PREDICTIONS_SLOT_MAX 18000000000LL

/* "<slot>-0" */
static bool redis_predictions_slot(const redisReply *id, int64_t *slot)
{
    int64_t value = 0;
    size_t at = 0;
    if (id->type != REDIS_REPLY_STRING)
        return false;
    size_t size = (size_t)id->len;
    for (; at < size && at < 11 && id->str[at] >= '0' && id->str[at] <= '9'; at++)
        value = value * 10 + (id->str[at] - '0');
    *slot = value;
    return at > 0 && size == at + 2 && memcmp(id->str + at, "-0", 2) == 0 &&
           value <= REDIS_PREDICTIONS_SLOT_MAX;
}

static bool redis_predictions_entry(const struct redis_predictions_call *call,
                                    const redisReply *entry)
{
    struct prediction_pair pairs[PREDICTION_SOURCE_PAIRS_MAX];
    int64_t slot;
    if (entry->type != REDIS_REPLY_ARRAY || entry->elements != 2 ||
        !redis_predictions_slot(entry->element[0], &slot) ||
        entry->element[1]->type != REDIS_REPLY_ARRAY)
        return false;
    const redisReply *fields = entry->element[1];
    int count = (int)(fields->elements / 2);
    if (count > PREDICTION_SOURCE_PAIRS_MAX)
        return false;
    for (int i = 0; i < count; i++) {
        const redisReply *name = fields->element[2 * i];
        const redisReply *value = fields->element[2 * i + 1];
        if (name->type != REDIS_REPLY_STRING || value->type != REDIS_REPLY_STRING)
            return false;
        pairs[i] = (struct prediction_pair){bytes_of(name->str, (size_t)name->len),
                                            bytes_of(value->str, (size_t)value->len)};
    }
    call->entry(call->context, slot, pairs, count);
    return true;
}

static int redis_predictions_code(int result, const redisReply *reply)
{
    if (result == ERR_OK && (reply == NULL || reply->type == REDIS_REPLY_ERROR))
        return ERR_REFUSED;
    return result;
}

static void redis_predictions_on_entries(void *context, int result, const redisReply *reply)
{
    struct redis_predictions *self = context;
    struct redis_predictions_call call = self->entries;
    uint64_t malformed = 0;
    result = redis_predictions_code(result, reply);
    for (size_t i = 0; result == ERR_OK && reply->type == REDIS_REPLY_ARRAY && i < reply->elements;
         i++)
        malformed += !redis_predictions_entry(&call, reply->element[i]);
    self->entries.used = false;
    call.done(call.context, result, malformed);
}

static void redis_predictions_on_mids(void *context, int result, const redisReply *reply)
{
    struct redis_predictions *self = context;
    struct redis_predictions_call call = self->mids;
    result = redis_predictions_code(result, reply);
    if (result == ERR_OK)
        call.mids(call.context, reply->type == REDIS_REPLY_STRING
                                    ? bytes_of(reply->str, (size_t)reply->len)
                                    : bytes_of("", 0));
    self->mids.used = false;
    call.done(call.context, result, 0);
}

static int redis_predictions_entries(void *context, int64_t after_slot, int limit,
                                     prediction_entry_fn entry, prediction_done_fn done,
                                     void *owner)
{
    struct redis_predictions *self = context;
    char from[32], count[16];
    if (self->entries.used)
        return ERR_AGAIN;
    snprintf(from, sizeof(from), "(%lld-0", (long long)after_slot);
    snprintf(count, sizeof(count), "%d", limit);
    struct bytes argv[] = {BYTES_LITERAL("XRANGE"), bytes_text(self->stream), bytes_text(from),
                           BYTES_LITERAL("+"),      BYTES_LITERAL("COUNT"),   bytes_text(count)};
    int result = redis_link_send(self->link, argv, 6, redis_predictions_on_entries, self);
    if (result == ERR_OK)
        self->entries = (struct redis_predictions_call){
            .used = true, .entry = entry, .done = done, .context = owner};
    return result;
}

static int redis_predictions_mids(void *context, prediction_mids_fn mids, prediction_done_fn done,
                                  void *owner)
{
    struct redis_predictions *self = context;
    if (self->mids.used)
        return ERR_AGAIN;
    struct bytes argv[] = {BYTES_LITERAL("HGET"), bytes_text(self->features),
                           bytes_text(STATE_FIELD_SLOT_MIDS)};
    int result = redis_link_send(self->link, argv, 3, redis_predictions_on_mids, self);
    if (result == ERR_OK)
        self->mids = (struct redis_predictions_call){
            .used = true, .mids = mids, .done = done, .context = owner};
    return result;
}

static int redis_predictions_do_work(void *context, int64_t mono_us)
{
    (void)context;
    (void)mono_us; /* the link's owner drives it */
    return 0;
}

void redis_predictions_init(struct redis_predictions *self, struct redis_link *link,
                            enum state_key stream, enum state_key_style style, const char *symbol)
{
    memset(self, 0, sizeof(*self));
    self->link = link;
    state_key(stream, style, symbol, self->stream);
    state_key(STATE_FEAT, style, symbol, self->features);
    self->source = (struct prediction_source){.self = self,
                                              .entries = redis_predictions_entries,
                                              .mids = redis_predictions_mids,
                                              .do_work = redis_predictions_do_work};
}
