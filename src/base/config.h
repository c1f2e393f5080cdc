/* Typed YAML configuration: a table of fields (path, type, range, default, secret's
 * environment name) filled from a file and from `--set path=value` overrides.
 * Every error names file, line, column, key and what was expected (DESIGN.md
 * section 3, YAML). SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_BASE_CONFIG_H
#define BTCAST_BASE_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* Limits of a configuration. */
#define CONFIG_FILE_MAX      (64u * 1024u)
#define CONFIG_FIELDS_MAX    256
#define CONFIG_OVERRIDES_MAX 64

enum config_type {
    CONFIG_BOOL,   /* bool: true | false */
    CONFIG_I64,    /* int64_t: decimal digits, range minimum..maximum */
    CONFIG_F64,    /* double: finite decimal number, same range */
    CONFIG_TEXT,   /* char[size]: at most size - 1 bytes */
    CONFIG_CHOICE, /* int: index into choices */
    CONFIG_SECRET, /* char[size]: from the environment variable `secret_env`, or the file */
};

/* Duration values are plain integers; their key carries the unit (`_ms`, `_us`, `_s`). */
struct config_field {
    const char *path; /* "redis.socket": mapping keys joined by dots */
    enum config_type type;
    size_t offset;              /* into the options struct */
    size_t size;                /* CONFIG_TEXT, CONFIG_SECRET */
    double minimum, maximum;    /* CONFIG_I64, CONFIG_F64 (inclusive) */
    const char *const *choices; /* CONFIG_CHOICE, NULL-terminated */
    const char *secret_env;     /* CONFIG_SECRET: environment variable, wins over the file */
    const char *initial;        /* default as text; NULL: the key is required ("" is the
                                   empty text: an optional secret has it) */
    const char *help;           /* one line, shown by `btcast help CMD` */
};

struct config_schema {
    const char *service; /* value the file's top-level key `service` must have */
    const struct config_field *fields;
    int count;
    size_t options_size;
};

/* Fills options (schema->options_size bytes) with defaults, then file (path may be
 * NULL: defaults only), then the overrides ("path=value" strings; of several for one key
 * the last counts; none for secrets, since command lines are public), then secrets from
 * the environment. On failure options are undefined. Unknown or repeated keys, wrong types, values
 * out of range, missing required keys, a wrong `service`, more than one document: ERR_CONFIG with
 * "FILE:LINE:COLUMN: KEY: expected …, found …". */
int config_load(const struct config_schema *schema, const char *path, const char *const *overrides,
                int override_count, void *options, struct err *err) MUST_CHECK;

/* Same from memory; name stands in the messages. */
int config_parse(const struct config_schema *schema, const char *name, const void *data,
                 size_t size, const char *const *overrides, int override_count, void *options,
                 struct err *err) MUST_CHECK;

/* The bytes of a configuration file, at most CONFIG_FILE_MAX, into buffer (capacity that
 * many). ERR_CONFIG "cannot read FILE: …". */
int config_read_file(const char *path, void *buffer, size_t *size, struct err *err) MUST_CHECK;

/* The value of the top-level key `service` into out ("" when the file has none), nothing
 * else being judged but the syntax. */
int config_peek_service(const char *name, const void *data, size_t size, char *out, size_t out_size,
                        struct err *err) MUST_CHECK;

/* True when the file sets a secret and users other than its owner may read the file; path
 * of the key in *key. The caller warns. */
bool config_secret_exposed(const struct config_schema *schema, const char *path, const char **key);

#endif
