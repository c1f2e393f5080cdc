/* Settings of the sbe-ingestor. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SERVICES_SBE_INGESTOR_INGESTOR_OPTIONS_H
#define BTCAST_SERVICES_SBE_INGESTOR_INGESTOR_OPTIONS_H

#include "base/config.h"
#include "services/sbe-ingestor/collector.h"
#include "services/redis_settings.h"
#include "services/service.h"

#define INGESTOR_DEFAULT_PORT 8081
#define INGESTOR_SIM_PORT     8089

struct ingestor_options {
    struct service_common common;
    char symbol[RECORD_SYMBOL_SIZE];
    int source; /* enum collector_source */
    char source_url[COLLECTOR_URL_SIZE];
    char api_key[128];
    char ca_file[256];
    bool second_connection;
    int64_t rotation_s, watchdog_ms;
    struct redis_settings redis;
    int64_t ring_mib, spool_mib, stream_length_max;
    char stream_readers[128];
    char replay_file[256];
    double replay_speed;
    int replay_end; /* 0: stop, 1: stay */
};

extern const struct config_schema ingestor_schema;

/* What the table cannot say: combinations. ERR_CONFIG. */
int ingestor_options_judge(const struct ingestor_options *options, struct err *err) MUST_CHECK;
void ingestor_options_collector(const struct ingestor_options *options, int port_offset,
                                struct collector_options *out);

#endif
