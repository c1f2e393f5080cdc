/* Training arithmetic: the kernels agree bit for bit, the product agrees with BLAS, the
 * gradient with central differences. SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/prng.h"
#include "learn/train/train_net.h"

#define ROWS 300

static const enum mlp_kernel kernels[] = {MLP_KERNEL_PLAIN, MLP_KERNEL_AVX2, MLP_KERNEL_AVX512};

static float *random_floats(struct prng *prng, size_t count)
{
    float *values = malloc(count * sizeof(float));
    assert_non_null(values);
    for (size_t i = 0; i < count; i++)
        values[i] = (float)prng_normal(prng);
    return values;
}

struct rows {
    float *x, *y;
    uint32_t order[ROWS];
};

static void rows_open(struct rows *rows, int inputs, uint64_t seed)
{
    struct prng prng;
    prng_init(&prng, seed);
    rows->x = random_floats(&prng, (size_t)(ROWS * inputs));
    rows->y = random_floats(&prng, ROWS);
    for (uint32_t i = 0; i < ROWS; i++)
        rows->order[i] = (uint32_t)prng_below(&prng, ROWS);
}

static void rows_close(struct rows *rows)
{
    free(rows->x);
    free(rows->y);
}

/* --- bits ----------------------------------------------------------------------------- */

/* State after a few steps of uneven batches, and the loss. */
static float *state_after(const struct train_net_options *options, const struct rows *rows,
                          size_t *size, struct train_loss *loss)
{
    static const int sizes[] = {1, 7, 64, 65, 163};
    struct train_step step = {0.01f, 0.1f, 0.3f, 0.25f};
    struct train_net *net;
    uint64_t steps;
    assert_int_equal(train_net_open(options, &net, NULL), ERR_OK);
    for (int i = 0, from = 0; i < 5; from += sizes[i++]) {
        struct train_batch batch = {
            .x = rows->x, .y = rows->y, .rows = rows->order + from, .count = sizes[i]};
        train_net_step(net, &batch, &step, loss);
    }
    struct train_batch all = {.x = rows->x, .y = rows->y, .count = ROWS};
    train_net_loss(net, &all, true, loss);
    *size = train_net_state_size(net);
    float *state = malloc(*size * sizeof(float));
    assert_non_null(state);
    train_net_save(net, state, &steps);
    assert_int_equal(steps, 5);
    train_net_close(net);
    return state;
}

static void a_mirrored_row_is_the_row_of_the_mirrored_market(void **unused)
{
    (void)unused;
    enum { INPUTS = 5 };
    struct train_mirror mirror = {.sign = {-1, 1, 1, -1, 1}, .from = {0, 2, 1, 3, 4}};
    struct rows rows, by_hand;
    rows_open(&rows, INPUTS, 31);
    rows_open(&by_hand, INPUTS, 31);
    uint32_t order[ROWS];
    for (uint32_t i = 0; i < ROWS; i++) {
        order[i] = i;
        if (i % 3 != 0)
            continue;
        order[i] |= TRAIN_MIRRORED;
        by_hand.y[i] = -rows.y[i];
        for (int k = 0; k < INPUTS; k++)
            by_hand.x[i * INPUTS + (uint32_t)k] =
                mirror.sign[k] * rows.x[i * INPUTS + mirror.from[k]];
    }
    struct train_net_options options = {.layers = 2, .widths = {INPUTS, 17, 2}, .seed = 3};
    struct train_net *one, *other;
    struct train_step step = {0.01f, 0.1f, 0.3f, 0.25f};
    struct train_loss loss = {0}, other_loss = {0};
    assert_int_equal(train_net_open(&options, &one, NULL), ERR_OK);
    assert_int_equal(train_net_open(&options, &other, NULL), ERR_OK);
    struct train_batch mirrored = {
        .x = rows.x, .y = rows.y, .rows = order, .count = ROWS, .mirror = &mirror};
    struct train_batch plain = {.x = by_hand.x, .y = by_hand.y, .count = ROWS};
    for (int i = 0; i < 3; i++) {
        train_net_step(one, &mirrored, &step, &loss);
        train_net_step(other, &plain, &step, &other_loss);
    }
    size_t size = train_net_state_size(one) * sizeof(float);
    float *state = malloc(size), *other_state = malloc(size);
    uint64_t steps;
    train_net_save(one, state, &steps);
    train_net_save(other, other_state, &steps);
    assert_memory_equal(state, other_state, size);
    assert_memory_equal(&loss, &other_loss, sizeof(loss));
    free(state);
    free(other_state);
    train_net_close(one);
    train_net_close(other);
    rows_close(&rows);
    rows_close(&by_hand);
}

static void every_kernel_trains_to_the_same_bits(void **unused)
{
    (void)unused;
    static const int widths[][4] = {{32, 64, 32, 2}, {32, 64, 32, 1}, {5, 17, 33, 2}, {1, 1, 1, 1}};
    for (int w = 0; w < 4; w++) {
        struct rows rows;
        rows_open(&rows, widths[w][0], 7 + (uint64_t)w);
        struct train_net_options options = {.layers = 3, .seed = 3, .kernel = MLP_KERNEL_PLAIN};
        memcpy(options.widths, widths[w], sizeof(widths[w]));
        size_t size, other_size;
        struct train_loss loss = {0};
        float *plain = state_after(&options, &rows, &size, &loss);
        int compared = 0;
        for (int k = 1; k < 3; k++) {
            if (train_kernel_choose(kernels[k]) == NULL)
                continue;
            struct train_loss other_loss = {0};
            options.kernel = kernels[k];
            float *other = state_after(&options, &rows, &other_size, &other_loss);
            assert_int_equal(size, other_size);
            assert_memory_equal(plain, other, size * sizeof(float));
            assert_memory_equal(&loss, &other_loss, sizeof(loss));
            free(other);
            compared++;
        }
        if (compared == 0)
            print_message("SKIPPED: no vector kernel runs on this processor\n");
        free(plain);
        rows_close(&rows);
    }
}

/* --- BLAS ----------------------------------------------------------------------------- */

typedef void (*sgemm_fn)(int order, int trans_a, int trans_b, int m, int n, int k, float alpha,
                         const float *a, int lda, const float *b, int ldb, float beta, float *c,
                         int ldc);
#define ROW_MAJOR 101
#define NO_TRANS  111
#define TRANS     112

static void check_product(const struct train_kernel *kernel, sgemm_fn sgemm, bool turned,
                          struct prng *prng)
{
    int m = 1 + (int)prng_below(prng, 40), n = 16 * (1 + (int)prng_below(prng, 5));
    int depth = 1 + (int)prng_below(prng, 70);
    float *a = random_floats(prng, (size_t)(m * depth));
    float *b = random_floats(prng, (size_t)(depth * n));
    float *ours = random_floats(prng, (size_t)(m * n));
    float *theirs = malloc((size_t)(m * n) * sizeof(float));
    assert_non_null(theirs);
    memcpy(theirs, ours, (size_t)(m * n) * sizeof(float));
    kernel->multiply(&(struct train_product){.m = m,
                                             .n = n,
                                             .depth = depth,
                                             .a = a,
                                             .a_row = turned ? 1 : depth,
                                             .a_step = turned ? m : 1,
                                             .b = b,
                                             .b_step = n,
                                             .c = ours,
                                             .c_row = n,
                                             .add = true});
    sgemm(ROW_MAJOR, turned ? TRANS : NO_TRANS, NO_TRANS, m, n, depth, 1.0f, a, turned ? m : depth,
          b, n, 1.0f, theirs, n);
    for (int i = 0; i < m * n; i++)
        assert_true(fabsf(ours[i] - theirs[i]) <= 1e-5f * sqrtf((float)depth) * 4.0f);
    free(a);
    free(b);
    free(ours);
    free(theirs);
}

static void products_agree_with_blas(void **unused)
{
    (void)unused;
    void *library = dlopen("libopenblas.so.0", RTLD_NOW | RTLD_NODELETE);
    if (library == NULL) {
        print_message("SKIPPED: libopenblas.so.0 (package libopenblas0) is not installed\n");
        skip();
    }
    sgemm_fn sgemm;
    void *symbol = dlsym(library, "cblas_sgemm");
    assert_non_null(symbol);
    memcpy(&sgemm, &symbol, sizeof(sgemm));
    struct prng prng;
    prng_init(&prng, 5);
    for (int k = 0; k < 3; k++)
        for (int i = 0; i < 40 && train_kernel_choose(kernels[k]) != NULL; i++)
            check_product(train_kernel_choose(kernels[k]), sgemm, i % 2 == 1, &prng);
}

/* --- gradient ------------------------------------------------------------------------- */

#define IN   4
#define MID  3
#define END  2
#define SIDE 12 /* the largest layer */

/* The loss in double, written down independently. The scale takes the error as given. */
static double loss_of(double w[3][SIDE], double b[3][MID], const float *x, const float *y,
                      const double *error_given, float scale_weight, double *errors)
{
    const int widths[] = {IN, MID, MID, END};
    double sum = 0.0;
    for (int r = 0; r < ROWS; r++) {
        double v[2][IN] = {{0}};
        for (int k = 0; k < IN; k++)
            v[0][k] = (double)x[r * IN + k];
        for (int l = 0; l < 3; l++) {
            for (int o = 0; o < widths[l + 1]; o++) {
                double z = b[l][o];
                for (int k = 0; k < widths[l]; k++)
                    z += w[l][o * widths[l] + k] * v[l & 1][k];
                v[(l + 1) & 1][o] = l < 2 && z < 0.0 ? 0.0 : z;
            }
        }
        double error = v[1][0] - (double)y[r], log_scale = v[1][1];
        if (errors != NULL)
            errors[r] = error;
        double given = error_given != NULL ? error_given[r] : error;
        double surprise = given * given * exp(-2.0 * log_scale);
        sum += 0.5 * error * error + (double)scale_weight * (log_scale + 0.5 * surprise);
    }
    return sum / ROWS;
}

static void gradient_agrees_with_central_differences(void **unused)
{
    (void)unused;
    const int widths[] = {IN, MID, MID, END};
    const float scale_weight = 0.4f;
    struct rows rows;
    struct train_net *net;
    double w[3][SIDE] = {{0}}, b[3][MID] = {{0}}, errors[ROWS];
    float weights[SIDE], bias[MID];
    rows_open(&rows, IN, 11);
    for (int r = 0; r < ROWS; r++)
        rows.y[r] *= 0.5f; /* keeps every surprise below its limit */
    struct train_net_options options = {.layers = 3, .widths = {IN, MID, MID, END}, .seed = 21};
    assert_int_equal(train_net_open(&options, &net, NULL), ERR_OK);
    for (int l = 0; l < 3; l++) {
        train_net_layer(net, TRAIN_PARAMETERS, l, weights, bias);
        for (int i = 0; i < widths[l + 1]; i++)
            bias[i] = 0.1f * (float)(i + 1);
        train_net_set_layer(net, l, weights, bias);
        for (int i = 0; i < widths[l] * widths[l + 1]; i++)
            w[l][i] = (double)weights[i];
        for (int i = 0; i < widths[l + 1]; i++)
            b[l][i] = (double)bias[i];
    }
    loss_of(w, b, rows.x, rows.y, NULL, scale_weight, errors);
    struct train_batch batch = {.x = rows.x, .y = rows.y, .count = ROWS};
    train_net_gradient(net, &batch, scale_weight);
    for (int l = 0; l < 3; l++) {
        train_net_layer(net, TRAIN_GRADIENT, l, weights, bias);
        int count = widths[l] * widths[l + 1];
        for (int i = 0; i < count + widths[l + 1]; i++) {
            double *at = i < count ? &w[l][i] : &b[l][i - count], kept = *at, h = 1e-6;
            *at = kept + h;
            double up = loss_of(w, b, rows.x, rows.y, errors, scale_weight, NULL);
            *at = kept - h;
            double down = loss_of(w, b, rows.x, rows.y, errors, scale_weight, NULL);
            *at = kept;
            double ours = (double)(i < count ? weights[i] : bias[i - count]);
            assert_true(fabs(ours - (up - down) / (2.0 * h)) < 2e-4 * (1.0 + fabs(ours)));
        }
    }
    train_net_close(net);
    rows_close(&rows);
}

static void one_step_is_adamw(void **unused)
{
    (void)unused;
    struct train_net_options options = {.layers = 1, .widths = {1, 1}, .seed = 1};
    struct train_net *net;
    float x = 2.0f, y = 1.0f, weight = 0.5f, bias = 0.25f;
    assert_int_equal(train_net_open(&options, &net, NULL), ERR_OK);
    train_net_set_layer(net, 0, &weight, &bias);
    struct train_batch batch = {.x = &x, .y = &y, .count = 1};
    struct train_step step = {.learning_rate = 0.1f, .weight_decay = 0.2f};
    struct train_loss loss = {0};
    train_net_step(net, &batch, &step, &loss);
    /* The output is 1.25, the error 0.25: the first step of Adam is the rate in the
     * gradient's direction; only the weight decays. */
    assert_true(fabs(loss.error - 0.03125) < 1e-7);
    train_net_layer(net, TRAIN_PARAMETERS, 0, &weight, &bias);
    assert_true(fabsf(weight - (0.5f * 0.98f - 0.1f)) < 1e-5f);
    assert_true(fabsf(bias - (0.25f - 0.1f)) < 1e-5f);
    train_net_close(net);
}

static void shapes_beyond_the_limits_are_refused(void **unused)
{
    (void)unused;
    struct train_net *net;
    struct err err = {0};
    struct train_net_options none = {.layers = 0};
    struct train_net_options wide = {.layers = 2, .widths = {32, MLP_WIDTH_MAX + 1, 1}};
    struct train_net_options heads = {.layers = 1, .widths = {32, 3}};
    assert_int_equal(train_net_open(&none, &net, &err), ERR_INVALID);
    assert_int_equal(train_net_open(&wide, &net, &err), ERR_INVALID);
    assert_string_equal(err.text, "width 1 is 513, allowed are 1 to 512");
    assert_int_equal(train_net_open(&heads, &net, &err), ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_mirrored_row_is_the_row_of_the_mirrored_market),
        cmocka_unit_test(every_kernel_trains_to_the_same_bits),
        cmocka_unit_test(products_agree_with_blas),
        cmocka_unit_test(gradient_agrees_with_central_differences),
        cmocka_unit_test(one_step_is_adamw),
        cmocka_unit_test(shapes_beyond_the_limits_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
