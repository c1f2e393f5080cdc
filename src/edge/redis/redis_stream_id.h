/* Entry ids of Redis streams, "<epoch>-<seq>". SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_EDGE_REDIS_REDIS_STREAM_ID_H
#define BTCAST_EDGE_REDIS_REDIS_STREAM_ID_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* Two 64-bit numbers, the dash and the NUL. */
#define REDIS_STREAM_ID_SIZE 42

struct redis_stream_id {
    uint64_t epoch, seq;
};

/* Exactly this form, nothing before or after; ERR_MALFORMED, ERR_OVERFLOW. */
int redis_stream_id_parse(const char *text, size_t size, struct redis_stream_id *id) MUST_CHECK;
const char *redis_stream_id_text(struct redis_stream_id id, char out[REDIS_STREAM_ID_SIZE]);
/* < 0, 0, > 0. */
int redis_stream_id_compare(struct redis_stream_id a, struct redis_stream_id b);

#endif
