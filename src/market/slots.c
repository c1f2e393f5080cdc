/* SPDX-License-Identifier: Apache-2.0 */
#include "market/slots.h"

#include "base/clock.h"

void slots_init(struct slots *slots)
{
    *slots = (struct slots){0};
}

static void slots_start(struct slots *slots, int64_t now_us)
{
    slots->is_started = true;
    slots->next = clock_slot(now_us - 1) + 1; /* first boundary at or after now */
    slots->bad_us = now_us;
}

static void slots_close(struct slots *slots, int64_t mid2, bool is_live)
{
    int64_t boundary_us = clock_slot_us(slots->next);
    bool valid = is_live && mid2 > 0 && slots->bad_us <= boundary_us - CLOCK_HORIZON_US;
    slots->list[slots->count++ % WORLD_SLOT_MIDS] =
        (struct world_slot_mid){.slot = slots->next, .mid2 = mid2, .valid = valid};
    slots->next++;
}

static void slots_close_passed(struct slots *slots, int64_t now_us, int64_t mid2, bool is_live)
{
    /* After a long silence only the newest boundaries matter. */
    int64_t oldest = clock_slot(now_us - 1) - (WORLD_SLOT_MIDS - 1);
    slots->next = slots->next < oldest ? oldest : slots->next;
    while (clock_slot_us(slots->next) < now_us)
        slots_close(slots, mid2, is_live);
}

void slots_advance(struct slots *slots, int64_t now_us, int64_t mid2, bool is_live)
{
    if (!slots->is_started)
        slots_start(slots, now_us);
    if (clock_slot_us(slots->next) < now_us)
        slots_close_passed(slots, now_us, mid2, is_live);
    if (!is_live)
        slots_mark_bad(slots, now_us);
}

void slots_mark_bad(struct slots *slots, int64_t now_us)
{
    slots->bad_us = now_us > slots->bad_us ? now_us : slots->bad_us;
}

static int slots_kept(const struct slots *slots)
{
    return slots->count < WORLD_SLOT_MIDS ? (int)slots->count : WORLD_SLOT_MIDS;
}

int slots_newest(const struct slots *slots, struct world_slot_mid *mids, int capacity)
{
    int kept = slots_kept(slots);
    int count = capacity < kept ? capacity : kept;
    for (int i = 0; i < count; i++)
        mids[i] = slots->list[(slots->count - 1 - (uint64_t)i) % WORLD_SLOT_MIDS];
    return count > 0 ? count : 0;
}

void slots_code(struct slots *slots, struct codec *codec)
{
    codec_bool(codec, &slots->is_started);
    codec_i64(codec, &slots->next);
    codec_i64(codec, &slots->bad_us);
    codec_expect(codec, slots->next >= 0 && slots->next <= INT64_MAX / 4 / CLOCK_SLOT_US);
    codec_expect(codec, slots->bad_us >= 0 && slots->bad_us <= INT64_MAX / 4);
    int kept = slots_kept(slots);
    uint64_t first = slots->count - (uint64_t)kept;
    codec_int(codec, &kept, 0, WORLD_SLOT_MIDS);
    if (codec_is_loading(codec)) {
        slots->count = (uint64_t)kept;
        first = 0;
    }
    for (int i = 0; i < kept; i++) {
        struct world_slot_mid *mid = &slots->list[(first + (uint64_t)i) % WORLD_SLOT_MIDS];
        codec_i64(codec, &mid->slot);
        codec_i64(codec, &mid->mid2);
        codec_bool(codec, &mid->valid);
        codec_expect(codec, mid->mid2 >= 0 && mid->mid2 <= 2 * SCALE_VALUE_MAX);
    }
}
