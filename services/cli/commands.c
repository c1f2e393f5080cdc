/* SPDX-License-Identifier: Apache-2.0 */
#include "services/cli/commands.h"

#include <stddef.h>
#include <string.h>

/* In the order `btcast help` shows them. */
const struct command *const commands[] = {
    &command_up,
    &command_status,
    &command_watch,

    &command_decode,

    &command_replay,

    /* record */
    &command_record,

    &command_reanchor,
    &command_gap,

    &command_import,
    &command_db,
    &command_etl,

    &command_model,
    &command_train,

    /* sbe-ingestor */
    &command_sbe_ingestor,

    &command_rest_ingestor,

    &command_aggregator,

    &command_reanchor_service,

    &command_gap_detector,

    &command_data_connector,

    &command_inference,

    &command_trainer,

    &command_exchange_sim,

    &command_config,
    &command_version,
    &command_help,
    NULL,
};

const struct command *commands_find(const char *name)
{
    for (int i = 0; commands[i] != NULL; i++)
        if (strcmp(commands[i]->name, name) == 0)
            return commands[i];
    return NULL;
}

const struct command *commands_find_service(const char *service)
{
    for (int i = 0; commands[i] != NULL; i++)
        if (commands[i]->schema != NULL && strcmp(commands[i]->schema->service, service) == 0)
            return commands[i];
    return NULL;
}
