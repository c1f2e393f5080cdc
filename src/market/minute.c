/* SPDX-License-Identifier: Apache-2.0 */
#include "market/minute.h"

void minutes_init(struct minutes *minutes)
{
    *minutes = (struct minutes){.last_id = -1};
}

static struct minute minute_empty(int64_t minute, bool is_complete)
{
    return (struct minute){
        .minute = minute, .first_id = -1, .last_id = -1, .is_complete = is_complete};
}

static void minutes_close(struct minutes *minutes)
{
    minutes->list[minutes->count++ % MINUTES_KEPT] = minutes->open;
    minutes->open = minute_empty(minutes->open.minute + 1, true);
}

/* Closes up to `minute`; what lies so far behind that it is not kept is left out. */
static bool minutes_close_before(struct minutes *minutes, int64_t minute, bool is_complete)
{
    bool closed = minutes->open.minute < minute;
    while (minutes->open.minute < minute) {
        minutes->open.is_complete &= is_complete;
        minutes_close(minutes);
        if (minute - minutes->open.minute > MINUTES_KEPT)
            minutes->open.minute = minute - MINUTES_KEPT;
    }
    minutes->open.is_complete &= is_complete;
    return closed;
}

void minutes_spoil(struct minutes *minutes)
{
    minutes->open.is_complete = false;
}

bool minutes_advance(struct minutes *minutes, int64_t now_us)
{
    bool deaf = now_us - minutes->now_us > MINUTE_DEAF_US;
    minutes->now_us = now_us;
    if (!minutes->is_started)
        return false;
    if (deaf)
        minutes_spoil(minutes);
    int64_t trade_us = now_us - minutes->lag_us - MINUTE_GRACE_US;
    if (trade_us < (minutes->open.minute + 1) * MINUTE_US)
        return false;
    return minutes_close_before(minutes, trade_us / MINUTE_US, !deaf);
}

static struct minute *minutes_kept_one(struct minutes *minutes, int64_t minute)
{
    if (minute == minutes->open.minute)
        return &minutes->open;
    for (uint64_t i = 0; i < minutes->count && i < MINUTES_KEPT; i++)
        if (minutes->list[i].minute == minute)
            return &minutes->list[i];
    return NULL;
}

/* Ids jumped: whichever minute from the last trade's to this one may lack some. */
static void minutes_spoil_since(struct minutes *minutes, int64_t minute)
{
    for (uint64_t i = 0; i < minutes->count && i < MINUTES_KEPT; i++)
        if (minutes->list[i].minute >= minute)
            minutes->list[i].is_complete = false;
    minutes_spoil(minutes);
}

static void minutes_start(struct minutes *minutes, int64_t minute)
{
    minutes->is_started = true;
    minutes->last_minute = minute;
    minutes->open = minute_empty(minute, false);
}

static void minute_add(struct minute *minute, int64_t id, int64_t qty)
{
    minute->volume += qty; /* both at most SCALE_VALUE_MAX */
    if (minute->volume > SCALE_VALUE_MAX) {
        minute->volume = SCALE_VALUE_MAX;
        minute->is_complete = false;
    }
    minute->trades++;
    minute->last_id = id;
    if (minute->first_id < 0)
        minute->first_id = id;
}

bool minutes_add(struct minutes *minutes, int64_t transact_us, int64_t id, int64_t qty)
{
    bool is_next = id == minutes->last_id + 1;
    int64_t minute = transact_us / MINUTE_US;
    minutes->last_id = id;
    if (transact_us < 0 || transact_us > minutes->now_us + MINUTE_AHEAD_US_MAX) {
        minutes_spoil(minutes);
        return false;
    }
    if (!minutes->is_started)
        minutes_start(minutes, minute);
    if (!is_next)
        minutes_spoil_since(minutes, minutes->last_minute);
    bool closed = minutes_close_before(minutes, minute, is_next);
    struct minute *mine = minutes_kept_one(minutes, minute);
    if (mine == NULL) { /* far behind: an earlier time was wrong, begin again */
        minutes_start(minutes, minute);
        mine = &minutes->open;
    }
    if (mine != &minutes->open)
        mine->is_complete = false; /* it has been told without this trade */
    minutes->last_minute = minute;
    minutes->lag_us = minutes->now_us - transact_us;
    minute_add(mine, id, qty);
    return closed;
}

static int minutes_kept(const struct minutes *minutes)
{
    return minutes->count < MINUTES_KEPT ? (int)minutes->count : MINUTES_KEPT;
}

int minutes_newest(const struct minutes *minutes, struct minute *out, int capacity)
{
    int kept = minutes_kept(minutes);
    int count = capacity < kept ? capacity : kept;
    for (int i = 0; i < count; i++)
        out[i] = minutes->list[(minutes->count - 1 - (uint64_t)i) % MINUTES_KEPT];
    return count > 0 ? count : 0;
}

static void minute_rescale(struct minute *minute, struct scale_step step)
{
    if (scale_fit_value(minute->volume, step.qty_shift) == SCALE_FITS) {
        minute->volume = scale_value(minute->volume, step.qty_shift);
        return;
    }
    minute->volume = 0;
    minute->is_complete = false;
}

void minutes_rescale(struct minutes *minutes, struct scale_step step)
{
    minute_rescale(&minutes->open, step);
    for (int i = 0; i < minutes_kept(minutes); i++)
        minute_rescale(&minutes->list[i], step);
}

static void minute_code(struct minute *minute, struct codec *codec)
{
    codec_i64(codec, &minute->minute);
    codec_i64(codec, &minute->volume);
    codec_u64(codec, &minute->trades);
    codec_i64(codec, &minute->first_id);
    codec_i64(codec, &minute->last_id);
    codec_bool(codec, &minute->is_complete);
    codec_expect(codec, minute->volume >= 0 && minute->volume <= SCALE_VALUE_MAX);
    codec_expect(codec, minute->minute >= 0 && minute->minute <= INT64_MAX / 4 / MINUTE_US);
}

void minutes_code(struct minutes *minutes, struct codec *codec)
{
    codec_bool(codec, &minutes->is_started);
    codec_i64(codec, &minutes->last_id);
    codec_i64(codec, &minutes->last_minute);
    codec_i64(codec, &minutes->now_us);
    codec_i64(codec, &minutes->lag_us);
    codec_expect(codec, minutes->last_id >= -1);
    codec_expect(codec, minutes->now_us >= 0 && minutes->now_us <= INT64_MAX / 4);
    codec_expect(codec,
                 minutes->lag_us >= -MINUTE_AHEAD_US_MAX && minutes->lag_us <= INT64_MAX / 4);
    minute_code(&minutes->open, codec);
    int kept = minutes_kept(minutes);
    uint64_t first = minutes->count - (uint64_t)kept;
    codec_int(codec, &kept, 0, MINUTES_KEPT);
    if (codec_is_loading(codec)) {
        minutes->count = (uint64_t)kept;
        first = 0;
    }
    for (int i = 0; i < kept; i++)
        minute_code(&minutes->list[(first + (uint64_t)i) % MINUTES_KEPT], codec);
}
