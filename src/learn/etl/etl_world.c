/* SPDX-License-Identifier: Apache-2.0 */
#include "learn/etl/etl_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "learn/train/dataset.h"
#include "market/codec.h"
#include "wire/decode.h"

/* A pause longer than this has no slots: nothing was there to predict from. */
#define ETL_PAUSE_US_MAX (60 * CLOCK_US_PER_S)
#define ETL_SPAN_US      (DATASET_SPAN_S * CLOCK_US_PER_S)
/* Magic, nine numbers and a flag in front of the world's own bytes. */
#define ETL_WORLD_MAGIC UINT64_C(0x314c54454354420a)
#define ETL_WORLD_HEAD  128

struct etl_world {
    char symbol[RECORD_SYMBOL_SIZE];
    struct etl_sink sink;
    struct world *world;
    struct decode *decode;
    struct etl_world_counters counters;
    /* What is saved. */
    bool started;
    uint64_t epoch, seq; /* of the last record that was no control */
    uint64_t controls;   /* behind it */
    uint64_t again;      /* controls at that place that came again; not saved */
    int64_t recv_us;
    int64_t began_us; /* of the recording, or behind the last pause */
    int64_t next_slot;
    int64_t priced; /* slots up to this one have given their mid */
    uint64_t skip_epoch, skip_seq;
};

static int etl_world_make(struct etl_world *self, struct err *err)
{
    struct world_options options = {0};
    snprintf(options.symbol, sizeof(options.symbol), "%s", self->symbol);
    return world_open(&options, &self->world, err);
}

int etl_world_open(const char *symbol, const struct etl_sink *sink, struct etl_world **out,
                   struct err *err)
{
    struct etl_world *self = calloc(1, sizeof(*self));
    if (self == NULL)
        return err_set(err, ERR_MEMORY, "no memory for a world");
    self->sink = *sink;
    snprintf(self->symbol, sizeof(self->symbol), "%s", symbol);
    int result = etl_world_make(self, err);
    if (result == ERR_OK)
        result = decode_open(symbol, &self->decode, err);
    if (result != ERR_OK) {
        etl_world_close(self);
        return result;
    }
    *out = self;
    return ERR_OK;
}

void etl_world_close(struct etl_world *self)
{
    if (self == NULL)
        return;
    if (self->decode != NULL)
        decode_close(self->decode);
    if (self->world != NULL)
        world_close(self->world);
    free(self);
}

/* --- slots ---------------------------------------------------------------------------- */

static void etl_world_start(struct etl_world *self, int64_t now_us)
{
    self->counters.pauses += self->started;
    self->started = true;
    self->began_us = now_us;
    self->next_slot = clock_slot(now_us) + 1;
    self->priced = clock_slot(now_us) - 1;
}

/* Mids of the boundaries that were closed since the last look. */
static int etl_world_mids(struct etl_world *self, int exponent, struct err *err)
{
    struct world_slot_mid mids[WORLD_SLOT_MIDS];
    int count = world_slot_mids(self->world, mids, WORLD_SLOT_MIDS);
    int result = ERR_OK;
    for (int i = count - 1; i >= 0 && result == ERR_OK; i--) {
        if (mids[i].slot <= self->priced)
            continue;
        self->priced = mids[i].slot;
        self->counters.mids++;
        result = self->sink.mid(self->sink.context, &mids[i], exponent, err);
    }
    return result;
}

/* Fit to learn from is what the trainer takes (learn/train/dataset). */
static void etl_world_judge(const struct etl_world *self, const struct world_view *view,
                            struct etl_slot *slot)
{
    int64_t slot_us = clock_slot_us(slot->slot);
    bool fresh = slot_us - view->vector.as_of_us <= DATASET_AGE_US_MAX;
    int64_t seen_us = slot_us - self->began_us;
    slot->quality = view->vector.valid && view->vector.book_live && fresh ? 1.0 : 0.0;
    slot->completeness = seen_us >= ETL_SPAN_US ? 1.0 : (double)seen_us / (double)ETL_SPAN_US;
    /* Almost all of the span is not the whole of it: the view takes more than 0.98. */
    if (slot->completeness < 1.0 && slot->completeness > 0.97)
        slot->completeness = 0.97;
}

static int etl_world_slot(struct etl_world *self, struct err *err)
{
    struct world_view view;
    world_view(self->world, &view);
    int result = etl_world_mids(self, view.price_exponent, err);
    struct etl_slot slot = {.slot = self->next_slot++, .view = &view};
    self->counters.slots++;
    etl_world_judge(self, &view, &slot);
    return result == ERR_OK ? self->sink.slot(self->sink.context, &slot, err) : result;
}

/* A slot sees every record before its time and none after it. */
static int etl_world_pass(struct etl_world *self, int64_t recv_us, struct err *err)
{
    int result = ERR_OK;
    if (!self->started || recv_us - clock_slot_us(self->next_slot) > ETL_PAUSE_US_MAX)
        etl_world_start(self, recv_us);
    while (recv_us >= clock_slot_us(self->next_slot) && result == ERR_OK)
        result = etl_world_slot(self, err);
    return result;
}

/* --- records -------------------------------------------------------------------------- */

/* A pass begins before the place it goes on from: what it has seen comes again first. A
 * control stands at the place of the record before it, so there they are counted. */
static bool etl_world_is_new(struct etl_world *self, const struct record *record)
{
    int order = record_compare(record->epoch, record->seq, self->epoch, self->seq);
    if (!record_is_control(record)) {
        self->again = order > 0 ? self->again : 0;
        return order > 0;
    }
    if (order != 0)
        return order > 0;
    return ++self->again > self->controls;
}

static void etl_world_note(struct etl_world *self, const struct record *record)
{
    bool moved = record_compare(record->epoch, record->seq, self->epoch, self->seq) != 0;
    if (moved)
        self->controls = self->again = 0;
    /* Bronze lacks records: what features look back over is not whole again for a while. */
    if (!record_is_control(record) && record->epoch == self->epoch && record->seq > self->seq + 1)
        self->began_us = record->recv_us;
    self->epoch = record->epoch;
    self->seq = record->seq;
    self->recv_us = record->recv_us;
    if (!record_is_control(record))
        return;
    /* At a place that moved, this control is the first one there. */
    self->controls++;
    self->again = self->controls;
}

/* Behind a declared hole lie records that came too late for the live writer. */
static bool etl_world_given_up(struct etl_world *self, const struct record *record)
{
    if (record->kind == RECORD_HOLE && record->payload.size == 16) {
        self->skip_epoch = bytes_load_u64(record->payload.data);
        self->skip_seq = bytes_load_u64(record->payload.data + 8);
    }
    return !record_is_control(record) &&
           record_compare(record->epoch, record->seq, self->skip_epoch, self->skip_seq) < 0;
}

int etl_world_apply(struct etl_world *self, const struct record *record, struct err *err)
{
    if (record->kind == RECORD_SLOT || !etl_world_is_new(self, record))
        return ERR_OK;
    int result = etl_world_pass(self, record->recv_us, err);
    if (result != ERR_OK)
        return result;
    etl_world_note(self, record);
    self->counters.records++;
    if (etl_world_given_up(self, record)) {
        self->counters.given_up++;
        return ERR_OK;
    }
    struct event event;
    if (decode_record(self->decode, record, &event, NULL, NULL) == ERR_OK)
        world_apply(self->world, &event);
    else
        self->counters.refused++;
    return ERR_OK;
}

int etl_world_end(struct etl_world *self, struct err *err)
{
    struct world_view view;
    if (!self->started)
        return ERR_OK;
    world_view(self->world, &view);
    return etl_world_mids(self, view.price_exponent, err);
}

void etl_world_place(const struct etl_world *self, uint64_t *epoch, uint64_t *seq, int64_t *recv_us)
{
    *epoch = self->epoch;
    *seq = self->seq;
    *recv_us = self->recv_us;
}

const struct etl_world_counters *etl_world_counters(const struct etl_world *self)
{
    return &self->counters;
}

/* --- the state as bytes --------------------------------------------------------------- */

static void etl_world_code(struct etl_world *self, struct codec *codec)
{
    uint64_t magic = ETL_WORLD_MAGIC;
    codec_u64(codec, &magic);
    codec_expect(codec, magic == ETL_WORLD_MAGIC);
    codec_bool(codec, &self->started);
    codec_u64(codec, &self->epoch);
    codec_u64(codec, &self->seq);
    codec_u64(codec, &self->controls);
    codec_i64(codec, &self->recv_us);
    codec_i64(codec, &self->began_us);
    codec_i64(codec, &self->next_slot);
    codec_i64(codec, &self->priced);
    codec_u64(codec, &self->skip_epoch);
    codec_u64(codec, &self->skip_seq);
    codec_expect(codec, self->recv_us >= 0 && self->began_us >= 0);
    codec_expect(codec, self->next_slot >= 0 && self->next_slot <= INT64_MAX / 4 / CLOCK_SLOT_US &&
                            self->priced < self->next_slot);
}

size_t etl_world_save_max(const struct etl_world *self)
{
    return ETL_WORLD_HEAD + world_save_size_max(self->world);
}

int etl_world_save(const struct etl_world *self, uint8_t *out, size_t capacity, size_t *size,
                   struct err *err)
{
    struct etl_world head = *self; /* the codec is for both directions */
    struct codec codec = codec_save(out, capacity);
    etl_world_code(&head, &codec);
    if (codec.failed)
        return err_set(err, ERR_FULL, "no room for a world's head");
    int result = world_save(self->world, out + codec.at, capacity - codec.at, size, err);
    *size += codec.at;
    return result;
}

static void etl_world_reset(struct etl_world *self)
{
    struct etl_world fresh = {.sink = self->sink,
                              .world = self->world,
                              .decode = self->decode,
                              .counters = self->counters};
    memcpy(fresh.symbol, self->symbol, sizeof(fresh.symbol));
    *self = fresh;
}

int etl_world_load(struct etl_world *self, struct bytes saved, struct err *err)
{
    struct codec codec = codec_load(saved);
    etl_world_reset(self);
    etl_world_code(self, &codec);
    int result = codec.failed ? err_set(err, ERR_MALFORMED, "not the state of a replay") : ERR_OK;
    size_t at = codec.at < saved.size ? codec.at : saved.size;
    int loaded = world_load(self->world, bytes_of(saved.data + at, saved.size - at),
                            result == ERR_OK ? err : NULL);
    result = result == ERR_OK ? loaded : result;
    if (result != ERR_OK)
        etl_world_reset(self);
    return result;
}
