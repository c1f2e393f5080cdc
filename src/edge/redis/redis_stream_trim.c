/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/redis/redis_stream_trim.h"

#include <stdio.h>

#include "base/log.h"
#include "edge/redis/redis_stream_script.h"
#include "hot/state/state_checkpoint.h"

/* Entries one run removes at most: a pause of the server of about 2 ms. */
#define REDIS_TRIM_ENTRIES_MAX 20000

void redis_trim_init(struct redis_trim *trim, const struct redis_trim_options *options,
                     struct redis_link *link)
{
    *trim = (struct redis_trim){.link = link, .options = *options};
    trim->script = (struct redis_script){.name = "trim", .source = redis_stream_script_trim};
    if (options->metrics == NULL)
        return;
    trim->metric_trimmed = metrics_counter(options->metrics, "stream_trimmed_total", NULL,
                                           "Stream entries removed, read or over the length.");
    trim->metric_unread =
        metrics_counter(options->metrics, "stream_capped_unread_total", NULL,
                        "Entries the length limit removed before a registered consumer read them.");
}

static void redis_trim_count(struct redis_trim *trim, const redisReply *reply)
{
    uint64_t read = (uint64_t)reply->element[0]->integer;
    uint64_t capped = (uint64_t)reply->element[1]->integer;
    bool crossed = reply->element[2]->integer != 0;
    trim->stats.trimmed += read;
    trim->stats.capped += capped;
    trim->stats.capped_unread += crossed ? capped : 0;
    trim->stats.consumers_expired += (uint64_t)reply->element[3]->integer;
    if (trim->metric_trimmed != NULL) {
        metric_add(trim->metric_trimmed, read + capped);
        metric_add(trim->metric_unread, crossed ? capped : 0);
    }
    if (crossed)
        log_warn("stream_capped_unread", "symbol=%s entries=%llu length_max=%lld",
                 trim->options.symbol, (unsigned long long)capped,
                 (long long)trim->options.length_max);
}

static void redis_trim_answer(void *context, int result, const redisReply *reply)
{
    struct redis_trim *trim = context;
    trim->busy = false;
    if (result != ERR_OK)
        return;
    if (reply->type == REDIS_REPLY_ARRAY && reply->elements == 4) {
        redis_trim_count(trim, reply);
        return;
    }
    trim->stats.failed++;
    log_warn("stream_trim_failed", "symbol=%s reason=\"%s\"", trim->options.symbol,
             reply->type == REDIS_REPLY_ERROR ? reply->str : "unexpected reply");
}

static void redis_trim_send(struct redis_trim *trim, enum stream_name name)
{
    const struct redis_trim_options *options = &trim->options;
    char stream[STREAM_KEY_SIZE], consumers[STREAM_KEY_SIZE];
    char checkpoint[STATE_KEY_SIZE];
    char expiry[24], length[24], entries[24], settle[24], first[24], last[24];
    const size_t at = STATE_CHECKPOINT_POSITION_AT(name);
    snprintf(expiry, sizeof(expiry), "%lld", (long long)options->consumer_expiry_s * 1000);
    snprintf(length, sizeof(length), "%lld", (long long)options->length_max);
    snprintf(entries, sizeof(entries), "%d", REDIS_TRIM_ENTRIES_MAX);
    snprintf(settle, sizeof(settle), "%lld", (long long)options->settle_ms);
    snprintf(first, sizeof(first), "%zu", at);
    snprintf(last, sizeof(last), "%zu", at + STREAM_POSITION_SIZE - 1);
    struct bytes keys[3] = {
        bytes_text(stream_key(name, options->style, options->symbol, stream)),
        bytes_text(stream_key_consumers(name, options->style, options->symbol, consumers)),
        bytes_text(state_key(STATE_CHECKPOINT, (enum state_key_style)options->style,
                             options->symbol, checkpoint))};
    struct bytes args[6] = {bytes_text(expiry), bytes_text(length), bytes_text(entries),
                            bytes_text(settle), bytes_text(first),  bytes_text(last)};
    trim->busy = redis_link_eval(trim->link, &trim->script, keys, options->checkpoint ? 3 : 2, args,
                                 6, redis_trim_answer, trim) == ERR_OK;
}

void redis_trim_do_work(struct redis_trim *trim, int64_t mono_us)
{
    if (trim->busy || mono_us < trim->due_us || !redis_link_connected(trim->link))
        return;
    trim->due_us = mono_us + trim->options.interval_us / STREAM_COUNT;
    enum stream_name name = (enum stream_name)trim->next;
    trim->next = (trim->next + 1) % STREAM_COUNT;
    if ((trim->mask & 1u << name) != 0)
        redis_trim_send(trim, name);
}
