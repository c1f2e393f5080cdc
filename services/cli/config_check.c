/* `btcast config check FILE…`: judges configuration files as their services would.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/suggest.h"
#include "services/cli/commands.h"
#include "services/service.h"
#include "services/service_options.h"

#define CONFIG_CHECK_NAME_SIZE 64

/* Says what the file should have named. */
static int config_check_unknown(const char *path, const char *service, struct err *err)
{
    if (service[0] == '\0')
        return err_set(err, ERR_CONFIG,
                       "%s: service: expected the name of a service, found nothing (required)",
                       path);
    const char *best = NULL;
    for (int i = 0; commands[i] != NULL; i++)
        if (commands[i]->schema != NULL)
            suggest_offer(service, commands[i]->schema->service, &best);
    return err_set(err, ERR_CONFIG, "%s: service: expected the name of a service, found %s%s%s%s",
                   path, service, best != NULL ? "; did you mean " : "", best != NULL ? best : "",
                   best != NULL ? "?" : "");
}

static int config_check_data(const char *path, const void *data, size_t size, char *service,
                             struct err *err)
{
    int result = config_peek_service(path, data, size, service, CONFIG_CHECK_NAME_SIZE, err);
    if (result != ERR_OK)
        return result;
    const struct command *command = commands_find_service(service);
    if (command == NULL)
        return config_check_unknown(path, service, err);
    struct config_schema schema = *command->schema;
    bool common = command->usage == NULL; /* a service has the common fields in front */
    if (common)
        result = service_options_schema(command->schema, command->default_port, &schema, err);
    if (result != ERR_OK)
        return result;
    void *options = malloc(schema.options_size);
    result = options == NULL ? err_set(err, ERR_MEMORY, "out of memory")
                             : config_parse(&schema, path, data, size, NULL, 0, options, err);
    const char *key;
    if (result == ERR_OK && config_secret_exposed(&schema, path, &key))
        fprintf(stderr, "btcast config: %s: %s is a secret and others may read this file\n", path,
                key);
    free(options);
    if (common)
        service_options_free(&schema);
    return result;
}

static int config_check_file(const char *path)
{
    struct err err = {0};
    char service[CONFIG_CHECK_NAME_SIZE];
    char *data = malloc(CONFIG_FILE_MAX);
    size_t size = 0;
    int result = data == NULL ? err_set(&err, ERR_MEMORY, "out of memory")
                              : config_read_file(path, data, &size, &err);
    if (result == ERR_OK)
        result = config_check_data(path, data, size, service, &err);
    free(data);
    if (result != ERR_OK) {
        fprintf(stderr, "btcast config: %s\n", err.text);
        return SERVICE_EXIT_CONFIG;
    }
    printf("%s: ok (%s)\n", path, service);
    return 0;
}

static int config_run(int argc, char **argv)
{
    if (argc < 3 || strcmp(argv[1], "check") != 0) {
        fputs(command_config.usage, stderr);
        return SERVICE_EXIT_CONFIG;
    }
    int status = 0;
    for (int i = 2; i < argc; i++)
        if (config_check_file(argv[i]) != 0)
            status = SERVICE_EXIT_CONFIG;
    return status;
}

const struct command command_config = {
    .name = "config",
    .summary = "check configuration files before they are used",
    .usage = "usage: btcast config check FILE...\n\n"
             "Judges each file by the settings of the service that its top-level key `service`\n"
             "names. Exit status 2 when one is wrong.\n",
    .run = config_run,
};
