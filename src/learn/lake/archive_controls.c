/* SPDX-License-Identifier: Apache-2.0 */
#include "learn/lake/archive_controls.h"

#include <stdlib.h>
#include <string.h>

#include "learn/lake/bronze_key.h"

void archive_controls_init(struct archive_controls *controls, struct archive_port *archive,
                           struct archive_journal_port *journal)
{
    *controls = (struct archive_controls){.archive = archive, .journal = journal};
}

void archive_controls_close(struct archive_controls *controls)
{
    for (int i = 0; i < controls->count; i++)
        free(controls->list[i]);
    controls->count = 0;
}

static bool archive_controls_same(const struct record *a, const struct record *b)
{
    return a->kind == b->kind && a->epoch == b->epoch && a->seq == b->seq &&
           a->payload.size == b->payload.size &&
           (a->payload.size == 0 || memcmp(a->payload.data, b->payload.data, a->payload.size) == 0);
}

/* The oldest one's whole block is left to what is written of it. */
static void archive_controls_forget(struct archive_controls *controls,
                                    const struct archive_block *identity)
{
    int kept = 0;
    for (int i = 0; i < controls->count; i++) {
        struct archive_control *control = controls->list[i];
        if (!bronze_key_block_equal(&control->identity, identity)) {
            controls->list[kept++] = control;
            continue;
        }
        controls->bytes -= control->record.payload.size;
        controls->dropped += !control->written;
        free(control);
    }
    controls->count = kept;
    controls->moved = true;
    if (controls->journal->forget != NULL)
        controls->journal->forget(controls->journal->self, identity);
}

/* A journal that cannot take it counts that: controls are read all the same, else the stream
 * would be asked for the same one for ever. */
static void archive_controls_keep(const struct archive_controls *controls,
                                  const struct archive_control *control)
{
    const struct archive_journal_port *journal = controls->journal;
    if (!controls->recovering && journal->append != NULL)
        (void)!journal->append(journal->self, &control->identity, &control->record);
}

int archive_controls_take(struct archive_controls *controls, const char *symbol,
                          const struct record *record)
{
    for (int i = 0; i < controls->count; i++)
        if (archive_controls_same(&controls->list[i]->record, record)) {
            controls->duplicates++;
            return ERR_DUPLICATE;
        }
    while (controls->count > 0 &&
           (controls->count == ARCHIVE_CONTROLS_MAX ||
            controls->bytes + record->payload.size > ARCHIVE_CONTROLS_BYTES_MAX)) {
        const struct archive_block oldest = controls->list[0]->identity;
        archive_controls_forget(controls, &oldest);
    }
    struct archive_control *control = malloc(sizeof(*control) + record->payload.size);
    if (control == NULL)
        return ERR_AGAIN;
    *control = (struct archive_control){.record = *record, .before = controls->at};
    uint8_t *payload = (uint8_t *)(control + 1);
    if (record->payload.size > 0)
        memcpy(payload, record->payload.data, record->payload.size);
    control->record.payload.data = payload;
    bronze_key_block(ARCHIVE_CONTROL, symbol, record, &control->identity);
    controls->list[controls->count++] = control;
    controls->bytes += record->payload.size;
    controls->taken++;
    archive_controls_keep(controls, control);
    return ERR_OK;
}

/* --- writing ---------------------------------------------------------------------------- */

static void archive_controls_on_done(void *context, const struct archive_reply *reply)
{
    struct archive_controls *controls = context;
    controls->asking = false;
    if (reply->result == ERR_OK)
        return;
    controls->archive->discard(controls->archive->self, &controls->asked);
    for (int i = 0; i < controls->count; i++)
        if (bronze_key_block_equal(&controls->list[i]->identity, &controls->asked))
            controls->list[i]->written = false;
    controls->retry_us = controls->now_us + ARCHIVE_CONTROLS_RETRY_US;
}

/* All records of a block, in the order they came: the aggregator logs them in theirs. */
static bool archive_controls_write(struct archive_controls *controls,
                                   const struct archive_block *identity)
{
    struct archive_port *archive = controls->archive;
    int result = ERR_OK;
    for (int i = 0; i < controls->count && result == ERR_OK; i++)
        if (bronze_key_block_equal(&controls->list[i]->identity, identity))
            result = archive->append(archive->self, identity, &controls->list[i]->record);
    if (result == ERR_OK)
        result = archive->finish(archive->self, identity, archive_controls_on_done, controls);
    if (result != ERR_OK) {
        archive->discard(archive->self, identity);
        controls->retry_us = controls->now_us + ARCHIVE_CONTROLS_RETRY_US;
        return false;
    }
    controls->asking = true;
    controls->asked = *identity;
    for (int i = 0; i < controls->count; i++)
        if (bronze_key_block_equal(&controls->list[i]->identity, identity))
            controls->list[i]->written = true;
    return true;
}

static bool archive_controls_due(const struct archive_control *control, int64_t newest_us,
                                 int64_t after_us)
{
    return newest_us >= (control->identity.minute + 1) * BRONZE_KEY_MINUTE_US + after_us;
}

/* One block at a time. */
static bool archive_controls_next(struct archive_controls *controls, int64_t newest_us, bool all)
{
    if (controls->asking || controls->now_us < controls->retry_us)
        return false;
    for (int i = 0; i < controls->count; i++) {
        const struct archive_control *control = controls->list[i];
        if (!control->written &&
            (all || archive_controls_due(control, newest_us, ARCHIVE_CONTROLS_WRITE_US))) {
            const struct archive_block identity = control->identity;
            return archive_controls_write(controls, &identity);
        }
    }
    return false;
}

static bool archive_controls_all_written(const struct archive_controls *controls,
                                         const struct archive_block *identity)
{
    for (int i = 0; i < controls->count; i++)
        if (!controls->list[i]->written &&
            bronze_key_block_equal(&controls->list[i]->identity, identity))
            return false;
    return true;
}

int archive_controls_do_work(struct archive_controls *controls, int64_t newest_us, int64_t mono_us)
{
    controls->now_us = mono_us;
    int done = archive_controls_next(controls, newest_us, false);
    if (controls->count > 0 && !controls->asking &&
        archive_controls_all_written(controls, &controls->list[0]->identity) &&
        archive_controls_due(controls->list[0], newest_us, ARCHIVE_CONTROLS_FORGET_US)) {
        const struct archive_block oldest = controls->list[0]->identity;
        archive_controls_forget(controls, &oldest);
        done++;
    }
    return done;
}

bool archive_controls_flush(struct archive_controls *controls, int64_t mono_us)
{
    controls->now_us = mono_us;
    archive_controls_next(controls, 0, true);
    bool left = controls->asking;
    for (int i = 0; i < controls->count; i++)
        left = left || !controls->list[i]->written;
    return !left;
}

const struct stream_position *archive_controls_position(const struct archive_controls *controls)
{
    return controls->count > 0 ? &controls->list[0]->before : &controls->at;
}
