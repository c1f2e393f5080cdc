/* SPDX-License-Identifier: Apache-2.0 */
#include "market/lost.h"

#include <string.h>

void lost_init(struct lost *lost)
{
    *lost = (struct lost){0};
}

void lost_add(struct lost *lost, const struct lost_range *range)
{
    if (lost->count == LOST_RANGES_MAX) {
        memmove(lost->list, lost->list + 1, (LOST_RANGES_MAX - 1) * sizeof(lost->list[0]));
        lost->count--;
    }
    lost->list[lost->count++] = *range;
}

const struct lost_range *lost_find(const struct lost *lost, int64_t id)
{
    for (uint32_t i = lost->count; i-- > 0;)
        if (id >= lost->list[i].first && id <= lost->list[i].last)
            return &lost->list[i];
    return NULL;
}

void lost_found(struct lost *lost, int64_t first, int64_t last)
{
    const struct lost before = *lost;
    lost->count = 0;
    for (uint32_t i = 0; i < before.count; i++) {
        struct lost_range left = before.list[i], right = before.list[i];
        if (left.last >= first)
            left.last = first - 1;
        if (right.first <= last)
            right.first = last + 1;
        if (left.first <= left.last)
            lost_add(lost, &left);
        if (right.first <= right.last && right.first > left.last)
            lost_add(lost, &right);
    }
}

void lost_code(struct lost *lost, struct codec *codec)
{
    int64_t last = -1, last_us = 0;
    codec_u32(codec, &lost->count, LOST_RANGES_MAX);
    for (uint32_t i = 0; i < lost->count && !codec->failed; i++) {
        struct lost_range *range = &lost->list[i];
        codec_i64(codec, &range->first);
        codec_i64(codec, &range->last);
        codec_i64(codec, &range->before_us);
        codec_i64(codec, &range->after_us);
        codec_expect(codec,
                     range->first > last && range->last >= range->first && range->last < INT64_MAX);
        codec_expect(codec, range->before_us >= last_us && range->after_us >= range->before_us);
        last = range->last;
        last_us = range->before_us;
    }
}
