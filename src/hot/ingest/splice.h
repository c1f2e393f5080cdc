/* One ordered feed out of one or two connections that carry the same streams, by the
 * exchange's own ids (DESIGN.md section 5, Ingest). The same code runs with one.
 *
 * Diffs   go on iff they advance last_u and U <= last_u + 1. One that leaves a hole
 *         waits for the other connection.
 * Trades  go on iff they hold an id above the last one; a frame of which some trades
 *         were seen is cut to the new ones, so no trade is lost and none is doubled.
 *         A frame that leaves a hole waits like a diff.
 * Quotes and depth20 go on iff their update id is larger.
 *
 * Waiting ends when the hole is filled, when every live connection has itself delivered
 * something beyond the hole (then nobody will fill it: it is the exchange's), or after
 * SPLICE_HOLD_US. With one connection nothing ever waits.
 *
 * If a stream delivers nothing but old ids for SPLICE_REBASE_US (an exchange that started
 * over) the next frame is taken as the new start and counted.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_HOT_INGEST_SPLICE_H
#define BTCAST_HOT_INGEST_SPLICE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "wire/sbe.h"

#define SPLICE_SOURCES    2
#define SPLICE_HOLD_US    100000
#define SPLICE_REBASE_US  10000000
#define SPLICE_HELD_MAX   256 /* frames waiting in one stream; full: no more waiting */
#define SPLICE_HELD_BYTES (2u * 1024 * 1024)

enum splice_stream { SPLICE_TRADES, SPLICE_DIFFS, SPLICE_QUOTES, SPLICE_SNAPSHOTS, SPLICE_STREAMS };

struct splice_counters {
    uint64_t emitted, duplicates, cut, held, filled, holes, missing_ids, held_full, rebases;
};

/* In order. frame is borrowed for the call. */
typedef void (*splice_emit_fn)(void *context, enum splice_stream stream, struct bytes frame,
                               uint8_t flags);

struct splice; /* opaque: one block, taken at open */

int splice_open(splice_emit_fn emit, void *context, struct splice **splice,
                struct err *err) MUST_CHECK;
void splice_close(struct splice *splice);
/* A connection came up or went down (source 0 .. SPLICE_SOURCES - 1). Going down frees what
 * waits for it alone. */
void splice_source(struct splice *splice, int source, bool live);
/* A frame that sbe_decode accepted. mono_us is the monotonic clock. */
void splice_push(struct splice *splice, int source, const struct sbe_frame *frame,
                 struct bytes payload, uint8_t flags, int64_t mono_us);
/* Frees what has waited long enough; returns the monotonic time of the next one due, or
 * INT64_MAX. */
int64_t splice_expire(struct splice *splice, int64_t mono_us);
const struct splice_counters *splice_counters(const struct splice *splice,
                                              enum splice_stream stream);
/* The last id that went on (u, trade id, update id); INT64_MIN before the first. */
int64_t splice_last_id(const struct splice *splice, enum splice_stream stream);

#endif
