/* SPDX-License-Identifier: Apache-2.0 */
#include "market/codec.h"

struct codec codec_save(uint8_t *out, size_t capacity)
{
    return (struct codec){.out = out, .size = capacity};
}

struct codec codec_load(struct bytes in)
{
    return (struct codec){.in = in.data, .size = in.size};
}

void codec_bytes(struct codec *codec, void *data, size_t size)
{
    if (codec->failed || codec->size - codec->at < size) {
        codec->failed = true;
        if (codec_is_loading(codec))
            memset(data, 0, size);
        return;
    }
    if (codec_is_loading(codec))
        memcpy(data, codec->in + codec->at, size);
    else
        memcpy(codec->out + codec->at, data, size);
    codec->at += size;
}

void codec_u64(struct codec *codec, uint64_t *value)
{
    codec_bytes(codec, value, sizeof(*value));
}

void codec_i64(struct codec *codec, int64_t *value)
{
    codec_bytes(codec, value, sizeof(*value));
}

void codec_f64(struct codec *codec, double *value)
{
    codec_bytes(codec, value, sizeof(*value));
}

void codec_f32(struct codec *codec, float *value)
{
    codec_bytes(codec, value, sizeof(*value));
}

void codec_int(struct codec *codec, int *value, int minimum, int maximum)
{
    int64_t wide = *value;
    codec_i64(codec, &wide);
    if (wide < minimum || wide > maximum) {
        codec->failed = true;
        wide = minimum;
    }
    *value = (int)wide;
}

void codec_u32(struct codec *codec, uint32_t *value, uint32_t maximum)
{
    uint64_t wide = *value;
    codec_u64(codec, &wide);
    if (wide > maximum) {
        codec->failed = true;
        wide = 0;
    }
    *value = (uint32_t)wide;
}

void codec_bool(struct codec *codec, bool *value)
{
    uint8_t byte = *value;
    codec_bytes(codec, &byte, 1);
    codec_expect(codec, byte <= 1);
    *value = byte == 1;
}
