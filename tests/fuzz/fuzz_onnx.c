/* covers: src/wire/onnx.c src/wire/onnx_????.c src/wire/onnx_?????.c src/wire/onnx_????????.c */
/* Any bytes as an ONNX file: a refusal with a text, or a model that runs, is the same in
 * all kernels, and survives writing and reading. Seeds: tests/fuzz/corpus/onnx, made by
 * tools/make_onnx_corpus.py. SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "wire/onnx.h"

#define FUZZ_SCHEMA   0x0123456789abcdefULL
#define FUZZ_FILE_MAX (1u << 22)

static void predict_ones(const struct model *model, struct model_output *out)
{
    float ones[MLP_INPUTS_MAX];
    for (int i = 0; i < MLP_INPUTS_MAX; i++)
        ones[i] = 1.0f;
    model_predict(model, ones, out);
}

static void check_same(const struct model *a, const struct model *b)
{
    struct model_output x, y;
    predict_ones(a, &x);
    predict_ones(b, &y);
    CHECK(x.valid == y.valid && x.has_scale == y.has_scale);
    CHECK(memcmp(&x.mean_bp, &y.mean_bp, sizeof(x.mean_bp)) == 0);
    CHECK(memcmp(&x.log_scale, &y.log_scale, sizeof(x.log_scale)) == 0);
}

static void check_rewritten(const struct model *model, const struct onnx_options *options)
{
    static uint8_t out[FUZZ_FILE_MAX];
    size_t size, again_size;
    int rc = onnx_write(model_spec(model), out, sizeof(out), &size, NULL);
    CHECK(rc == ERR_OK);
    CHECK(onnx_write(model_spec(model), out, 8, &again_size, NULL) == ERR_FULL);
    CHECK(again_size == size);
    struct onnx_options plain = *options;
    plain.kernel = MLP_KERNEL_PLAIN;
    struct model *again = NULL;
    struct err err = {0};
    rc = onnx_read(bytes_of(out, size), &plain, &again, &err);
    if (rc != ERR_OK)
        fprintf(stderr, "own file refused: %s\n", err.text);
    CHECK(rc == ERR_OK);
    check_same(model, again);
    model_close(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    for (int foreign = 0; foreign < 2; foreign++) {
        struct onnx_options options = {.feature_schema = FUZZ_SCHEMA, .allow_foreign = foreign};
        struct model *model = NULL;
        struct err err = {0};
        int rc = onnx_read(bytes_of(data, size), &options, &model, &err);
        CHECK((rc == ERR_OK) == (model != NULL));
        CHECK((rc == ERR_OK) == (err.text[0] == '\0'));
        if (model != NULL)
            check_rewritten(model, &options);
        model_close(model);
    }
    return 0;
}
