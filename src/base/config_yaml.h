/* The YAML subset of configuration files: one document of nested mappings with scalar
 * values. Walks libyaml's events and reports each value with its path and place; lists,
 * anchors, aliases, tags, complex keys and further documents are refused here.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_BASE_CONFIG_YAML_H
#define BTCAST_BASE_CONFIG_YAML_H

#include "base/bytes.h"
#include "base/err.h"

#define CONFIG_DEPTH_MAX 8
#define CONFIG_PATH_SIZE 128

enum config_kind {
    CONFIG_PLAIN,   /* an unquoted scalar; empty when nothing stands there */
    CONFIG_QUOTED,  /* a scalar in quotes or a block scalar */
    CONFIG_MAPPING, /* a nested mapping begins: a section */
    CONFIG_LIST,
};

struct config_place {
    size_t line, column; /* from 1 */
};

struct config_item {
    const char *path; /* keys joined by dots */
    enum config_kind kind;
    struct bytes value;          /* scalars; borrowed */
    struct config_place key, at; /* of the key and of the value */
};

/* Anything but ERR_OK ends the walk with that code. */
typedef int (*config_item_fn)(void *context, const struct config_item *item, struct err *err);

/* name stands in messages. ERR_CONFIG with "NAME:LINE:COLUMN: …". */
int config_yaml_walk(const char *name, struct bytes data, config_item_fn fn, void *context,
                     struct err *err) MUST_CHECK;

#endif
