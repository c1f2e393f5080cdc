/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/postgres/pq_server.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PQ_SERVER_PACKAGES "/usr/lib/postgresql"
#define PQ_SERVER_USER     "postgres"
#define PQ_SERVER_WORDS    40

static int pq_server_find_version(const char *version, char bin[PQ_SERVER_PATH_SIZE])
{
    char program[PQ_SERVER_PATH_SIZE + 16];
    snprintf(bin, PQ_SERVER_PATH_SIZE, PQ_SERVER_PACKAGES "/%s/bin", version);
    snprintf(program, sizeof(program), "%s/initdb", bin);
    return access(program, X_OK) == 0 ? ERR_OK : ERR_NOT_FOUND;
}

/* The major version that made the data folder, "" when there is none. */
static void pq_server_made_by(const char *folder, char version[16])
{
    char path[PQ_SERVER_PATH_SIZE];
    snprintf(path, sizeof(path), "%s/data/PG_VERSION", folder);
    version[0] = '\0';
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return;
    if (fgets(version, 16, file) == NULL)
        version[0] = '\0';
    version[strcspn(version, "\n")] = '\0';
    fclose(file);
}

int pq_server_find(const char *folder, char bin[PQ_SERVER_PATH_SIZE], struct err *err)
{
    char version[16] = "";
    if (folder != NULL)
        pq_server_made_by(folder, version);
    if (version[0] != '\0') {
        if (pq_server_find_version(version, bin) == ERR_OK)
            return ERR_OK;
        return err_set(err, ERR_NOT_FOUND,
                       "%s was made by PostgreSQL %s, which is not installed (package "
                       "postgresql-%s)",
                       folder, version, version);
    }
    long newest = 0;
    DIR *packages = opendir(PQ_SERVER_PACKAGES);
    const struct dirent *entry;
    while (packages != NULL && (entry = readdir(packages)) != NULL) {
        long number = strtol(entry->d_name, NULL, 10);
        char text[24], path[PQ_SERVER_PATH_SIZE];
        snprintf(text, sizeof(text), "%ld", number);
        if (number > newest && pq_server_find_version(text, path) == ERR_OK)
            newest = number;
    }
    if (packages != NULL)
        closedir(packages);
    snprintf(version, sizeof(version), "%ld", newest);
    if (newest > 0 && pq_server_find_version(version, bin) == ERR_OK)
        return ERR_OK;
    return err_set(err, ERR_NOT_FOUND, "PostgreSQL is not installed (package postgresql-15)");
}

/* Who the server runs as: this user, or postgres instead of root. */
static int pq_server_user(uid_t *uid, gid_t *gid, struct err *err)
{
    *uid = geteuid();
    *gid = getegid();
    if (*uid != 0)
        return ERR_OK;
    const struct passwd *user = getpwnam(PQ_SERVER_USER);
    if (user == NULL)
        return err_set(err, ERR_NOT_FOUND,
                       "there is no user " PQ_SERVER_USER " to run the database as (root may not)");
    *uid = user->pw_uid;
    *gid = user->pw_gid;
    return ERR_OK;
}

/* Only in a process that goes on to become something else. */
static int pq_server_drop_rights(struct err *err)
{
    uid_t uid;
    gid_t gid;
    int result = pq_server_user(&uid, &gid, err);
    if (result != ERR_OK || geteuid() != 0)
        return result;
    if (setgroups(0, NULL) != 0 || setgid(gid) != 0 || setuid(uid) != 0)
        return err_set(err, ERR_REFUSED, "cannot become " PQ_SERVER_USER ": %s", strerror(errno));
    return ERR_OK;
}

/* A folder of the server's user that nobody else can enter. */
static int pq_server_make_folder(const char *folder, struct err *err)
{
    struct stat status;
    uid_t uid;
    gid_t gid;
    int result = pq_server_user(&uid, &gid, err);
    if (result != ERR_OK)
        return result;
    bool made = mkdir(folder, 0700) == 0;
    if (!made && errno != EEXIST)
        return err_set(err, ERR_IO, "cannot make %s: %s", folder, strerror(errno));
    if (made && chown(folder, uid, gid) != 0)
        return err_set(err, ERR_IO, "cannot give %s to the database's user: %s", folder,
                       strerror(errno));
    if (lstat(folder, &status) != 0 || !S_ISDIR(status.st_mode) || status.st_uid != uid ||
        (status.st_mode & 077) != 0)
        return err_set(err, ERR_REFUSED, "%s is not a private folder of the database's user",
                       folder);
    return ERR_OK;
}

/* Runs a program as the server's user to its end; its words to stderr are in `words`. */
static int pq_server_run(char *const *argv, const char *folder, char *words, size_t size,
                         struct err *err)
{
    int ends[2];
    words[0] = '\0';
    if (pipe2(ends, O_CLOEXEC) != 0)
        return err_set(err, ERR_IO, "pipe: %s", strerror(errno));
    pid_t pid = fork();
    if (pid == 0) {
        struct err child = {0};
        int null = open("/dev/null", O_RDWR);
        dup2(null, STDIN_FILENO);
        dup2(null, STDOUT_FILENO);
        dup2(ends[1], STDERR_FILENO);
        int result = pq_server_drop_rights(&child);
        if (result == ERR_OK && chdir(folder) != 0)
            result = err_set(&child, ERR_REFUSED, "cannot enter %s: %s", folder, strerror(errno));
        /* It must not outlive this process; the change of user has reset that. */
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (result == ERR_OK)
            execv(argv[0], argv);
        dprintf(STDERR_FILENO, "%s", result != ERR_OK ? child.text : strerror(errno));
        _exit(127);
    }
    close(ends[1]);
    size_t used = 0;
    ssize_t got = 1;
    while (pid > 0 && got > 0) {
        char rest[512];
        bool full = used + 1 >= size;
        got =
            full ? read(ends[0], rest, sizeof(rest)) : read(ends[0], words + used, size - 1 - used);
        used += got > 0 && !full ? (size_t)got : 0;
    }
    words[used] = '\0';
    close(ends[0]);
    int status = -1;
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        return err_set(err, ERR_IO, "cannot run %s: %s", argv[0], strerror(errno));
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? ERR_OK : ERR_IO;
}

static int pq_server_remove_one(const char *path, const struct stat *status, int type,
                                struct FTW *at)
{
    (void)status;
    (void)type;
    (void)at;
    return remove(path);
}

int pq_server_prepare(const char *folder, const char *bin, struct err *err)
{
    char data[PQ_SERVER_PATH_SIZE], fresh[PQ_SERVER_PATH_SIZE], program[PQ_SERVER_PATH_SIZE + 16];
    char version[16], words[400];
    if (strlen(folder) > PQ_SERVER_FOLDER_MAX || folder[0] != '/')
        return err_set(err, ERR_CONFIG, "%s: expected an absolute path of at most %d bytes", folder,
                       PQ_SERVER_FOLDER_MAX);
    int result = pq_server_make_folder(folder, err);
    if (result != ERR_OK)
        return result;
    pq_server_made_by(folder, version);
    if (version[0] != '\0')
        return ERR_OK;
    snprintf(data, sizeof(data), "%s/data", folder);
    snprintf(fresh, sizeof(fresh), "%s/data.new", folder);
    snprintf(program, sizeof(program), "%s/initdb", bin);
    nftw(fresh, pq_server_remove_one, 16, FTW_DEPTH | FTW_PHYS); /* of an initdb that was killed */
    char *argv[] = {program, "-D",   fresh, "-A", "trust", "-U", "btcast", "--locale=C.UTF-8",
                    "-E",    "UTF8", NULL};
    result = pq_server_run(argv, folder, words, sizeof(words), err);
    if (result != ERR_OK && words[0] != '\0')
        return err_set(err, result, "initdb: %s", words);
    if (result == ERR_OK && rename(fresh, data) != 0)
        return err_set(err, ERR_IO, "%s: %s", data, strerror(errno));
    return result;
}

int pq_server_become(const struct pq_server_options *options, struct err *err)
{
    char text[PQ_SERVER_WORDS][PQ_SERVER_PATH_SIZE + 32];
    char *argv[2 * PQ_SERVER_WORDS + 1];
    const char *sync = options->durable ? "on" : "off";
    int count = 0, args = 0;
    pid_t parent = getppid();
    int result = pq_server_drop_rights(err);
    if (result != ERR_OK)
        return result;
    prctl(PR_SET_PDEATHSIG, SIGQUIT);
    if (getppid() != parent)
        return err_set(err, ERR_BAD_STATE, "the supervisor is gone");
    if (chdir(options->folder) != 0)
        return err_set(err, ERR_REFUSED, "cannot enter %s: %s", options->folder, strerror(errno));
    snprintf(text[count++], sizeof(text[0]), "%s/postgres", options->bin);
    snprintf(text[count++], sizeof(text[0]), "-D%s/data", options->folder);
    snprintf(text[count++], sizeof(text[0]), "-cunix_socket_directories=%s", options->folder);
    snprintf(text[count++], sizeof(text[0]), "-cunix_socket_permissions=0700");
    snprintf(text[count++], sizeof(text[0]), "-clisten_addresses=");
    snprintf(text[count++], sizeof(text[0]), "-cfsync=%s", sync);
    snprintf(text[count++], sizeof(text[0]), "-cfull_page_writes=%s", sync);
    snprintf(text[count++], sizeof(text[0]), "-cshared_buffers=%dMB", options->memory_mb);
    snprintf(text[count++], sizeof(text[0]), "-cmax_connections=24");
    snprintf(text[count++], sizeof(text[0]), "-cmax_wal_size=256MB");
    snprintf(text[count++], sizeof(text[0]), "-cjit=off");
    snprintf(text[count++], sizeof(text[0]), "-clog_min_messages=warning");
    snprintf(text[count++], sizeof(text[0]), "-clogging_collector=off");
    for (; args < count; args++)
        argv[args] = text[args];
    argv[args] = NULL;
    execv(argv[0], argv);
    return err_set(err, ERR_IO, "cannot start %s: %s", argv[0], strerror(errno));
}
