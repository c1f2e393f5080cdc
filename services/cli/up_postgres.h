/* Which database `btcast up` works with. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SERVICES_CLI_UP_POSTGRES_H
#define BTCAST_SERVICES_CLI_UP_POSTGRES_H

#include "services/cli/up_folder.h"
#include "services/cli/up_options.h"

/* Judges options->postgres and sets postgres_private. The choice reaches the services as
 * DATABASE_URL in the environment, which command lines would make public; with none the
 * variable is taken away. ERR_CONFIG for what is no such choice, or a URL with a password;
 * ERR_NOT_FOUND when a private one is asked for and PostgreSQL is not installed. */
int up_postgres_choose(struct up_options *options, const struct up_folder *folder,
                       struct err *err) MUST_CHECK;

#endif
