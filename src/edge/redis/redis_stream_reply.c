/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/redis/redis_stream_reply.h"

#include <string.h>

int redis_stream_reply_id(const redisReply *entry, struct redis_stream_id *id)
{
    if (entry->elements != 2 || entry->element[0]->str == NULL)
        return ERR_MALFORMED;
    return redis_stream_id_parse(entry->element[0]->str, entry->element[0]->len, id);
}

int redis_stream_reply_envelope(const redisReply *entry, struct bytes *envelope)
{
    if (entry->elements != 2 || entry->element[1]->elements < 2)
        return ERR_MALFORMED;
    const redisReply *field = entry->element[1]->element[0];
    const redisReply *value = entry->element[1]->element[1];
    if (field->str == NULL || strcmp(field->str, "e") != 0 || value->str == NULL)
        return ERR_MALFORMED;
    *envelope = bytes_of(value->str, value->len);
    return ERR_OK;
}

struct redis_stream_info redis_stream_reply_info(const redisReply *reply)
{
    struct redis_stream_info info = {0};
    for (size_t i = 0; i + 1 < reply->elements; i += 2) {
        const char *name = reply->element[i]->str;
        const redisReply *value = reply->element[i + 1];
        if (name == NULL)
            continue;
        if (strcmp(name, "last-generated-id") == 0 && value->str != NULL &&
            redis_stream_id_parse(value->str, value->len, &info.last) != ERR_OK)
            info.last = (struct redis_stream_id){0};
        if (strcmp(name, "first-entry") == 0)
            info.has_first = redis_stream_reply_id(value, &info.first) == ERR_OK;
    }
    return info;
}
