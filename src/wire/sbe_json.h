/* A frame or record as one JSON object with the schema's own field names, for people and
 * tests (`btcast decode`): ids and times are integers, prices and quantities exact decimal
 * strings. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_WIRE_SBE_JSON_H
#define BTCAST_WIRE_SBE_JSON_H

#include <stdbool.h>

#include "base/bytes.h"
#include "base/text.h"
#include "market/record.h"

/* A buffer this large holds any frame of frame_size bytes. */
#define SBE_JSON_SIZE(frame_size) (1024 + 16 * (size_t)(frame_size))

/* Writes {"template":…,"templateId":…,…} without a line end, or
 * {"error":…,"cause":…,"offset":…,"size":…} for a malformed frame (and returns false). */
bool sbe_json_write(struct text *out, struct bytes data);

/* The same for a stamped record: its stamp (kind, epoch, seq, recv_us, flags) and what it
 * holds. Anchors carry their document as it is, when it is JSON. */
bool sbe_json_write_record(struct text *out, const struct record *record);

#endif
