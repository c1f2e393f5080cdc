/* btcast: one binary, every service and tool a subcommand (DESIGN.md section 1).
 * SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/suggest.h"
#include "services/cli/commands.h"
#include "services/service.h"

static int main_unknown(const char *name)
{
    const char *best = NULL;
    for (int i = 0; commands[i] != NULL; i++)
        suggest_offer(name, commands[i]->name, &best);
    fprintf(stderr, "btcast: unknown command %s", name);
    if (best != NULL)
        fprintf(stderr, "; did you mean %s?", best);
    fprintf(stderr, " (`btcast help` lists them)\n");
    return SERVICE_EXIT_CONFIG;
}

static const struct command *main_choose(const char *name)
{
    if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0)
        return &command_version;
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
        return &command_help;
    return commands_find(name);
}

/* `btcast CMD --help` is `btcast help CMD` (services answer it with their settings). */
static int main_run(const struct command *command, int argc, char **argv)
{
    if (argc == 2 && command->usage != NULL &&
        (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        char help[] = "help";
        char *words[] = {help, argv[0], NULL};
        return command_help.run(2, words);
    }
    return command->run(argc, argv);
}

int main(int argc, char **argv)
{
    /* Output into a closed pipe is an error of the write, not the end of the process. */
    signal(SIGPIPE, SIG_IGN);
    if (argc < 2) {
        char help[] = "help";
        char *words[] = {help, NULL};
        command_help.run(1, words);
        return SERVICE_EXIT_CONFIG;
    }
    const struct command *command = main_choose(argv[1]);
    int status = command != NULL ? main_run(command, argc - 1, argv + 1) : main_unknown(argv[1]);
    /* A reader that went away (`btcast help | head`) is no failure. */
    fflush(stdout);
    return status;
}
