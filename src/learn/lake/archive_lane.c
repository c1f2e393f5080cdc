/* SPDX-License-Identifier: Apache-2.0 */
#include "learn/lake/archive_lane.h"

#include "learn/lake/bronze_key.h"

void archive_lane_init(struct archive_lane *lane, enum archive_kind kind, enum stream_name stream,
                       struct archive_port *archive, struct archive_journal_port *journal)
{
    *lane = (struct archive_lane){
        .kind = kind, .stream = stream, .archive = archive, .journal = journal};
}

static struct archive_lane_block *archive_lane_at(struct archive_lane *lane, int index)
{
    return &lane->blocks[(lane->first + index) % ARCHIVE_LANE_BLOCKS_MAX];
}

/* The block that is being filled; NULL: none. */
static struct archive_lane_block *archive_lane_last(struct archive_lane *lane)
{
    if (lane->count == 0)
        return NULL;
    struct archive_lane_block *block = archive_lane_at(lane, lane->count - 1);
    return block->state == LANE_OPEN ? block : NULL;
}

/* Receive times do not decrease within an epoch; one that does all the same must not carry a
 * record into a block that was written before. */
static void archive_lane_identity(const struct archive_lane *lane,
                                  const struct archive_lane_block *last, const char *symbol,
                                  const struct record *record, struct archive_block *identity)
{
    bronze_key_block(lane->kind, symbol, record, identity);
    if (last != NULL && last->identity.epoch == identity->epoch &&
        identity->minute < last->identity.minute)
        identity->minute = last->identity.minute;
}

/* First of all: what the archive had and the journal refused would come twice. */
static int archive_lane_keep(struct archive_lane *lane, const struct archive_block *identity,
                             const struct record *record)
{
    if (lane->journal->append == NULL ||
        record_compare(record->epoch, record->seq, lane->kept_epoch, lane->kept_seq) <= 0)
        return ERR_OK;
    int result = lane->journal->append(lane->journal->self, identity, record);
    if (result == ERR_OK) {
        lane->kept_epoch = record->epoch;
        lane->kept_seq = record->seq;
    }
    return result;
}

int archive_lane_take(struct archive_lane *lane, const char *symbol, const struct record *record)
{
    if (record_compare(record->epoch, record->seq, lane->taken_epoch, lane->taken_seq) <= 0)
        return ERR_DUPLICATE;
    struct archive_block identity;
    struct archive_lane_block *last = archive_lane_last(lane);
    archive_lane_identity(lane, last, symbol, record, &identity);
    const bool same = last != NULL && bronze_key_block_equal(&last->identity, &identity);
    if (!same && lane->count == ARCHIVE_LANE_BLOCKS_MAX)
        return ERR_AGAIN;
    int result = archive_lane_keep(lane, &identity, record);
    if (result == ERR_OK)
        result = lane->archive->append(lane->archive->self, &identity, record);
    if (result != ERR_OK)
        return result;
    if (!same) {
        if (last != NULL)
            last->state = LANE_WHOLE; /* a stream's records come in order */
        last = archive_lane_at(lane, lane->count++);
        *last = (struct archive_lane_block){
            .lane = lane, .identity = identity, .state = LANE_OPEN, .before = lane->at};
    }
    last->last_seq = record->seq;
    lane->taken_epoch = record->epoch;
    lane->taken_seq = record->seq;
    return ERR_OK;
}

/* --- asking ----------------------------------------------------------------------------- */

static void archive_lane_release(struct archive_lane *lane)
{
    while (lane->count > 0 && archive_lane_at(lane, 0)->state == LANE_DURABLE &&
           !archive_lane_at(lane, 0)->partial) {
        const struct archive_lane_block *block = archive_lane_at(lane, 0);
        lane->durable_epoch = block->identity.epoch;
        lane->durable_seq = block->last_seq;
        lane->first = (lane->first + 1) % ARCHIVE_LANE_BLOCKS_MAX;
        lane->count--;
        lane->moved = true;
    }
}

static void archive_lane_on_done(void *context, const struct archive_reply *reply)
{
    struct archive_lane_block *block = context;
    struct archive_lane *lane = block->lane;
    lane->asked--;
    if (reply->result == ERR_OK) {
        block->state = LANE_DURABLE;
        archive_lane_release(lane);
        return;
    }
    block->state = block->partial ? LANE_OPEN : LANE_WHOLE;
    block->retry_us = lane->now_us + ARCHIVE_LANE_RETRY_US;
}

static bool archive_lane_ask(struct archive_lane *lane, struct archive_lane_block *block)
{
    if (lane->now_us < block->retry_us)
        return false;
    block->retry_us = lane->now_us + ARCHIVE_LANE_RETRY_US;
    if (lane->archive->finish(lane->archive->self, &block->identity, archive_lane_on_done, block) !=
        ERR_OK)
        return false;
    block->state = LANE_ASKED;
    lane->asked++;
    return true;
}

/* All numbers up to the complete place are in, and what comes behind it is not earlier. */
static bool archive_lane_is_whole(const struct archive_lane_block *block,
                                  const struct archive_tally *tally, bool drained)
{
    const struct archive_block *identity = &block->identity;
    if (!tally->complete || identity->epoch > tally->complete_epoch)
        return false;
    const int64_t end_us = (identity->minute + 1) * BRONZE_KEY_MINUTE_US;
    if (identity->epoch < tally->complete_epoch)
        return drained && tally->complete_us >= end_us + ARCHIVE_LANE_MARGIN_US;
    return tally->complete_seq / ARCHIVE_BLOCK_SEQS > identity->block ||
           tally->complete_us >= end_us;
}

int archive_lane_do_work(struct archive_lane *lane, const struct archive_tally *tally, bool drained,
                         int64_t mono_us)
{
    int done = 0;
    lane->now_us = mono_us;
    for (int i = 0; i < lane->count; i++) {
        struct archive_lane_block *block = archive_lane_at(lane, i);
        if (block->state == LANE_OPEN && archive_lane_is_whole(block, tally, drained))
            block->state = LANE_WHOLE;
        if (block->state == LANE_WHOLE)
            done += archive_lane_ask(lane, block);
    }
    return done;
}

bool archive_lane_flush(struct archive_lane *lane, int64_t mono_us)
{
    bool left = false;
    lane->now_us = mono_us;
    for (int i = 0; i < lane->count; i++) {
        struct archive_lane_block *block = archive_lane_at(lane, i);
        if (block->state == LANE_OPEN)
            block->partial = true;
        if (block->state == LANE_OPEN || block->state == LANE_WHOLE)
            archive_lane_ask(lane, block);
        left = left || block->state != LANE_DURABLE;
    }
    return !left;
}

const struct stream_position *archive_lane_position(const struct archive_lane *lane)
{
    return lane->count > 0 ? &lane->blocks[lane->first].before : &lane->at;
}
