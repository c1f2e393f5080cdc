/* Settings of `btcast up`: flags, a configuration file (service: up), defaults.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SERVICES_CLI_UP_OPTIONS_H
#define BTCAST_SERVICES_CLI_UP_OPTIONS_H

#include "base/config.h"
#include "base/err.h"
#include "edge/redis/redis_target.h"

#define UP_REPLICAS_MAX    4
#define UP_AGGREGATORS_MAX 4
#define UP_PATH_SIZE       512

enum up_show { UP_SHOW_AUTO, UP_SHOW_ALL, UP_SHOW_WARNINGS };

enum up_exchange { UP_SIM, UP_BINANCE, UP_BINANCE_PUBLIC, UP_REPLAY };

struct up_options {
    char exchange_text[UP_PATH_SIZE]; /* sim | binance | binance-public | replay:FILE */
    enum up_exchange exchange;        /* what it says */
    const char *replay_file;          /* into exchange_text, UP_REPLAY only */
    char data[256];
    char record[UP_PATH_SIZE];
    char symbol[24];
    int64_t replicas, aggregators;
    int64_t for_s; /* 0: until stopped */
    int port_offset;
    char redis_target[REDIS_TARGET_SIZE]; /* empty: a private Redis is started */
    int redis_key_style;
    char redis_username[64], redis_sentinel_username[64];
    char redis_tls_ca_file[256], redis_tls_cert_file[256], redis_tls_key_file[256];
    char redis_server[256];
    int64_t redis_memory_mb;
    char postgres[256];    /* none | private | auto | URL; see up_options_postgres */
    bool postgres_private; /* what it says */
    bool learn;            /* the trainer runs, when there is a database */
    int64_t learn_delay_s, learn_simulated_h;
    int64_t backoff_max_ms, stop_timeout_ms, log_mb;
    int log_show; /* enum up_show: which log lines of the services are shown as well */
    /* A configuration file for each service, empty: none. */
    char config_sbe_ingestor[UP_PATH_SIZE], config_aggregator[UP_PATH_SIZE];
    char config_re_anchor[UP_PATH_SIZE], config_inference[UP_PATH_SIZE];
    char config_gap[UP_PATH_SIZE], config_rest_ingestor[UP_PATH_SIZE];
    char config_exchange_sim[UP_PATH_SIZE], config_data_connector[UP_PATH_SIZE];
    char config_trainer[UP_PATH_SIZE];
};

extern const struct config_schema up_schema;

/* ERR_CONFIG with what is wrong and where. */
int up_options_parse(int argc, char **argv, struct up_options *options, struct err *err) MUST_CHECK;

#endif
