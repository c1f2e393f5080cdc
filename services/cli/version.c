/* `btcast version [--json]`. SPDX-License-Identifier: Apache-2.0 */
#include <curl/curl.h>
#include <stdio.h>
#include <string.h>

#include "services/cli/commands.h"
#include "services/service.h"
#include <libwebsockets.h>

static int version_json(void)
{
    printf("{\"name\":\"btcast\",\"version\":\"%s\",\"compiler\":\"%s\",\"libwebsockets\":\"%s\","
           "\"libcurl\":\"%s\"}\n",
           BTCAST_VERSION, __VERSION__, lws_get_library_version(),
           curl_version_info(CURLVERSION_NOW)->version);
    return 0;
}

static int version_run(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--json") == 0)
        return version_json();
    if (argc > 1 && strcmp(argv[0], "version") == 0) {
        fprintf(stderr, "btcast version: unknown option %s\n", argv[1]);
        return SERVICE_EXIT_CONFIG;
    }
    printf("btcast %s\n", BTCAST_VERSION);
    return 0;
}

const struct command command_version = {
    .name = "version",
    .summary = "the version of this build",
    .usage = "usage: btcast version [--json]\n",
    .run = version_run,
};
