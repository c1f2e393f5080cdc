/* SPDX-License-Identifier: Apache-2.0 */
#include "services/service_probes.h"

#include <stdlib.h>
#include <string.h>

#include "services/service.h"
#include "wire/prometheus.h"

#define SERVICE_COMPONENTS_MAX (64u * 1024u)

/* On the HTTP thread. */
struct service_probes {
    const struct service *service;
    const struct service_definition *definition;
    struct http_route routes[HTTP_ROUTES_MAX];
    char components[SERVICE_COMPONENTS_MAX];
};

/* The service's routes and the probes share one server, hence one context: own routes are
 * called with the definition's context through this. */
static struct service_probes *service_probes_now;

static const char *service_health_name(enum service_health health)
{
    static const char *const names[] = {"healthy", "degraded", "unhealthy"};
    return names[health];
}

static void service_add_stamp(struct text *out, int64_t wall_us)
{
    text_add(out, ",\"timestamp\":");
    text_add_i64(out, wall_us / CLOCK_US_PER_MS);
}

/* The shape of CONTRACTS.md section 8, /health. */
static void service_answer_health(void *context, const struct http_request *request,
                                  struct http_reply *reply)
{
    (void)context;
    (void)request;
    struct service_probes *probes = service_probes_now;
    const struct service_definition *definition = probes->definition;
    struct text components = text_begin(probes->components, sizeof(probes->components));
    enum service_health health = definition->health != NULL
                                     ? definition->health(definition->context, &components)
                                     : SERVICE_HEALTHY;
    while (components.size > 0 && components.at[components.size - 1] == ',')
        components.size--;
    int64_t now_us = loop_wall_us();
    text_add_format(&reply->body, "{\"status\":\"%s\",\"service\":\"%s\",\"version\":\"%s\"",
                    service_health_name(health), definition->name, BTCAST_VERSION);
    service_add_stamp(&reply->body, now_us);
    text_add_format(&reply->body, ",\"uptime_seconds\":%lld,\"components\":{",
                    (long long)((now_us - probes->service->started_wall_us) / CLOCK_US_PER_S));
    if (!components.truncated)
        text_add_bytes(&reply->body, components.at, components.size);
    text_add(&reply->body, "}}\n");
    reply->status = health == SERVICE_UNHEALTHY ? 503 : 200;
}

static void service_answer_ready(void *context, const struct http_request *request,
                                 struct http_reply *reply)
{
    (void)context;
    (void)request;
    const struct service_definition *definition = service_probes_now->definition;
    bool ready = definition->ready == NULL || definition->ready(definition->context);
    text_add_format(&reply->body, "{\"ready\":%s,\"status\":\"%s\"", ready ? "true" : "false",
                    ready ? "ready" : "not ready");
    service_add_stamp(&reply->body, loop_wall_us());
    text_add(&reply->body, "}\n");
    reply->status = ready ? 200 : 503;
}

static void service_add_http_metrics(const struct service *service, struct text *out)
{
    if (service->http == NULL) /* the first scrape may come while it opens */
        return;
    struct http_server_stats stats = http_server_stats(service->http);
    text_add_format(out,
                    "# HELP http_requests_total Requests answered by this process.\n"
                    "# TYPE http_requests_total counter\nhttp_requests_total %llu\n"
                    "# HELP http_events_dropped_total Server-sent events some client missed.\n"
                    "# TYPE http_events_dropped_total counter\nhttp_events_dropped_total %llu\n"
                    "# HELP http_event_clients Clients of the event channels.\n"
                    "# TYPE http_event_clients gauge\nhttp_event_clients %lld\n",
                    (unsigned long long)stats.requests, (unsigned long long)stats.events_dropped,
                    (long long)stats.event_clients);
}

static void service_answer_metrics(void *context, const struct http_request *request,
                                   struct http_reply *reply)
{
    (void)context;
    (void)request;
    const struct service *service = service_probes_now->service;
    reply->content_type = PROMETHEUS_CONTENT_TYPE;
    prometheus_write(&service->metrics, service->name, &reply->body);
    service_process_metrics(service->started_wall_us, &reply->body);
    service_add_http_metrics(service, &reply->body);
}

int service_probes_open(struct service *service, const struct service_definition *definition,
                        struct err *err)
{
    static const struct http_route own[] = {
        {.method = "GET", .path = "/health", .fn = service_answer_health},
        {.method = "GET", .path = "/ready", .fn = service_answer_ready},
        {.method = "GET", .path = "/metrics", .fn = service_answer_metrics},
    };
    int own_count = (int)(sizeof(own) / sizeof(own[0]));
    if (own_count + definition->route_count > HTTP_ROUTES_MAX)
        return err_set(err, ERR_FULL, "more than %d routes", HTTP_ROUTES_MAX);
    struct service_probes *probes = calloc(1, sizeof(*probes));
    if (probes == NULL)
        return err_set(err, ERR_MEMORY, "out of memory");
    probes->service = service;
    probes->definition = definition;
    memcpy(probes->routes, own, sizeof(own));
    if (definition->route_count > 0)
        memcpy(probes->routes + own_count, definition->routes,
               (size_t)definition->route_count * sizeof(struct http_route));
    service_probes_now = probes;
    struct http_server_options options = {.address = service->common->address,
                                          .port = (int)service->common->port,
                                          .bearer_token = service->common->bearer_token,
                                          .routes = probes->routes,
                                          .route_count = own_count + definition->route_count,
                                          .context = definition->context};
    int result = http_server_open(&options, &service->http, err);
    if (result != ERR_OK)
        service_probes_close(service);
    return result;
}

void service_probes_close(struct service *service)
{
    http_server_close(service->http);
    service->http = NULL;
    free(service_probes_now);
    service_probes_now = NULL;
}
