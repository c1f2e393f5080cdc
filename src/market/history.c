/* SPDX-License-Identifier: Apache-2.0 */
#include "market/history.h"

#include <math.h>

#include "base/check.h"

static const int64_t history_spans_us[HISTORY_SPAN_COUNT] = {
    [HISTORY_500MS] = 500000, [HISTORY_1S] = 1000000,   [HISTORY_5S] = 5000000,
    [HISTORY_10S] = 10000000, [HISTORY_30S] = 30000000,
};

static inline const struct history_sample *history_at(const struct history *history,
                                                      uint64_t number)
{
    return &history->samples[number % HISTORY_SAMPLES_MAX];
}

void history_init(struct history *history)
{
    history->head = history->tail = 0;
    memset(history->cursors, 0, sizeof(history->cursors));
}

static int64_t history_fixed(double value, double unit, double limit)
{
    double scaled = value * unit;
    scaled = scaled > limit ? limit : scaled < -limit ? -limit : scaled;
    return (int64_t)rint(scaled);
}

/* Each cursor walks to the newest sample that is old enough; amortised constant. */
static void history_move_cursors(struct history *history)
{
    int64_t now_us = history_last(history)->recv_us;
    for (int i = 0; i < HISTORY_SPAN_COUNT; i++) {
        uint64_t *cursor = &history->cursors[i];
        *cursor = *cursor < history->tail ? history->tail : *cursor;
        while (*cursor + 1 < history->head &&
               history_at(history, *cursor + 1)->recv_us <= now_us - history_spans_us[i])
            ++*cursor;
    }
}

static void history_append(struct history *history, const struct history_sample *sample)
{
    if (history->head - history->tail == HISTORY_SAMPLES_MAX)
        history->tail++;
    history->samples[history->head++ % HISTORY_SAMPLES_MAX] = *sample;
    history_move_cursors(history);
}

void history_push(struct history *history, const struct history_step *step)
{
    struct history_sample sample = {
        .recv_us = step->recv_us, .log_mid = step->log_mid, .quotes = step->quotes};
    const struct history_sample *last = history_last(history);
    if (last != NULL) {
        int64_t back =
            history_fixed(step->log_mid - last->log_mid, HISTORY_RETURN_UNIT, HISTORY_RETURN_MAX);
        sample.squares = last->squares + (uint64_t)(back * back);
        sample.flow =
            last->flow + (uint64_t)history_fixed(step->flow, HISTORY_FLOW_UNIT, HISTORY_FLOW_MAX);
        sample.flow_deep =
            last->flow_deep +
            (uint64_t)history_fixed(step->flow_deep, HISTORY_FLOW_UNIT, HISTORY_FLOW_MAX);
    }
    history_append(history, &sample);
}

const struct history_sample *history_last(const struct history *history)
{
    return history->head == history->tail ? NULL : history_at(history, history->head - 1);
}

const struct history_sample *history_back(const struct history *history, enum history_span span)
{
    if (history->head == history->tail)
        return NULL;
    const struct history_sample *sample = history_at(history, history->cursors[span]);
    int64_t now_us = history_last(history)->recv_us;
    return sample->recv_us <= now_us - history_spans_us[span] ? sample : NULL;
}

void history_code(struct history *history, struct codec *codec)
{
    uint32_t count = (uint32_t)(history->head - history->tail);
    uint64_t tail = history->tail;
    codec_u32(codec, &count, HISTORY_SAMPLES_MAX);
    if (codec_is_loading(codec))
        history_init(history);
    for (uint32_t i = 0; i < count && !codec->failed; i++) {
        struct history_sample sample = {0};
        if (!codec_is_loading(codec))
            sample = *history_at(history, tail + i);
        codec_i64(codec, &sample.recv_us);
        codec_f64(codec, &sample.log_mid);
        codec_u64(codec, &sample.squares);
        codec_u64(codec, &sample.flow);
        codec_u64(codec, &sample.flow_deep);
        codec_u64(codec, &sample.quotes);
        if (!codec_is_loading(codec))
            continue;
        const struct history_sample *last = history_last(history);
        codec_expect(codec, isfinite(sample.log_mid) && fabs(sample.log_mid) < 1e3);
        codec_expect(codec, sample.recv_us >= (last == NULL ? 0 : last->recv_us));
        if (!codec->failed)
            history_append(history, &sample);
    }
}
