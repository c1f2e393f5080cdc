/* Where an agent stands, kept over a restart: named integers as a small text with a
 * checksum, loaded at start and replaced as a whole.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_RECOVER_POLL_PROGRESS_H
#define BTCAST_RECOVER_POLL_PROGRESS_H

#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/text.h"

#define PROGRESS_TEXT_MAX   2048
#define PROGRESS_FIELDS_MAX 32

/* Synchronous: a few bytes once or twice a page of replies. */
struct progress_port {
    void *self;
    /* ERR_NOT_FOUND: never saved. ERR_IO, ERR_FULL. */
    int (*load)(void *self, char *out, size_t capacity, size_t *size);
    /* Durable and whole before it says ERR_OK; the old text stays otherwise. */
    int (*save)(void *self, struct bytes text);
};

struct progress_field {
    const char *name; /* lower case letters, digits, _ */
    int64_t *value;
};

/* Fills the fields. ERR_NOT_FOUND: never saved; ERR_CORRUPT: not readable, or a field is
 * missing; then the fields keep their values. */
int progress_load(const struct progress_port *port, const struct progress_field *fields, int count,
                  struct err *err) MUST_CHECK;
int progress_save(const struct progress_port *port, const struct progress_field *fields, int count,
                  struct err *err) MUST_CHECK;

#endif
