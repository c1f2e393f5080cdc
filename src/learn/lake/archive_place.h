/* How far a symbol's archive has come, as the text that survives a restart: of each stream,
 * up to which record everything is durable and where to begin to read. A record at or before
 * the durable place is skipped when it comes again, so a position that is too early costs
 * time only. Pure. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_LEARN_LAKE_ARCHIVE_PLACE_H
#define BTCAST_LEARN_LAKE_ARCHIVE_PLACE_H

#include "base/bytes.h"
#include "base/text.h"
#include "hot/stream/stream_port.h"

#define ARCHIVE_PLACE_SIZE 1024

struct archive_place {
    struct {
        uint64_t epoch, seq;
    } durable[STREAM_COUNT]; /* of STREAM_CONTROL: 0 */
    struct stream_position position[STREAM_COUNT];
};

/* Where the text is kept: durable when save says ERR_OK. load: ERR_NOT_FOUND before the first
 * save. */
struct archive_place_port {
    void *self;
    int (*load)(void *self, uint8_t *out, size_t capacity, size_t *size);
    int (*save)(void *self, struct bytes text);
};

/* One line a stream behind a head, a CRC-32C at the end. */
void archive_place_write(const struct archive_place *place, struct text *text);
/* ERR_MALFORMED or ERR_CORRUPT: place is left empty. */
int archive_place_read(struct bytes text, struct archive_place *place) MUST_CHECK;

#endif
