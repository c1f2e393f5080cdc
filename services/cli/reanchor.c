/* `btcast reanchor SYMBOL`: asks the re-anchor service for an anchor now, whatever the
 * aggregator thinks of its book. SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edge/https/https.h"
#include "services/cli/commands.h"
#include "services/service.h"

#define REANCHOR_CLI_PORT       8084
#define REANCHOR_CLI_TIMEOUT_US 5000000

struct reanchor_cli {
    const char *symbol;
    int port_offset;
    bool done;
    int status; /* exit status */
};

static void reanchor_cli_on_reply(void *context, const struct https_reply *reply)
{
    struct reanchor_cli *cli = context;
    cli->done = true;
    if (reply->result != ERR_OK) {
        fprintf(stderr, "btcast reanchor: %s: %s\n", err_text(reply->result), reply->why);
    } else if (reply->status != 202) {
        fprintf(stderr, "btcast reanchor: the service answered %d: %.*s\n", reply->status,
                (int)reply->body.size, (const char *)reply->body.data);
    } else {
        printf("%.*s\n", (int)reply->body.size, (const char *)reply->body.data);
        cli->status = 0;
    }
}

static int reanchor_cli_parse(struct reanchor_cli *cli, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        char *end = NULL;
        if (strcmp(argv[i], "--port-offset") == 0 && i + 1 < argc) {
            long offset = strtol(argv[++i], &end, 10);
            if (*end != 0 || offset < 0 || offset > 50000)
                return ERR_CONFIG;
            cli->port_offset = (int)offset;
        } else if (argv[i][0] != '-' && cli->symbol == NULL) {
            cli->symbol = argv[i];
        } else {
            return ERR_CONFIG;
        }
    }
    if (cli->symbol == NULL || strlen(cli->symbol) > 20 ||
        strspn(cli->symbol, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") != strlen(cli->symbol))
        return ERR_CONFIG;
    return ERR_OK;
}

static int reanchor_cli_send(struct reanchor_cli *cli, struct loop *loop, struct err *err)
{
    struct https *https;
    char url[128], header[192];
    const char *token = getenv("BTCAST_TOKEN");
    const char *headers[] = {header, NULL};
    int result = https_open(&(struct https_options){.user_agent = "btcast/" BTCAST_VERSION}, loop,
                            &https, err);
    if (result != ERR_OK)
        return result;
    snprintf(url, sizeof(url), "http://127.0.0.1:%d/reanchor?symbol=%s",
             REANCHOR_CLI_PORT + cli->port_offset, cli->symbol);
    snprintf(header, sizeof(header), "Authorization: Bearer %s", token != NULL ? token : "");
    struct https_request request = {.method = "POST",
                                    .url = url,
                                    .headers = token != NULL ? headers : NULL,
                                    .timeout_us = REANCHOR_CLI_TIMEOUT_US};
    result = https_send(https, &request, reanchor_cli_on_reply, cli);
    while (result == ERR_OK && !cli->done) {
        https_do_work(https, loop_mono_us());
        loop_run_once(loop, 10000);
    }
    https_close(https);
    return result;
}

static int reanchor_cli_run(int argc, char **argv)
{
    struct reanchor_cli cli = {.status = SERVICE_EXIT_FAILURE};
    struct loop *loop;
    struct err err = {0};
    if (reanchor_cli_parse(&cli, argc, argv) != ERR_OK) {
        fputs(command_reanchor.usage, stderr);
        return SERVICE_EXIT_CONFIG;
    }
    int result = loop_open(&loop, &err);
    if (result == ERR_OK) {
        result = reanchor_cli_send(&cli, loop, &err);
        loop_close(loop);
    }
    if (result != ERR_OK)
        fprintf(stderr, "btcast reanchor: %s\n", err.text);
    return cli.status;
}

const struct command command_reanchor = {
    .name = "reanchor",
    .summary = "fetch a snapshot and swap it in now",
    .usage = "usage: btcast reanchor SYMBOL [--port-offset N]\n"
             "\n"
             "Asks the re-anchor service on this machine (port 8084) for a new anchor of\n"
             "SYMBOL, whatever the aggregator thinks of its book; no cool-down applies.\n"
             "Off loopback the service wants the token in BTCAST_TOKEN.\n",
    .run = reanchor_cli_run,
};
