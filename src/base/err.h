/* Errors as values: one table of codes, a text that grows on the way up.
 *
 * Every function that can fail returns ERR_OK (0) or a negative code of this
 * table; errno, curl, hiredis and libwebsockets codes are translated at the call
 * that produced them (edge/). SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_BASE_ERR_H
#define BTCAST_BASE_ERR_H

#include <stdarg.h>
#include <stddef.h>

#define MUST_CHECK __attribute__((warn_unused_result))

/* code, text */
#define ERR_TABLE(X)                                                                               \
    X(ERR_INVALID, -1, "invalid argument")                                                         \
    X(ERR_MEMORY, -2, "out of memory")                                                             \
    X(ERR_FULL, -3, "limit reached")                                                               \
    X(ERR_EMPTY, -4, "nothing there")                                                              \
    X(ERR_MALFORMED, -5, "malformed data")                                                         \
    X(ERR_UNSUPPORTED, -6, "not supported")                                                        \
    X(ERR_OVERFLOW, -7, "number out of range")                                                     \
    X(ERR_CONFIG, -8, "configuration error")                                                       \
    X(ERR_IO, -9, "input/output error")                                                            \
    X(ERR_CONNECTION, -10, "connection lost")                                                      \
    X(ERR_TIMEOUT, -11, "timed out")                                                               \
    X(ERR_AGAIN, -12, "try again")                                                                 \
    X(ERR_FENCED, -13, "a newer writer holds the fence")                                           \
    X(ERR_DUPLICATE, -14, "already there")                                                         \
    X(ERR_REFUSED, -15, "refused")                                                                 \
    X(ERR_NOT_FOUND, -16, "not found")                                                             \
    X(ERR_BAD_STATE, -17, "not possible in this state")                                            \
    X(ERR_CORRUPT, -18, "checksum mismatch")                                                       \
    X(ERR_SCHEMA, -19, "schema mismatch")

enum err_code {
    ERR_OK = 0,
#define X(name, value, text) name = (value),
    ERR_TABLE(X)
#undef X
};

#define ERR_TEXT_SIZE 512

/* An error with its story. Zero-initialise; any function may be given NULL
 * instead when the caller does not want the text. */
struct err {
    int code;
    char text[ERR_TEXT_SIZE];
};

/* The table's text of a code ("connection lost"); "unknown error" for others. */
const char *err_text(int code);

/* Sets code and text, returns code (so: `return err_set(err, ERR_IO, "…")`). */
int err_set(struct err *err, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts "context: " before the text and returns code, also when err is NULL. */
int err_wrap(struct err *err, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
