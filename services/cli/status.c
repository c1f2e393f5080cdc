/* `btcast status`: every service's health, as a table for people or one JSON object.
 * SPDX-License-Identifier: Apache-2.0 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "services/cli/commands.h"
#include "services/cli/health_line.h"
#include "services/cli/http_get.h"
#include "services/cli/roster.h"
#include "services/service.h"
#include "services/service_options.h"

#define STATUS_TIMEOUT_US      (2 * CLOCK_US_PER_S)
#define STATUS_PORT_OFFSET_MAX 50000

#define STATUS_TABLE_SIZE 8192

static const char *const status_words[] = {"healthy", "degraded", "unhealthy"};

struct status_options {
    int64_t port_offset;
    bool json;
};

/* The service's own words, or why there are none. */
static json_t *status_of(const struct http_get *get)
{
    if (get->answered) {
        json_t *health = json_loadb(get->body, get->size, 0, NULL);
        if (json_is_object(health))
            return health;
        json_decref(health);
        return json_pack("{s:s, s:s}", "status", "unhealthy", "reason",
                         "its answer to /health is no JSON object");
    }
    return json_pack("{s:s, s:s}", "status", "down", "reason", get->why);
}

static int status_rank(const json_t *health)
{
    const char *status = json_string_value(json_object_get(health, "status"));
    if (status == NULL)
        return 2;
    return strcmp(status, "healthy") == 0 ? 0 : strcmp(status, "degraded") == 0 ? 1 : 2;
}

/* The worst of the expected ones; others count only when they answer. */
static json_t *status_collect(const struct http_get *gets, int *worst)
{
    json_t *services = json_object();
    for (int i = 0; i < ROSTER_COUNT; i++) {
        if (!roster[i].expected && !gets[i].answered)
            continue;
        json_t *health = status_of(&gets[i]);
        int rank = status_rank(health);
        *worst = rank > *worst ? rank : *worst;
        json_object_set_new(services, roster[i].name, health);
    }
    return services;
}

static void status_print_json(const json_t *services, int worst)
{
    json_t *whole = json_pack("{s:s, s:s, s:O}", "status", status_words[worst], "version",
                              BTCAST_VERSION, "services", services);
    json_dumpf(whole, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(12));
    printf("\n");
    json_decref(whole);
}

/* In the order of the roster. */
static void status_print_table(const json_t *services, int worst, bool any)
{
    char buffer[STATUS_TABLE_SIZE];
    struct text text = text_begin(buffer, sizeof(buffer));
    bool colour = getenv("NO_COLOR") == NULL;
    text_add_format(&text, "btcast %s: ", BTCAST_VERSION);
    health_line_status(status_words[worst], colour, &text);
    text_add(&text, "\n\n");
    for (int i = 0; i < ROSTER_COUNT; i++) {
        const json_t *health = json_object_get(services, roster[i].name);
        if (health == NULL)
            continue;
        health_line_write(roster[i].name, health, colour, &text);
        text_add(&text, "\n");
    }
    if (!any)
        text_add(&text, "\nNothing answers: `btcast up` starts the system.\n");
    fputs(text_end(&text), stdout);
}

static int status_options_parse(int argc, char **argv, struct status_options *options,
                                struct err *err)
{
    static const char *const known[] = {"--port-offset", "--json", "--help", NULL};
    int result = ERR_OK;
    for (int at = 1; at < argc && result == ERR_OK; at++) {
        const char *value = NULL;
        if (strcmp(argv[at], "--json") == 0) {
            options->json = true;
            continue;
        }
        if (!service_options_flag(argc, argv, &at, "--port-offset", &value, &result, err))
            result = service_options_unknown(argv[at], known, err);
        else if (result == ERR_OK)
            result = service_options_number("--port-offset", value, 0, STATUS_PORT_OFFSET_MAX,
                                            &options->port_offset, err);
    }
    return result;
}

static bool status_any(const struct http_get *gets)
{
    for (int i = 0; i < ROSTER_COUNT; i++)
        if (gets[i].answered)
            return true;
    return false;
}

static int status_run(int argc, char **argv)
{
    struct err err = {0};
    struct status_options options = {.json = isatty(STDOUT_FILENO) == 0};
    struct http_get gets[ROSTER_COUNT];
    memset(gets, 0, sizeof(gets));
    int result = status_options_parse(argc, argv, &options, &err);
    for (int i = 0; i < ROSTER_COUNT; i++) {
        gets[i].port = roster[i].port + (int)options.port_offset;
        gets[i].path = "/health";
    }
    if (result == ERR_OK)
        result = http_get_all(gets, ROSTER_COUNT, STATUS_TIMEOUT_US, &err);
    if (result != ERR_OK) {
        fprintf(stderr, "btcast status: %s\n", err.text);
        return result == ERR_CONFIG ? SERVICE_EXIT_CONFIG : SERVICE_EXIT_FAILURE;
    }
    int worst = 0;
    json_t *services = status_collect(gets, &worst);
    if (options.json)
        status_print_json(services, worst);
    else
        status_print_table(services, worst, status_any(gets));
    json_decref(services);
    http_get_free(gets, ROSTER_COUNT);
    return worst == 2 ? SERVICE_EXIT_FAILURE : 0;
}

const struct command command_status = {
    .name = "status",
    .summary = "the health of every service",
    .usage =
        "usage: btcast status [--port-offset N] [--json]\n\n"
        "A table on a terminal. With --json, or when the output goes elsewhere, one object:\n"
        "{\"status\", \"version\", \"services\": {NAME: what its /health says}}; status is the\n"
        "worst of them. Optional services appear when they run. Exit status 1 when one is\n"
        "unhealthy or a needed one is down.\n",
    .run = status_run,
};
