/* SPDX-License-Identifier: Apache-2.0 */
#include "services/service_folder.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define SERVICE_FOLDER_MAX 600

int service_folder_make(const char *path, struct err *err)
{
    char part[SERVICE_FOLDER_MAX];
    int size = snprintf(part, sizeof(part), "%s", path);
    if (size <= 0 || (size_t)size >= sizeof(part))
        return err_set(err, ERR_CONFIG, "data_dir: \"%.80s\" is no usable path", path);
    for (char *at = part + 1;; at++) {
        if (*at != '/' && *at != '\0')
            continue;
        char end = *at;
        *at = '\0';
        if (mkdir(part, 0700) != 0 && errno != EEXIST)
            return err_set(err, ERR_IO, "cannot make the folder %s: %s", part, strerror(errno));
        if (end == '\0')
            break;
        *at = end;
    }
    struct stat status;
    if (stat(path, &status) != 0 || !S_ISDIR(status.st_mode))
        return err_set(err, ERR_IO, "%s is not a folder", path);
    return ERR_OK;
}
