/* The loops of train_kernel.h, once, over a vector type that the including file defines:
 *   vec, VEC_LANES, VEC_TARGET (function attribute), TILE_ROWS, and
 *   vec_load vec_store vec_set vec_fma vec_sub vec_mul vec_div vec_sqrt vec_relu vec_keep
 * Included by train_{plain,avx2,avx512}.c only, each of which gets its own static copy.
 * SPDX-License-Identifier: Apache-2.0 */
#include "learn/train/train_kernel.h"

#define LOOPS_INLINE static inline __attribute__((always_inline)) VEC_TARGET

/* rows by vecs results in registers; both are constants after inlining. */
LOOPS_INLINE void loops_tile(const struct train_product *p, int i, int j, const int rows,
                             const int vecs)
{
    vec sums[TILE_ROWS][2];
    float *c = p->c + i * p->c_row + j;
#pragma GCC unroll 16
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 2
        for (int v = 0; v < vecs; v++)
            sums[r][v] = p->add            ? vec_load(c + r * p->c_row + v * VEC_LANES)
                         : p->bias != NULL ? vec_load(p->bias + j + v * VEC_LANES)
                                           : vec_set(0.0f);
    const float *a = p->a + i * p->a_row, *b = p->b + j;
    const ptrdiff_t a_row = p->a_row, a_step = p->a_step, b_step = p->b_step;
    for (int t = 0; t < p->depth; t++, a += a_step, b += b_step) {
        vec first = vec_load(b), second = vecs > 1 ? vec_load(b + VEC_LANES) : first;
#pragma GCC unroll 16
        for (int r = 0; r < rows; r++) {
            vec factor = vec_set(a[r * a_row]);
            sums[r][0] = vec_fma(factor, first, sums[r][0]);
            if (vecs > 1)
                sums[r][1] = vec_fma(factor, second, sums[r][1]);
        }
    }
#pragma GCC unroll 16
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 2
        for (int v = 0; v < vecs; v++)
            vec_store(c + r * p->c_row + v * VEC_LANES, sums[r][v]);
}

VEC_TARGET static void loops_multiply(const struct train_product *p)
{
    int j = 0;
    for (; j + 2 * VEC_LANES <= p->n; j += 2 * VEC_LANES) {
        int i = 0;
        for (; i + TILE_ROWS <= p->m; i += TILE_ROWS)
            loops_tile(p, i, j, TILE_ROWS, 2);
        for (; i < p->m; i++)
            loops_tile(p, i, j, 1, 2);
    }
    for (; j < p->n; j += VEC_LANES) {
        int i = 0;
        for (; i + TILE_ROWS <= p->m; i += TILE_ROWS)
            loops_tile(p, i, j, TILE_ROWS, 1);
        for (; i < p->m; i++)
            loops_tile(p, i, j, 1, 1);
    }
}

VEC_TARGET static void loops_relu(float *x, size_t count)
{
    for (size_t i = 0; i < count; i += VEC_LANES)
        vec_store(x + i, vec_relu(vec_load(x + i)));
}

VEC_TARGET static void loops_relu_back(float *d, const float *h, size_t count)
{
    for (size_t i = 0; i < count; i += VEC_LANES)
        vec_store(d + i, vec_keep(vec_load(h + i), vec_load(d + i)));
}

VEC_TARGET static void loops_adam(const struct train_adam *adam, float *w, float *m, float *v,
                                  const float *g, size_t count)
{
    const vec share1 = vec_set(adam->one_minus_beta1), share2 = vec_set(adam->one_minus_beta2);
    const vec keep = vec_set(adam->keep), rate = vec_set(adam->rate);
    const vec root = vec_set(adam->root), epsilon = vec_set(adam->epsilon);
    for (size_t i = 0; i < count; i += VEC_LANES) {
        vec slope = vec_load(g + i), first = vec_load(m + i), second = vec_load(v + i);
        first = vec_fma(share1, vec_sub(slope, first), first);
        second = vec_fma(share2, vec_sub(vec_mul(slope, slope), second), second);
        vec_store(m + i, first);
        vec_store(v + i, second);
        vec step = vec_div(vec_mul(rate, first), vec_fma(vec_sqrt(second), root, epsilon));
        vec_store(w + i, vec_sub(vec_mul(vec_load(w + i), keep), step));
    }
}

VEC_TARGET static void loops_follow(float *mean, const float *w, float share, size_t count)
{
    const vec factor = vec_set(share);
    for (size_t i = 0; i < count; i += VEC_LANES) {
        vec old = vec_load(mean + i);
        vec_store(mean + i, vec_fma(factor, vec_sub(vec_load(w + i), old), old));
    }
}
