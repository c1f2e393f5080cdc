/* The table of subcommands of build/btcast. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SERVICES_CLI_COMMANDS_H
#define BTCAST_SERVICES_CLI_COMMANDS_H

struct command {
    const char *name;
    const char *summary; /* one line for `btcast help` */
    const char *usage;   /* whole help text for `btcast help NAME` */
    int (*run)(int argc, char **argv); /* argv[0] is the command; returns the exit status */
};

/* Ends with a NULL name. */
extern const struct command commands[];

/* One declaration a command: services/<name>/ or services/cli/. */

#endif
