/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/temp_dir.h"

#include <arpa/inet.h>
#include <ftw.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"

void temp_dir_make(char path[TEMP_DIR_SIZE])
{
    snprintf(path, TEMP_DIR_SIZE, "/tmp/btcast-test-XXXXXX");
    CHECK(mkdtemp(path) != NULL);
}

static int temp_dir_remove_one(const char *path, const struct stat *status, int type,
                               struct FTW *ftw)
{
    (void)status;
    (void)type;
    (void)ftw;
    return remove(path);
}

void temp_dir_remove(char path[TEMP_DIR_SIZE])
{
    if (path[0] != '\0')
        nftw(path, temp_dir_remove_one, 16, FTW_DEPTH | FTW_PHYS);
    path[0] = '\0';
}

int temp_port(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    CHECK(bind(fd, (const struct sockaddr *)&address, size) == 0);
    CHECK(getsockname(fd, (struct sockaddr *)&address, &size) == 0);
    close(fd);
    return ntohs(address.sin_port);
}
