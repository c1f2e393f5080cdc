/* SPDX-License-Identifier: Apache-2.0 */
#include "services/service_options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/config_value.h"
#include "base/suggest.h"
#include "services/service.h"
#include "wire/sbe.h"

#define SERVICE_PORT_OFFSET_MAX 50000
#define SERVICE_FIELDS          5
/* The setting of the services that use Redis. */
#define SERVICE_REQUIRE_REDIS "require_redis"

static const char *const service_levels[] = {"debug", "info", "warn", "error", NULL};

/* http.port, the one without a default here, gets it from the service. */
static const struct config_field service_fields[SERVICE_FIELDS] = {
    {.path = "log.level",
     .type = CONFIG_CHOICE,
     .offset = offsetof(struct service_common, log_level),
     .choices = service_levels,
     .initial = "info",
     .help = "least severe log lines written"},
    {.path = "http.address",
     .type = CONFIG_TEXT,
     .offset = offsetof(struct service_common, address),
     .size = sizeof(((struct service_common *)0)->address),
     .initial = "127.0.0.1",
     .help = "address of the probes, metrics and API"},
    {.path = "http.port",
     .type = CONFIG_I64,
     .offset = offsetof(struct service_common, port),
     .minimum = 0,
     .maximum = 65535,
     .help = "its port, 0: any free one; --port-offset is added to others"},
    {.path = "http.token",
     .type = CONFIG_SECRET,
     .offset = offsetof(struct service_common, bearer_token),
     .size = sizeof(((struct service_common *)0)->bearer_token),
     .secret_env = "BTCAST_TOKEN",
     .initial = "",
     .help = "bearer token that changing requests need off loopback"},
    {.path = "data_dir",
     .type = CONFIG_TEXT,
     .offset = offsetof(struct service_common, data_dir),
     .size = sizeof(((struct service_common *)0)->data_dir),
     .initial = ".btcast",
     .help = "folder for what the service keeps on disk"},
};

int service_options_schema(const struct config_schema *own, int default_port,
                           struct config_schema *out, struct err *err)
{
    int count = SERVICE_FIELDS + own->count;
    PRE(count <= CONFIG_FIELDS_MAX && own->options_size >= sizeof(struct service_common));
    /* The port's default text lives behind the fields. */
    size_t size = (size_t)count * sizeof(struct config_field);
    struct config_field *fields = malloc(size + 8);
    if (fields == NULL)
        return err_set(err, ERR_MEMORY, "out of memory");
    char *port = (char *)fields + size;
    snprintf(port, 8, "%d", default_port);
    memcpy(fields, service_fields, sizeof(service_fields));
    if (own->count > 0)
        memcpy(fields + SERVICE_FIELDS, own->fields, (size_t)own->count * sizeof(*fields));
    for (int i = 0; i < SERVICE_FIELDS; i++)
        if (fields[i].initial == NULL)
            fields[i].initial = port;
    *out = *own;
    out->fields = fields;
    out->count = count;
    return ERR_OK;
}

void service_options_free(struct config_schema *schema)
{
    free((void *)(uintptr_t)schema->fields);
    schema->fields = NULL;
}

bool service_options_flag(int argc, char **argv, int *at, const char *name, const char **value,
                          int *result, struct err *err)
{
    const char *word = argv[*at];
    size_t length = strlen(name);
    if (strncmp(word, name, length) != 0 || (word[length] != '\0' && word[length] != '='))
        return false;
    if (word[length] == '=') {
        *value = word + length + 1;
    } else if (*at + 1 < argc) {
        *value = argv[++*at];
    } else {
        *value = "";
        *result = err_set(err, ERR_CONFIG, "%s: expected a value, found nothing", name);
    }
    return true;
}

int service_options_number(const char *flag, const char *text, int64_t minimum, int64_t maximum,
                           int64_t *out, struct err *err)
{
    struct config_field field = {
        .type = CONFIG_I64, .minimum = (double)minimum, .maximum = (double)maximum};
    char buffer[200];
    struct text why = text_begin(buffer, sizeof(buffer));
    if (config_value_set(&field, CONFIG_PLAIN, bytes_text(text), out, &why))
        return ERR_OK;
    return err_set(err, ERR_CONFIG, "%s: %s", flag, text_end(&why));
}

int service_options_unknown(const char *word, const char *const *known, struct err *err)
{
    char name[SUGGEST_NAME_MAX + 1];
    snprintf(name, sizeof(name), "%.*s", (int)strcspn(word, "="), word);
    const char *best = NULL;
    for (int i = 0; known[i] != NULL; i++)
        suggest_offer(name, known[i], &best);
    return err_set(err, ERR_CONFIG, "unknown option %s%s%s%s", name,
                   best != NULL ? "; did you mean " : "", best != NULL ? best : "",
                   best != NULL ? "?" : "");
}

int service_options_symbol(const char *symbol, struct err *err)
{
    if (sbe_symbol_valid(bytes_text(symbol)))
        return ERR_OK;
    return err_set(err, ERR_CONFIG, "symbol: expected upper-case letters and digits, found \"%s\"",
                   symbol);
}

static int service_flags_set(struct service_flags *flags, const char *override, struct err *err)
{
    if (flags->override_count == CONFIG_OVERRIDES_MAX)
        return err_set(err, ERR_CONFIG, "--set: expected at most %d, found more",
                       CONFIG_OVERRIDES_MAX);
    flags->overrides[flags->override_count++] = override;
    return ERR_OK;
}

/* --data and --log-level are overrides with names of their own. */
static int service_flags_named(struct service_flags *flags, const char *flag, const char *key,
                               const char *value, char *buffer, size_t size, struct err *err)
{
    int length = snprintf(buffer, size, "%s=%s", key, value);
    if (length < 0 || (size_t)length >= size)
        return err_set(err, ERR_CONFIG, "%s: expected at most %zu bytes, found %zu", flag,
                       size - strlen(key) - 2, strlen(value));
    return service_flags_set(flags, buffer, err);
}

static int service_flags_word(int argc, char **argv, int *at, struct service_flags *flags,
                              struct err *err)
{
    static const char *const known[] = {"--config",    "--set",           "--port-offset", "--data",
                                        "--log-level", "--require-redis", "--help",        NULL};
    const char *value = NULL;
    int result = ERR_OK;
    if (strcmp(argv[*at], "--help") == 0 || strcmp(argv[*at], "-h") == 0) {
        flags->help = true;
        return ERR_OK;
    }
    if (strcmp(argv[*at], "--require-redis") == 0)
        return service_flags_set(flags, SERVICE_REQUIRE_REDIS "=true", err);
    if (service_options_flag(argc, argv, at, "--config", &value, &result, err)) {
        flags->config = value;
        return result;
    }
    if (service_options_flag(argc, argv, at, "--set", &value, &result, err))
        return result != ERR_OK ? result : service_flags_set(flags, value, err);
    if (service_options_flag(argc, argv, at, "--data", &value, &result, err))
        return result != ERR_OK ? result
                                : service_flags_named(flags, "--data", "data_dir", value,
                                                      flags->data, sizeof(flags->data), err);
    if (service_options_flag(argc, argv, at, "--log-level", &value, &result, err))
        return result != ERR_OK
                   ? result
                   : service_flags_named(flags, "--log-level", "log.level", value, flags->log_level,
                                         sizeof(flags->log_level), err);
    if (service_options_flag(argc, argv, at, "--port-offset", &value, &result, err)) {
        int64_t offset = 0;
        if (result == ERR_OK)
            result = service_options_number("--port-offset", value, 0, SERVICE_PORT_OFFSET_MAX,
                                            &offset, err);
        flags->port_offset = (int)offset;
        return result;
    }
    return service_options_unknown(argv[*at], known, err);
}

int service_options_parse(int argc, char **argv, struct service_flags *flags, struct err *err)
{
    memset(flags, 0, sizeof(*flags));
    for (int at = 1; at < argc; at++) {
        int result = service_flags_word(argc, argv, &at, flags, err);
        if (result != ERR_OK)
            return result;
    }
    return ERR_OK;
}

static void service_options_help_field(const struct config_field *field, FILE *out)
{
    char buffer[256];
    struct text expected = text_begin(buffer, sizeof(buffer));
    config_value_expected(field, &expected);
    fprintf(out, "  %-28s %s", field->path, text_end(&expected));
    if (field->initial == NULL)
        fprintf(out, " (required)");
    else if (field->initial[0] != '\0')
        fprintf(out, " [%s]", field->initial);
    if (field->type == CONFIG_SECRET && field->secret_env != NULL)
        fprintf(out, " (environment: %s)", field->secret_env);
    fprintf(out, "\n  %-28s   %s\n", "", field->help != NULL ? field->help : "");
}

static bool service_options_has(const struct config_schema *own, const char *path)
{
    for (int i = 0; i < own->count; i++)
        if (strcmp(own->fields[i].path, path) == 0)
            return true;
    return false;
}

void service_options_help(const char *name, const char *summary, const struct config_schema *own,
                          int default_port, FILE *out)
{
    char port[8];
    snprintf(port, sizeof(port), "%d", default_port);
    fprintf(out,
            "btcast %s: %s\n\n"
            "usage: btcast %s [OPTIONS]\n\n"
            "  --config FILE        settings from a YAML file (its key `service` is %s)\n"
            "  --set KEY=VALUE      one setting; wins over the file\n"
            "  --data DIR           the same as --set data_dir=DIR\n"
            "  --log-level LEVEL    the same as --set log.level=LEVEL\n"
            "  --port-offset N      added to every port\n"
            "%s"
            "  --help               this text\n\n"
            "settings, their type and [default]:\n",
            name, summary, name, own->service,
            service_options_has(own, SERVICE_REQUIRE_REDIS)
                ? "  --require-redis      the same as --set require_redis=true\n"
                : "");
    for (int i = 0; i < SERVICE_FIELDS; i++) {
        struct config_field field = service_fields[i];
        if (field.initial == NULL)
            field.initial = port;
        service_options_help_field(&field, out);
    }
    for (int i = 0; i < own->count; i++)
        service_options_help_field(&own->fields[i], out);
}
