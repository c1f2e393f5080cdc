/* SPDX-License-Identifier: Apache-2.0 */
#include "base/config_yaml.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <yaml.h>

struct config_walk {
    yaml_parser_t parser;
    const char *name;
    config_item_fn fn;
    void *context;
    struct err *err;
    char path[CONFIG_PATH_SIZE];
    size_t length[CONFIG_DEPTH_MAX + 1]; /* of path, at each open mapping */
    int depth;                           /* open mappings */
};

static struct config_place config_walk_place(const yaml_event_t *event)
{
    return (struct config_place){event->start_mark.line + 1, event->start_mark.column + 1};
}

static int config_walk_fail(struct config_walk *walk, struct config_place place, const char *why)
{
    return err_set(walk->err, ERR_CONFIG, "%s:%zu:%zu: %s", walk->name, place.line, place.column,
                   why);
}

/* libyaml's own complaint, at the place it means. */
static int config_walk_syntax(struct config_walk *walk)
{
    const yaml_parser_t *parser = &walk->parser;
    if (parser->error == YAML_MEMORY_ERROR)
        return err_set(walk->err, ERR_MEMORY, "%s: out of memory", walk->name);
    if (parser->error == YAML_READER_ERROR)
        return err_set(walk->err, ERR_CONFIG, "%s: byte %zu: not YAML: %s", walk->name,
                       parser->problem_offset, parser->problem);
    return err_set(walk->err, ERR_CONFIG, "%s:%zu:%zu: not YAML: %s%s%s", walk->name,
                   parser->problem_mark.line + 1, parser->problem_mark.column + 1,
                   parser->problem != NULL ? parser->problem : "syntax error",
                   parser->context != NULL ? " " : "",
                   parser->context != NULL ? parser->context : "");
}

static bool config_walk_next(struct config_walk *walk, yaml_event_t *event)
{
    return yaml_parser_parse(&walk->parser, event) == 1;
}

/* Anchors, aliases and tags have no use in a settings file and many surprises. */
static int config_walk_check(struct config_walk *walk, const yaml_event_t *event)
{
    const yaml_char_t *anchor = NULL;
    const yaml_char_t *tag = NULL;
    switch (event->type) {
    case YAML_SCALAR_EVENT:
        anchor = event->data.scalar.anchor;
        tag = event->data.scalar.tag;
        break;
    case YAML_MAPPING_START_EVENT:
        anchor = event->data.mapping_start.anchor;
        tag = event->data.mapping_start.tag;
        break;
    case YAML_SEQUENCE_START_EVENT:
        anchor = event->data.sequence_start.anchor;
        tag = event->data.sequence_start.tag;
        break;
    case YAML_ALIAS_EVENT:
        return config_walk_fail(walk, config_walk_place(event),
                                "expected a value, found an alias (aliases are not supported)");
    default:
        return ERR_OK;
    }
    if (anchor != NULL)
        return config_walk_fail(walk, config_walk_place(event),
                                "expected a value, found an anchor (anchors are not supported)");
    if (tag != NULL)
        return config_walk_fail(walk, config_walk_place(event),
                                "expected a value, found a tag (tags are not supported)");
    return ERR_OK;
}

static bool config_walk_is_key(const yaml_event_t *event)
{
    const yaml_char_t *at = event->data.scalar.value;
    size_t size = event->data.scalar.length;
    for (size_t i = 0; i < size; i++) {
        bool letter = (at[i] >= 'a' && at[i] <= 'z') || (at[i] >= 'A' && at[i] <= 'Z');
        if (!letter && !(at[i] >= '0' && at[i] <= '9') && at[i] != '_' && at[i] != '-')
            return false;
    }
    return size > 0;
}

/* Puts the key behind the open mapping's path. */
static int config_walk_key(struct config_walk *walk, const yaml_event_t *event)
{
    if (event->type != YAML_SCALAR_EVENT || !config_walk_is_key(event))
        return config_walk_fail(walk, config_walk_place(event),
                                "expected a key of letters, digits, _ and -, found something else");
    size_t base = walk->length[walk->depth];
    int size = snprintf(walk->path + base, sizeof(walk->path) - base, "%s%s", base > 0 ? "." : "",
                        (const char *)event->data.scalar.value);
    if (size < 0 || (size_t)size >= sizeof(walk->path) - base)
        return config_walk_fail(walk, config_walk_place(event),
                                "expected a key, found one longer than any there is");
    return ERR_OK;
}

static int config_walk_open(struct config_walk *walk, const yaml_event_t *event)
{
    if (walk->depth == CONFIG_DEPTH_MAX)
        return config_walk_fail(walk, config_walk_place(event), "mappings are nested too deep");
    walk->length[++walk->depth] = strlen(walk->path);
    return ERR_OK;
}

static int config_walk_value(struct config_walk *walk, struct config_place key,
                             const yaml_event_t *event)
{
    struct config_item item = {.path = walk->path, .key = key, .at = config_walk_place(event)};
    if (event->type == YAML_SCALAR_EVENT) {
        bool plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
        item.kind = plain ? CONFIG_PLAIN : CONFIG_QUOTED;
        item.value = bytes_of(event->data.scalar.value, event->data.scalar.length);
    } else {
        item.kind = event->type == YAML_MAPPING_START_EVENT ? CONFIG_MAPPING : CONFIG_LIST;
    }
    int result = walk->fn(walk->context, &item, walk->err);
    if (result != ERR_OK)
        return result;
    if (item.kind == CONFIG_LIST)
        return config_walk_fail(walk, item.at, "expected a value, found a list");
    return item.kind == CONFIG_MAPPING ? config_walk_open(walk, event) : ERR_OK;
}

/* From the root's start to its end. */
static int config_walk_mapping(struct config_walk *walk)
{
    bool want_key = true;
    struct config_place key = {0, 0};
    while (walk->depth > 0) {
        yaml_event_t event;
        if (!config_walk_next(walk, &event))
            return config_walk_syntax(walk);
        int result = config_walk_check(walk, &event);
        if (result == ERR_OK && event.type == YAML_MAPPING_END_EVENT) {
            walk->depth--;
        } else if (result == ERR_OK && want_key) {
            key = config_walk_place(&event);
            result = config_walk_key(walk, &event);
            want_key = false;
        } else if (result == ERR_OK) {
            result = config_walk_value(walk, key, &event);
            want_key = true;
        }
        yaml_event_delete(&event);
        if (result != ERR_OK)
            return result;
    }
    return ERR_OK;
}

/* One event at the top level; *end is set behind the only document. */
static int config_walk_top(struct config_walk *walk, const yaml_event_t *event, int *documents,
                           bool *end)
{
    int result = config_walk_check(walk, event);
    if (result != ERR_OK)
        return result;
    switch (event->type) {
    case YAML_STREAM_END_EVENT:
        *end = true;
        return ERR_OK;
    case YAML_DOCUMENT_START_EVENT:
        if ((*documents)++ > 0)
            return config_walk_fail(walk, config_walk_place(event),
                                    "expected one document, found another");
        return ERR_OK;
    case YAML_MAPPING_START_EVENT:
        walk->depth = 1;
        walk->length[1] = 0;
        return config_walk_mapping(walk);
    case YAML_SCALAR_EVENT:
        /* A document of comments only is an empty scalar. */
        if (event->data.scalar.length == 0)
            return ERR_OK;
        return config_walk_fail(walk, config_walk_place(event),
                                "expected a mapping of keys, found a single value");
    case YAML_SEQUENCE_START_EVENT:
        return config_walk_fail(walk, config_walk_place(event),
                                "expected a mapping of keys, found a list");
    default:
        return ERR_OK;
    }
}

static int config_walk_run(struct config_walk *walk)
{
    int documents = 0;
    bool end = false;
    while (!end) {
        yaml_event_t event;
        if (!config_walk_next(walk, &event))
            return config_walk_syntax(walk);
        int result = config_walk_top(walk, &event, &documents, &end);
        yaml_event_delete(&event);
        if (result != ERR_OK)
            return result;
    }
    return ERR_OK;
}

int config_yaml_walk(const char *name, struct bytes data, config_item_fn fn, void *context,
                     struct err *err)
{
    struct config_walk walk = {.name = name, .fn = fn, .context = context, .err = err};
    if (yaml_parser_initialize(&walk.parser) != 1)
        return err_set(err, ERR_MEMORY, "%s: out of memory", name);
    yaml_parser_set_encoding(&walk.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&walk.parser, data.data, data.size);
    int result = config_walk_run(&walk);
    yaml_parser_delete(&walk.parser);
    return result;
}
