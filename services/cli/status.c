/* `btcast status`: every service's health in one JSON object.
 * SPDX-License-Identifier: Apache-2.0 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "services/cli/commands.h"
#include "services/cli/http_get.h"
#include "services/cli/ports.h"
#include "services/service.h"
#include "services/service_options.h"

#define STATUS_TIMEOUT_US      (2 * CLOCK_US_PER_S)
#define STATUS_PORT_OFFSET_MAX 50000

/* expected: part of every system, so its silence is a fault of the whole. */
static const struct {
    const char *name;
    int port;
    bool expected;
} status_services[] = {
    {"sbe-ingestor", PORT_SBE_INGESTOR, true},
    {"rest-ingestor", PORT_REST_INGESTOR, false},
    {"aggregator", PORT_AGGREGATOR, true},
    {"aggregator-2", PORT_AGGREGATOR + PORT_REPLICA_STEP, false},
    {"re-anchor-service", PORT_RE_ANCHOR, true},
    {"inference", PORT_INFERENCE, true},
    {"inference-2", PORT_INFERENCE + PORT_REPLICA_STEP, false},
    {"exchange-sim", PORT_EXCHANGE_SIM, false},
    {"data-connector", PORT_DATA_CONNECTOR, false},
    {"trainer", PORT_TRAINER, false},
    {"gap-detector", PORT_GAP_DETECTOR, false},
    {"dashboard", PORT_DASHBOARD, false},
};
#define STATUS_COUNT ((int)(sizeof(status_services) / sizeof(status_services[0])))

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
    for (int i = 0; i < STATUS_COUNT; i++) {
        if (!status_services[i].expected && !gets[i].answered)
            continue;
        json_t *health = status_of(&gets[i]);
        int rank = status_rank(health);
        *worst = rank > *worst ? rank : *worst;
        json_object_set_new(services, status_services[i].name, health);
    }
    return services;
}

static void status_print(json_t *services, int worst)
{
    static const char *const names[] = {"healthy", "degraded", "unhealthy"};
    json_t *whole = json_pack("{s:s, s:s, s:o}", "status", names[worst], "version", BTCAST_VERSION,
                              "services", services);
    json_dumpf(whole, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(12));
    printf("\n");
    json_decref(whole);
}

static int status_options(int argc, char **argv, int64_t *port_offset, struct err *err)
{
    static const char *const known[] = {"--port-offset", "--json", "--help", NULL};
    int result = ERR_OK;
    for (int at = 1; at < argc && result == ERR_OK; at++) {
        const char *value = NULL;
        if (strcmp(argv[at], "--json") == 0)
            continue; /* JSON is what it prints anyway */
        if (!service_options_flag(argc, argv, &at, "--port-offset", &value, &result, err))
            result = service_options_unknown(argv[at], known, err);
        else if (result == ERR_OK)
            result = service_options_number("--port-offset", value, 0, STATUS_PORT_OFFSET_MAX,
                                            port_offset, err);
    }
    return result;
}

static int status_run(int argc, char **argv)
{
    struct err err = {0};
    int64_t port_offset = 0;
    struct http_get gets[STATUS_COUNT];
    memset(gets, 0, sizeof(gets));
    int result = status_options(argc, argv, &port_offset, &err);
    for (int i = 0; i < STATUS_COUNT; i++) {
        gets[i].port = status_services[i].port + (int)port_offset;
        gets[i].path = "/health";
    }
    if (result == ERR_OK)
        result = http_get_all(gets, STATUS_COUNT, STATUS_TIMEOUT_US, &err);
    if (result != ERR_OK) {
        fprintf(stderr, "btcast status: %s\n", err.text);
        return result == ERR_CONFIG ? SERVICE_EXIT_CONFIG : SERVICE_EXIT_FAILURE;
    }
    int worst = 0;
    json_t *services = status_collect(gets, &worst);
    status_print(services, worst);
    http_get_free(gets, STATUS_COUNT);
    return worst == 2 ? SERVICE_EXIT_FAILURE : 0;
}

const struct command command_status = {
    .name = "status",
    .summary = "the health of every service as one JSON object",
    .usage =
        "usage: btcast status [--port-offset N] [--json]\n\n"
        "Prints {\"status\", \"version\", \"services\": {NAME: what its /health says}}; status\n"
        "is the worst of them. Optional services appear when they run. Exit status 1 when\n"
        "one is unhealthy or a needed one is down.\n",
    .run = status_run,
};
