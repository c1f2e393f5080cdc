/* What every service's main shares: flags, configuration, log, signals, loop, metrics,
 * probes. A service is wiring: it fills a struct service_definition, opens its agents and
 * runs them in service_run. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SERVICES_SERVICE_H
#define BTCAST_SERVICES_SERVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/config.h"
#include "base/err.h"
#include "base/metrics.h"
#include "edge/http_server/http_server.h"
#include "edge/loop/loop.h"

#define SERVICE_EXIT_FAILURE 1
#define SERVICE_EXIT_CONFIG  2

/* Part of every service's options struct, as its first member. SERVICE_FIELDS in
 * service.c describes it (log.level, http.address, http.port, data_dir …). */
struct service_common {
    int log_level;          /* log.level: debug, info, warn, error */
    char address[64];       /* http.address */
    int64_t port;           /* http.port; --port-offset is added */
    char data_dir[256];     /* data_dir; --data overrides */
    char bearer_token[128]; /* secret, BTCAST_TOKEN: wanted off loopback */
};

/* A health answer: fill the body's `components` members; the rest is added. */
enum service_health { SERVICE_HEALTHY, SERVICE_DEGRADED, SERVICE_UNHEALTHY };

struct service {
    const char *name;
    struct loop *loop;
    struct metrics metrics;
    struct http_server *http;
    struct service_common *common; /* start of the service's options */
    int port_offset;
    int64_t started_wall_us;
    volatile bool stopping; /* SIGTERM or SIGINT came, or service_stop */
};

struct service_definition {
    const char *name;                   /* "aggregator" */
    const char *summary;                /* one line for help */
    const struct config_schema *schema; /* without the common fields: they are put in front */
    int default_port;
    /* On the HTTP thread: writes `"name":{…},…` members of "components"; returns the status.
     * /health answers 200 unless SERVICE_UNHEALTHY. */
    enum service_health (*health)(void *context, struct text *components);
    /* On the HTTP thread: /ready. */
    bool (*ready)(void *context);
    const struct http_route *routes; /* beyond /live /health /ready /metrics */
    int route_count;
    void *context;
};

/* Flags (--config FILE, --set path=value, --port-offset N, --data DIR, --log-level L,
 * --require-redis, --help), configuration, log, signals, loop. Returns ERR_OK, or the exit
 * status to leave with in *exit_status (0 after --help) having said why on stderr. options:
 * the service's struct, first member struct service_common. */
int service_open(struct service *service, const struct service_definition *definition, int argc,
                 char **argv, void *options, int *exit_status) MUST_CHECK;
/* Starts the HTTP thread (the agents exist now). A taken port: says so, *exit_status 1. */
int service_serve(struct service *service, const struct service_definition *definition,
                  int *exit_status) MUST_CHECK;
/* The start has failed: one line on stderr that says why. Returns the exit status: 2 for a
 * configuration error, else 1. */
int service_refuse(const char *name, const struct err *err);
/* Runs step(context, now) until stopping; step returns microseconds it may wait (0: none). */
void service_run(struct service *service, int64_t (*step)(void *context, struct clock_now now),
                 void *context);
void service_stop(struct service *service);
/* Ends the HTTP thread, which reads what the service is about to close; service_close would. */
void service_unserve(struct service *service);
void service_close(struct service *service);

#endif
