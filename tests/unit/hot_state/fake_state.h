/* What the aggregator's tests run on: a store, streams and an exchange in memory, all on
 * the test's own clock. The store keeps the rules of hot/state/state_port.h; that the real
 * one keeps them too is what tests/integration/test_redis_state.c shows.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_TESTS_FAKE_STATE_H
#define BTCAST_TESTS_FAKE_STATE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "base/prng.h"
#include "base/text.h"
#include "hot/state/aggregator.h"
#include "hot/state/anchor_document.h"
#include "hot/state/state_checkpoint.h"
#include "hot/state/state_parse.h"
#include "wire/envelope.h"
#include "wire/sbe.h"

#define FAKE_SYMBOL "BTCUSDT"

/* ---- the store ---------------------------------------------------------------- */

#define FAKE_ANSWERS_MAX 64

struct fake_answer {
    state_done_fn done;
    void *context;
    int result;
    uint64_t epoch;
    char text[STATE_TOKEN_SIZE];
    uint8_t *data;
    size_t data_size;
    bool is_look;
};

struct fake_store {
    int64_t mono_us;
    uint64_t fence;
    char lease[STATE_OWNER_SIZE];
    int64_t lease_until_us;
    struct state_image live, staged;
    bool has_live, has_staged;
    uint8_t *checkpoint;
    size_t checkpoint_size;
    bool foreign; /* checkpoints are of another version of the program */
    char flag[STATE_TOKEN_SIZE];
    uint8_t *document;
    size_t document_size;
    int asks, flushes, loads, refusals, swaps, reports, fenced;
    uint64_t flush_writer; /* fence of the writer whose state is live */
    char ask[512];
    int swap_result; /* not ERR_OK: the next swap answers so */
    char verdict[256];
    int verifications, verify_failures; /* so many more find something wrong */
};

/* A client of the store: what is under way is answered in order when it is let through. */
struct fake_client {
    struct fake_store *store;
    struct fake_answer answers[FAKE_ANSWERS_MAX];
    int count;
    bool held;         /* nothing is answered */
    bool disconnected; /* nothing is taken */
};

static inline int fake_answer(struct fake_client *client, state_done_fn done, void *context,
                              int result, uint64_t epoch, const char *text, struct bytes data)
{
    struct fake_answer *answer = &client->answers[client->count];
    if (client->disconnected || client->count == FAKE_ANSWERS_MAX)
        return ERR_CONNECTION;
    client->count++;
    *answer =
        (struct fake_answer){.done = done, .context = context, .result = result, .epoch = epoch};
    snprintf(answer->text, sizeof(answer->text), "%s", text);
    if (data.size > 0) {
        answer->data = malloc(data.size);
        memcpy(answer->data, data.data, data.size);
        answer->data_size = data.size;
    }
    return ERR_OK;
}

static inline int fake_plain(struct fake_client *client, state_done_fn done, void *context,
                             int result, uint64_t epoch, const char *text)
{
    return fake_answer(client, done, context, result, epoch, text, (struct bytes){NULL, 0});
}

static inline bool fake_ready(void *self)
{
    return !((struct fake_client *)self)->disconnected;
}

/* True when the fence refuses; else it has the epoch. */
static inline bool fake_fenced(struct fake_store *store, uint64_t epoch)
{
    if (epoch < store->fence) {
        store->fenced++;
        return true;
    }
    store->fence = epoch;
    return false;
}

static inline const char *fake_holder(const struct fake_store *store)
{
    return store->mono_us < store->lease_until_us ? store->lease : "";
}

static inline void fake_hold(struct fake_store *store, const struct state_lease *lease)
{
    snprintf(store->lease, sizeof(store->lease), "%s", lease->owner);
    store->lease_until_us = store->mono_us + lease->ttl_ms * 1000;
}

static inline int fake_lease_take(void *self, const struct state_lease *lease, int64_t wall_ms,
                                  state_done_fn done, void *context)
{
    struct fake_client *client = self;
    struct fake_store *store = client->store;
    const char *holder = fake_holder(store);
    if (client->disconnected)
        return ERR_CONNECTION;
    bool kin = lease->kin[0] != 0 && strncmp(holder, lease->kin, strlen(lease->kin)) == 0;
    if (holder[0] != 0 && strcmp(holder, lease->owner) != 0 && !kin)
        return fake_plain(client, done, context, ERR_REFUSED, 0, holder);
    store->fence = store->fence + 1 > (uint64_t)wall_ms ? store->fence + 1 : (uint64_t)wall_ms;
    fake_hold(store, lease);
    return fake_plain(client, done, context, ERR_OK, store->fence, "");
}

static inline int fake_lease_renew(void *self, const struct state_lease *lease, uint64_t epoch,
                                   state_done_fn done, void *context)
{
    struct fake_client *client = self;
    struct fake_store *store = client->store;
    const char *holder = fake_holder(store);
    if (client->disconnected)
        return ERR_CONNECTION;
    if (epoch < store->fence)
        return fake_plain(client, done, context, ERR_FENCED, store->fence, "");
    if (holder[0] != 0 && strcmp(holder, lease->owner) != 0)
        return fake_plain(client, done, context, ERR_REFUSED, 0, holder);
    store->fence = epoch;
    fake_hold(store, lease);
    return fake_plain(client, done, context, ERR_OK, epoch, "");
}

static inline int fake_lease_release(void *self, const struct state_lease *lease,
                                     state_done_fn done, void *context)
{
    struct fake_client *client = self;
    if (strcmp(fake_holder(client->store), lease->owner) == 0)
        client->store->lease_until_us = 0;
    return fake_plain(client, done, context, ERR_OK, 0, "");
}

static inline void fake_keep_image(struct state_image *to, const struct state_image *from)
{
    *to = *from;
    for (int hash = 0; hash < STATE_HASH_COUNT; hash++)
        for (int i = 0; i < from->count[hash]; i++) {
            const uint8_t *at = from->pairs[hash][i].value.data;
            const uint8_t *base = (const uint8_t *)from->bytes;
            if (at >= base && at < base + sizeof(from->bytes))
                to->pairs[hash][i].value.data = (const uint8_t *)to->bytes + (at - base);
        }
}

/* The world's version (behind its magic) is another one; both checksums are right. */
static inline void fake_make_foreign(uint8_t *data, size_t size)
{
    uint8_t *world = data + STATE_CHECKPOINT_OVERHEAD;
    size_t world_size = size - STATE_CHECKPOINT_OVERHEAD - 4;
    world[8] ^= 1;
    bytes_store_u32(world + world_size, crc32c(0, world, world_size));
    bytes_store_u32(data + 8, crc32c(0, data + 12, size - 12));
}

static inline int fake_flush(void *self, uint64_t epoch, const struct state_image *image,
                             struct bytes checkpoint, state_done_fn done, void *context)
{
    struct fake_client *client = self;
    struct fake_store *store = client->store;
    if (client->disconnected)
        return ERR_CONNECTION;
    if (fake_fenced(store, epoch))
        return fake_plain(client, done, context, ERR_FENCED, store->fence, "");
    fake_keep_image(&store->live, image);
    store->has_live = true;
    store->flush_writer = epoch;
    store->flushes++;
    if (checkpoint.size > 0) {
        free(store->checkpoint);
        store->checkpoint = malloc(checkpoint.size);
        memcpy(store->checkpoint, checkpoint.data, checkpoint.size);
        store->checkpoint_size = checkpoint.size;
        if (store->foreign)
            fake_make_foreign(store->checkpoint, store->checkpoint_size);
    }
    return fake_plain(client, done, context, ERR_OK, epoch, "");
}

static inline int fake_load(void *self, state_done_fn done, void *context)
{
    struct fake_client *client = self;
    struct fake_store *store = client->store;
    store->loads++;
    return fake_answer(client, done, context, store->checkpoint_size > 0 ? ERR_OK : ERR_EMPTY, 0,
                       "", bytes_of(store->checkpoint, store->checkpoint_size));
}

static inline int fake_ask(void *self, uint64_t epoch, struct bytes json, int64_t ttl_ms,
                           state_done_fn done, void *context)
{
    struct fake_client *client = self;
    struct fake_store *store = client->store;
    (void)ttl_ms;
    if (epoch < store->fence)
        return fake_plain(client, done, context, ERR_FENCED, store->fence, "");
    store->asks++;
    snprintf(store->ask, sizeof(store->ask), "%.*s", (int)json.size, (const char *)json.data);
    return fake_plain(client, done, context, ERR_OK, store->fence, "");
}

static inline int fake_look(void *self, state_done_fn done, void *context)
{
    struct fake_client *client = self;
    struct fake_store *store = client->store;
    int result = fake_answer(client, done, context, store->document_size == 0 ? ERR_EMPTY : ERR_OK,
                             0, store->document_size == 0 ? "" : store->flag,
                             bytes_of(store->document, store->document_size));
    if (result == ERR_OK)
        client->answers[client->count - 1].is_look = true;
    return result;
}

static inline int fake_verify(void *self, uint64_t epoch, const struct state_image *image,
                              state_done_fn done, void *context)
{
    struct fake_client *client = self;
    struct fake_store *store = client->store;
    store->verifications++;
    if (epoch < store->fence)
        return fake_plain(client, done, context, ERR_FENCED, store->fence, "");
    bool wrong = !store->has_live || store->live.epoch != image->epoch ||
                 store->live.seq != image->seq || store->verify_failures > 0;
    store->verify_failures -= store->verify_failures > 0;
    return fake_plain(client, done, context, wrong ? ERR_MALFORMED : ERR_OK, 0,
                      wrong ? "not what was written" : "");
}

static inline int fake_refuse(void *self, const char *token, state_done_fn done, void *context)
{
    struct fake_client *client = self;
    struct fake_store *store = client->store;
    (void)token;
    store->refusals++;
    store->document_size = 0;
    return fake_plain(client, done, context, ERR_OK, 0, "");
}

static inline int fake_stage(void *self, uint64_t epoch, const struct state_image *image,
                             state_done_fn done, void *context)
{
    struct fake_client *client = self;
    struct fake_store *store = client->store;
    if (fake_fenced(store, epoch))
        return fake_plain(client, done, context, ERR_FENCED, store->fence, "");
    fake_keep_image(&store->staged, image);
    store->has_staged = true;
    return fake_plain(client, done, context, ERR_OK, epoch, "");
}

static inline int fake_swap(void *self, uint64_t epoch, const char *token, int64_t wall_ms,
                            state_done_fn done, void *context)
{
    struct fake_client *client = self;
    struct fake_store *store = client->store;
    (void)wall_ms;
    if (store->swap_result != ERR_OK) {
        int result = store->swap_result;
        store->swap_result = ERR_OK;
        return fake_plain(client, done, context, result, 0, "as the test wants it");
    }
    if (!store->has_staged)
        return fake_plain(client, done, context, ERR_NOT_FOUND, 0, "ob:new");
    if (strcmp(store->flag, token) != 0)
        return fake_plain(client, done, context, ERR_REFUSED, 0, store->flag);
    if (fake_fenced(store, epoch))
        return fake_plain(client, done, context, ERR_FENCED, store->fence, "");
    fake_keep_image(&store->live, &store->staged);
    store->has_live = true;
    store->has_staged = false;
    store->fence = epoch + 1;
    store->flag[0] = 0;
    store->document_size = 0;
    store->swaps++;
    return fake_plain(client, done, context, ERR_OK, epoch + 1, "");
}

static inline int fake_report(void *self, const struct state_pair *pairs, int count,
                              state_done_fn done, void *context)
{
    struct fake_client *client = self;
    (void)pairs;
    (void)count;
    client->store->reports++;
    return fake_plain(client, done, context, ERR_OK, 0, "");
}

static inline int fake_client_work(void *self, int64_t mono_us)
{
    struct fake_client *client = self;
    struct fake_answer answers[FAKE_ANSWERS_MAX];
    int count = client->count;
    (void)mono_us;
    if (client->held || count == 0)
        return 0;
    memcpy(answers, client->answers, sizeof(answers));
    client->count = 0;
    for (int i = 0; i < count; i++) {
        struct state_reply reply = {.result = answers[i].result,
                                    .epoch = answers[i].epoch,
                                    .data = bytes_of(answers[i].data, answers[i].data_size),
                                    .text = answers[i].text};
        if (answers[i].is_look)
            reply.verdict = bytes_text(client->store->verdict);
        answers[i].done(answers[i].context, &reply);
        free(answers[i].data);
    }
    return count;
}

/* The connection breaks: what is under way is answered with ERR_CONNECTION. */
static inline void fake_client_break(struct fake_client *client)
{
    client->disconnected = true;
    for (int i = 0; i < client->count; i++) {
        client->answers[i].result = ERR_CONNECTION;
        client->answers[i].data_size = 0;
    }
    client->held = false;
}

static inline struct state_port fake_client_port(struct fake_client *client)
{
    return (struct state_port){.self = client,
                               .ready = fake_ready,
                               .lease_take = fake_lease_take,
                               .lease_renew = fake_lease_renew,
                               .lease_release = fake_lease_release,
                               .flush = fake_flush,
                               .load = fake_load,
                               .anchor_ask = fake_ask,
                               .anchor_look = fake_look,
                               .anchor_refuse = fake_refuse,
                               .anchor_stage = fake_stage,
                               .anchor_swap = fake_swap,
                               .anchor_verify = fake_verify,
                               .gap_report = fake_report,
                               .do_work = fake_client_work};
}

/* ---- the streams -------------------------------------------------------------- */

#define FAKE_ENTRIES_MAX 16384

struct fake_entry {
    uint64_t epoch, last_seq;
    uint8_t *data;
    size_t size;
};

struct fake_streams {
    struct fake_entry *entries[STREAM_COUNT];
    int count[STREAM_COUNT];
    int gone[STREAM_COUNT]; /* of these, the first ones: lost with the store */
    uint64_t tickets;
};

static inline void fake_streams_open(struct fake_streams *streams)
{
    memset(streams, 0, sizeof(*streams));
    for (int i = 0; i < STREAM_COUNT; i++)
        streams->entries[i] = calloc(FAKE_ENTRIES_MAX, sizeof(struct fake_entry));
}

static inline void fake_streams_close(struct fake_streams *streams)
{
    for (int i = 0; i < STREAM_COUNT; i++) {
        for (int j = 0; j < streams->count[i]; j++)
            free(streams->entries[i][j].data);
        free(streams->entries[i]);
    }
}

static inline void fake_streams_add(struct fake_streams *streams,
                                    const struct stream_record *record)
{
    if (streams->count[record->stream] == FAKE_ENTRIES_MAX)
        abort();
    struct fake_entry *entry = &streams->entries[record->stream][streams->count[record->stream]++];
    entry->epoch = record->epoch;
    entry->last_seq = record->last_seq;
    entry->size = record->data.size;
    entry->data = malloc(entry->size);
    memcpy(entry->data, record->data.data, entry->size);
}

/* Whoever begins to read now begins with what is added from now on. */
static inline void fake_streams_empty(struct fake_streams *streams)
{
    memcpy(streams->gone, streams->count, sizeof(streams->gone));
}

struct fake_consumer {
    struct fake_streams *streams;
    struct aggregator *aggregator;
    unsigned mask;
    int at[STREAM_COUNT];
    int batch; /* entries a stream and cycle */
    bool drained;
    int commits;
};

static inline int fake_follow(void *self, unsigned mask, const struct stream_position *from)
{
    struct fake_consumer *consumer = self;
    consumer->mask = mask;
    consumer->drained = false;
    for (int i = 0; i < STREAM_COUNT; i++) {
        consumer->at[i] = from[i].text[0] == 0 ? 0 : atoi(from[i].text) + 1;
        if (consumer->at[i] < consumer->streams->gone[i])
            consumer->at[i] = consumer->streams->gone[i];
    }
    return ERR_OK;
}

static inline int fake_commit(void *self, const struct stream_position *positions)
{
    struct fake_consumer *consumer = self;
    (void)positions;
    consumer->commits++;
    return ERR_OK;
}

static inline int fake_consumer_work(void *self, int64_t mono_us)
{
    struct fake_consumer *consumer = self;
    int delivered = 0;
    (void)mono_us;
    consumer->drained = consumer->mask != 0;
    for (int i = 0; i < STREAM_COUNT; i++) {
        if ((consumer->mask & (1u << i)) == 0)
            continue;
        for (int n = 0; n < consumer->batch && consumer->at[i] < consumer->streams->count[i]; n++) {
            const struct fake_entry *entry = &consumer->streams->entries[i][consumer->at[i]];
            struct stream_record record = {.stream = (enum stream_name)i,
                                           .epoch = entry->epoch,
                                           .last_seq = entry->last_seq,
                                           .data = bytes_of(entry->data, entry->size)};
            char position[32];
            snprintf(position, sizeof(position), "%d", consumer->at[i]++);
            aggregator_on_record(consumer->aggregator, &record, position);
            delivered++;
        }
        if (consumer->at[i] < consumer->streams->count[i])
            consumer->drained = false;
    }
    return delivered;
}

static inline bool fake_consumer_ready(void *self)
{
    (void)self;
    return true;
}

static inline bool fake_consumer_drained(void *self)
{
    return ((struct fake_consumer *)self)->drained;
}

struct fake_producer {
    struct fake_streams *streams;
    struct aggregator *aggregator;
    uint64_t pending;
    bool away;
};

static inline int64_t fake_put(void *self, const struct stream_record *records, int count)
{
    struct fake_producer *producer = self;
    for (int i = 0; i < count; i++)
        fake_streams_add(producer->streams, &records[i]);
    producer->pending = ++producer->streams->tickets;
    return (int64_t)producer->pending;
}

static inline bool fake_producer_ready(void *self)
{
    return !((struct fake_producer *)self)->away;
}

static inline int fake_producer_work(void *self, int64_t mono_us)
{
    struct fake_producer *producer = self;
    enum stream_outcome written = STREAM_WRITTEN;
    uint64_t ticket = producer->pending;
    (void)mono_us;
    producer->pending = 0;
    if (ticket != 0)
        aggregator_on_put(producer->aggregator, ticket, &written, 1);
    return ticket != 0;
}

/* ---- the exchange and the ingestor --------------------------------------------- */

#define FAKE_LEVELS 30
#define FAKE_BASE   9553550000000LL
#define FAKE_TICK   1000000LL
/* Some 30 s of them. */
#define FAKE_TRADES_KEPT 512

/* A book that never crosses: bids below the base, asks above it, quantities change. */
struct fake_market {
    struct fake_streams *streams;
    struct prng prng;
    uint64_t epoch, seq;
    int64_t recv_us;
    int64_t update_id, trade_id;
    int64_t bids[FAKE_LEVELS], asks[FAKE_LEVELS]; /* quantities by distance */
    struct fake_trade {
        struct trade trade;
        int64_t time_us;
    } trades[FAKE_TRADES_KEPT]; /* the newest; a ring */
    uint64_t trade_count;
    bool losing_trades; /* they are made and reach nobody */
    int asks_gone;      /* the best ones, that the next snapshot does not have */
};

static inline void fake_market_open(struct fake_market *market, struct fake_streams *streams,
                                    int64_t wall_us)
{
    *market = (struct fake_market){
        .streams = streams, .epoch = 1000, .recv_us = wall_us, .update_id = 5000, .trade_id = 100};
    prng_init(&market->prng, 42);
    for (int i = 0; i < FAKE_LEVELS; i++)
        market->bids[i] = market->asks[i] = 100000000 + i;
}

static inline int64_t fake_bid_price(int level)
{
    return FAKE_BASE - level * FAKE_TICK;
}

static inline int64_t fake_ask_price(int level)
{
    return FAKE_BASE + (level + 1) * FAKE_TICK;
}

/* One record into its stream, alone in its envelope. */
static inline void fake_market_emit(struct fake_market *market, enum stream_name stream,
                                    uint8_t kind, struct bytes payload)
{
    static uint8_t buffer[65536];
    struct envelope_writer writer;
    struct record record = {.epoch = market->epoch,
                            .seq = ++market->seq,
                            .recv_us = market->recv_us,
                            .kind = kind,
                            .payload = payload};
    envelope_begin(&writer, buffer, sizeof(buffer), FAKE_SYMBOL, market->epoch);
    if (envelope_add(&writer, &record) != ERR_OK)
        abort();
    fake_streams_add(market->streams, &(struct stream_record){.stream = stream,
                                                              .epoch = market->epoch,
                                                              .last_seq = market->seq,
                                                              .data = envelope_finish(&writer)});
}

static inline void fake_market_tick(struct fake_market *market)
{
    fake_market_emit(market, STREAM_DEPTH, RECORD_TICK, (struct bytes){NULL, 0});
}

static const struct sbe_scale fake_scale = {-8, -8};

static inline void fake_market_diff(struct fake_market *market)
{
    uint8_t frame[1024];
    int bid = (int)prng_below(&market->prng, FAKE_LEVELS);
    int ask = (int)prng_below(&market->prng, FAKE_LEVELS);
    market->bids[bid] = 1 + (int64_t)prng_below(&market->prng, 500000000);
    market->asks[ask] = 1 + (int64_t)prng_below(&market->prng, 500000000);
    struct sbe_level bids = {fake_bid_price(bid), market->bids[bid]};
    struct sbe_level asks = {fake_ask_price(ask), market->asks[ask]};
    int64_t first = market->update_id + 1;
    market->update_id += 3;
    size_t size = sbe_encode_diff(frame, sizeof(frame), FAKE_SYMBOL, fake_scale, market->recv_us,
                                  first, market->update_id, &bids, 1, &asks, 1);
    fake_market_emit(market, STREAM_DEPTH, RECORD_FRAME, bytes_of(frame, size));
}

/* Buyers take all asks but the last `left`: a diff says so. */
static inline void fake_market_eat(struct fake_market *market, int left)
{
    uint8_t frame[1024];
    struct sbe_level asks[FAKE_LEVELS];
    market->asks_gone = FAKE_LEVELS - left;
    for (int i = 0; i < market->asks_gone; i++)
        asks[i] = (struct sbe_level){fake_ask_price(i), 0};
    int64_t first = market->update_id + 1;
    market->update_id += 3;
    size_t size =
        sbe_encode_diff(frame, sizeof(frame), FAKE_SYMBOL, fake_scale, market->recv_us, first,
                        market->update_id, NULL, 0, asks, (uint16_t)market->asks_gone);
    fake_market_emit(market, STREAM_DEPTH, RECORD_FRAME, bytes_of(frame, size));
}

static inline void fake_market_quote(struct fake_market *market)
{
    uint8_t frame[256];
    size_t size =
        sbe_encode_quote(frame, sizeof(frame), FAKE_SYMBOL, fake_scale, market->recv_us,
                         market->update_id, (struct sbe_level){fake_bid_price(0), market->bids[0]},
                         (struct sbe_level){fake_ask_price(0), market->asks[0]});
    fake_market_emit(market, STREAM_BEST_BID_ASK, RECORD_FRAME, bytes_of(frame, size));
}

static inline void fake_market_trade(struct fake_market *market)
{
    uint8_t frame[256];
    struct trade trade = {.id = ++market->trade_id,
                          .price = fake_bid_price(0),
                          .qty = 1 + (int64_t)prng_below(&market->prng, 100000000),
                          .is_buyer_maker = prng_below(&market->prng, 2) == 1};
    size_t size = sbe_encode_trades(frame, sizeof(frame), FAKE_SYMBOL, fake_scale, market->recv_us,
                                    market->recv_us, &trade, 1);
    market->trades[market->trade_count++ % FAKE_TRADES_KEPT] =
        (struct fake_trade){trade, market->recv_us};
    if (market->losing_trades)
        return; /* the exchange knows of it, nobody else does */
    fake_market_emit(market, STREAM_TRADE, RECORD_FRAME, bytes_of(frame, size));
}

/* 20 ms of a lively market: a diff, some quotes and trades, a tick each 100 ms. */
static inline void fake_market_step(struct fake_market *market, int64_t wall_us)
{
    market->recv_us = wall_us;
    fake_market_diff(market);
    if (prng_below(&market->prng, 2) == 0)
        fake_market_quote(market);
    if (prng_below(&market->prng, 3) == 0)
        fake_market_trade(market);
    if (wall_us % 100000 < 20000)
        fake_market_tick(market);
}

/* The newest trades as aggTrades, each its own. */
static inline void fake_market_trades(const struct fake_market *market, struct text *out)
{
    uint64_t first =
        market->trade_count > FAKE_TRADES_KEPT ? market->trade_count - FAKE_TRADES_KEPT : 0;
    text_add(out, "[");
    for (uint64_t i = first; i < market->trade_count; i++) {
        const struct fake_trade *kept = &market->trades[i % FAKE_TRADES_KEPT];
        text_add_format(out, "%s{\"a\":%lld,\"f\":%lld,\"l\":%lld,\"T\":%lld,\"m\":%s,\"p\":\"",
                        i == first ? "" : ",", (long long)kept->trade.id, (long long)kept->trade.id,
                        (long long)kept->trade.id, (long long)kept->time_us,
                        kept->trade.is_buyer_maker ? "true" : "false");
        text_add_decimal(out, kept->trade.price, -8);
        text_add(out, "\",\"q\":\"");
        text_add_decimal(out, kept->trade.qty, -8);
        text_add(out, "\"}");
    }
    text_add(out, "]");
}

/* The exchange's REST depth, as an anchor document of this token. */
static inline void fake_market_hand_over(const struct fake_market *market, struct fake_store *store,
                                         const char *token)
{
    static char depth_buffer[16384], trades_buffer[65536], buffer[100000];
    struct text trades = text_begin(trades_buffer, sizeof(trades_buffer));
    struct text depth = text_begin(depth_buffer, sizeof(depth_buffer));
    struct text out = text_begin(buffer, sizeof(buffer));
    struct anchor_document document = {.symbol = FAKE_SYMBOL,
                                       .cause = "test",
                                       .requested_us = market->recv_us,
                                       .received_us = market->recv_us};
    snprintf(document.token, sizeof(document.token), "%s", token);
    text_add_format(&depth, "{\"lastUpdateId\":%lld", (long long)market->update_id);
    for (int side = 0; side < 2; side++) {
        text_add(&depth, side == 0 ? ",\"bids\":[" : ",\"asks\":[");
        int first = side == 0 ? 0 : market->asks_gone;
        for (int i = first; i < FAKE_LEVELS; i++) {
            text_add(&depth, i == first ? "[\"" : ",[\"");
            text_add_decimal(&depth, side == 0 ? fake_bid_price(i) : fake_ask_price(i), -8);
            text_add(&depth, "\",\"");
            text_add_decimal(&depth, side == 0 ? market->bids[i] : market->asks[i], -8);
            text_add(&depth, "\"]");
        }
        text_add(&depth, "]");
    }
    text_add(&depth, "}");
    fake_market_trades(market, &trades);
    document.agg_trades = bytes_of(trades_buffer, trades.size);
    anchor_document_write(&document, bytes_of(depth_buffer, depth.size), &out);
    free(store->document);
    store->document = malloc(out.size);
    memcpy(store->document, buffer, out.size);
    store->document_size = out.size;
    snprintf(store->flag, sizeof(store->flag), "%s", token);
}

/* ---- an aggregator with its ends ------------------------------------------------ */

struct fake_node {
    struct fake_client client;
    struct fake_consumer consumer;
    struct fake_producer producer;
    struct metrics metrics;
    struct aggregator *aggregator;
};

static inline void fake_node_open(struct fake_node *node, struct fake_store *store,
                                  struct fake_streams *streams, const char *owner)
{
    memset(node, 0, sizeof(*node));
    node->client.store = store;
    node->consumer.streams = streams;
    node->consumer.batch = 64;
    node->producer.streams = streams;
    struct aggregator_options options = {.symbol = FAKE_SYMBOL,
                                         .owner = owner,
                                         .state = fake_client_port(&node->client),
                                         .consumer = {.self = &node->consumer,
                                                      .follow = fake_follow,
                                                      .commit = fake_commit,
                                                      .do_work = fake_consumer_work,
                                                      .ready = fake_consumer_ready,
                                                      .drained = fake_consumer_drained},
                                         .control = {.self = &node->producer,
                                                     .put = fake_put,
                                                     .ready = fake_producer_ready,
                                                     .do_work = fake_producer_work},
                                         .metrics = &node->metrics};
    if (aggregator_open(&options, &node->aggregator, NULL) != ERR_OK)
        abort();
    node->consumer.aggregator = node->aggregator;
    node->producer.aggregator = node->aggregator;
}

static inline void fake_node_close(struct fake_node *node)
{
    fake_client_break(&node->client);
    fake_client_work(&node->client, 0);
    aggregator_close(node->aggregator);
    metrics_close(&node->metrics);
}

#endif
