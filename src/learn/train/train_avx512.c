/* The loops on 512-bit vectors. SPDX-License-Identifier: Apache-2.0 */
#ifdef __x86_64__
#include <immintrin.h>

typedef __m512 vec;
#define VEC_LANES  16
#define VEC_TARGET __attribute__((target("avx512f,avx512vl")))
#define TILE_ROWS  8
#define VEC_INLINE static inline __attribute__((always_inline)) VEC_TARGET

VEC_INLINE vec vec_load(const float *at)
{
    return _mm512_loadu_ps(at);
}

VEC_INLINE void vec_store(float *at, vec x)
{
    _mm512_storeu_ps(at, x);
}

VEC_INLINE vec vec_set(float x)
{
    return _mm512_set1_ps(x);
}

VEC_INLINE vec vec_fma(vec a, vec b, vec c)
{
    return _mm512_fmadd_ps(a, b, c);
}

VEC_INLINE vec vec_sub(vec a, vec b)
{
    return _mm512_sub_ps(a, b);
}

VEC_INLINE vec vec_mul(vec a, vec b)
{
    return _mm512_mul_ps(a, b);
}

VEC_INLINE vec vec_div(vec a, vec b)
{
    return _mm512_div_ps(a, b);
}

VEC_INLINE vec vec_sqrt(vec a)
{
    return _mm512_sqrt_ps(a);
}

/* max(x, 0) is 0 for a NaN, as in the plain loops. */
VEC_INLINE vec vec_relu(vec x)
{
    return _mm512_max_ps(x, _mm512_setzero_ps());
}

VEC_INLINE vec vec_keep(vec h, vec d)
{
    return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(h, _mm512_setzero_ps(), _CMP_GT_OQ), d);
}

#include "learn/train/train_loops.h"

const struct train_kernel train_kernel_avx512 = {.name = "avx512",
                                                 .multiply = loops_multiply,
                                                 .relu = loops_relu,
                                                 .relu_back = loops_relu_back,
                                                 .adam = loops_adam,
                                                 .follow = loops_follow};
#else
typedef int train_avx512_absent; /* a translation unit may not be empty */
#endif
