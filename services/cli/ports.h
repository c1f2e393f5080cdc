/* The ports of the services (DESIGN.md section 1); --port-offset is added to all.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SERVICES_CLI_PORTS_H
#define BTCAST_SERVICES_CLI_PORTS_H

enum {
    PORT_REST_INGESTOR = 8080,
    PORT_SBE_INGESTOR = 8081,
    PORT_AGGREGATOR = 8082,
    PORT_DATA_CONNECTOR = 8083,
    PORT_RE_ANCHOR = 8084,
    PORT_INFERENCE = 8085,
    PORT_TRAINER = 8086,
    PORT_GAP_DETECTOR = 8087,
    PORT_DASHBOARD = 8088,
    PORT_EXCHANGE_SIM = 8089,
    PORT_REPLICA_STEP =
        10, /* the second inference replica is on 8095, a second aggregator on 8092 */
};

#endif
