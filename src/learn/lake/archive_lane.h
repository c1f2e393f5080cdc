/* One stream's way into bronze: its blocks from the first record to the durable object, in
 * order, and the position a restart has to begin at. Pure.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_LEARN_LAKE_ARCHIVE_LANE_H
#define BTCAST_LEARN_LAKE_ARCHIVE_LANE_H

#include "hot/stream/stream_port.h"
#include "learn/lake/archive_journal.h"
#include "learn/lake/archive_port.h"
#include "learn/lake/archive_tally.h"

/* Blocks between their first record and their object; more: the archive stops reading. */
#define ARCHIVE_LANE_BLOCKS_MAX 64
#define ARCHIVE_LANE_RETRY_US   1000000LL
/* A block of an older epoch is whole so long after its minute, by the new epoch's time. */
#define ARCHIVE_LANE_MARGIN_US 10000000LL

enum archive_lane_state { LANE_OPEN, LANE_WHOLE, LANE_ASKED, LANE_DURABLE };

struct archive_lane;

struct archive_lane_block {
    struct archive_lane *lane;
    struct archive_block identity;
    enum archive_lane_state state;
    bool partial;                  /* asked for before it was whole: stays open */
    uint64_t last_seq;             /* of its records */
    struct stream_position before; /* of the entry in front of its first record */
    int64_t retry_us;
};

struct archive_lane {
    enum archive_kind kind;
    enum stream_name stream;
    struct archive_port *archive;         /* borrowed */
    struct archive_journal_port *journal; /* borrowed; without functions: none */
    uint64_t kept_epoch, kept_seq;        /* of the last record in the journal */
    uint64_t taken_epoch, taken_seq;      /* of the last record appended */
    uint64_t durable_epoch, durable_seq;  /* up to here all is durable */
    struct stream_position at;            /* behind the last entry taken as a whole */
    struct archive_lane_block blocks[ARCHIVE_LANE_BLOCKS_MAX]; /* a ring */
    int first, count;
    int asked;      /* of them are with the engine */
    int64_t now_us; /* monotonic */
    bool moved;     /* the durable place has grown: to be saved */
};

void archive_lane_init(struct archive_lane *lane, enum archive_kind kind, enum stream_name stream,
                       struct archive_port *archive, struct archive_journal_port *journal);
/* ERR_OK: appended, and in the journal. An entry of the journal itself comes the same way once
 * kept_epoch and kept_seq say so. ERR_DUPLICATE: taken before. ERR_AGAIN: no room now. */
int archive_lane_take(struct archive_lane *lane, const char *symbol,
                      const struct record *record) MUST_CHECK;
/* Blocks that the tally knows to be whole, and the asking for those that are. */
int archive_lane_do_work(struct archive_lane *lane, const struct archive_tally *tally, bool drained,
                         int64_t mono_us);
/* Asks for what there is, whole or not; true when nothing is left to wait for. */
bool archive_lane_flush(struct archive_lane *lane, int64_t mono_us);
/* Where a restart begins to read. */
const struct stream_position *archive_lane_position(const struct archive_lane *lane);

#endif
