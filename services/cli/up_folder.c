/* SPDX-License-Identifier: Apache-2.0 */
#include "services/cli/up_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "services/service_folder.h"

/* FNV-1a: only has to keep the folders of different DIRs apart. */
static uint64_t up_folder_hash(const char *path)
{
    uint64_t hash = 0xcbf29ce484222325ULL;
    for (; *path != '\0'; path++)
        hash = (hash ^ (uint8_t)*path) * 0x100000001b3ULL;
    return hash;
}

static void up_folder_run(const char *absolute, char *out, size_t size)
{
    snprintf(out, size, "/var/tmp/btcast-%016llx", (unsigned long long)up_folder_hash(absolute));
}

/* /var/tmp is open to all: only a folder of ours that nobody else can read or change will do;
 * what lies in it is private by itself. */
static int up_folder_own(const char *path, struct err *err)
{
    struct stat status;
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return err_set(err, ERR_IO, "cannot make %s: %s", path, strerror(errno));
    if (lstat(path, &status) != 0)
        return err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
    if (!S_ISDIR(status.st_mode) || status.st_uid != geteuid() || (status.st_mode & 066) != 0)
        return err_set(err, ERR_REFUSED, "%s is not a private folder of this user", path);
    return ERR_OK;
}

static int up_folder_lock(struct up_folder *folder, struct err *err)
{
    char path[96];
    snprintf(path, sizeof(path), "%s/up.lock", folder->run);
    folder->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (folder->lock_fd < 0)
        return err_set(err, ERR_IO, "cannot open %s: %s", path, strerror(errno));
    if (flock(folder->lock_fd, LOCK_EX | LOCK_NB) == 0)
        return ERR_OK;
    close(folder->lock_fd);
    folder->lock_fd = -1;
    return err_set(err, ERR_REFUSED, "another btcast up runs on %s (use another --data)",
                   folder->data);
}

/* DIR/run -> the folder of the sockets: a convenience for people. */
static void up_folder_link(const struct up_folder *folder)
{
    char path[540];
    snprintf(path, sizeof(path), "%s/run", folder->data);
    unlink(path);
    if (symlink(folder->run, path) != 0)
        return;
}

int up_folder_open(const char *data, struct up_folder *folder, struct err *err)
{
    char absolute[PATH_MAX];
    memset(folder, 0, sizeof(*folder));
    folder->lock_fd = -1;
    int result = service_folder_make(data, err);
    if (result != ERR_OK)
        return result;
    if (realpath(data, absolute) == NULL)
        return err_set(err, ERR_IO, "%s: %s", data, strerror(errno));
    if (strlen(absolute) >= sizeof(folder->data))
        return err_set(err, ERR_CONFIG, "data_dir: %s is too long a path", absolute);
    memcpy(folder->data, absolute, strlen(absolute) + 1);
    snprintf(folder->logs, sizeof(folder->logs), "%s/logs", folder->data);
    up_folder_run(folder->data, folder->run, sizeof(folder->run));
    snprintf(folder->postgres, sizeof(folder->postgres), "%s/pg", folder->run);
    snprintf(folder->socket, sizeof(folder->socket), "%s/redis.sock", folder->run);
    result = service_folder_make(folder->logs, err);
    if (result == ERR_OK)
        result = up_folder_own(folder->run, err);
    if (result == ERR_OK)
        result = up_folder_lock(folder, err);
    if (result == ERR_OK)
        up_folder_link(folder);
    return result;
}

int up_folder_open_way(const struct up_folder *folder, struct err *err)
{
    if (geteuid() != 0)
        return ERR_OK;
    if (chmod(folder->run, 0711) == 0)
        return ERR_OK;
    return err_set(err, ERR_IO, "%s: %s", folder->run, strerror(errno));
}

int up_folder_postgres(const char *data, char *out, size_t size, struct err *err)
{
    char absolute[PATH_MAX], run[64];
    if (realpath(data, absolute) == NULL)
        return err_set(err, ERR_IO, "%s: %s", data, strerror(errno));
    up_folder_run(absolute, run, sizeof(run));
    snprintf(out, size, "%s/pg", run);
    return ERR_OK;
}

void up_folder_close(struct up_folder *folder)
{
    if (folder->lock_fd >= 0)
        close(folder->lock_fd);
    folder->lock_fd = -1;
}
