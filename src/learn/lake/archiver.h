/* The archive agent of one symbol: consumes its four streams and fills the blocks of bronze
 * (DESIGN.md section 7, "Lake"). A block is whole when its stream has gone on to the next
 * one, or when every number up to a later minute is in (archive_tally). Only whole blocks
 * move the place that a restart begins at, so the block that was cut is built again from its
 * first record and overwrites; a journal keeps its records for the case that the streams
 * have lost them. When the archive has no room the agent stops reading: the
 * streams keep what it has not committed. Pure: ports and clocks are handed in.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_LEARN_LAKE_ARCHIVER_H
#define BTCAST_LEARN_LAKE_ARCHIVER_H

#include "base/clock.h"
#include "base/metrics.h"
#include "hot/stream/stream_port.h"
#include "learn/lake/archive_journal.h"
#include "learn/lake/archive_place.h"
#include "learn/lake/archive_port.h"

#define ARCHIVER_COMMIT_US 1000000LL
/* Reading is tried again so long after there was no room. */
#define ARCHIVER_PAUSE_US 500000LL
/* Records of the journal that are taken at a turn. */
#define ARCHIVER_RECOVER_MAX 20000

struct archiver;

struct archiver_options {
    const char *symbol;
    struct archive_port archive;
    struct stream_consumer consumer;
    struct archive_place_port place;
    struct archive_journal_port journal; /* all zero: none */
    struct metrics *metrics;             /* NULL: none */
};

struct archiver_status {
    bool following, paused, caught_up;
    bool recovering;                         /* the journal is being read, the streams not yet */
    uint64_t recovered;                      /* records that came from it */
    uint64_t records, duplicates, malformed; /* taken; came again; envelopes refused */
    uint64_t controls, controls_dropped;
    uint64_t holes, records_missing;
    uint64_t pauses, saves_failed;
    uint64_t epoch, seq; /* of the newest record */
    int64_t newest_us;   /* its receive time; 0: none yet */
    int open_blocks;
};

int archiver_open(const struct archiver_options *options, struct archiver **archiver,
                  struct err *err) MUST_CHECK;
/* After the archive engine is closed: it may still owe an answer. */
void archiver_close(struct archiver *archiver);
/* The stream consumer's callback. */
void archiver_on_record(void *archiver, const struct stream_record *record, const char *position);
/* Returns how much was done. Does not work the archive port: its owner does. */
int archiver_do_work(struct archiver *archiver, struct clock_now now);
/* Asks the streams anew: once the status says caught_up after this, all that they held at this
 * call is taken. */
void archiver_catch_up(struct archiver *archiver);
/* Before the end: asks for every block that is open, whole or not, and reads no more. True
 * when all of it is durable. What was not whole is built again by the next start. */
bool archiver_flush(struct archiver *archiver, struct clock_now now);
void archiver_status(const struct archiver *archiver, struct archiver_status *status);

#endif
