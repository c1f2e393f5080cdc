/* SPDX-License-Identifier: Apache-2.0 */
#include "services/cli/db_target.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "services/cli/up_folder.h"

int db_target_choose(const char *data, char out[PQ_TARGET_SIZE], struct err *err)
{
    char folder[128];
    const char *url = getenv(PQ_TARGET_ENV);
    if (url != NULL && url[0] != '\0') {
        int result = pq_target_check(url, err);
        if (result == ERR_OK && strlen(url) >= PQ_TARGET_SIZE)
            result = err_set(err, ERR_CONFIG, "it is too long");
        if (result != ERR_OK)
            return err_wrap(err, result, PQ_TARGET_ENV);
        snprintf(out, PQ_TARGET_SIZE, "%s", url);
        return ERR_OK;
    }
    if (up_folder_postgres(data, folder, sizeof(folder), NULL) != ERR_OK ||
        access(folder, F_OK) != 0)
        return err_set(err, ERR_CONFIG,
                       PQ_TARGET_ENV " is not set, and no `btcast up --postgres private` has run "
                                     "with the data folder %s",
                       data);
    pq_target_private(folder, out);
    return ERR_OK;
}
