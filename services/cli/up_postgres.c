/* SPDX-License-Identifier: Apache-2.0 */
#include "services/cli/up_postgres.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "edge/postgres/pq_server.h"
#include "edge/postgres/pq_target.h"

static int up_postgres_private(struct up_options *options, const struct up_folder *folder,
                               struct err *err)
{
    char target[PQ_TARGET_SIZE], bin[PQ_SERVER_PATH_SIZE];
    int result = pq_server_find(folder->postgres, bin, err);
    if (result == ERR_OK)
        result = up_folder_open_way(folder, err);
    if (result != ERR_OK)
        return err_wrap(err, result, "postgres");
    pq_target_private(folder->postgres, target);
    setenv(PQ_TARGET_ENV, target, 1);
    options->postgres_private = true;
    return ERR_OK;
}

static int up_postgres_url(const char *url, struct err *err)
{
    int result = pq_target_check(url, err);
    if (result == ERR_OK && pq_target_has_password(url))
        result = err_set(err, ERR_CONFIG,
                         "a URL with a password belongs into " PQ_TARGET_ENV
                         " (command lines are public); then: --postgres auto");
    if (result == ERR_OK)
        setenv(PQ_TARGET_ENV, url, 1);
    return result == ERR_OK ? ERR_OK : err_wrap(err, result, "postgres");
}

static int up_postgres_auto(struct up_options *options, const struct up_folder *folder,
                            struct err *err)
{
    char bin[PQ_SERVER_PATH_SIZE];
    struct err why = {0};
    const char *url = getenv(PQ_TARGET_ENV);
    if (url != NULL && url[0] != '\0') {
        int result = pq_target_check(url, err);
        return result == ERR_OK ? ERR_OK : err_wrap(err, result, PQ_TARGET_ENV);
    }
    if (pq_server_find(folder->postgres, bin, &why) == ERR_OK)
        return up_postgres_private(options, folder, err);
    log_warn("no_postgres", "reason=\"%s\"", why.text);
    return ERR_OK;
}

int up_postgres_choose(struct up_options *options, const struct up_folder *folder, struct err *err)
{
    if (strcmp(options->postgres, "auto") == 0)
        return up_postgres_auto(options, folder, err);
    if (strcmp(options->postgres, "private") == 0)
        return up_postgres_private(options, folder, err);
    if (strcmp(options->postgres, "none") != 0)
        return up_postgres_url(options->postgres, err);
    unsetenv(PQ_TARGET_ENV);
    return ERR_OK;
}
