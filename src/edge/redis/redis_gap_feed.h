/* The entries of gap-events:{symbol} for backfill (recover/backfill/gap_feed_port.h).
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_EDGE_REDIS_REDIS_GAP_FEED_H
#define BTCAST_EDGE_REDIS_REDIS_GAP_FEED_H

#include "edge/redis/redis_link.h"
#include "hot/state/state_keys.h"
#include "market/record.h"
#include "recover/backfill/gap_feed_port.h"

struct redis_gap_feed {
    struct redis_link *link; /* borrowed, run by its owner; closed first */
    char key[STATE_KEY_SIZE];
    char symbol[RECORD_SYMBOL_SIZE];
    gap_feed_fn done; /* NULL: nothing is being read */
    void *context;
    struct gap_feed_entry entries[GAP_FEED_ENTRIES_MAX];
};

struct gap_feed_port redis_gap_feed_open(struct redis_gap_feed *feed, struct redis_link *link,
                                         enum state_key_style style, const char *symbol);

#endif
