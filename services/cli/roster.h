/* The services that a system on this machine may have, with their ports.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SERVICES_CLI_ROSTER_H
#define BTCAST_SERVICES_CLI_ROSTER_H

#include <stdbool.h>

#define ROSTER_COUNT 12

struct roster_service {
    const char *name;
    int port;      /* --port-offset is added */
    bool expected; /* part of every system, so its silence is a fault of the whole */
};

/* In the order of the flow. */
extern const struct roster_service roster[ROSTER_COUNT];

#endif
