/* SPDX-License-Identifier: Apache-2.0 */
#include "base/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/config_value.h"
#include "base/config_yaml.h"
#include "base/suggest.h"
#include "base/text.h"

#define CONFIG_SECTIONS_MAX 64
#define CONFIG_WHY_SIZE     320

struct config_reader {
    const struct config_schema *schema;
    const char *name;
    void *options;
    size_t seen[CONFIG_FIELDS_MAX]; /* line that set the field, 0: none */
    size_t service_line;
    struct {
        char path[CONFIG_PATH_SIZE];
        size_t line;
    } sections[CONFIG_SECTIONS_MAX];
    int section_count;
};

static int config_find(const struct config_schema *schema, const char *path, size_t length)
{
    for (int i = 0; i < schema->count; i++) {
        const char *name = schema->fields[i].path;
        if (strlen(name) == length && memcmp(name, path, length) == 0)
            return i;
    }
    return -1;
}

/* The first field below the section, -1: no such section. */
static int config_find_section(const struct config_schema *schema, const char *path)
{
    size_t length = strlen(path);
    for (int i = 0; i < schema->count; i++)
        if (strncmp(schema->fields[i].path, path, length) == 0 &&
            schema->fields[i].path[length] == '.')
            return i;
    return -1;
}

/* Of name, as many dotted parts as path has: so a mistyped section is compared with
 * sections. */
static void config_cut_path(const char *path, const char *name, char *out, size_t size)
{
    size_t dots = 0;
    for (const char *at = path; *at != '\0'; at++)
        dots += *at == '.';
    size_t length = 0;
    while (name[length] != '\0' && length + 1 < size && !(name[length] == '.' && dots-- == 0))
        length++;
    memcpy(out, name, length);
    out[length] = '\0';
}

static void config_describe_unknown(const struct config_schema *schema, const char *path,
                                    struct text *why)
{
    char kept[CONFIG_PATH_SIZE];
    const char *best = NULL;
    for (int i = 0; i <= schema->count; i++) {
        char candidate[CONFIG_PATH_SIZE];
        const char *winner = best;
        config_cut_path(path, i < schema->count ? schema->fields[i].path : "service", candidate,
                        sizeof(candidate));
        suggest_offer(path, candidate, &winner);
        if (winner == candidate) {
            snprintf(kept, sizeof(kept), "%s", candidate);
            best = kept;
        }
    }
    text_add_format(why, "expected a key of %s, found an unknown one", schema->service);
    if (best != NULL)
        text_add_format(why, "; did you mean %s?", best);
}

static int config_fail(const struct config_reader *reader, struct config_place place,
                       const char *path, struct text *why, struct err *err)
{
    return err_set(err, ERR_CONFIG, "%s:%zu:%zu: %s: %s", reader->name, place.line, place.column,
                   path, text_end(why));
}

static int config_fail_repeated(const struct config_reader *reader, const struct config_item *item,
                                size_t line, struct err *err)
{
    char buffer[CONFIG_WHY_SIZE];
    struct text why = text_begin(buffer, sizeof(buffer));
    text_add_format(&why, "expected each key once, found it again (first on line %zu)", line);
    return config_fail(reader, item->key, item->path, &why, err);
}

static int config_take_service(struct config_reader *reader, const struct config_item *item,
                               struct err *err)
{
    char buffer[CONFIG_WHY_SIZE];
    struct text why = text_begin(buffer, sizeof(buffer));
    if (reader->service_line != 0)
        return config_fail_repeated(reader, item, reader->service_line, err);
    reader->service_line = item->key.line;
    bool scalar = item->kind == CONFIG_PLAIN || item->kind == CONFIG_QUOTED;
    const char *wanted = reader->schema->service;
    if (scalar && item->value.size == strlen(wanted) &&
        memcmp(item->value.data, wanted, item->value.size) == 0)
        return ERR_OK;
    text_add_format(&why, "expected %s, found ", wanted);
    if (scalar && item->value.size < CONFIG_PATH_SIZE)
        text_add_json_string(&why, (const char *)item->value.data, item->value.size);
    else
        text_add(&why, "something else");
    return config_fail(reader, item->at, item->path, &why, err);
}

/* A section's keys come next; here only that it exists and stands once. */
static int config_take_section(struct config_reader *reader, const struct config_item *item,
                               struct err *err)
{
    for (int i = 0; i < reader->section_count; i++)
        if (strcmp(reader->sections[i].path, item->path) == 0)
            return config_fail_repeated(reader, item, reader->sections[i].line, err);
    char buffer[CONFIG_WHY_SIZE];
    struct text why = text_begin(buffer, sizeof(buffer));
    if (reader->section_count == CONFIG_SECTIONS_MAX) {
        text_add(&why, "expected fewer sections");
        return config_fail(reader, item->key, item->path, &why, err);
    }
    int at = reader->section_count++;
    snprintf(reader->sections[at].path, sizeof(reader->sections[at].path), "%s", item->path);
    reader->sections[at].line = item->key.line;
    return ERR_OK;
}

static int config_take_field(struct config_reader *reader, const struct config_item *item,
                             int index, struct err *err)
{
    if (reader->seen[index] != 0)
        return config_fail_repeated(reader, item, reader->seen[index], err);
    reader->seen[index] = item->key.line;
    char buffer[CONFIG_WHY_SIZE];
    struct text why = text_begin(buffer, sizeof(buffer));
    if (config_value_set(&reader->schema->fields[index], item->kind, item->value, reader->options,
                         &why))
        return ERR_OK;
    return config_fail(reader, item->at, item->path, &why, err);
}

static int config_take(void *context, const struct config_item *item, struct err *err)
{
    struct config_reader *reader = context;
    if (strcmp(item->path, "service") == 0)
        return config_take_service(reader, item, err);
    int index = config_find(reader->schema, item->path, strlen(item->path));
    if (index >= 0)
        return config_take_field(reader, item, index, err);
    char buffer[CONFIG_WHY_SIZE];
    struct text why = text_begin(buffer, sizeof(buffer));
    int first = config_find_section(reader->schema, item->path);
    if (first >= 0 && item->kind == CONFIG_MAPPING)
        return config_take_section(reader, item, err);
    if (first >= 0)
        text_add_format(&why, "expected a mapping with keys like %s, found a value",
                        reader->schema->fields[first].path + strlen(item->path) + 1);
    else
        config_describe_unknown(reader->schema, item->path, &why);
    return config_fail(reader, item->key, item->path, &why, err);
}

static int config_set_defaults(struct config_reader *reader, struct err *err)
{
    const struct config_schema *schema = reader->schema;
    PRE(schema->count <= CONFIG_FIELDS_MAX);
    memset(reader->options, 0, schema->options_size);
    for (int i = 0; i < schema->count; i++) {
        const struct config_field *field = &schema->fields[i];
        if (field->initial == NULL)
            continue;
        char buffer[CONFIG_WHY_SIZE];
        struct text why = text_begin(buffer, sizeof(buffer));
        enum config_kind kind = field->initial[0] == '\0' ? CONFIG_QUOTED : CONFIG_PLAIN;
        if (!config_value_set(field, kind, bytes_text(field->initial), reader->options, &why))
            return err_set(err, ERR_CONFIG, "default of %s: %s: %s", schema->service, field->path,
                           text_end(&why));
    }
    return ERR_OK;
}

/* Key up to the first '=', the rest is the value as it stands, empty text included. */
static int config_apply_override(struct config_reader *reader, const char *text, struct err *err)
{
    const char *equals = strchr(text, '=');
    if (equals == NULL || equals == text)
        return err_set(err, ERR_CONFIG, "--set %.80s: expected KEY=VALUE", text);
    char path[CONFIG_PATH_SIZE];
    size_t length = (size_t)(equals - text);
    if (length >= sizeof(path))
        return err_set(err, ERR_CONFIG, "--set %.80s…: expected a key, found a longer one", text);
    memcpy(path, text, length);
    path[length] = '\0';
    char buffer[CONFIG_WHY_SIZE];
    struct text why = text_begin(buffer, sizeof(buffer));
    int index = config_find(reader->schema, path, length);
    if (index < 0) {
        config_describe_unknown(reader->schema, path, &why);
        return err_set(err, ERR_CONFIG, "--set %s: %s", path, text_end(&why));
    }
    const struct config_field *field = &reader->schema->fields[index];
    if (field->type == CONFIG_SECRET)
        return err_set(err, ERR_CONFIG,
                       "--set %s: expected a secret from the environment (%s) or the file, since "
                       "command lines are public",
                       path, field->secret_env != NULL ? field->secret_env : "none");
    reader->seen[index] = 1;
    struct bytes value = bytes_text(equals + 1);
    enum config_kind kind = value.size == 0 ? CONFIG_QUOTED : CONFIG_PLAIN;
    if (config_value_set(field, kind, value, reader->options, &why))
        return ERR_OK;
    return err_set(err, ERR_CONFIG, "--set %s: %s", path, text_end(&why));
}

static int config_apply_secret(struct config_reader *reader, int index, struct err *err)
{
    const struct config_field *field = &reader->schema->fields[index];
    if (field->type != CONFIG_SECRET || field->secret_env == NULL)
        return ERR_OK;
    const char *value = getenv(field->secret_env);
    if (value == NULL)
        return ERR_OK;
    reader->seen[index] = 1;
    char buffer[CONFIG_WHY_SIZE];
    struct text why = text_begin(buffer, sizeof(buffer));
    if (config_value_set(field, CONFIG_QUOTED, bytes_text(value), reader->options, &why))
        return ERR_OK;
    return err_set(err, ERR_CONFIG, "environment %s: %s: %s", field->secret_env, field->path,
                   text_end(&why));
}

static int config_check_required(const struct config_reader *reader, struct err *err)
{
    for (int i = 0; i < reader->schema->count; i++) {
        const struct config_field *field = &reader->schema->fields[i];
        if (field->initial != NULL || reader->seen[i] != 0)
            continue;
        char buffer[CONFIG_WHY_SIZE];
        struct text why = text_begin(buffer, sizeof(buffer));
        config_value_expected(field, &why);
        if (field->type == CONFIG_SECRET && field->secret_env != NULL)
            text_add_format(&why, " (or the environment variable %s)", field->secret_env);
        return err_set(err, ERR_CONFIG, "%s: %s: expected %s, found nothing (required)",
                       reader->name, field->path, text_end(&why));
    }
    return ERR_OK;
}

int config_parse(const struct config_schema *schema, const char *name, const void *data,
                 size_t size, const char *const *overrides, int override_count, void *options,
                 struct err *err)
{
    struct config_reader reader = {.schema = schema, .name = name, .options = options};
    int result = config_set_defaults(&reader, err);
    if (result == ERR_OK && size > CONFIG_FILE_MAX)
        result = err_set(err, ERR_CONFIG, "%s: larger than %u bytes", name, CONFIG_FILE_MAX);
    if (result == ERR_OK)
        result = config_yaml_walk(name, bytes_of(data, size), config_take, &reader, err);
    for (int i = 0; i < override_count && result == ERR_OK; i++)
        result = config_apply_override(&reader, overrides[i], err);
    for (int i = 0; i < schema->count && result == ERR_OK; i++)
        result = config_apply_secret(&reader, i, err);
    return result == ERR_OK ? config_check_required(&reader, err) : result;
}

int config_read_file(const char *path, void *buffer, size_t *size, struct err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_set(err, ERR_CONFIG, "cannot read %s: %s", path, strerror(errno));
    *size = 0;
    ssize_t got = 1;
    char beyond;
    while (got > 0 && *size < CONFIG_FILE_MAX) {
        got = read(fd, (char *)buffer + *size, CONFIG_FILE_MAX - *size);
        *size += got > 0 ? (size_t)got : 0;
    }
    if (got > 0)
        got = read(fd, &beyond, 1);
    int code = errno;
    close(fd);
    if (got < 0)
        return err_set(err, ERR_CONFIG, "cannot read %s: %s", path, strerror(code));
    if (got > 0)
        return err_set(err, ERR_CONFIG, "%s: larger than %u bytes", path, CONFIG_FILE_MAX);
    return ERR_OK;
}

int config_load(const struct config_schema *schema, const char *path, const char *const *overrides,
                int override_count, void *options, struct err *err)
{
    if (path == NULL)
        return config_parse(schema, schema->service, "", 0, overrides, override_count, options,
                            err);
    char *buffer = malloc(CONFIG_FILE_MAX);
    if (buffer == NULL)
        return err_set(err, ERR_MEMORY, "%s: out of memory", path);
    size_t size;
    int result = config_read_file(path, buffer, &size, err);
    if (result == ERR_OK)
        result = config_parse(schema, path, buffer, size, overrides, override_count, options, err);
    free(buffer);
    return result;
}

struct config_peek {
    char *out;
    size_t size;
};

static int config_peek_take(void *context, const struct config_item *item, struct err *err)
{
    (void)err;
    struct config_peek *peek = context;
    if (strcmp(item->path, "service") == 0 && item->value.size < peek->size && item->value.size > 0)
        snprintf(peek->out, peek->size, "%.*s", (int)item->value.size,
                 (const char *)item->value.data);
    return ERR_OK;
}

int config_peek_service(const char *name, const void *data, size_t size, char *out, size_t out_size,
                        struct err *err)
{
    struct config_peek peek = {out, out_size};
    PRE(out_size > 0);
    out[0] = '\0';
    return config_yaml_walk(name, bytes_of(data, size), config_peek_take, &peek, err);
}

struct config_secrets {
    const struct config_schema *schema;
    const char *found;
};

static int config_secrets_take(void *context, const struct config_item *item, struct err *err)
{
    (void)err;
    struct config_secrets *secrets = context;
    int index = config_find(secrets->schema, item->path, strlen(item->path));
    if (index >= 0 && secrets->schema->fields[index].type == CONFIG_SECRET && item->value.size > 0)
        secrets->found = secrets->schema->fields[index].path;
    return ERR_OK;
}

bool config_secret_exposed(const struct config_schema *schema, const char *path, const char **key)
{
    struct stat status;
    if (stat(path, &status) != 0 || (status.st_mode & (S_IRGRP | S_IROTH)) == 0)
        return false;
    char *buffer = malloc(CONFIG_FILE_MAX);
    size_t size;
    struct config_secrets secrets = {.schema = schema};
    bool read = buffer != NULL && config_read_file(path, buffer, &size, NULL) == ERR_OK &&
                config_yaml_walk(path, bytes_of(buffer, size), config_secrets_take, &secrets,
                                 NULL) == ERR_OK;
    free(buffer);
    *key = secrets.found;
    return read && secrets.found != NULL;
}
