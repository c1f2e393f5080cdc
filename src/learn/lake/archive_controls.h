/* Control records on their way into bronze. They are few, come after the fact and not always
 * in order, so they are kept for some minutes: a block that gets another one is written again
 * as a whole. Pure. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_LEARN_LAKE_ARCHIVE_CONTROLS_H
#define BTCAST_LEARN_LAKE_ARCHIVE_CONTROLS_H

#include "hot/stream/stream_port.h"
#include "learn/lake/archive_journal.h"

/* Kept at a time; more: the oldest block goes as if its time had come, counted. */
#define ARCHIVE_CONTROLS_MAX       512
#define ARCHIVE_CONTROLS_BYTES_MAX ((size_t)64 << 20)
/* After the end of its minute a block is written first, and forgotten. */
#define ARCHIVE_CONTROLS_WRITE_US  10000000LL
#define ARCHIVE_CONTROLS_FORGET_US 300000000LL
#define ARCHIVE_CONTROLS_RETRY_US  1000000LL

struct archive_control {
    struct archive_block identity;
    struct record record; /* its payload is owned */
    bool written;         /* its block was, with it */
    struct stream_position before;
};

struct archive_controls {
    struct archive_port *archive;                       /* borrowed */
    struct archive_journal_port *journal;               /* borrowed */
    bool recovering;                                    /* what is taken now is in the journal */
    struct archive_control *list[ARCHIVE_CONTROLS_MAX]; /* as they came */
    int count;
    size_t bytes;
    struct stream_position at;
    bool asking, moved;
    struct archive_block asked;
    int64_t now_us, retry_us;
    uint64_t taken, duplicates, dropped;
};

void archive_controls_init(struct archive_controls *controls, struct archive_port *archive,
                           struct archive_journal_port *journal);
void archive_controls_close(struct archive_controls *controls);
/* Copies the record. ERR_DUPLICATE: it is there. ERR_AGAIN: no memory. */
int archive_controls_take(struct archive_controls *controls, const char *symbol,
                          const struct record *record) MUST_CHECK;
/* newest_us: receive time of the newest record of any stream. */
int archive_controls_do_work(struct archive_controls *controls, int64_t newest_us, int64_t mono_us);
/* As archive_lane_flush. */
bool archive_controls_flush(struct archive_controls *controls, int64_t mono_us);
const struct stream_position *archive_controls_position(const struct archive_controls *controls);

#endif
