/* State to bytes and back with one function for both directions, so that what is saved
 * and what is loaded cannot drift apart. Little endian, no padding; a failure is sticky
 * and checked once at the end. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_MARKET_CODEC_H
#define BTCAST_MARKET_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

struct codec {
    uint8_t *out;      /* saving: where to; NULL when loading */
    const uint8_t *in; /* loading: where from */
    size_t at, size;   /* next byte, end */
    bool failed;       /* ran out of bytes, or a loaded value was out of range */
};

struct codec codec_save(uint8_t *out, size_t capacity);
struct codec codec_load(struct bytes in);

static inline bool codec_is_loading(const struct codec *codec)
{
    return codec->out == NULL;
}

/* Marks a loaded value as impossible. */
static inline void codec_expect(struct codec *codec, bool expected)
{
    if (!expected)
        codec->failed = true;
}

/* Each writes *value, or reads into it; 0 after a failure. */
void codec_bytes(struct codec *codec, void *data, size_t size);
void codec_u64(struct codec *codec, uint64_t *value);
void codec_i64(struct codec *codec, int64_t *value);
void codec_f64(struct codec *codec, double *value);
void codec_f32(struct codec *codec, float *value);
/* As an i64; out of the range when loaded: failed and minimum. */
void codec_int(struct codec *codec, int *value, int minimum, int maximum);
void codec_u32(struct codec *codec, uint32_t *value, uint32_t maximum);
void codec_bool(struct codec *codec, bool *value);

#endif
