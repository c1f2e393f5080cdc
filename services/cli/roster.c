/* SPDX-License-Identifier: Apache-2.0 */
#include "services/cli/roster.h"

#include "services/cli/ports.h"

const struct roster_service roster[ROSTER_COUNT] = {
    {"sbe-ingestor", PORT_SBE_INGESTOR, true},
    {"aggregator", PORT_AGGREGATOR, true},
    {"aggregator-2", PORT_AGGREGATOR + PORT_REPLICA_STEP, false},
    {"inference", PORT_INFERENCE, true},
    {"inference-2", PORT_INFERENCE + PORT_REPLICA_STEP, false},
    {"gap-detector", PORT_GAP_DETECTOR, true},
    {"re-anchor-service", PORT_RE_ANCHOR, true},
    {"rest-ingestor", PORT_REST_INGESTOR, true},
    {"data-connector", PORT_DATA_CONNECTOR, true},
    {"trainer", PORT_TRAINER, false},
    {"dashboard", PORT_DASHBOARD, false},
    {"exchange-sim", PORT_EXCHANGE_SIM, false},
};
