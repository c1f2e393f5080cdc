/* The sockets of the simulated exchange: one libwebsockets context for WebSocket streams,
 * REST, the control endpoint and the probes, all on one port. Market frames are made by
 * hand and go out many to a write. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SERVICES_EXCHANGE_SIM_SIM_SERVER_H
#define BTCAST_SERVICES_EXCHANGE_SIM_SIM_SERVER_H

#include "services/exchange-sim/sim_exchange.h"
#include "services/service.h"

struct sim_server;

/* A taken port is ERR_IO "port 8089 is in use". */
int sim_server_open(struct sim_exchange *exchange, struct service *service,
                    struct sim_server **server, struct err *err) MUST_CHECK;
void sim_server_close(struct sim_server *server);
int sim_server_port(const struct sim_server *server);
/* One cycle: the exchange up to now, then the sockets, waiting for either. */
void sim_server_run_once(struct sim_server *server);

#endif
