/* The order of operations of mlp.h on 512-bit vectors: an accumulator holds four outputs
 * of four lanes each. SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "model/mlp_kernels.h"

#ifdef __x86_64__
#include <immintrin.h>

#define MLP_AVX512 static inline __attribute__((always_inline, target("avx512f,avx512vl")))

MLP_AVX512 __m512 mlp_avx512_tanh(__m512 x)
{
    const __m512 limit = _mm512_set1_ps(MLP_TANH_LIMIT), one = _mm512_set1_ps(1.0f);
    const __m512 low = _mm512_set1_ps(-MLP_TANH_LIMIT), minus_one = _mm512_set1_ps(-1.0f);
    __m512 z = _mm512_min_ps(limit, _mm512_max_ps(low, x));
    __m512 t = _mm512_mul_ps(z, z);
    __m512 p = _mm512_fmadd_ps(_mm512_set1_ps(MLP_TANH_P4), t, _mm512_set1_ps(MLP_TANH_P3));
    p = _mm512_fmadd_ps(p, t, _mm512_set1_ps(MLP_TANH_P2));
    p = _mm512_fmadd_ps(p, t, _mm512_set1_ps(MLP_TANH_P1));
    p = _mm512_fmadd_ps(p, t, _mm512_set1_ps(MLP_TANH_P0));
    __m512 q = _mm512_fmadd_ps(_mm512_set1_ps(MLP_TANH_Q4), t, _mm512_set1_ps(MLP_TANH_Q3));
    q = _mm512_fmadd_ps(q, t, _mm512_set1_ps(MLP_TANH_Q2));
    q = _mm512_fmadd_ps(q, t, _mm512_set1_ps(MLP_TANH_Q1));
    q = _mm512_fmadd_ps(q, t, _mm512_set1_ps(MLP_TANH_Q0));
    __m512 r = _mm512_div_ps(_mm512_mul_ps(z, p), q);
    return _mm512_min_ps(one, _mm512_max_ps(minus_one, r));
}

/* The linear part of an activation: max(floor, x), which is x itself for the floor -inf. */
MLP_AVX512 __m512 mlp_avx512_floor(enum mlp_activation activation)
{
    return _mm512_set1_ps(activation == MLP_RELU ? 0.0f : -INFINITY);
}

/* tanh and sigmoid, in place and out of the way of the loops that mostly see relu. */
__attribute__((noinline, target("avx512f,avx512vl"))) static void
mlp_avx512_curve(enum mlp_activation activation, float *y, int count)
{
    const __m512 half = _mm512_set1_ps(0.5f);
    for (int k = 0; k < count; k += 16) {
        __m512 x = _mm512_loadu_ps(y + k);
        if (activation == MLP_TANH)
            x = mlp_avx512_tanh(x);
        else
            x = _mm512_fmadd_ps(half, mlp_avx512_tanh(_mm512_mul_ps(half, x)), half);
        _mm512_storeu_ps(y + k, x);
    }
}

/* Adds lanes 0 and 1, 2 and 3 of every output of a and b. */
MLP_AVX512 __m512 mlp_avx512_add_pairs(__m512 a, __m512 b)
{
    return _mm512_add_ps(_mm512_shuffle_ps(a, b, 0x88), _mm512_shuffle_ps(a, b, 0xdd));
}

/* Four accumulators -> the sums of 16 outputs in order. */
MLP_AVX512 __m512 mlp_avx512_reduce(const __m512 *sums)
{
    return mlp_avx512_add_pairs(mlp_avx512_add_pairs(sums[0], sums[1]),
                                mlp_avx512_add_pairs(sums[2], sums[3]));
}

/* sums[a] += the products of all inputs, for `accumulators` of them whose weights lie
 * `stride` floats apart every four inputs: the compiler unrolls over them. */
MLP_AVX512 void mlp_avx512_dot(const float *w, const float *x, int inputs, int accumulators,
                               __m512 *sums)
{
#pragma GCC unroll 8
    for (int a = 0; a < accumulators; a++)
        sums[a] = _mm512_setzero_ps();
    int k = 0;
    for (; k + 4 <= inputs; k += 4) {
        __m512 block = _mm512_broadcast_f32x4(_mm_loadu_ps(x + k));
#pragma GCC unroll 8
        for (int a = 0; a < accumulators; a++, w += 16)
            sums[a] = _mm512_fmadd_ps(_mm512_load_ps(w), block, sums[a]);
    }
    if (k == inputs)
        return;
    /* The lanes past the last input must keep their value, a zero product would turn -0
     * into +0. */
    unsigned tail = (1u << (inputs - k)) - 1u;
    __mmask16 lanes = (__mmask16)(tail * 0x1111u);
    __m512 block = _mm512_broadcast_f32x4(_mm_maskz_loadu_ps((__mmask8)tail, x + k));
#pragma GCC unroll 8
    for (int a = 0; a < accumulators; a++, w += 16)
        sums[a] = _mm512_mask3_fmadd_ps(_mm512_load_ps(w), block, sums[a], lanes);
}

MLP_AVX512 void mlp_avx512_finish(const float *bias, const __m512 *sums, __m512 floor, float *y)
{
    __m512 sum = _mm512_add_ps(mlp_avx512_reduce(sums), _mm512_loadu_ps(bias));
    _mm512_storeu_ps(y, _mm512_max_ps(floor, sum));
}

/* The last up to four outputs, in one accumulator. */
MLP_AVX512 void mlp_avx512_narrow(const float *w, const float *bias, const float *x, int inputs,
                                  __m512 floor, float *y)
{
    const __m512i gather = _mm512_setr_epi32(0, 4, 8, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
    __m512 sum;
    mlp_avx512_dot(w, x, inputs, 1, &sum);
    sum = mlp_avx512_add_pairs(sum, sum);
    sum = mlp_avx512_add_pairs(sum, sum);
    __m128 four = _mm512_castps512_ps128(_mm512_permutexvar_ps(gather, sum));
    four = _mm_add_ps(four, _mm_loadu_ps(bias));
    _mm_storeu_ps(y, _mm_max_ps(_mm512_castps512_ps128(floor), four));
}

MLP_AVX512 void mlp_avx512_dense(const struct mlp_packed *layer, const float *x, float *y)
{
    const __m512 floor = mlp_avx512_floor(layer->activation);
    const float *w = layer->weights, *bias = layer->bias;
    const int inputs = layer->inputs;
    const ptrdiff_t blocks = (inputs + 3) / 4;
    int groups = layer->groups;
    __m512 sums[8];
    for (; groups >= 2; groups -= 2, w += blocks * 128, bias += 32, y += 32) {
        mlp_avx512_dot(w, x, inputs, 8, sums);
        mlp_avx512_finish(bias, sums, floor, y);
        mlp_avx512_finish(bias + 16, sums + 4, floor, y + 16);
    }
    if (groups > 0) {
        mlp_avx512_dot(w, x, inputs, 4, sums);
        mlp_avx512_finish(bias, sums, floor, y);
        w += blocks * 64, bias += 16, y += 16;
    }
    if (layer->narrow)
        mlp_avx512_narrow(w, bias, x, inputs, floor, y);
}

MLP_AVX512 void mlp_avx512_elementwise(const struct mlp_packed *layer, const float *x, float *y)
{
    const __m512 floor = mlp_avx512_floor(layer->activation);
    for (int k = 0; k < layer->outputs; k += 16) {
        int left = layer->outputs - k;
        unsigned valid = left >= 16 ? 0xffffu : (1u << left) - 1u;
        __m512 value = _mm512_maskz_loadu_ps((__mmask16)valid, x + k);
        value = _mm512_sub_ps(value, _mm512_loadu_ps(layer->shift + k));
        value = _mm512_fmadd_ps(value, _mm512_loadu_ps(layer->scale + k),
                                _mm512_loadu_ps(layer->offset + k));
        _mm512_storeu_ps(y + k, _mm512_max_ps(floor, value));
    }
}

__attribute__((target("avx512f,avx512vl"))) void mlp_avx512_forward(const struct mlp *mlp,
                                                                    const float *x, float *out)
{
    float buffers[2][MLP_BUFFER] __attribute__((aligned(64)));
    for (int i = 0; i < mlp->count; i++) {
        const struct mlp_packed *layer = &mlp->layers[i];
        float *y = i + 1 == mlp->count ? out : buffers[i & 1];
        if (layer->weights != NULL)
            mlp_avx512_dense(layer, x, y);
        else
            mlp_avx512_elementwise(layer, x, y);
        if (layer->activation >= MLP_TANH)
            mlp_avx512_curve(layer->activation, y, layer->outputs);
        x = y;
    }
}
#else
typedef int mlp_avx512_absent; /* a translation unit may not be empty */
#endif
