/* The table of subcommands of build/btcast. A command is one `const struct command
 * command_NAME` in its own file (services/NAME/ or services/cli/), declared here and listed
 * in commands.c. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SERVICES_CLI_COMMANDS_H
#define BTCAST_SERVICES_CLI_COMMANDS_H

#include "base/config.h"

/* Use designated initialisers: members may be added. */
struct command {
    const char *name;
    const char *summary; /* one line for `btcast help` */
    const char *usage;   /* whole help text for `btcast help NAME`; NULL for a service, whose
                            help is made from its schema */
    int (*run)(int argc, char **argv);  /* argv[0] is the command; returns the exit status */
    const struct config_schema *schema; /* of a service (without the common fields) or a
                                           command with settings, else NULL */
    int default_port;                   /* of a service: as in its service_definition */
};

/* Ends with NULL. */
extern const struct command *const commands[];

/* NULL when there is none of that name. */
const struct command *commands_find(const char *name);
/* The command whose schema has this service name, NULL if none. */
const struct command *commands_find_service(const char *service);

/* Services. */

/* sbe-ingestor */
extern const struct command command_sbe_ingestor;

extern const struct command command_rest_ingestor;

extern const struct command command_aggregator;

extern const struct command command_reanchor_service;

extern const struct command command_gap_detector;

extern const struct command command_data_connector;

extern const struct command command_inference;

extern const struct command command_trainer;

extern const struct command command_exchange_sim;

/* For people: the whole system. */
extern const struct command command_up;
extern const struct command command_status;
extern const struct command command_watch;

/* For people: data. */

extern const struct command command_decode;

extern const struct command command_replay;

/* record */
extern const struct command command_record;

/* For people: operations. */

extern const struct command command_reanchor;
extern const struct command command_gap;

extern const struct command command_import;

extern const struct command command_db;
extern const struct command command_etl;

extern const struct command command_model;
extern const struct command command_train;

/* About the program itself. */
extern const struct command command_config;
extern const struct command command_version;
extern const struct command command_help;

#endif
