/* covers: src/learn/train/dataset_csv.c src/learn/train/dataset.c src/learn/train/fit.c */
/* Features CSV and saved training states are bytes from outside: rows that are taken are in
 * range, a state is taken whole or not at all. SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/crc32c.h"
#include "learn/train/dataset_csv.h"
#include "learn/train/train_search.h"

#define ROWS 40

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_csv(const uint8_t *data, size_t size)
{
    struct dataset dataset;
    char line[DATASET_CSV_LINE_MAX];
    int64_t first_us = 0;
    dataset_init(&dataset);
    while (size > 0) {
        const uint8_t *end = memchr(data, '\n', size);
        size_t length = end != NULL ? (size_t)(end - data) : size;
        if (length < sizeof(line)) {
            memcpy(line, data, length);
            line[length] = '\0';
            (void)!dataset_csv_header(line, NULL);
            (void)!dataset_csv_row(&dataset, line, &first_us, NULL);
        }
        data += length + (end != NULL);
        size -= length + (end != NULL);
    }
    dataset_finish(&dataset);
    for (size_t row = 0; row < dataset.count; row++) {
        CHECK(dataset.mid[row] > 0.0);
        CHECK(dataset.label_bp[row] <= DATASET_LABEL_MAX_BP);
        for (int k = 0; k < FEATURE_COUNT; k++)
            CHECK(dataset.values[row * FEATURE_COUNT + (size_t)k] <= feature_maximum(k));
    }
    dataset_free(&dataset);
}

static struct fit *fuzz_fit(void)
{
    static float x[ROWS * FEATURE_COUNT], y[ROWS];
    struct fit_options options;
    struct fit_data data = {x, y, {0, 30}, {30, ROWS}};
    struct fit *fit = NULL;
    search_defaults(1, 5, 30, &options);
    options.net.widths[1] = options.net.widths[2] = 2;
    CHECK(fit_open(&options, &data, &fit, NULL) == ERR_OK);
    return fit;
}

/* A state with the bytes of the input written over it, its checksum made right. */
static void fuzz_state(const uint8_t *data, size_t size)
{
    struct fit *fit = fuzz_fit();
    size_t whole = fit_save_size(fit);
    uint8_t *state = malloc(whole);
    CHECK(state != NULL);
    fit_save(fit, state);
    memcpy(state, data, size < whole ? size : whole);
    bytes_store_u32(state + whole - 4, crc32c(0, state, whole - 4));
    if (fit_load(fit, bytes_of(state, whole), NULL) == ERR_OK)
        CHECK(fit_epochs(fit) == 0);
    (void)!fit_load(fit, bytes_of(data, size), NULL);
    fit_close(fit);
    free(state);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    if (data[0] & 1)
        fuzz_csv(data + 1, size - 1);
    else
        fuzz_state(data + 1, size - 1);
    return 0;
}
