/* Where unsent stream entries go when memory is full: a bounded first-in first-out store
 * outside the process (edge/file/spool_file implements it; the tests keep one in memory).
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_HOT_INGEST_SPOOL_PORT_H
#define BTCAST_HOT_INGEST_SPOOL_PORT_H

#include "base/err.h"
#include "hot/stream/stream_port.h"

struct spool_port {
    void *self;
    /* Adds one entry at the end. When the store is full its oldest entries go first; the
     * number of entries so lost is added to *dropped. ERR_IO: not stored. */
    int (*append)(void *self, const struct stream_record *record, uint64_t *dropped);
    /* The oldest entry; data is borrowed until the next call of any kind
     * and may be changed by the caller (only its copy).
     * ERR_EMPTY: there is none. Entries that cannot be read are forgotten, counted in
     * *dropped. */
    int (*read)(void *self, struct stream_record *record, uint64_t *dropped);
    /* Forgets the count oldest. */
    void (*remove)(void *self, uint64_t count);
    uint64_t (*count)(const void *self);
};

#endif
