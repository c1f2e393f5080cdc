/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/postgres/pq_target.h"

#include <stdio.h>
#include <string.h>

#include "edge/postgres/pq_api.h"

static PQconninfoOption *pq_target_parse(const struct pq_api *api, const char *text)
{
    char *words = NULL;
    PQconninfoOption *parts = api->PQconninfoParse(text, &words);
    if (words != NULL)
        api->PQfreemem(words); /* may repeat the password */
    return parts;
}

static const char *pq_target_part(const PQconninfoOption *parts, const char *key)
{
    for (; parts != NULL && parts->keyword != NULL; parts++)
        if (strcmp(parts->keyword, key) == 0 && parts->val != NULL)
            return parts->val;
    return "";
}

int pq_target_check(const char *text, struct err *err)
{
    const struct pq_api *api;
    int result = pq_api_load(&api, err);
    if (result != ERR_OK)
        return result;
    PQconninfoOption *parts = text[0] != '\0' ? pq_target_parse(api, text) : NULL;
    if (parts == NULL)
        return err_set(err, ERR_CONFIG,
                       "expected postgresql://user@host/database or key=value pairs (what was "
                       "found is not repeated here: it may hold a password)");
    api->PQconninfoFree(parts);
    return ERR_OK;
}

void pq_target_show(const char *text, char *out, size_t size)
{
    const struct pq_api *api;
    PQconninfoOption *parts = NULL;
    if (pq_api_load(&api, NULL) == ERR_OK)
        parts = pq_target_parse(api, text);
    if (parts == NULL) {
        snprintf(out, size, "the database");
        return;
    }
    const char *port = pq_target_part(parts, "port");
    const char *name = pq_target_part(parts, "dbname");
    const char *host = pq_target_part(parts, "host");
    snprintf(out, size, "%s at %s%s%s", name[0] != '\0' ? name : "its default database",
             host[0] != '\0' ? host : "the local server", port[0] != '\0' ? ":" : "", port);
    api->PQconninfoFree(parts);
}

bool pq_target_has_password(const char *text)
{
    const struct pq_api *api;
    if (pq_api_load(&api, NULL) != ERR_OK)
        return strchr(text, '@') != NULL || strstr(text, "password") != NULL;
    PQconninfoOption *parts = pq_target_parse(api, text);
    if (parts == NULL)
        return true; /* nobody can say what is in it */
    bool has = pq_target_part(parts, "password")[0] != '\0';
    api->PQconninfoFree(parts);
    return has;
}

void pq_target_private(const char *folder, char out[PQ_TARGET_SIZE])
{
    snprintf(out, PQ_TARGET_SIZE, "host=%s user=btcast dbname=postgres", folder);
}
