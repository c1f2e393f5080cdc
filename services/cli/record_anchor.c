/* SPDX-License-Identifier: Apache-2.0 */
#include "services/cli/record_anchor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "edge/https/https.h"
#include "hot/state/anchor_document.h"
#include "market/world.h"
#include "recover/anchor/anchor_judge.h"
#include "services/cli/ports.h"
#include "wire/decode.h"

struct record_anchor {
    struct record_anchor_options options;
    struct https *https;
    struct decode *decode;
    struct world *world;
    char *document;     /* RECORD_PAYLOAD_MAX bytes */
    struct record last; /* place of the newest record */
    bool wanted;        /* diffs come and there is no book for them */
    bool asking;
    uint64_t tries;
    struct clock_now now;
    int64_t requested_us, next_us;
    struct log_limit log;
};

static void record_anchor_complain(struct record_anchor *anchor, const char *reason)
{
    uint64_t skipped = 0;
    if (log_limit_pass(&anchor->log, anchor->now.mono_us, &skipped))
        log_warn("no_anchor", "try=%llu reason=\"%s\"", (unsigned long long)anchor->tries, reason);
}

/* Applies the document where the records stand; recorded when it joined. */
static void record_anchor_apply(struct record_anchor *anchor, struct bytes document)
{
    struct event event;
    struct err err = {0};
    struct record record = {.epoch = anchor->last.epoch,
                            .seq = anchor->last.seq,
                            .recv_us = anchor->last.recv_us,
                            .kind = RECORD_ANCHOR,
                            .payload = document};
    if (decode_record(anchor->decode, &record, &event, NULL, &err) != ERR_OK) {
        record_anchor_complain(anchor, err.text);
        return;
    }
    if ((world_apply(anchor->world, &event) & WORLD_ANCHORED) == 0) {
        record_anchor_complain(anchor, "the snapshot does not join the diffs");
        return;
    }
    anchor->wanted = false;
    anchor->options.record(anchor->options.context, &record);
    log_info("anchored", "after_seq=%llu try=%llu", (unsigned long long)record.seq,
             (unsigned long long)anchor->tries);
}

static void record_anchor_take(struct record_anchor *anchor, struct bytes depth)
{
    struct err err = {0};
    int64_t update_id;
    if (anchor_judge_depth(depth, &update_id, &err) != ERR_OK) {
        record_anchor_complain(anchor, err.text);
        return;
    }
    struct anchor_document meta = {.token = "recorder",
                                   .cause = "no book",
                                   .requested_us = anchor->requested_us,
                                   .received_us = anchor->now.wall_us,
                                   .levels = RECORD_ANCHOR_LIMIT};
    snprintf(meta.symbol, sizeof(meta.symbol), "%s", anchor->options.symbol);
    struct text text = text_begin(anchor->document, RECORD_PAYLOAD_MAX);
    anchor_document_write(&meta, depth, &text);
    if (text.truncated)
        record_anchor_complain(anchor, "the reply is too long");
    else
        record_anchor_apply(anchor, bytes_of(text_end(&text), text.size));
}

static void record_anchor_on_reply(void *context, const struct https_reply *reply)
{
    struct record_anchor *anchor = context;
    char reason[64];
    anchor->asking = false;
    anchor->now = loop_now();
    int64_t wait_us = RECORD_ANCHOR_BACKOFF_US;
    if (reply->retry_after_s * CLOCK_US_PER_S > wait_us)
        wait_us = reply->retry_after_s * CLOCK_US_PER_S;
    anchor->next_us = anchor->now.mono_us + wait_us;
    if (reply->result != ERR_OK) {
        record_anchor_complain(anchor, reply->why);
    } else if (reply->status != 200) {
        snprintf(reason, sizeof(reason), "HTTP status %d", reply->status);
        record_anchor_complain(anchor, reason);
    } else {
        record_anchor_take(anchor, reply->body);
    }
}

static void record_anchor_ask(struct record_anchor *anchor)
{
    char url[RECORD_ANCHOR_URL_SIZE + 128];
    snprintf(url, sizeof(url), "%s/api/v3/depth?symbol=%s&limit=%d", anchor->options.rest_url,
             anchor->options.symbol, RECORD_ANCHOR_LIMIT);
    struct https_request request = {
        .method = "GET", .url = url, .timeout_us = RECORD_ANCHOR_TIMEOUT_US};
    anchor->tries++;
    anchor->requested_us = anchor->now.wall_us;
    anchor->next_us = anchor->now.mono_us + RECORD_ANCHOR_BACKOFF_US;
    anchor->asking = https_send(anchor->https, &request, record_anchor_on_reply, anchor) == ERR_OK;
}

void record_anchor_url(const char *exchange, int port_offset, char *out)
{
    static const char *const known[][2] = {{"binance", "https://api.binance.com"},
                                           {"binance-public", "https://data-api.binance.vision"}};
    out[0] = '\0';
    if (strcmp(exchange, "sim") == 0)
        snprintf(out, RECORD_ANCHOR_URL_SIZE, "http://127.0.0.1:%d",
                 PORT_EXCHANGE_SIM + port_offset);
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (strcmp(exchange, known[i][0]) == 0)
            snprintf(out, RECORD_ANCHOR_URL_SIZE, "%s", known[i][1]);
}

int record_anchor_open(const struct record_anchor_options *options, struct loop *loop,
                       struct record_anchor **out, struct err *err)
{
    struct https_options https = {.ca_file = options->ca_file[0] != '\0' ? options->ca_file : NULL,
                                  .user_agent = "btcast"};
    struct world_options world = {0};
    struct record_anchor *anchor = calloc(1, sizeof(*anchor));
    if (anchor == NULL)
        return err_set(err, ERR_MEMORY, "recorder");
    anchor->options = *options;
    anchor->log = LOG_LIMIT_DEFAULT;
    snprintf(world.symbol, sizeof(world.symbol), "%s", options->symbol);
    anchor->document = malloc(RECORD_PAYLOAD_MAX);
    int result = anchor->document == NULL ? err_set(err, ERR_MEMORY, "recorder") : ERR_OK;
    if (result == ERR_OK)
        result = world_open(&world, &anchor->world, err);
    if (result == ERR_OK)
        result = decode_open(options->symbol, &anchor->decode, err);
    if (result == ERR_OK)
        result = https_open(&https, loop, &anchor->https, err);
    if (result != ERR_OK) {
        record_anchor_close(anchor);
        return result;
    }
    *out = anchor;
    return ERR_OK;
}

void record_anchor_close(struct record_anchor *anchor)
{
    if (anchor == NULL)
        return;
    if (anchor->https != NULL)
        https_close(anchor->https);
    if (anchor->decode != NULL)
        decode_close(anchor->decode);
    if (anchor->world != NULL)
        world_close(anchor->world);
    free(anchor->document);
    free(anchor);
}

void record_anchor_follow(struct record_anchor *anchor, const struct record *record)
{
    struct event event;
    anchor->last = *record;
    anchor->last.payload = (struct bytes){NULL, 0};
    if (decode_record(anchor->decode, record, &event, NULL, NULL) != ERR_OK)
        return;
    uint64_t buffered = world_counters(anchor->world)->diffs_buffered;
    world_apply(anchor->world, &event);
    if (world_counters(anchor->world)->diffs_buffered != buffered)
        anchor->wanted = true;
}

void record_anchor_do_work(struct record_anchor *anchor, struct clock_now now)
{
    anchor->now = now;
    https_do_work(anchor->https, now.mono_us);
    if (anchor->wanted && !anchor->asking && now.mono_us >= anchor->next_us)
        record_anchor_ask(anchor);
}
