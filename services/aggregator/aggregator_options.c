/* SPDX-License-Identifier: Apache-2.0 */
#include "services/aggregator/aggregator_options.h"

#include <stddef.h>

#define AT(member)   offsetof(struct aggregator_service_options, member)
#define ROOM(member) sizeof(((struct aggregator_service_options *)0)->member)

static const struct config_field aggregator_fields[] = {
    {.path = "symbol",
     .type = CONFIG_TEXT,
     .offset = AT(symbol),
     .size = ROOM(symbol),
     .initial = "BTCUSDT",
     .help = "symbol to aggregate, upper case"},
    REDIS_SETTINGS_FIELDS(struct aggregator_service_options),
    {.path = "consumer",
     .type = CONFIG_TEXT,
     .offset = AT(consumer),
     .size = ROOM(consumer),
     .initial = "aggregator",
     .help = "name under which progress is registered; a standby needs its own"},
    {.path = "lease.ttl_ms",
     .type = CONFIG_I64,
     .offset = AT(lease_ttl_ms),
     .minimum = 300,
     .maximum = 60000,
     .initial = "1500",
     .help = "a standby takes over when the writer has been silent for so long"},
    {.path = "lease.renew_ms",
     .type = CONFIG_I64,
     .offset = AT(lease_renew_ms),
     .minimum = 50,
     .maximum = 20000,
     .initial = "500",
     .help = "how often the writer says that it is alive; less than half the TTL"},
    {.path = "stream.hold_ms",
     .type = CONFIG_I64,
     .offset = AT(hold_ms),
     .minimum = 1,
     .maximum = 10000,
     .initial = "50",
     .help = "wait so long for a missing record that no stream can bring any more"},
    {.path = "flush.delay_us",
     .type = CONFIG_I64,
     .offset = AT(flush_delay_us),
     .minimum = 1,
     .maximum = 100000,
     .initial = "1000",
     .help = "flush at the latest so long after the first change"},
    {.path = "checkpoint_ms",
     .type = CONFIG_I64,
     .offset = AT(checkpoint_ms),
     .minimum = 100,
     .maximum = 60000,
     .initial = "1000",
     .help = "how often the world is saved"},
};

const struct config_schema aggregator_schema = {
    .service = "aggregator",
    .fields = aggregator_fields,
    .count = sizeof(aggregator_fields) / sizeof(aggregator_fields[0]),
    .options_size = sizeof(struct aggregator_service_options),
};
