/* Stamped record -> event: the one place where bytes become what the world applies.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_WIRE_DECODE_H
#define BTCAST_WIRE_DECODE_H

#include "base/err.h"
#include "market/event.h"
#include "market/record.h"
#include "wire/sbe.h"

/* Levels a side an anchor may bring (REST limit). */
#define DECODE_ANCHOR_LEVELS_MAX 5000
/* Aggregated trades an anchor may bring. */
#define DECODE_ANCHOR_TRADES_MAX 8192

struct decode; /* scratch for anchors, opaque */

/* symbol: frames of another one are refused (SBE_BAD_SYMBOL). */
int decode_open(const char *symbol, struct decode **decode, struct err *err) MUST_CHECK;
void decode_close(struct decode *decode);
/* Fills event; its views point into record->payload, or into decode for anchors, valid
 * until the next call. ERR_MALFORMED with *verdict (may be NULL) for a refused frame;
 * ERR_UNSUPPORTED for unknown schema or template. Anchors take the exponents of the last
 * frame seen (-8 before any); of the document the members symbol, depth and aggTrades are
 * read. A depth value finer than those exponents is ERR_MALFORMED; a list of trades that
 * cannot be read at them is left out, since the book is good without it. The rest is the
 * world's judgement. */
int decode_record(struct decode *decode, const struct record *record, struct event *event,
                  enum sbe_verdict *verdict, struct err *err) MUST_CHECK;

#endif
