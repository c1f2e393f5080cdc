/* Which database a command is about. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SERVICES_CLI_DB_TARGET_H
#define BTCAST_SERVICES_CLI_DB_TARGET_H

#include "edge/postgres/pq_target.h"

/* DATABASE_URL, else the private server of the `btcast up` on `data`. ERR_CONFIG when there is
 * neither. */
int db_target_choose(const char *data, char out[PQ_TARGET_SIZE], struct err *err) MUST_CHECK;

#endif
