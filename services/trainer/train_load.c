/* SPDX-License-Identifier: Apache-2.0 */
#include "services/trainer/train_load.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edge/file/capture_file.h"
#include "learn/train/dataset_csv.h"
#include "learn/train/row_maker.h"
#include "services/replay/replay_json.h"

/* --- captures ------------------------------------------------------------------------- */

static int load_capture(const char *path, struct dataset *dataset, uint64_t *refused,
                        struct err *err)
{
    struct capture_file *capture = NULL;
    struct row_maker *maker = NULL;
    struct record record;
    int rc = capture_file_open(path, &capture, err);
    if (rc != ERR_OK)
        return rc;
    rc = row_maker_open(capture_file_header(capture)->symbol, dataset, &maker, err);
    while (rc == ERR_OK) {
        rc = capture_file_next(capture, &record);
        if (rc == ERR_OK)
            rc = row_maker_apply(maker, &record, err);
        else if (rc != ERR_EMPTY)
            err_set(err, rc, "cannot read on");
    }
    if (rc == ERR_EMPTY)
        rc = row_maker_end(maker, err);
    if (maker != NULL)
        *refused += row_maker_refused(maker);
    *refused += capture_file_counters(capture)->corrupt;
    row_maker_close(maker);
    capture_file_close(capture);
    return rc;
}

struct load_json {
    struct row_maker *maker;
    int rc;
    struct err *err;
};

static void load_json_record(void *context, const struct record *record)
{
    struct load_json *load = context;
    if (load->rc == ERR_OK)
        load->rc = row_maker_apply(load->maker, record, load->err);
}

static int load_json(const char *path, const char *symbol, struct dataset *dataset,
                     uint64_t *refused, struct err *err)
{
    struct replay_json_counters counters = {0};
    struct load_json load = {.err = err};
    int rc = row_maker_open(symbol, dataset, &load.maker, err);
    if (rc == ERR_OK)
        rc = replay_json(path, symbol, load_json_record, &load, &counters, err);
    if (rc == ERR_OK)
        rc = load.rc;
    if (rc == ERR_OK)
        rc = row_maker_end(load.maker, err);
    if (load.maker != NULL)
        *refused += row_maker_refused(load.maker);
    *refused += counters.malformed + counters.oversize + counters.refused;
    row_maker_close(load.maker);
    return rc;
}

bool train_load_path(const char **paths, char *path)
{
    size_t size = strcspn(*paths, ",");
    if (size == 0 || size >= TRAIN_PATH_SIZE)
        return false;
    memcpy(path, *paths, size);
    path[size] = '\0';
    *paths += size + ((*paths)[size] == ',');
    return true;
}

int train_load_captures(const char *paths, const char *symbol, struct dataset *dataset,
                        uint64_t *refused, struct err *err)
{
    char path[TRAIN_PATH_SIZE];
    while (train_load_path(&paths, path)) {
        int rc = capture_file_is(path) ? load_capture(path, dataset, refused, err)
                                       : load_json(path, symbol, dataset, refused, err);
        if (rc != ERR_OK)
            return err_wrap(err, rc, "%s", path);
    }
    dataset_finish(dataset);
    return *paths == '\0' ? ERR_OK : err_set(err, ERR_CONFIG, "a file name is empty or too long");
}

/* --- CSV ------------------------------------------------------------------------------ */

static int load_csv(FILE *file, struct dataset *dataset, struct err *err)
{
    char line[DATASET_CSV_LINE_MAX];
    int64_t first_us = 0;
    for (unsigned long number = 1; fgets(line, sizeof(line), file) != NULL; number++) {
        int rc = number == 1 ? dataset_csv_header(line, err)
                             : dataset_csv_row(dataset, line, &first_us, err);
        if (rc != ERR_OK)
            return err_wrap(err, rc, "line %lu", number);
    }
    return ferror(file) != 0 ? err_set(err, ERR_IO, "cannot read on: %s", strerror(errno)) : ERR_OK;
}

int train_load_csv(const char *paths, struct dataset *dataset, struct err *err)
{
    char path[TRAIN_PATH_SIZE];
    while (train_load_path(&paths, path)) {
        FILE *file = fopen(path, "r");
        if (file == NULL)
            return err_set(err, ERR_IO, "cannot read %s: %s", path, strerror(errno));
        int rc = load_csv(file, dataset, err);
        fclose(file);
        if (rc != ERR_OK)
            return err_wrap(err, rc, "%s", path);
    }
    dataset_finish(dataset);
    return *paths == '\0' ? ERR_OK : err_set(err, ERR_CONFIG, "a file name is empty or too long");
}

/* --- the oracle ----------------------------------------------------------------------- */

static int load_oracle(const char *path, const struct dataset *dataset, struct split_range range,
                       size_t *row, float *out, struct err *err)
{
    char line[256];
    long long slot;
    double value;
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return err_set(err, ERR_IO, "cannot read %s: %s", path, strerror(errno));
    while (fgets(line, sizeof(line), file) != NULL) {
        if (sscanf(line, "%lld,%lf", &slot, &value) != 2)
            continue; /* the header */
        while (*row < range.end && dataset->slot[*row] < slot)
            ++*row;
        if (*row < range.end && dataset->slot[*row] == slot)
            out[*row - range.begin] = (float)value;
    }
    bool failed = ferror(file) != 0;
    fclose(file);
    return failed ? err_set(err, ERR_IO, "cannot read %s", path) : ERR_OK;
}

int train_load_oracle(const char *paths, const struct dataset *dataset, struct split_range range,
                      float *out, struct err *err)
{
    char path[TRAIN_PATH_SIZE];
    size_t row = range.begin;
    for (size_t i = 0; i < range.end - range.begin; i++)
        out[i] = NAN;
    while (train_load_path(&paths, path)) {
        int rc = load_oracle(path, dataset, range, &row, out, err);
        if (rc != ERR_OK)
            return rc;
    }
    return *paths == '\0' ? ERR_OK
                          : err_set(err, ERR_CONFIG, "--oracle: a name is empty or too long");
}
