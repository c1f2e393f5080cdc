/* The order of operations of mlp.h on 256-bit vectors: an accumulator holds two outputs
 * of four lanes each. SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "model/mlp_kernels.h"

#ifdef __x86_64__
#include <immintrin.h>

#define MLP_AVX2 static inline __attribute__((always_inline, target("avx2,fma")))

MLP_AVX2 __m256 mlp_avx2_tanh(__m256 x)
{
    const __m256 limit = _mm256_set1_ps(MLP_TANH_LIMIT), one = _mm256_set1_ps(1.0f);
    const __m256 low = _mm256_set1_ps(-MLP_TANH_LIMIT), minus_one = _mm256_set1_ps(-1.0f);
    __m256 z = _mm256_min_ps(limit, _mm256_max_ps(low, x));
    __m256 t = _mm256_mul_ps(z, z);
    __m256 p = _mm256_fmadd_ps(_mm256_set1_ps(MLP_TANH_P4), t, _mm256_set1_ps(MLP_TANH_P3));
    p = _mm256_fmadd_ps(p, t, _mm256_set1_ps(MLP_TANH_P2));
    p = _mm256_fmadd_ps(p, t, _mm256_set1_ps(MLP_TANH_P1));
    p = _mm256_fmadd_ps(p, t, _mm256_set1_ps(MLP_TANH_P0));
    __m256 q = _mm256_fmadd_ps(_mm256_set1_ps(MLP_TANH_Q4), t, _mm256_set1_ps(MLP_TANH_Q3));
    q = _mm256_fmadd_ps(q, t, _mm256_set1_ps(MLP_TANH_Q2));
    q = _mm256_fmadd_ps(q, t, _mm256_set1_ps(MLP_TANH_Q1));
    q = _mm256_fmadd_ps(q, t, _mm256_set1_ps(MLP_TANH_Q0));
    __m256 r = _mm256_div_ps(_mm256_mul_ps(z, p), q);
    return _mm256_min_ps(one, _mm256_max_ps(minus_one, r));
}

/* The linear part of an activation: max(floor, x), which is x itself for the floor -inf. */
MLP_AVX2 __m256 mlp_avx2_floor(enum mlp_activation activation)
{
    return _mm256_set1_ps(activation == MLP_RELU ? 0.0f : -INFINITY);
}

/* tanh and sigmoid, in place and out of the way of the loops that mostly see relu. */
__attribute__((noinline, target("avx2,fma"))) static void
mlp_avx2_curve(enum mlp_activation activation, float *y, int count)
{
    const __m256 half = _mm256_set1_ps(0.5f);
    for (int k = 0; k < count; k += 8) {
        __m256 x = _mm256_loadu_ps(y + k);
        if (activation == MLP_TANH)
            x = mlp_avx2_tanh(x);
        else
            x = _mm256_fmadd_ps(half, mlp_avx2_tanh(_mm256_mul_ps(half, x)), half);
        _mm256_storeu_ps(y + k, x);
    }
}

/* Adds lanes 0 and 1, 2 and 3 of every output of a and b. */
MLP_AVX2 __m256 mlp_avx2_add_pairs(__m256 a, __m256 b)
{
    return _mm256_add_ps(_mm256_shuffle_ps(a, b, 0x88), _mm256_shuffle_ps(a, b, 0xdd));
}

/* All bits set in the first `count` of four lanes, in both blocks. */
MLP_AVX2 __m256i mlp_avx2_lanes(int count)
{
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 0, 1, 2, 3);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(count), lane);
}

/* sums[a] += the products of all inputs; the compiler unrolls over the accumulators. */
MLP_AVX2 void mlp_avx2_dot(const float *w, const float *x, int inputs, int accumulators,
                           __m256 *sums)
{
#pragma GCC unroll 8
    for (int a = 0; a < accumulators; a++)
        sums[a] = _mm256_setzero_ps();
    int k = 0;
    for (; k + 4 <= inputs; k += 4) {
        __m256 block = _mm256_broadcast_ps((const __m128 *)(const void *)(x + k));
#pragma GCC unroll 8
        for (int a = 0; a < accumulators; a++, w += 8)
            sums[a] = _mm256_fmadd_ps(_mm256_load_ps(w), block, sums[a]);
    }
    if (k == inputs)
        return;
    /* The lanes past the last input must keep their value, a zero product would turn -0
     * into +0. */
    __m256i lanes = mlp_avx2_lanes(inputs - k);
    __m128 last = _mm_maskload_ps(x + k, _mm256_castsi256_si128(lanes));
    __m256 block = _mm256_insertf128_ps(_mm256_castps128_ps256(last), last, 1);
#pragma GCC unroll 8
    for (int a = 0; a < accumulators; a++, w += 8) {
        __m256 sum = _mm256_fmadd_ps(_mm256_load_ps(w), block, sums[a]);
        sums[a] = _mm256_blendv_ps(sums[a], sum, _mm256_castsi256_ps(lanes));
    }
}

/* Four accumulators -> eight outputs in order. */
MLP_AVX2 void mlp_avx2_finish(const float *bias, const __m256 *sums, __m256 floor, float *y)
{
    __m256 sum = mlp_avx2_add_pairs(mlp_avx2_add_pairs(sums[0], sums[1]),
                                    mlp_avx2_add_pairs(sums[2], sums[3]));
    sum = _mm256_add_ps(sum, _mm256_loadu_ps(bias));
    _mm256_storeu_ps(y, _mm256_max_ps(floor, sum));
}

/* The last one or two outputs, in one accumulator. */
MLP_AVX2 void mlp_avx2_narrow(const float *w, const float *bias, const float *x, int inputs,
                              __m256 floor, float *y)
{
    __m256 sum;
    mlp_avx2_dot(w, x, inputs, 1, &sum);
    sum = mlp_avx2_add_pairs(sum, sum);
    sum = mlp_avx2_add_pairs(sum, sum);
    __m128 two = _mm_unpacklo_ps(_mm256_castps256_ps128(sum), _mm256_extractf128_ps(sum, 1));
    two = _mm_add_ps(two, _mm_loadu_ps(bias));
    _mm_storeu_ps(y, _mm_max_ps(_mm256_castps256_ps128(floor), two));
}

MLP_AVX2 void mlp_avx2_dense(const struct mlp_packed *layer, const float *x, float *y)
{
    const __m256 floor = mlp_avx2_floor(layer->activation);
    const float *w = layer->weights, *bias = layer->bias;
    const int inputs = layer->inputs;
    const ptrdiff_t blocks = (inputs + 3) / 4;
    int groups = layer->groups;
    __m256 sums[8];
    for (; groups >= 2; groups -= 2, w += blocks * 64, bias += 16, y += 16) {
        mlp_avx2_dot(w, x, inputs, 8, sums);
        mlp_avx2_finish(bias, sums, floor, y);
        mlp_avx2_finish(bias + 8, sums + 4, floor, y + 8);
    }
    if (groups > 0) {
        mlp_avx2_dot(w, x, inputs, 4, sums);
        mlp_avx2_finish(bias, sums, floor, y);
        w += blocks * 32, bias += 8, y += 8;
    }
    if (layer->narrow)
        mlp_avx2_narrow(w, bias, x, inputs, floor, y);
}

MLP_AVX2 __m256 mlp_avx2_load(const float *x, int left)
{
    if (left >= 8)
        return _mm256_loadu_ps(x);
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_maskload_ps(x, _mm256_cmpgt_epi32(_mm256_set1_epi32(left), lane));
}

MLP_AVX2 void mlp_avx2_elementwise(const struct mlp_packed *layer, const float *x, float *y)
{
    const __m256 floor = mlp_avx2_floor(layer->activation);
    for (int k = 0; k < layer->outputs; k += 8) {
        __m256 value = mlp_avx2_load(x + k, layer->outputs - k);
        value = _mm256_sub_ps(value, _mm256_loadu_ps(layer->shift + k));
        value = _mm256_fmadd_ps(value, _mm256_loadu_ps(layer->scale + k),
                                _mm256_loadu_ps(layer->offset + k));
        _mm256_storeu_ps(y + k, _mm256_max_ps(floor, value));
    }
}

__attribute__((target("avx2,fma"))) void mlp_avx2_forward(const struct mlp *mlp, const float *x,
                                                          float *out)
{
    float buffers[2][MLP_BUFFER] __attribute__((aligned(64)));
    for (int i = 0; i < mlp->count; i++) {
        const struct mlp_packed *layer = &mlp->layers[i];
        float *y = i + 1 == mlp->count ? out : buffers[i & 1];
        if (layer->weights != NULL)
            mlp_avx2_dense(layer, x, y);
        else
            mlp_avx2_elementwise(layer, x, y);
        if (layer->activation >= MLP_TANH)
            mlp_avx2_curve(layer->activation, y, layer->outputs);
        x = y;
    }
}
#else
typedef int mlp_avx2_absent; /* a translation unit may not be empty */
#endif
