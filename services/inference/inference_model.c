/* SPDX-License-Identifier: Apache-2.0 */
#include "services/inference/inference_model.h"

#include <stdlib.h>

#include "edge/file/sha256_hex.h"
#include "edge/file/whole_file.h"
#include "market/feature.h"
#include "model/baseline.h"
#include "wire/onnx.h"

static int inference_model_read(struct bytes file, enum mlp_kernel kernel, struct model **model,
                                struct err *err)
{
    struct onnx_options options = {.feature_schema = feature_schema_hash(), .kernel = kernel};
    int result = onnx_read(file, &options, model, err);
    if (result == ERR_OK) {
        char sha[SHA256_HEX_SIZE];
        sha256_hex(file, sha);
        model_set_sha256(*model, sha);
    }
    return result;
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
    int result = whole_file_read(path, ONNX_FILE_MAX, &data, &size, err);
    if (result != ERR_OK)
        return err_wrap(err, result, "model");
    result = inference_model_read(bytes_of(data, size), kernel, model, err);
    free(data);
    return result == ERR_OK ? ERR_OK : err_wrap(err, result, "model %s", path);
}
