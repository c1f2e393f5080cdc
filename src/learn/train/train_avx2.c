/* The loops on 256-bit vectors. SPDX-License-Identifier: Apache-2.0 */
#ifdef __x86_64__
#include <immintrin.h>

typedef __m256 vec;
#define VEC_LANES  8
#define VEC_TARGET __attribute__((target("avx2,fma")))
#define TILE_ROWS  4
#define VEC_INLINE static inline __attribute__((always_inline)) VEC_TARGET

VEC_INLINE vec vec_load(const float *at)
{
    return _mm256_loadu_ps(at);
}

VEC_INLINE void vec_store(float *at, vec x)
{
    _mm256_storeu_ps(at, x);
}

VEC_INLINE vec vec_set(float x)
{
    return _mm256_set1_ps(x);
}

VEC_INLINE vec vec_fma(vec a, vec b, vec c)
{
    return _mm256_fmadd_ps(a, b, c);
}

VEC_INLINE vec vec_sub(vec a, vec b)
{
    return _mm256_sub_ps(a, b);
}

VEC_INLINE vec vec_mul(vec a, vec b)
{
    return _mm256_mul_ps(a, b);
}

VEC_INLINE vec vec_div(vec a, vec b)
{
    return _mm256_div_ps(a, b);
}

VEC_INLINE vec vec_sqrt(vec a)
{
    return _mm256_sqrt_ps(a);
}

/* max(x, 0) is 0 for a NaN, as in the plain loops. */
VEC_INLINE vec vec_relu(vec x)
{
    return _mm256_max_ps(x, _mm256_setzero_ps());
}

VEC_INLINE vec vec_keep(vec h, vec d)
{
    return _mm256_and_ps(_mm256_cmp_ps(h, _mm256_setzero_ps(), _CMP_GT_OQ), d);
}

#include "learn/train/train_loops.h"

const struct train_kernel train_kernel_avx2 = {.name = "avx2",
                                               .multiply = loops_multiply,
                                               .relu = loops_relu,
                                               .relu_back = loops_relu_back,
                                               .adam = loops_adam,
                                               .follow = loops_follow};
#else
typedef int train_avx2_absent; /* a translation unit may not be empty */
#endif
