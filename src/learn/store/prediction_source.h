/* Where the predictions log reads from: the published stream and the mids of recent slot
 * boundaries. The engine is edge/redis/redis_predictions. Asynchronous: every call that
 * returned ERR_OK ends with exactly one call of `done`, from do_work, never from inside the
 * call. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_LEARN_STORE_PREDICTION_SOURCE_H
#define BTCAST_LEARN_STORE_PREDICTION_SOURCE_H

#include <stdint.h>

#include "base/bytes.h"
#include "learn/store/prediction_rows.h"

#define PREDICTION_SOURCE_PAIRS_MAX 64

/* Once for each entry in slot order; borrowed. */
typedef void (*prediction_entry_fn)(void *context, int64_t slot,
                                    const struct prediction_pair *pairs, int count);
/* "slot:mid:valid …", newest first, "" when there is none; borrowed. */
typedef void (*prediction_mids_fn)(void *context, struct bytes text);
/* ERR_OK; ERR_CONNECTION, ERR_TIMEOUT: away, try again. malformed: entries that were none. */
typedef void (*prediction_done_fn)(void *context, int result, uint64_t malformed);

struct prediction_source {
    void *self;
    /* Entries behind after_slot, at most limit. */
    int (*entries)(void *self, int64_t after_slot, int limit, prediction_entry_fn entry,
                   prediction_done_fn done, void *context);
    int (*mids)(void *self, prediction_mids_fn mids, prediction_done_fn done, void *context);
    int (*do_work)(void *self, int64_t mono_us);
};

#endif
