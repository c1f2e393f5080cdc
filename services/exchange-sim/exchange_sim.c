/* The exchange-sim service: serves the simulated (or a replayed) market, or writes hours of
 * it into a capture. SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "services/cli/commands.h"
#include "services/exchange-sim/sim_capture.h"
#include "services/exchange-sim/sim_options.h"
#include "services/exchange-sim/sim_server.h"
#include "services/service_options.h"

#define EXCHANGE_SIM_WORDS_MAX 256

static const struct service_definition exchange_sim_definition = {
    .name = "exchange-sim",
    .summary = "an exchange that speaks what Binance speaks",
    .schema = &sim_schema,
    .default_port = SIM_PORT,
};

static int exchange_sim_fail(const struct err *err)
{
    fprintf(stderr, "btcast exchange-sim: %s\n", err->text);
    return err->code == ERR_CONFIG ? SERVICE_EXIT_CONFIG : SERVICE_EXIT_FAILURE;
}

static int exchange_sim_capture(const struct sim_options *options)
{
    struct err err = {0};
    struct sim_capture_result result;
    int64_t began_us = loop_mono_us();
    if (sim_capture_write(options, &result, &err) != ERR_OK)
        return exchange_sim_fail(&err);
    log_info("capture_written",
             "file=\"%s\" records=%llu frames=%llu ticks=%llu slots=%llu bytes=%llu seconds=%.1f",
             options->capture_out, (unsigned long long)result.records,
             (unsigned long long)result.frames, (unsigned long long)result.ticks,
             (unsigned long long)result.slots, (unsigned long long)result.bytes,
             (double)(loop_mono_us() - began_us) * 1e-6);
    return 0;
}

static int exchange_sim_serve(struct service *service, struct sim_options *options)
{
    struct err err = {0};
    struct sim_exchange *exchange = calloc(1, sizeof(*exchange));
    struct sim_server *server = NULL;
    if (!exchange) {
        (void)err_set(&err, ERR_MEMORY, "out of memory");
        return exchange_sim_fail(&err);
    }
    int rc = sim_exchange_open(exchange, options, loop_now(), &err);
    if (rc == ERR_OK) {
        rc = sim_server_open(exchange, service, &server, &err);
        if (rc == ERR_OK)
            log_info("listening", "address=%s port=%d tls=%d source=%s", options->common.address,
                     sim_server_port(server), options->tls_cert[0] != '\0',
                     exchange->market ? "market" : "replay");
        while (rc == ERR_OK && !service->stopping)
            sim_server_run_once(server);
        sim_server_close(server);
        sim_exchange_close(exchange);
    }
    free(exchange);
    return rc == ERR_OK ? 0 : exchange_sim_fail(&err);
}

static int exchange_sim_check(const struct sim_options *options, struct err *err)
{
    if ((options->capture_hours > 0) != (options->capture_out[0] != '\0'))
        return err_set(err, ERR_CONFIG, "--hours and --out belong together");
    if ((options->tls_cert[0] != '\0') != (options->tls_key[0] != '\0'))
        return err_set(err, ERR_CONFIG, "server.tls_cert and server.tls_key belong together");
    return service_options_symbol(options->symbol, err);
}

static int exchange_sim_run(int argc, char **argv)
{
    char *words[EXCHANGE_SIM_WORDS_MAX];
    struct sim_options options;
    struct service service;
    struct err err = {0};
    int status = 0;
    int count = sim_options_words(argc, argv, words, EXCHANGE_SIM_WORDS_MAX);
    if (count < 0)
        return SERVICE_EXIT_CONFIG;
    if (service_open(&service, &exchange_sim_definition, count, words, &options, &status) != ERR_OK)
        return status;
    if (exchange_sim_check(&options, &err) != ERR_OK)
        status = exchange_sim_fail(&err);
    else if (options.capture_out[0])
        status = exchange_sim_capture(&options);
    else
        status = exchange_sim_serve(&service, &options);
    service_close(&service);
    return status;
}

const struct command command_exchange_sim = {
    .name = "exchange-sim",
    .summary = "an exchange that speaks what Binance speaks",
    .run = exchange_sim_run,
    .schema = &sim_schema,
    .default_port = SIM_PORT,
};
