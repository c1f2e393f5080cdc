/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/postgres/pq_dump.h"

#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "edge/postgres/pq_api.h"

#define PQ_DUMP_ENV_MAX   512
#define PQ_DUMP_WORDS_MAX 400

struct pq_dump {
    char *env[PQ_DUMP_ENV_MAX + 1];
    int count, owned; /* env[owned .. count) are ours */
    char words[PQ_DUMP_WORDS_MAX];
    size_t size;
};

static int pq_dump_inherit(struct pq_dump *dump, struct err *err)
{
    for (char **at = environ; *at != NULL; at++) {
        if (strncmp(*at, "PG", 2) == 0) /* the target says where, nothing else */
            continue;
        if (dump->count == PQ_DUMP_ENV_MAX)
            return err_set(err, ERR_FULL, "more than %d environment variables", PQ_DUMP_ENV_MAX);
        dump->env[dump->count++] = *at;
    }
    dump->owned = dump->count;
    return ERR_OK;
}

static int pq_dump_environment(struct pq_dump *dump, const char *target, struct err *err)
{
    const struct pq_api *api;
    char *words = NULL;
    int result = pq_api_load(&api, err);
    if (result == ERR_OK)
        result = pq_dump_inherit(dump, err);
    if (result != ERR_OK)
        return result;
    PQconninfoOption *parts = api->PQconninfoParse(target, &words);
    if (words != NULL)
        api->PQfreemem(words); /* may repeat the password */
    if (parts == NULL)
        return err_set(err, ERR_CONFIG, "the database's address cannot be read");
    for (PQconninfoOption *part = parts; part->keyword != NULL && result == ERR_OK; part++) {
        char *setting;
        if (part->envvar == NULL || part->val == NULL)
            continue;
        if (dump->count == PQ_DUMP_ENV_MAX ||
            asprintf(&setting, "%s=%s", part->envvar, part->val) < 0)
            result = err_set(err, ERR_MEMORY, "no room for pg_dump's environment");
        else
            dump->env[dump->count++] = setting;
    }
    api->PQconninfoFree(parts);
    return result;
}

/* What it says until it ends; the first words are kept, on one line. */
static void pq_dump_listen(struct pq_dump *dump, int fd)
{
    char buffer[512];
    ssize_t got;
    while ((got = read(fd, buffer, sizeof(buffer))) > 0 || (got < 0 && errno == EINTR))
        for (ssize_t i = 0; i < got && dump->size + 1 < sizeof(dump->words); i++)
            dump->words[dump->size++] = buffer[i] == '\n' ? ' ' : buffer[i];
    while (dump->size > 0 && dump->words[dump->size - 1] == ' ')
        dump->size--;
    dump->words[dump->size] = '\0';
}

static int pq_dump_spawn(struct pq_dump *dump, const char *path, const int ends[2], pid_t *pid)
{
    char *argv[] = {(char *)"pg_dump",
                    (char *)"--no-password",
                    (char *)"--no-owner",
                    (char *)"--no-privileges",
                    (char *)"--file",
                    (char *)path,
                    NULL};
    posix_spawn_file_actions_t actions;
    int code = posix_spawn_file_actions_init(&actions);
    if (code != 0)
        return code;
    code = posix_spawn_file_actions_adddup2(&actions, ends[1], STDERR_FILENO);
    if (code == 0)
        code = posix_spawn_file_actions_addclose(&actions, ends[0]);
    if (code == 0)
        code = posix_spawnp(pid, argv[0], &actions, NULL, argv, dump->env);
    posix_spawn_file_actions_destroy(&actions);
    return code;
}

static int pq_dump_child(struct pq_dump *dump, const char *path, struct err *err)
{
    int ends[2], status = 0;
    pid_t pid;
    if (pipe(ends) != 0)
        return err_set(err, ERR_IO, "pg_dump: %s", strerror(errno));
    int code = pq_dump_spawn(dump, path, ends, &pid);
    close(ends[1]);
    if (code == 0) {
        pq_dump_listen(dump, ends[0]);
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
            ;
    }
    close(ends[0]);
    if (code == ENOENT)
        return err_set(err, ERR_UNSUPPORTED, "pg_dump is not there (package postgresql-client)");
    if (code != 0)
        return err_set(err, ERR_IO, "pg_dump: %s", strerror(code));
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return err_set(err, ERR_IO, "%s", dump->size > 0 ? dump->words : "pg_dump was ended");
    return ERR_OK;
}

int pq_dump_run(const char *target, const char *path, struct err *err)
{
    struct pq_dump *dump = calloc(1, sizeof(*dump));
    if (dump == NULL)
        return err_set(err, ERR_MEMORY, "pg_dump");
    int result = pq_dump_environment(dump, target, err);
    if (result == ERR_OK)
        result = pq_dump_child(dump, path, err);
    for (int i = dump->owned; i < dump->count; i++)
        free(dump->env[i]);
    free(dump);
    return result;
}
