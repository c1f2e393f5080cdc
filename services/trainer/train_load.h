/* Where rows come from: captures (replayed in process), features CSV files, row files.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SERVICES_TRAINER_TRAIN_LOAD_H
#define BTCAST_SERVICES_TRAINER_TRAIN_LOAD_H

#include "learn/train/dataset.h"

/* The next of several names joined by commas, in path[TRAIN_PATH_SIZE]; false at the end, and
 * when a name is empty or too long (*paths is then not at its end). */
#define TRAIN_PATH_SIZE 1024
bool train_load_path(const char **paths, char *path);

/* paths: files joined by commas, in the order of time. A btcast capture brings its symbol; a
 * JSON capture is one of `symbol`. *refused counts frames and lines that could not be read. */
int train_load_captures(const char *paths, const char *symbol, struct dataset *dataset,
                        uint64_t *refused, struct err *err) MUST_CHECK;
int train_load_csv(const char *paths, struct dataset *dataset, struct err *err) MUST_CHECK;

/* Row files: finished rows with schema and CRC, for another training on the same data. */
int train_load_rows(const char *paths, struct dataset *dataset, struct err *err) MUST_CHECK;
int train_save_rows(const char *path, const struct dataset *dataset, struct err *err) MUST_CHECK;

/* `slot,oracle_bp` lines of files joined by commas, in the order of time: out[i] for rows
 * [range.begin + i], NAN where the file has none. */
int train_load_oracle(const char *paths, const struct dataset *dataset, struct split_range range,
                      float *out, struct err *err) MUST_CHECK;

#endif
