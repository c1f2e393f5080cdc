/* SPDX-License-Identifier: Apache-2.0 */
#include "services/service.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "services/service_folder.h"
#include "services/service_options.h"
#include "services/service_probes.h"

/* The service of this process, for the signal handler. */
static struct service *service_signalled;

static void service_on_signal(int signal_number)
{
    (void)signal_number;
    struct service *service = service_signalled;
    if (service == NULL)
        return;
    service->stopping = true;
    loop_wake(service->loop);
}

static void service_catch_signals(struct service *service)
{
    service_signalled = service;
    struct sigaction action = {.sa_handler = service_on_signal};
    sigemptyset(&action.sa_mask);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
}

static int service_load(const struct service_definition *definition,
                        const struct service_flags *flags, void *options, struct err *err)
{
    struct config_schema schema;
    int result = service_options_schema(definition->schema, definition->default_port, &schema, err);
    if (result != ERR_OK)
        return result;
    result =
        config_load(&schema, flags->config, flags->overrides, flags->override_count, options, err);
    const char *key;
    if (result == ERR_OK && flags->config != NULL &&
        config_secret_exposed(&schema, flags->config, &key))
        log_warn("secret_exposed", "file=\"%s\" key=%s reason=\"others may read this file\"",
                 flags->config, key);
    service_options_free(&schema);
    return result;
}

int service_refuse(const char *name, const struct err *err)
{
    fprintf(stderr, "btcast %s: %s\n", name, err->text);
    return err->code == ERR_CONFIG ? SERVICE_EXIT_CONFIG : SERVICE_EXIT_FAILURE;
}

static int service_fail(const struct service_definition *definition, const struct err *err,
                        int *exit_status)
{
    *exit_status = service_refuse(definition->name, err);
    return err->code;
}

static int service_prepare(struct service *service, const struct service_flags *flags,
                           struct err *err)
{
    struct service_common *common = service->common;
    if (common->port != 0)
        common->port += flags->port_offset;
    if (common->port > 65535)
        return err_set(err, ERR_CONFIG, "http.port and --port-offset: %lld is no port",
                       (long long)common->port);
    int result = service_folder_make(common->data_dir, err);
    return result == ERR_OK ? loop_open(&service->loop, err) : result;
}

int service_open(struct service *service, const struct service_definition *definition, int argc,
                 char **argv, void *options, int *exit_status)
{
    struct err err = {0};
    struct service_flags flags;
    memset(service, 0, sizeof(*service));
    log_init(definition->name, LOG_INFO, loop_wall_us);
    int result = service_options_parse(argc, argv, &flags, &err);
    if (result != ERR_OK)
        return service_fail(definition, &err, exit_status);
    if (flags.help) {
        service_options_help(definition->name, definition->summary, definition->schema,
                             definition->default_port, stdout);
        *exit_status = 0;
        return ERR_BAD_STATE;
    }
    result = service_load(definition, &flags, options, &err);
    if (result != ERR_OK)
        return service_fail(definition, &err, exit_status);
    service->name = definition->name;
    service->common = options;
    service->port_offset = flags.port_offset;
    service->started_wall_us = loop_wall_us();
    log_init(definition->name, (enum log_level)service->common->log_level, loop_wall_us);
    result = service_prepare(service, &flags, &err);
    if (result != ERR_OK)
        return service_fail(definition, &err, exit_status);
    service_catch_signals(service);
    log_info("starting", "version=%s data_dir=\"%s\"", BTCAST_VERSION, service->common->data_dir);
    return ERR_OK;
}

int service_serve(struct service *service, const struct service_definition *definition,
                  int *exit_status)
{
    struct err err = {0};
    int result = service_probes_open(service, definition, &err);
    if (result != ERR_OK) {
        service_fail(definition, &err, exit_status);
        *exit_status = SERVICE_EXIT_FAILURE;
        return result;
    }
    log_info("listening", "address=%s port=%d", service->common->address,
             http_server_port(service->http));
    return ERR_OK;
}

void service_run(struct service *service, int64_t (*step)(void *context, struct clock_now now),
                 void *context)
{
    while (!service->stopping) {
        int64_t wait_us = step(context, loop_now());
        if (!service->stopping)
            loop_run_once(service->loop, wait_us);
    }
}

void service_stop(struct service *service)
{
    service->stopping = true;
    if (service->loop != NULL)
        loop_wake(service->loop);
}

void service_unserve(struct service *service)
{
    service_probes_close(service); /* may be called twice */
}

void service_close(struct service *service)
{
    service_unserve(service);
    if (service->loop != NULL) {
        log_info("stopped", "uptime_s=%lld",
                 (long long)((loop_wall_us() - service->started_wall_us) / CLOCK_US_PER_S));
        service_signalled = NULL;
        loop_close(service->loop);
        service->loop = NULL;
    }
    metrics_close(&service->metrics);
}
