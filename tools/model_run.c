/* Runs an ONNX model on vectors: float32 rows on standard input, float32 rows of outputs on
 * standard output, both in the machine's byte order. Foreign files are welcome.
 * usage: model-run FILE [plain|avx2|avx512] <rows >outputs
 * Exit status: 0, 1 when the model is refused (one line says why), 2 on wrong usage.
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wire/onnx.h"

static int kernel_of(const char *name)
{
    static const char *const names[] = {"auto", "plain", "avx2", "avx512"};
    for (int k = 0; k < 4; k++)
        if (strcmp(name, names[k]) == 0)
            return k;
    return -1;
}

static uint8_t *read_file(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    uint8_t *data = file == NULL ? NULL : malloc((size_t)ONNX_FILE_MAX + 1);
    if (data == NULL) {
        fprintf(stderr, "model-run: %s: %s\n", path, strerror(errno));
    } else {
        *size = fread(data, 1, (size_t)ONNX_FILE_MAX + 1, file);
    }
    if (file != NULL)
        fclose(file);
    return data;
}

static struct model *read_model(const char *path, enum mlp_kernel kernel)
{
    size_t size = 0;
    uint8_t *data = read_file(path, &size);
    if (data == NULL)
        return NULL;
    struct onnx_options options = {.allow_foreign = true, .kernel = kernel};
    struct model *model = NULL;
    struct err err = {0};
    if (onnx_read(bytes_of(data, size), &options, &model, &err) != ERR_OK)
        fprintf(stderr, "model-run: %s: %s\n", path, err.text);
    free(data);
    return model;
}

static int run(const struct model *model)
{
    float x[MLP_INPUTS_MAX], y[MODEL_OUTPUTS_MAX];
    size_t inputs = (size_t)model_inputs(model);
    for (;;) {
        size_t count = fread(x, sizeof(float), inputs, stdin);
        if (count == 0)
            return 0;
        if (count != inputs) {
            fprintf(stderr, "model-run: the last row has %zu of %zu values\n", count, inputs);
            return 1;
        }
        struct model_output output;
        model_predict(model, x, &output);
        y[0] = output.mean_bp;
        y[1] = output.log_scale;
        fwrite(y, sizeof(float), output.has_scale ? 2 : 1, stdout);
    }
}

int main(int argc, char **argv)
{
    int kernel = argc == 3 ? kernel_of(argv[2]) : MLP_KERNEL_AUTO;
    if (argc < 2 || argc > 3 || kernel < 0) {
        fprintf(stderr, "usage: model-run FILE [plain|avx2|avx512] <rows >outputs\n");
        return 2;
    }
    struct model *model = read_model(argv[1], (enum mlp_kernel)kernel);
    if (model == NULL)
        return 1;
    int status = run(model);
    model_close(model);
    return status;
}
