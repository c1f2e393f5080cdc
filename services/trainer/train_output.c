/* SPDX-License-Identifier: Apache-2.0 */
#include "services/trainer/train_output.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "wire/onnx.h"

#define OUTPUT_PATH_SIZE 1024
/* Rows of the test that the written model is tried on, evenly spread. */
#define OUTPUT_COMPARED 10000

static int output_file(const char *path, const void *data, size_t size, struct err *err)
{
    char beside[OUTPUT_PATH_SIZE + 8];
    snprintf(beside, sizeof(beside), "%s.new", path);
    FILE *file = fopen(beside, "wb");
    bool ok = file != NULL && fwrite(data, 1, size, file) == size && fflush(file) == 0 &&
              fsync(fileno(file)) == 0;
    ok = (file == NULL || fclose(file) == 0) && ok && rename(beside, path) == 0;
    return ok ? ERR_OK : err_set(err, ERR_IO, "cannot write %s: %s", path, strerror(errno));
}

static uint32_t output_bits(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof(bits));
    return bits;
}

/* Mean and log scale of test rows, as bits. */
static int output_compare(const struct train_run *run, struct bytes file, enum mlp_kernel kernel,
                          struct err *err)
{
    struct onnx_options options = {.feature_schema = feature_schema_hash(), .kernel = kernel};
    const struct dataset *dataset = run->report.dataset;
    struct split_range range = run->split.slice[SPLIT_TEST];
    size_t stride = (range.end - range.begin) / OUTPUT_COMPARED + 1;
    struct model *model = NULL;
    int rc = onnx_read(file, &options, &model, err);
    if (rc == ERR_UNSUPPORTED && kernel != MLP_KERNEL_PLAIN)
        return ERR_OK; /* this machine does not have that kernel */
    for (size_t row = range.begin; row < range.end && rc == ERR_OK; row += stride) {
        struct model_output ours, theirs;
        const float *values = dataset->values + row * FEATURE_COUNT;
        model_predict(run->model, values, &ours);
        model_predict(model, values, &theirs);
        if (output_bits(ours.mean_bp) != output_bits(theirs.mean_bp) ||
            output_bits(ours.log_scale) != output_bits(theirs.log_scale))
            rc = err_set(err, ERR_CORRUPT, "the model read back differs at slot %lld (%s kernel)",
                         (long long)dataset->slot[row], model_kernel_name(model));
    }
    model_close(model);
    return rc;
}

static int output_model(const struct train_run_options *options, struct train_run *run,
                        struct err *err)
{
    static const enum mlp_kernel kernels[] = {MLP_KERNEL_PLAIN, MLP_KERNEL_AVX2, MLP_KERNEL_AVX512};
    char path[OUTPUT_PATH_SIZE];
    size_t size = 0;
    int rc = onnx_write(&run->artifact.spec, NULL, 0, &size, err);
    if (rc != ERR_FULL)
        return rc;
    uint8_t *data = malloc(size);
    if (data == NULL)
        return err_set(err, ERR_MEMORY, "no memory for a model of %zu bytes", size);
    rc = onnx_write(&run->artifact.spec, data, size, &size, err);
    for (int k = 0; k < 3 && rc == ERR_OK; k++)
        rc = output_compare(run, bytes_of(data, size), kernels[k], err);
    snprintf(path, sizeof(path), "%s/model.onnx", options->out);
    if (rc == ERR_OK)
        rc = output_file(path, data, size, err);
    free(data);
    return rc;
}

static int output_report(const struct report *report,
                         void (*make)(const struct report *report, struct text *out),
                         const char *path, struct err *err)
{
    char *buffer = malloc(REPORT_SIZE_MAX);
    if (buffer == NULL)
        return err_set(err, ERR_MEMORY, "no memory for a report");
    struct text text = text_begin(buffer, REPORT_SIZE_MAX);
    make(report, &text);
    text_end(&text);
    int rc = text.truncated
                 ? err_set(err, ERR_FULL, "the report is longer than %u bytes", REPORT_SIZE_MAX)
                 : output_file(path, buffer, text.size, err);
    free(buffer);
    return rc;
}

int train_output_write(const struct train_run_options *options, struct train_run *run,
                       struct err *err)
{
    char path[OUTPUT_PATH_SIZE];
    int rc = output_model(options, run, err);
    snprintf(path, sizeof(path), "%s/report.json", options->out);
    if (rc == ERR_OK)
        rc = output_report(&run->report, report_json, path, err);
    snprintf(path, sizeof(path), "%s/report.html", options->out);
    if (rc == ERR_OK)
        rc = output_report(&run->report, report_html,
                           options->report != NULL ? options->report : path, err);
    snprintf(path, sizeof(path), "%s/state", options->out);
    if (rc == ERR_OK)
        (void)rmdir(path); /* stays when something else lies there */
    return rc;
}
