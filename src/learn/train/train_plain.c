/* The reference: one number at a time. SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

typedef float vec;
#define VEC_LANES 1
#define VEC_TARGET
#define TILE_ROWS 4

static inline vec vec_load(const float *at)
{
    return *at;
}

static inline void vec_store(float *at, vec x)
{
    *at = x;
}

static inline vec vec_set(float x)
{
    return x;
}

static inline vec vec_fma(vec a, vec b, vec c)
{
    return fmaf(a, b, c);
}

static inline vec vec_sub(vec a, vec b)
{
    return a - b;
}

static inline vec vec_mul(vec a, vec b)
{
    return a * b;
}

static inline vec vec_div(vec a, vec b)
{
    return a / b;
}

static inline vec vec_sqrt(vec a)
{
    return sqrtf(a);
}

static inline vec vec_relu(vec x)
{
    return x > 0.0f ? x : 0.0f;
}

static inline vec vec_keep(vec h, vec d)
{
    return h > 0.0f ? d : 0.0f;
}

#include "learn/train/train_loops.h"

const struct train_kernel train_kernel_plain = {.name = "plain",
                                                .multiply = loops_multiply,
                                                .relu = loops_relu,
                                                .relu_back = loops_relu_back,
                                                .adam = loops_adam,
                                                .follow = loops_follow};
