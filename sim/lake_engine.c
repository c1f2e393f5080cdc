/* What a process has of the lake in memory: open blocks, answers owed, its journal.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "learn/lake/bronze_key.h"
#include "sim/simulation.h"
#include "sim/virtual_lake.h"

/* From the request until the file is whole, and from there to the answer. */
#define LAKE_MAKE_US   2000
#define LAKE_MAKE_MORE 40000
#define LAKE_TELL_MORE 8000

struct lake_call {
    bool busy, durable;
    bool is_rest;
    int64_t due_us; /* monotonic: of its next step */
    struct archive_block block;
    struct lake_range range;
    archive_done_fn done;
    void *context;
};

struct lake_engine {
    struct process *process;
    struct virtual_lake *lake;
    struct lake_block blocks[LAKE_BLOCKS_MAX];
    struct lake_call calls[LAKE_CALLS_MAX];
    int next_kind, next_entry; /* of the journal, to be read again */
    int spooled; /* objects that the lake does not have yet; their files outlive the process */
};

/* --- an engine ----------------------------------------------------------------------- */

struct lake_engine *lake_engine_open(struct process *process, struct virtual_lake *lake)
{
    struct lake_engine *engine = calloc(1, sizeof(*engine));
    CHECK(engine != NULL);
    engine->process = process;
    engine->lake = lake;
    return engine;
}

/* --- the journal --------------------------------------------------------------------- */

/* Keeps the entries for which keep says true. */
static void lake_journal_sift(struct virtual_lake *lake,
                              bool (*keep)(const struct lake_entry *entry, const void *context),
                              const void *context)
{
    int kept = 0;
    for (int i = 0; i < lake->journal_count; i++) {
        if (keep(&lake->journal[i], context))
            lake->journal[kept++] = lake->journal[i];
        else
            blob_drop(lake->journal[i].payload);
    }
    lake->journal_count = kept;
}

static int lake_journal_append(void *self, const struct archive_block *block,
                               const struct record *record)
{
    struct virtual_lake *lake = ((struct lake_engine *)self)->lake;
    if (lake->journal_count == lake->journal_room) {
        lake->journal_room = lake->journal_room == 0 ? 4096 : 2 * lake->journal_room;
        lake->journal = realloc(lake->journal, (size_t)lake->journal_room * sizeof(*lake->journal));
        CHECK(lake->journal != NULL);
    }
    struct lake_entry *entry = &lake->journal[lake->journal_count++];
    *entry = (struct lake_entry){
        .block = *block, .record = *record, .payload = blob_copy(record->payload)};
    entry->record.payload = blob_bytes(entry->payload);
    return ERR_OK;
}

static int lake_journal_flush(void *self)
{
    struct virtual_lake *lake = ((struct lake_engine *)self)->lake;
    for (int i = lake->journal_count - 1; i >= 0 && !lake->journal[i].flushed; i--) {
        lake->journal[i].flushed = true;
        if (lake->journal[i].block.kind != ARCHIVE_CONTROL)
            checks_archived(&lake->simulation->checks, &lake->journal[i].record);
    }
    return ERR_OK;
}

static bool lake_journal_is_behind(const struct lake_entry *entry, const void *context)
{
    const struct lake_entry *place = context;
    return entry->block.kind != place->block.kind ||
           record_compare(entry->record.epoch, entry->record.seq, place->record.epoch,
                          place->record.seq) > 0;
}

static void lake_journal_settle(void *self, enum archive_kind kind, uint64_t epoch, uint64_t seq)
{
    const struct lake_entry place = {.block = {.kind = kind},
                                     .record = {.epoch = epoch, .seq = seq}};
    lake_journal_sift(((struct lake_engine *)self)->lake, lake_journal_is_behind, &place);
}

static bool lake_journal_is_other(const struct lake_entry *entry, const void *context)
{
    return !bronze_key_block_equal(&entry->block, context);
}

static void lake_journal_forget(void *self, const struct archive_block *block)
{
    lake_journal_sift(((struct lake_engine *)self)->lake, lake_journal_is_other, block);
}

static int lake_journal_next(void *self, enum archive_kind *kind, struct record *record)
{
    struct lake_engine *engine = self;
    const struct virtual_lake *lake = engine->lake;
    for (; engine->next_kind < ARCHIVE_KINDS; engine->next_kind++, engine->next_entry = 0)
        while (engine->next_entry < lake->journal_count) {
            const struct lake_entry *entry = &lake->journal[engine->next_entry++];
            if ((int)entry->block.kind != engine->next_kind)
                continue;
            *kind = entry->block.kind;
            *record = entry->record;
            return ERR_OK;
        }
    return ERR_EMPTY;
}

struct archive_journal_port lake_engine_journal(struct lake_engine *engine)
{
    return (struct archive_journal_port){.self = engine,
                                         .append = lake_journal_append,
                                         .flush = lake_journal_flush,
                                         .settle = lake_journal_settle,
                                         .forget = lake_journal_forget,
                                         .next = lake_journal_next};
}

static bool lake_journal_is_flushed(const struct lake_entry *entry, const void *context)
{
    (void)context;
    return entry->flushed;
}

/* --- an engine's life ---------------------------------------------------------------- */

void lake_engine_close(struct lake_engine *engine)
{
    lake_journal_sift(engine->lake, lake_journal_is_flushed, NULL);
    for (int i = 0; i < LAKE_BLOCKS_MAX; i++)
        free(engine->blocks[i].seqs);
    free(engine);
}

const struct lake_block *lake_engine_blocks(const struct lake_engine *engine)
{
    return engine->blocks;
}

static struct lake_block *lake_engine_find(struct lake_engine *engine,
                                           const struct archive_block *id)
{
    for (int i = 0; i < LAKE_BLOCKS_MAX; i++)
        if (engine->blocks[i].used && bronze_key_block_equal(&engine->blocks[i].id, id))
            return &engine->blocks[i];
    return NULL;
}

static int lake_engine_append(void *self, const struct archive_block *id,
                              const struct record *record)
{
    struct lake_engine *engine = self;
    struct lake_block *block = lake_engine_find(engine, id);
    for (int i = 0; i < LAKE_BLOCKS_MAX && block == NULL; i++)
        if (!engine->blocks[i].used)
            block = &engine->blocks[i];
    if (block == NULL || engine->spooled >= LAKE_SPOOL_MAX)
        return ERR_AGAIN;
    if (!block->used)
        *block = (struct lake_block){.id = *id, .used = true};
    if (block->count == block->room) {
        block->room = block->room == 0 ? 512 : 2 * block->room;
        block->seqs = realloc(block->seqs, (size_t)block->room * sizeof(*block->seqs));
        CHECK(block->seqs != NULL);
    }
    block->seqs[block->count++] = record->seq;
    return ERR_OK;
}

static void lake_engine_discard(void *self, const struct archive_block *id)
{
    struct lake_block *block = lake_engine_find(self, id);
    if (block == NULL)
        return;
    free(block->seqs);
    *block = (struct lake_block){0};
}

static struct lake_call *lake_engine_call(struct lake_engine *engine, archive_done_fn done,
                                          void *context)
{
    struct prng *prng = &engine->process->simulation->prng;
    for (int i = 0; i < LAKE_CALLS_MAX; i++) {
        struct lake_call *call = &engine->calls[i];
        if (call->busy)
            continue;
        *call = (struct lake_call){.busy = true, .done = done, .context = context};
        call->due_us = process_now(engine->process).mono_us + LAKE_MAKE_US +
                       (int64_t)prng_below(prng, LAKE_MAKE_MORE);
        return call;
    }
    return NULL;
}

static int lake_engine_finish(void *self, const struct archive_block *id, archive_done_fn done,
                              void *context)
{
    struct lake_engine *engine = self;
    struct lake_call *call = lake_engine_call(engine, done, context);
    if (call == NULL)
        return ERR_AGAIN;
    call->block = *id;
    return ERR_OK;
}

/* The smallest and the largest number behind these names in the reply. */
static void lake_scan(struct bytes body, const char *first, const char *last,
                      struct lake_range *range)
{
    const char *names[2] = {first, last};
    range->first = INT64_MAX;
    range->last = -1;
    for (int i = 0; i < 2; i++) {
        size_t size = strlen(names[i]);
        for (size_t at = 0; at + size < body.size; at++) {
            if (body.data[at] != '"' || memcmp(body.data + at, names[i], size) != 0)
                continue;
            int64_t id = strtoll((const char *)body.data + at + size, NULL, 10);
            range->first = id < range->first ? id : range->first;
            range->last = id > range->last ? id : range->last;
        }
    }
}

static int lake_engine_rest(void *self, const struct archive_rest_reply *reply,
                            archive_done_fn done, void *context)
{
    struct lake_engine *engine = self;
    if (engine->spooled >= LAKE_SPOOL_MAX)
        return ERR_AGAIN;
    struct lake_call *call = lake_engine_call(engine, done, context);
    if (call == NULL)
        return ERR_AGAIN;
    call->is_rest = true;
    call->range = (struct lake_range){.first = 0, .last = -1};
    if (reply->type == ARCHIVE_REST_AGG_TRADES)
        lake_scan(reply->body, "\"f\":", "\"l\":", &call->range);
    if (reply->type == ARCHIVE_REST_TRADES)
        lake_scan(reply->body, "\"id\":", "\"id\":", &call->range);
    call->range.poll = strcmp(reply->reason, "poll") == 0;
    return ERR_OK;
}

static void lake_engine_status(void *self, struct archive_status *status)
{
    const struct lake_engine *engine = self;
    *status = (struct archive_status){.lake_ready = !virtual_lake_is_away(engine->lake),
                                      .no_room = engine->spooled >= LAKE_SPOOL_MAX,
                                      .spool_full = engine->spooled >= LAKE_SPOOL_MAX,
                                      .spool_bytes = (uint64_t)engine->spooled * LAKE_OBJECT_SIZE,
                                      .spool_bytes_max = LAKE_SPOOL_MAX * LAKE_OBJECT_SIZE,
                                      .spool_files = (uint64_t)engine->spooled};
}

/* The file is whole: in the lake, or in the spool. False: in neither. */
static bool lake_engine_put(struct lake_engine *engine, struct lake_call *call)
{
    if (virtual_lake_is_away(engine->lake)) {
        if (engine->spooled >= LAKE_SPOOL_MAX)
            return false;
        engine->spooled++;
    }
    if (call->is_rest) {
        engine->lake->replies++;
        virtual_lake_add_range(engine->lake, &call->range);
        return true;
    }
    struct lake_block *block = lake_engine_find(engine, &call->block);
    CHECK(block != NULL);
    virtual_lake_put(engine->lake, block);
    return true;
}

static void lake_engine_step(struct lake_engine *engine, struct lake_call *call, int64_t mono_us)
{
    struct archive_reply reply = {.result = ERR_OK, .text = ""};
    if (!call->durable && lake_engine_put(engine, call)) {
        call->durable = true;
        call->due_us =
            mono_us + (int64_t)prng_below(&engine->process->simulation->prng, LAKE_TELL_MORE);
        return;
    }
    if (!call->durable)
        reply = (struct archive_reply){.result = ERR_CONNECTION, .text = "no lake, no spool"};
    call->busy = false;
    call->done(call->context, &reply);
}

static int lake_engine_do_work(void *self, int64_t mono_us)
{
    struct lake_engine *engine = self;
    int done = 0;
    if (engine->spooled > 0 && !virtual_lake_is_away(engine->lake))
        engine->spooled--;
    for (int i = 0; i < LAKE_CALLS_MAX; i++) {
        if (!engine->calls[i].busy || mono_us < engine->calls[i].due_us)
            continue;
        lake_engine_step(engine, &engine->calls[i], mono_us);
        done++;
    }
    return done;
}

struct archive_port lake_engine_port(struct lake_engine *engine)
{
    return (struct archive_port){.self = engine,
                                 .append = lake_engine_append,
                                 .finish = lake_engine_finish,
                                 .discard = lake_engine_discard,
                                 .rest = lake_engine_rest,
                                 .status = lake_engine_status,
                                 .do_work = lake_engine_do_work};
}
