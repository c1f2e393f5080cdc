/* Is everything up to here in? seq is gapless over the three streams of a symbol together
 * (DESIGN.md section 4, "Order of the world"), so counting is enough: when as many records
 * were taken as there are numbers up to the highest one, nothing below it is missing in any
 * stream. A quiet stream's block is known to be whole that way, and a hole is known by its
 * size. Pure. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_LEARN_LAKE_ARCHIVE_TALLY_H
#define BTCAST_LEARN_LAKE_ARCHIVE_TALLY_H

#include <stdbool.h>
#include <stdint.h>

/* What has been missing for so long, with all streams read to their ends, is a hole. */
#define ARCHIVE_TALLY_HOLD_US 10000000LL

/* Epochs before the newest of which numbers were still missing when it began: the other streams
 * may have them yet. The oldest goes uncounted when there are more. */
#define ARCHIVE_TALLY_PAST_MAX 8

struct archive_tally_past {
    uint64_t epoch, base, top;
    uint64_t present;   /* taken, or missing and told */
    int64_t watched_us; /* monotonic: the streams are read to their ends since; 0: they are not */
};

struct archive_tally {
    bool based;              /* base is known */
    bool settled;            /* the streams were read to their ends once since the beginning: up to
                                base nothing is unread either */
    uint64_t epoch, base;    /* numbers up to base do not count */
    uint64_t taken, missing; /* of base + 1 to top */
    uint64_t top;            /* highest number seen */
    int64_t top_us;          /* its receive time */
    uint64_t least;          /* fewest missing since watched_us */
    int64_t watched_us;      /* monotonic; 0: nothing is missing */
    uint64_t holes, lost;    /* declared, over all; records in them */
    struct archive_tally_past past[ARCHIVE_TALLY_PAST_MAX];
    int past_count;
    bool complete; /* the three below are set */
    uint64_t complete_epoch, complete_seq;
    int64_t complete_us;
};

/* Begins behind (epoch, seq): all records above it will be taken. epoch 0: wherever the first
 * records are, what is there when the streams are read to their ends is the beginning. */
void archive_tally_begin(struct archive_tally *tally, uint64_t epoch, uint64_t seq);
/* A record that was not taken before. */
void archive_tally_take(struct archive_tally *tally, uint64_t epoch, uint64_t seq, int64_t recv_us);
/* After records were taken, and now and then. drained: the streams are read to their ends. */
void archive_tally_look(struct archive_tally *tally, bool drained, int64_t mono_us);

#endif
