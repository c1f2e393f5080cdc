/* Names of the streams' partitions where an engine wants one key a partition (Redis).
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_HOT_STREAM_STREAM_KEY_H
#define BTCAST_HOT_STREAM_STREAM_KEY_H

#include "hot/stream/stream_port.h"

#define STREAM_KEY_SIZE 96

/* plain: `market-sbe-trade:BTCUSDT` on a single server; hashtag:
 * `market-sbe-trade:{BTCUSDT}` in Cluster, where all keys of a symbol have to lie in one
 * slot (CONTRACTS.md section 12, row 3). */
enum stream_key_style { STREAM_KEYS_PLAIN, STREAM_KEYS_HASHTAG };

/* Writes the key of a partition into out[STREAM_KEY_SIZE] and returns out. PRE: symbol is
 * shorter than RECORD_SYMBOL_SIZE. */
const char *stream_key(enum stream_name name, enum stream_key_style style, const char *symbol,
                       char *out);
/* The hash of a partition's registered consumers, `consumers:<stream key>`. */
const char *stream_key_consumers(enum stream_name name, enum stream_key_style style,
                                 const char *symbol, char *out);

#endif
