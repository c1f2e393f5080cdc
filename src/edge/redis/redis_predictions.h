/* What the predictions log reads, from Redis: the stream predictions:{symbol} or the shadow's, and
 * the field slot_mids of feat:{symbol}. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_EDGE_REDIS_REDIS_PREDICTIONS_H
#define BTCAST_EDGE_REDIS_REDIS_PREDICTIONS_H

#include "edge/redis/redis_link.h"
#include "hot/state/state_keys.h"
#include "learn/store/prediction_source.h"

struct redis_predictions {
    struct redis_link *link; /* borrowed; its do_work is the owner's */
    struct prediction_source source;
    char stream[STATE_KEY_SIZE], features[STATE_KEY_SIZE];
    struct redis_predictions_call {
        bool used;
        prediction_entry_fn entry;
        prediction_mids_fn mids;
        prediction_done_fn done;
        void *context;
    } entries, mids;
};

/* stream: STATE_PREDICTIONS or STATE_SHADOW. source: see prediction_source.h, valid as long as the
 * struct stays in place. Replies come while the link's loop runs. */
void redis_predictions_init(struct redis_predictions *self, struct redis_link *link,
                            enum state_key stream, enum state_key_style style, const char *symbol);

#endif
