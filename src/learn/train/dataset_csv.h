/* Lines of a `btcast replay --features` CSV -> rows. The mid of a row is the price at its
 * slot; a slot that is missing leaves the rows that need it without outcome. What such a file
 * does not say (gaps of the book) cannot be cleaned away: a capture is the better source.
 * Pure. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_LEARN_TRAIN_DATASET_CSV_H
#define BTCAST_LEARN_TRAIN_DATASET_CSV_H

#include "learn/train/dataset.h"

/* Longest line accepted. */
#define DATASET_CSV_LINE_MAX 4096

/* ERR_SCHEMA unless the header names the features of this program, in its order. */
int dataset_csv_header(const char *line, struct err *err) MUST_CHECK;
/* One row; `first_us` is the as_of_us of the file's first row and set by it (0 before).
 * ERR_MALFORMED says which column. */
int dataset_csv_row(struct dataset *dataset, const char *line, int64_t *first_us,
                    struct err *err) MUST_CHECK;

#endif
