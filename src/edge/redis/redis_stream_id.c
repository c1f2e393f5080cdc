/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/redis/redis_stream_id.h"

#include <inttypes.h>
#include <stdio.h>

#include "market/record.h"

/* Digits from text[*at] on, at least one; *at is behind them. */
static int redis_stream_id_parse_number(const char *text, size_t size, size_t *at, uint64_t *value)
{
    size_t start = *at;
    *value = 0;
    for (; *at < size && text[*at] >= '0' && text[*at] <= '9'; (*at)++) {
        uint64_t digit = (uint64_t)(text[*at] - '0');
        if (*value > (UINT64_MAX - digit) / 10)
            return ERR_OVERFLOW;
        *value = *value * 10 + digit;
    }
    return *at > start ? ERR_OK : ERR_MALFORMED;
}

int redis_stream_id_parse(const char *text, size_t size, struct redis_stream_id *id)
{
    size_t at = 0;
    int result = redis_stream_id_parse_number(text, size, &at, &id->epoch);
    if (result != ERR_OK)
        return result;
    if (at == size || text[at++] != '-')
        return ERR_MALFORMED;
    result = redis_stream_id_parse_number(text, size, &at, &id->seq);
    return result == ERR_OK && at != size ? ERR_MALFORMED : result;
}

const char *redis_stream_id_text(struct redis_stream_id id, char out[REDIS_STREAM_ID_SIZE])
{
    snprintf(out, REDIS_STREAM_ID_SIZE, "%" PRIu64 "-%" PRIu64, id.epoch, id.seq);
    return out;
}

int redis_stream_id_compare(struct redis_stream_id a, struct redis_stream_id b)
{
    return record_compare(a.epoch, a.seq, b.epoch, b.seq);
}
