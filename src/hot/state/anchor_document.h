/* The document by which REST replies travel from the re-anchor service to the aggregator
 * and into the archive: JSON {symbol, token, cause, requested_us, received_us, levels, depth,
 * aggTrades, klines}, the replies untouched inside, the last two only when they came. Its
 * levels and trades are read by wire/decode; here its envelope.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_HOT_STATE_ANCHOR_DOCUMENT_H
#define BTCAST_HOT_STATE_ANCHOR_DOCUMENT_H

#include "base/bytes.h"
#include "base/err.h"
#include "base/text.h"
#include "hot/state/state_port.h"

#define ANCHOR_CAUSE_SIZE 96

struct anchor_document {
    char symbol[24];
    char token[STATE_TOKEN_SIZE];
    char cause[ANCHOR_CAUSE_SIZE];
    int64_t requested_us, received_us;
    int64_t levels;                  /* asked for, a side; 0: not known */
    struct bytes agg_trades, klines; /* raw arrays, borrowed; size 0: none */
};

/* Appends the document; depth is the raw reply (a JSON object). Tokens are written by us:
 * letters, digits, '-' only. Look at out->truncated afterwards. */
void anchor_document_write(const struct anchor_document *document, struct bytes depth,
                           struct text *out);
/* Reads the members above. ERR_MALFORMED when symbol or token are missing or too long. */
int anchor_document_read(struct bytes json, struct anchor_document *document,
                         struct err *err) MUST_CHECK;

#endif
