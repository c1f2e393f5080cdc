/* covers: src/base/config.c src/base/config_yaml.c src/base/config_value.c src/base/suggest.c */
/* No bytes break the configuration reader, and what it accepts is within the fields'
 * limits. Seeds: tests/fuzz/corpus/config. SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/check.h"
#include "base/config.h"

struct fuzz_options {
    bool enabled;
    int64_t port;
    double ratio;
    char target[16];
    int source;
    char key[16];
    int64_t deep;
};

static const char *const fuzz_sources[] = {"sim", "binance", NULL};

#define AT(member) offsetof(struct fuzz_options, member)
static const struct config_field fuzz_fields[] = {
    {.path = "enabled", .type = CONFIG_BOOL, .offset = AT(enabled), .initial = "false"},
    {.path = "http.port",
     .type = CONFIG_I64,
     .offset = AT(port),
     .minimum = 1,
     .maximum = 65535,
     .initial = "80"},
    {.path = "ratio",
     .type = CONFIG_F64,
     .offset = AT(ratio),
     .minimum = -1,
     .maximum = 1,
     .initial = "0"},
    {.path = "redis.target", .type = CONFIG_TEXT, .offset = AT(target), .size = 16, .initial = "x"},
    {.path = "source",
     .type = CONFIG_CHOICE,
     .offset = AT(source),
     .choices = fuzz_sources,
     .initial = "sim"},
    {.path = "api.key",
     .type = CONFIG_SECRET,
     .offset = AT(key),
     .size = 16,
     .secret_env = "BTCAST_FUZZ_KEY",
     .initial = ""},
    {.path = "a.b.c",
     .type = CONFIG_I64,
     .offset = AT(deep),
     .minimum = -9,
     .maximum = 9,
     .initial = "0"},
};
static const struct config_schema fuzz_schema = {
    "fuzz", fuzz_fields, sizeof(fuzz_fields) / sizeof(fuzz_fields[0]), sizeof(struct fuzz_options)};

static void fuzz_check(const struct fuzz_options *options)
{
    CHECK(options->port >= 1 && options->port <= 65535);
    CHECK(isfinite(options->ratio) && fabs(options->ratio) <= 1);
    CHECK(strnlen(options->target, 16) < 16 && strnlen(options->key, 16) < 16);
    CHECK(options->source == 0 || options->source == 1);
    CHECK(options->deep >= -9 && options->deep <= 9);
}

static int fuzz_override(const uint8_t *data, size_t size, struct fuzz_options *options,
                         struct err *err)
{
    char *text = strndup((const char *)data, size);
    const char *override = text;
    int result = config_parse(&fuzz_schema, "fuzz", "", 0, &override, 1, options, err);
    free(text);
    return result;
}

static int fuzz_secret(const uint8_t *data, size_t size, struct fuzz_options *options,
                       struct err *err)
{
    char *text = strndup((const char *)data, size);
    setenv("BTCAST_FUZZ_KEY", text, 1);
    int result = config_load(&fuzz_schema, NULL, NULL, 0, options, err);
    unsetenv("BTCAST_FUZZ_KEY");
    free(text);
    return result;
}

/* The whole input as a file that others may read, with one key required. */
static int fuzz_file(const uint8_t *data, size_t size, struct fuzz_options *options,
                     struct err *err)
{
    struct config_field fields[sizeof(fuzz_fields) / sizeof(fuzz_fields[0])];
    memcpy(fields, fuzz_fields, sizeof(fields));
    fields[1].initial = NULL;
    struct config_schema required = fuzz_schema;
    required.fields = fields;
    char path[32];
    const char *key = NULL;
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    CHECK(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    int result = config_load(&required, path, NULL, 0, options, err);
    if (config_secret_exposed(&required, path, &key))
        CHECK(strcmp(key, "api.key") == 0);
    close(fd);
    return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The first byte chooses: an override, a secret, a file, else bytes in memory. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_options options;
    struct err err = {0};
    char service[16];
    if (size == 0)
        return 0;
    int result;
    if (data[0] == '=')
        result = fuzz_override(data + 1, size - 1, &options, &err);
    else if (data[0] == '$')
        result = fuzz_secret(data + 1, size - 1, &options, &err);
    else if (data[0] == '#')
        result = fuzz_file(data, size, &options, &err);
    else
        result = config_parse(&fuzz_schema, "fuzz", data, size, NULL, 0, &options, &err);
    if (config_peek_service("fuzz", data, size, service, sizeof(service), NULL) == ERR_OK)
        CHECK(strlen(service) < sizeof(service));
    CHECK(result == ERR_OK || (result == ERR_CONFIG && err.text[0] != '\0'));
    if (result == ERR_OK)
        fuzz_check(&options);
    return 0;
}
