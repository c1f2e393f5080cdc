/* Nanoseconds for one forward pass, batch 1, of every kernel that runs here: back to back
 * (the next call does not wait for the result of the last) and dependent (it does).
 * `name<TAB>value<TAB>unit` lines, medians of ROUNDS rounds. SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/prng.h"
#include "model/mlp.h"

#define ROUNDS 21
#define CALLS 20000
#define WIDTH 64

static const char *const kernel_names[] = {"auto", "plain", "avx2", "avx512"};
static float weights[3][WIDTH * WIDTH], biases[3][WIDTH];

static double now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* feedback 0 keeps the input as it is, but makes the next call wait for this result. */
static double bench_kernel(const struct mlp *mlp, float feedback, int calls)
{
    float x[32] = {0.1f, 0.2f, -0.3f}, y;
    double rounds[ROUNDS];
    volatile float sink = 0;
    for (int r = 0; r < ROUNDS; r++) {
        double start = now_ns();
        for (int i = 0; i < calls; i++) {
            mlp_forward(mlp, x, &y);
            if (feedback != 0)
                x[i & 31] = y * feedback;
        }
        sink = sink + y;
        rounds[r] = (now_ns() - start) / calls;
    }
    qsort(rounds, ROUNDS, sizeof(rounds[0]), compare);
    return rounds[ROUNDS / 2];
}

static void bench_net(const char *name, enum mlp_activation activation)
{
    const int widths[] = {32, 64, 32, 1};
    struct mlp_layer layers[3];
    for (int i = 0; i < 3; i++)
        layers[i] = (struct mlp_layer){.inputs = widths[i], .outputs = widths[i + 1],
                                       .weights = weights[i], .bias = biases[i],
                                       .activation = i < 2 ? activation : MLP_IDENTITY};
    for (int k = MLP_KERNEL_PLAIN; k <= MLP_KERNEL_AVX512; k++) {
        struct mlp *mlp;
        if (mlp_open(layers, 3, (enum mlp_kernel)k, &mlp, NULL) != ERR_OK)
            continue;
        int calls = k == MLP_KERNEL_PLAIN ? CALLS / 20 : CALLS;
        printf("mlp_%s_%s\t%.1f\tns\n", name, kernel_names[k], bench_kernel(mlp, 0.0f, calls));
        printf("mlp_%s_%s_dependent\t%.1f\tns\n", name, kernel_names[k],
               bench_kernel(mlp, 1e-3f, calls));
        mlp_close(mlp);
    }
}

int main(void)
{
    struct prng prng;
    prng_init(&prng, 1);
    for (int i = 0; i < 3; i++)
        for (int k = 0; k < WIDTH * WIDTH; k++)
            weights[i][k] = (float)(0.2 * prng_normal(&prng));
    bench_net("32_64_32_1_relu", MLP_RELU);
    bench_net("32_64_32_1_tanh", MLP_TANH);
    return 0;
}
