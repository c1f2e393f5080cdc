/* Millions of samples a second through forward, backward and AdamW of 32-64-32-1, one
 * thread, shuffled rows of a matrix that does not fit the caches; the same net in PyTorch
 * (one thread) when it is installed. `name<TAB>value<TAB>unit` lines.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/prng.h"
#include "learn/train/train_net.h"

#define ROWS   100000
#define INPUTS 32
#define ROUNDS 7

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double bench_epoch(struct train_net *net, struct train_batch batch, int size)
{
    const struct train_step step = {.learning_rate = 1e-3f, .weight_decay = 0.01f};
    const uint32_t *rows = batch.rows;
    struct train_loss loss = {0};
    double start = now_s();
    int done = 0;
    for (; done + size <= ROWS; done += size) {
        batch.rows = rows + done;
        batch.count = size;
        train_net_step(net, &batch, &step, &loss);
    }
    return done / (now_s() - start) * 1e-6;
}

static void bench_size(struct train_batch batch, int size, enum mlp_kernel kernel,
                       const char *suffix)
{
    struct train_net_options options = {
        .layers = 3, .widths = {INPUTS, 64, 32, 1}, .seed = 1, .kernel = kernel};
    struct train_net *net;
    if (train_net_open(&options, &net, NULL) != ERR_OK)
        return;
    double rounds[ROUNDS];
    for (int r = 0; r < ROUNDS; r++)
        rounds[r] = bench_epoch(net, batch, size);
    qsort(rounds, ROUNDS, sizeof(rounds[0]), compare);
    printf("train.step_batch_%d%s\t%.2f\tM samples/s\n", size, suffix, rounds[ROUNDS / 2]);
    train_net_close(net);
}

static void bench_torch(void)
{
    char command[512], line[256];
    snprintf(command, sizeof(command),
             "OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 /usr/bin/python3 %s/bench/train_torch.py",
             BTCAST_SOURCE_DIR);
    FILE *peer = popen(command, "r");
    if (peer == NULL)
        return;
    while (fgets(line, sizeof(line), peer) != NULL)
        fputs(line, stdout);
    if (pclose(peer) != 0)
        fprintf(stderr, "bench: PyTorch is not installed (python3-torch), its rows are missing\n");
}

int main(void)
{
    float *x = malloc((size_t)ROWS * INPUTS * sizeof(float));
    float *y = malloc((size_t)ROWS * sizeof(float));
    uint32_t *rows = malloc((size_t)ROWS * sizeof(uint32_t));
    if (x == NULL || y == NULL || rows == NULL)
        return 1;
    struct prng prng;
    prng_init(&prng, 1);
    for (int i = 0; i < ROWS * INPUTS; i++)
        x[i] = (float)prng_normal(&prng);
    for (int i = 0; i < ROWS; i++) {
        y[i] = (float)prng_normal(&prng);
        rows[i] = (uint32_t)prng_below(&prng, ROWS);
    }
    struct train_batch batch = {.x = x, .y = y, .rows = rows};
    static const int sizes[] = {64, 256, 1024};
    for (int i = 0; i < 3; i++)
        bench_size(batch, sizes[i], MLP_KERNEL_AUTO, "");
    for (int i = 0; i < 3; i++)
        bench_size(batch, sizes[i], MLP_KERNEL_AVX2, "_avx2");
    bench_torch();
    free(x);
    free(y);
    free(rows);
    return 0;
}
