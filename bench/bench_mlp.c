/* Nanoseconds for one forward pass, batch 1, of every kernel that runs here: back to back
 * (the next call does not wait for the result of the last) and dependent (it does).
 * mlp.floor_avx512 is what the machine takes just to multiply as many weights from L1 once
 * (258 loads of 64 bytes, 258 FMA), measured in the same run: the clock rate under AVX-512
 * varies between machines and with their load.
 * `name<TAB>value<TAB>unit` lines, medians of ROUNDS rounds. SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#ifdef __x86_64__
#include <immintrin.h>
#endif

#include "base/prng.h"
#include "bench/ort_peer.h"
#include "model/mlp.h"
#include "wire/onnx.h"

#define ROUNDS 21
#define CALLS  20000
#define WIDTH  64

static const char *const kernel_names[] = {"", "_plain", "_avx2", "_avx512"};
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

#ifdef __x86_64__
/* Eight independent sums over 256 vectors, and two more loads. */
__attribute__((noinline, target("avx512f"))) static float bench_floor_pass(const float *w, float x)
{
    __m512 sums[8], factor = _mm512_set1_ps(x);
#pragma GCC unroll 8
    for (int a = 0; a < 8; a++)
        sums[a] = _mm512_setzero_ps();
    for (int k = 0; k < 32; k++, w += 128)
#pragma GCC unroll 8
        for (int a = 0; a < 8; a++)
            sums[a] = _mm512_fmadd_ps(_mm512_load_ps(w + 16 * a), factor, sums[a]);
    sums[0] = _mm512_fmadd_ps(_mm512_load_ps(w), factor, sums[0]);
    sums[1] = _mm512_fmadd_ps(_mm512_load_ps(w + 16), factor, sums[1]);
#pragma GCC unroll 7
    for (int a = 1; a < 8; a++)
        sums[0] = _mm512_add_ps(sums[0], sums[a]);
    return _mm512_cvtss_f32(sums[0]);
}

static void bench_floor(void)
{
    static float w[4128] __attribute__((aligned(64)));
    double rounds[ROUNDS];
    volatile float sink;
    if (!__builtin_cpu_supports("avx512f"))
        return;
    for (int r = 0; r < ROUNDS; r++) {
        double start = now_ns();
        for (int i = 0; i < CALLS; i++)
            sink = bench_floor_pass(w, 1.0f);
        rounds[r] = (now_ns() - start) / CALLS;
    }
    qsort(rounds, ROUNDS, sizeof(rounds[0]), compare);
    printf("mlp.floor_avx512\t%.1f\tns\n", rounds[ROUNDS / 2]);
}
#else
static void bench_floor(void)
{
}
#endif

/* The same net in ONNX Runtime, one thread, when it is installed. */
static void bench_ort(const char *name, const struct mlp_layer *layers)
{
    static uint8_t file[1 << 18];
    static struct ort_peer peer;
    struct model_spec spec = {
        .version = "bench", .layer_count = 3, .layers = {layers[0], layers[1], layers[2]}};
    struct model *model;
    struct model_output ours;
    size_t size;
    if (onnx_write(&spec, file, sizeof(file), &size, NULL) != ERR_OK ||
        !ort_peer_open(&peer, file, size, 32, 1) ||
        model_open(&spec, MLP_KERNEL_AUTO, &model, NULL) != ERR_OK)
        return;
    for (int i = 0; i < 32; i++)
        peer.x[i] = 0.1f * (float)(i - 16);
    model_predict(model, peer.x, &ours);
    model_close(model);
    bool ran = ort_peer_run(&peer, "features", MODEL_OUTPUT_NAME);
    if (!ran || fabsf(peer.y[0] - ours.mean_bp) > 1e-4f * fabsf(ours.mean_bp)) {
        fprintf(stderr, "bench: ONNX Runtime computes something else\n");
        return;
    }
    double rounds[ROUNDS];
    for (int r = 0; r < ROUNDS; r++) {
        double start = now_ns();
        for (int i = 0; i < CALLS / 10; i++)
            ort_peer_run(&peer, "features", MODEL_OUTPUT_NAME);
        rounds[r] = (now_ns() - start) / (CALLS / 10);
    }
    qsort(rounds, ROUNDS, sizeof(rounds[0]), compare);
    printf("mlp.onnxruntime_c%s\t%.1f\tns\n", name + strlen("32_64_32_1"), rounds[ROUNDS / 2]);
}

static void bench_net(const char *name, enum mlp_activation activation)
{
    const int widths[] = {32, 64, 32, 1};
    struct mlp_layer layers[3];
    for (int i = 0; i < 3; i++)
        layers[i] = (struct mlp_layer){.inputs = widths[i],
                                       .outputs = widths[i + 1],
                                       .weights = weights[i],
                                       .bias = biases[i],
                                       .activation = i < 2 ? activation : MLP_IDENTITY};
    bench_ort(name, layers);
    for (int k = MLP_KERNEL_AUTO; k <= MLP_KERNEL_AVX512; k++) {
        struct mlp *mlp;
        if (mlp_open(layers, 3, (enum mlp_kernel)k, &mlp, NULL) != ERR_OK)
            continue;
        int calls = k == MLP_KERNEL_PLAIN ? CALLS / 20 : CALLS;
        printf("mlp.forward_%s%s\t%.1f\tns\n", name, kernel_names[k],
               bench_kernel(mlp, 0.0f, calls));
        printf("mlp.forward_%s%s_dependent\t%.1f\tns\n", name, kernel_names[k],
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
    bench_floor();
    bench_net("32_64_32_1", MLP_RELU);
    bench_floor();
    bench_net("32_64_32_1_tanh", MLP_TANH);
    return 0;
}
