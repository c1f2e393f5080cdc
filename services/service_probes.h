/* What every service answers over HTTP: /health, /ready, /metrics (the server answers /live
 * itself). SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SERVICES_SERVICE_PROBES_H
#define BTCAST_SERVICES_SERVICE_PROBES_H

#include "services/service.h"

/* Opens service->http with these and the definition's own routes. */
int service_probes_open(struct service *service, const struct service_definition *definition,
                        struct err *err) MUST_CHECK;
void service_probes_close(struct service *service);

/* Prometheus lines about the process: memory, CPU time, open files, start, build. */
void service_process_metrics(int64_t started_wall_us, struct text *out);

#endif
