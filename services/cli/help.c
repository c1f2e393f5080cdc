/* `btcast help [COMMAND]`. SPDX-License-Identifier: Apache-2.0 */
#include <stdbool.h>
#include <stdio.h>

#include "base/suggest.h"
#include "services/cli/commands.h"
#include "services/service.h"

/* Commands with a port are services. */
static void help_commands(bool services)
{
    for (int i = 0; commands[i] != NULL; i++)
        if ((commands[i]->default_port != 0) == services)
            printf("  %-18s %s\n", commands[i]->name, commands[i]->summary);
}

static void help_list(void)
{
    printf("btcast %s: forecasts Bitcoin 10 s ahead, every 2 s, from Binance market data\n\n"
           "usage: btcast COMMAND [OPTIONS]\n\n",
           BTCAST_VERSION);
    help_commands(false);
    printf("\nservices, all of which `btcast up` runs:\n\n");
    help_commands(true);
    printf("\n`btcast help COMMAND` shows a command's options; `btcast up` starts everything.\n");
}

static int help_run(int argc, char **argv)
{
    if (argc < 2) {
        help_list();
        return 0;
    }
    const struct command *command = commands_find(argv[1]);
    if (command == NULL) {
        const char *best = NULL;
        for (int i = 0; commands[i] != NULL; i++)
            suggest_offer(argv[1], commands[i]->name, &best);
        fprintf(stderr, "btcast help: unknown command %s%s%s%s\n", argv[1],
                best != NULL ? "; did you mean " : "", best != NULL ? best : "",
                best != NULL ? "?" : "");
        return SERVICE_EXIT_CONFIG;
    }
    if (command->usage == NULL) {
        char flag[] = "--help";
        char *words[] = {argv[1], flag, NULL};
        return command->run(2, words);
    }
    fputs(command->usage, stdout);
    return 0;
}

const struct command command_help = {
    .name = "help",
    .summary = "this list, or the options of one command",
    .usage = "usage: btcast help [COMMAND]\n",
    .run = help_run,
};
