/* The order of operations of mlp.h on 512-bit vectors: an accumulator holds four outputs
 * of four lanes each. SPDX-License-Identifier: Apache-2.0 */
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

MLP_AVX512 __m512 mlp_avx512_activate(enum mlp_activation activation, __m512 x)
{
    const __m512 half = _mm512_set1_ps(0.5f);
    switch (activation) {
    case MLP_RELU:
        return _mm512_max_ps(_mm512_setzero_ps(), x);
    case MLP_TANH:
        return mlp_avx512_tanh(x);
    case MLP_SIGMOID:
        return _mm512_fmadd_ps(half, mlp_avx512_tanh(_mm512_mul_ps(half, x)), half);
    case MLP_IDENTITY:
        break;
    }
    return x;
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
    _Pragma("GCC unroll 8") for (int a = 0; a < accumulators; a++)
        sums[a] = _mm512_setzero_ps();
    int k = 0;
    for (; k + 4 <= inputs; k += 4) {
        __m512 block = _mm512_broadcast_f32x4(_mm_loadu_ps(x + k));
        _Pragma("GCC unroll 8") for (int a = 0; a < accumulators; a++, w += 16)
            sums[a] = _mm512_fmadd_ps(_mm512_load_ps(w), block, sums[a]);
    }
    if (k == inputs)
        return;
    /* The lanes past the last input must keep their value, a zero product would turn -0
     * into +0. */
    __mmask8 tail = (__mmask8)((1u << (inputs - k)) - 1);
    __mmask16 lanes = (__mmask16)(tail * 0x1111u);
    __m512 block = _mm512_broadcast_f32x4(_mm_maskz_loadu_ps(tail, x + k));
    _Pragma("GCC unroll 8") for (int a = 0; a < accumulators; a++, w += 16)
        sums[a] = _mm512_mask3_fmadd_ps(_mm512_load_ps(w), block, sums[a], lanes);
}

MLP_AVX512 void mlp_avx512_finish(const struct mlp_packed *layer, const __m512 *sums, int output,
                                  float *y)
{
    __m512 sum = _mm512_add_ps(mlp_avx512_reduce(sums), _mm512_loadu_ps(layer->bias + output));
    _mm512_storeu_ps(y + output, mlp_avx512_activate(layer->activation, sum));
}

/* The last up to four outputs, in one accumulator. */
MLP_AVX512 void mlp_avx512_narrow(const struct mlp_packed *layer, const float *w, const float *x,
                                  int output, float *y)
{
    const __m512i gather = _mm512_setr_epi32(0, 4, 8, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
    __m512 sum;
    mlp_avx512_dot(w, x, layer->inputs, 1, &sum);
    sum = mlp_avx512_add_pairs(sum, sum);
    sum = mlp_avx512_add_pairs(sum, sum);
    __m128 four = _mm512_castps512_ps128(_mm512_permutexvar_ps(gather, sum));
    four = _mm_add_ps(four, _mm_loadu_ps(layer->bias + output));
    __m512 result = mlp_avx512_activate(layer->activation, _mm512_castps128_ps512(four));
    _mm_storeu_ps(y + output, _mm512_castps512_ps128(result));
}

MLP_AVX512 void mlp_avx512_dense(const struct mlp_packed *layer, const float *x, float *y)
{
    const float *w = layer->weights;
    int blocks = (layer->inputs + 3) / 4;
    int group = 0;
    for (; group + 2 <= layer->groups; group += 2, w += blocks * 128) {
        __m512 sums[8];
        mlp_avx512_dot(w, x, layer->inputs, 8, sums);
        mlp_avx512_finish(layer, sums, group * 16, y);
        mlp_avx512_finish(layer, sums + 4, group * 16 + 16, y);
    }
    for (; group < layer->groups; group++, w += blocks * 64) {
        __m512 sums[4];
        mlp_avx512_dot(w, x, layer->inputs, 4, sums);
        mlp_avx512_finish(layer, sums, group * 16, y);
    }
    if (layer->narrow)
        mlp_avx512_narrow(layer, w, x, group * 16, y);
}

MLP_AVX512 void mlp_avx512_elementwise(const struct mlp_packed *layer, const float *x, float *y)
{
    for (int k = 0; k < layer->outputs; k += 16) {
        int left = layer->outputs - k;
        __mmask16 valid = left >= 16 ? (__mmask16)0xffff : (__mmask16)((1u << left) - 1);
        __m512 value = _mm512_maskz_loadu_ps(valid, x + k);
        value = _mm512_sub_ps(value, _mm512_loadu_ps(layer->shift + k));
        value = _mm512_fmadd_ps(value, _mm512_loadu_ps(layer->scale + k),
                                _mm512_loadu_ps(layer->offset + k));
        _mm512_storeu_ps(y + k, mlp_avx512_activate(layer->activation, value));
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
        x = y;
    }
}
#else
typedef int mlp_avx512_absent; /* a translation unit may not be empty */
#endif
