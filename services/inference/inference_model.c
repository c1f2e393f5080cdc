/* SPDX-License-Identifier: Apache-2.0 */
#include "services/inference/inference_model.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "market/feature.h"
#include "model/baseline.h"
#include "wire/onnx.h"

/* The whole file; the caller frees it. */
static int inference_model_file(const char *path, uint8_t **data, size_t *size, struct err *err)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return err_set(err, ERR_IO, "model %s: %s", path, strerror(errno));
    *data = malloc(ONNX_FILE_MAX);
    *size = *data == NULL ? 0 : fread(*data, 1, ONNX_FILE_MAX, file);
    bool whole = *data != NULL && feof(file) != 0;
    int code = *data != NULL && ferror(file) != 0 ? errno : 0; /* a folder, for example */
    fclose(file);
    if (whole)
        return ERR_OK;
    free(*data);
    if (code != 0)
        return err_set(err, ERR_IO, "model %s: %s", path, strerror(code));
    return err_set(err, ERR_FULL, "model %s: larger than %u bytes", path, ONNX_FILE_MAX);
}

static int inference_model_read(struct bytes file, enum mlp_kernel kernel, struct model **model,
                                struct err *err)
{
    struct onnx_options options = {.feature_schema = feature_schema_hash(), .kernel = kernel};
    return onnx_read(file, &options, model, err);
}

const char *const inference_model_kernels[] = {"auto", "plain", "avx2", "avx512", NULL};

int inference_model_load(const char *path, enum mlp_kernel kernel, struct model **model,
                         struct err *err)
{
    if (path[0] == '\0') {
        int result = inference_model_read(baseline_file(), kernel, model, err);
        return result == ERR_OK ? ERR_OK : err_wrap(err, result, "built-in model");
    }
    uint8_t *data = NULL;
    size_t size = 0;
    int result = inference_model_file(path, &data, &size, err);
    if (result != ERR_OK)
        return result;
    result = inference_model_read(bytes_of(data, size), kernel, model, err);
    free(data);
    return result == ERR_OK ? ERR_OK : err_wrap(err, result, "model %s", path);
}
