/* Row files: `BTROWS1\n`, schema, count, CRC-32C of what follows, then slots, mids, labels
 * and values, each column whole, little endian. SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "services/trainer/train_load.h"

#define ROWS_MAGIC "BTROWS1\n"

struct rows_header {
    char magic[8];
    uint64_t schema, count, crc;
};

struct rows_column {
    void *data;
    size_t size; /* of one row */
};

#define ROWS_COLUMNS 4

static void rows_columns(const struct dataset *dataset, struct rows_column out[ROWS_COLUMNS])
{
    out[0] = (struct rows_column){dataset->slot, sizeof(int64_t)};
    out[1] = (struct rows_column){dataset->mid, sizeof(double)};
    out[2] = (struct rows_column){dataset->label_bp, sizeof(double)};
    out[3] = (struct rows_column){dataset->values, FEATURE_COUNT * sizeof(float)};
}

static uint32_t rows_crc(const struct rows_column *columns, size_t count)
{
    uint32_t crc = 0;
    for (int i = 0; i < ROWS_COLUMNS; i++)
        crc = crc32c(crc, columns[i].data, columns[i].size * count);
    return crc;
}

int train_save_rows(const char *path, const struct dataset *dataset, struct err *err)
{
    struct rows_column columns[ROWS_COLUMNS];
    rows_columns(dataset, columns);
    struct rows_header header = {.schema = feature_schema_hash(),
                                 .count = dataset->count,
                                 .crc = rows_crc(columns, dataset->count)};
    memcpy(header.magic, ROWS_MAGIC, sizeof(header.magic));
    FILE *file = fopen(path, "wb");
    if (file == NULL)
        return err_set(err, ERR_IO, "cannot write %s: %s", path, strerror(errno));
    bool ok = fwrite(&header, sizeof(header), 1, file) == 1;
    for (int i = 0; i < ROWS_COLUMNS; i++)
        ok = fwrite(columns[i].data, columns[i].size, dataset->count, file) == dataset->count && ok;
    ok = fclose(file) == 0 && ok;
    return ok ? ERR_OK : err_set(err, ERR_IO, "cannot write %s: %s", path, strerror(errno));
}

static int rows_read(FILE *file, struct dataset *rows, struct err *err)
{
    struct rows_header header;
    struct rows_column columns[ROWS_COLUMNS];
    if (fread(&header, sizeof(header), 1, file) != 1 ||
        memcmp(header.magic, ROWS_MAGIC, sizeof(header.magic)) != 0)
        return err_set(err, ERR_MALFORMED, "not a row file");
    if (header.schema != feature_schema_hash())
        return err_set(err, ERR_SCHEMA, "its features are of another schema");
    if (header.count > DATASET_ROWS_MAX)
        return err_set(err, ERR_FULL, "more than %u rows", DATASET_ROWS_MAX);
    rows->count = rows->capacity = (size_t)header.count;
    rows->slot = malloc((rows->count + 1) * sizeof(int64_t));
    rows->mid = malloc((rows->count + 1) * sizeof(double));
    rows->label_bp = malloc((rows->count + 1) * sizeof(double));
    rows->values = malloc((rows->count + 1) * FEATURE_COUNT * sizeof(float));
    rows_columns(rows, columns);
    for (int i = 0; i < ROWS_COLUMNS; i++) {
        if (columns[i].data == NULL)
            return err_set(err, ERR_MEMORY, "no memory for %zu rows", rows->count);
        if (fread(columns[i].data, columns[i].size, rows->count, file) != rows->count)
            return err_set(err, ERR_CORRUPT, "the file is cut");
    }
    return rows_crc(columns, rows->count) == header.crc
               ? ERR_OK
               : err_set(err, ERR_CORRUPT, "the checksum is wrong");
}

/* What a file says is checked as everything from outside: slots grow, values are in range. */
static bool rows_clean(const struct dataset *rows)
{
    for (size_t i = 0; i < rows->count; i++) {
        if (i > 0 && rows->slot[i] <= rows->slot[i - 1])
            return false;
        for (int k = 0; k < FEATURE_COUNT; k++) {
            float value = rows->values[i * FEATURE_COUNT + (size_t)k];
            if (!(value >= feature_minimum(k) && value <= feature_maximum(k)))
                return false;
        }
        if (!(rows->mid[i] > 0.0 && rows->label_bp[i] <= DATASET_LABEL_MAX_BP &&
              rows->label_bp[i] >= -DATASET_LABEL_MAX_BP))
            return false;
    }
    return true;
}

/* The first file is taken as it is, a later one behind what is there. */
static int rows_append(struct dataset *rows, struct dataset *dataset, struct err *err)
{
    if (dataset->count == 0) {
        struct dataset empty = *dataset;
        *dataset = *rows;
        *rows = empty;
        return ERR_OK;
    }
    if (rows->count > 0 && rows->slot[0] <= dataset->slot[dataset->count - 1])
        return err_set(err, ERR_MALFORMED, "it begins before the file in front of it ends");
    for (size_t i = 0; i < rows->count; i++) {
        int rc = dataset_add_labelled(dataset, rows->slot[i], rows->values + i * FEATURE_COUNT,
                                      rows->mid[i], rows->label_bp[i], err);
        if (rc != ERR_OK)
            return rc;
    }
    return ERR_OK;
}

static int rows_file(const char *path, struct dataset *dataset, struct err *err)
{
    struct dataset rows;
    dataset_init(&rows);
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return err_set(err, ERR_IO, "cannot read %s: %s", path, strerror(errno));
    int rc = rows_read(file, &rows, err);
    fclose(file);
    if (rc == ERR_OK && !rows_clean(&rows))
        rc = err_set(err, ERR_MALFORMED, "a row is out of order or out of range");
    if (rc != ERR_OK) {
        dataset_free(&rows);
        return err_wrap(err, rc, "%s", path);
    }
    rc = rows_append(&rows, dataset, err);
    dataset_free(&rows);
    return rc == ERR_OK ? ERR_OK : err_wrap(err, rc, "%s", path);
}

int train_load_rows(const char *paths, struct dataset *dataset, struct err *err)
{
    char path[TRAIN_PATH_SIZE];
    while (train_load_path(&paths, path)) {
        int rc = rows_file(path, dataset, err);
        if (rc != ERR_OK)
            return rc;
    }
    dataset->counts.offered = dataset->counts.kept = dataset->count;
    return *paths == '\0' ? ERR_OK : err_set(err, ERR_CONFIG, "a file name is empty or too long");
}
