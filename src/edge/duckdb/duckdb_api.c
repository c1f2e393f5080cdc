/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/duckdb/duckdb_api.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DUCKDB_API_PATH_SIZE 512
#if defined(__aarch64__)
#define DUCKDB_API_CPU "arm64"
#else
#define DUCKDB_API_CPU "x64"
#endif
#define DUCKDB_API_NPM "btcast/npm/node_modules/@duckdb/node-bindings-linux-" DUCKDB_API_CPU

static struct duckdb_api duckdb_api_loaded;

static bool duckdb_api_npm_path(char *out)
{
    const char *cache = getenv("XDG_CACHE_HOME");
    const char *home = getenv("HOME");
    int size = -1;
    if (cache != NULL && cache[0] != '\0')
        size = snprintf(out, DUCKDB_API_PATH_SIZE, "%s/" DUCKDB_API_NPM "/libduckdb.so", cache);
    else if (home != NULL)
        size =
            snprintf(out, DUCKDB_API_PATH_SIZE, "%s/.cache/" DUCKDB_API_NPM "/libduckdb.so", home);
    return size > 0 && size < DUCKDB_API_PATH_SIZE;
}

static void *duckdb_api_try(const char *path, struct err *tried)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        const char *why = dlerror();
        err_wrap(tried, ERR_NOT_FOUND, "%.200s", why != NULL ? why : path);
    }
    return library;
}

/* What was named is the only one that is tried: a mistake there must not go unseen. */
static void *duckdb_api_find(const char *setting, struct err *tried)
{
    char npm[DUCKDB_API_PATH_SIZE];
    const char *environment = getenv(DUCKDB_API_ENV);
    if (setting != NULL && setting[0] != '\0')
        return duckdb_api_try(setting, tried);
    if (environment != NULL && environment[0] != '\0')
        return duckdb_api_try(environment, tried);
    void *library = duckdb_api_try("libduckdb.so", tried);
    if (library == NULL && duckdb_api_npm_path(npm))
        library = duckdb_api_try(npm, tried);
    return library;
}

static int duckdb_api_resolve(struct duckdb_api *api, struct err *err)
{
    const struct {
        const char *name;
        void *place;
    } table[] = {
#define X(name) {"duckdb_" #name, &api->name},
        DUCKDB_API_TABLE(X)
#undef X
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        void *symbol = dlsym(api->library, table[i].name);
        if (symbol == NULL)
            return err_set(err, ERR_UNSUPPORTED, "libduckdb.so has no function %s", table[i].name);
        /* POSIX has it that a function fits into a void pointer; ISO C has no cast for it. */
        memcpy(table[i].place, &symbol, sizeof(symbol));
    }
    return ERR_OK;
}

int duckdb_api_load(const char *setting, const struct duckdb_api **api, struct err *err)
{
    if (duckdb_api_loaded.library == NULL) {
        struct duckdb_api fresh = {0};
        struct err tried = {0};
        fresh.library = duckdb_api_find(setting, &tried);
        if (fresh.library == NULL)
            return err_set(err, ERR_NOT_FOUND,
                           "DuckDB cannot be loaded (tools/setup.sh gets it): %s", tried.text);
        int result = duckdb_api_resolve(&fresh, err);
        if (result != ERR_OK) {
            dlclose(fresh.library);
            return result;
        }
        duckdb_api_loaded = fresh;
    }
    *api = &duckdb_api_loaded;
    return ERR_OK;
}
