/* One CSV file of the exchange's public archives into bronze/rest, in pieces whose bounds the ids
 * say: a file gives the same objects however often it is read.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SERVICES_IMPORT_IMPORT_CSV_H
#define BTCAST_SERVICES_IMPORT_IMPORT_CSV_H

#include "services/import/import_desk.h"

/* Rows of one object: ids that are equal when divided by it. */
#define IMPORT_CSV_PIECE 65536

/* True when the file's first line reads as one of ours; the type by it. */
bool import_csv_is(const char *path, enum import_type *type);
int import_csv(struct import_desk *desk, const char *path, enum import_type type,
               struct err *err) MUST_CHECK;

#endif
