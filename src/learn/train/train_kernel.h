/* The arithmetic of training: a matrix product and the elementwise steps around it, in an
 * AVX-512, an AVX2 and a plain variant that give the same bits. They do because the vectors
 * run over independent results: every result is its own chain of fused multiply-adds in
 * the order of the inner index, whatever the width (docs/training.md, "Arithmetic").
 * Pure. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_LEARN_TRAIN_KERNEL_H
#define BTCAST_LEARN_TRAIN_KERNEL_H

#include <stdbool.h>
#include <stddef.h>

#include "model/mlp.h"

/* Rows of b and c are padded to a multiple of this, and so is n. */
#define TRAIN_LANES 16

static inline int train_pad(int count)
{
    return (count + TRAIN_LANES - 1) / TRAIN_LANES * TRAIN_LANES;
}

/* c[i][j] = start + a(i,0) b[0][j] + a(i,1) b[1][j] + …, i < m, j < n, depth terms in this
 * order, each one fma. start: c itself when `add`, else bias[j], else 0. a(i,t) stands at
 * a[i * a_row + t * a_step]. */
struct train_product {
    int m, n, depth;
    const float *a;
    ptrdiff_t a_row, a_step;
    const float *b;
    ptrdiff_t b_step;
    float *c;
    ptrdiff_t c_row;
    const float *bias;
    bool add;
};

/* AdamW (Loshchilov and Hutter 2019), with the bias corrections folded into numbers:
 *   m += (1 - beta1) (g - m); v += (1 - beta2) (g g - v)
 *   w = w keep - rate m / (sqrt(v) root + epsilon) */
struct train_adam {
    float one_minus_beta1, one_minus_beta2;
    float keep; /* 1 - learning rate * weight decay */
    float rate; /* learning rate / (1 - beta1^t) */
    float root; /* 1 / sqrt(1 - beta2^t) */
    float epsilon;
};

struct train_kernel {
    const char *name; /* "avx512", "avx2", "plain" */
    void (*multiply)(const struct train_product *product);
    /* x = max(0, x); count a multiple of TRAIN_LANES, here and below. */
    void (*relu)(float *x, size_t count);
    /* d = h > 0 ? d : 0 */
    void (*relu_back)(float *d, const float *h, size_t count);
    void (*adam)(const struct train_adam *adam, float *w, float *m, float *v, const float *g,
                 size_t count);
    /* mean += share (w - mean) */
    void (*follow)(float *mean, const float *w, float share, size_t count);
};

/* NULL when this CPU cannot run it. MLP_KERNEL_AUTO: the best one. */
const struct train_kernel *train_kernel_choose(enum mlp_kernel wanted);

extern const struct train_kernel train_kernel_plain;
#ifdef __x86_64__
extern const struct train_kernel train_kernel_avx2;
extern const struct train_kernel train_kernel_avx512;
#endif

#endif
