/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/lake/place_file.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static int place_file_load(void *self, uint8_t *out, size_t capacity, size_t *size)
{
    const struct place_file *place = self;
    int fd = open(place->path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return lake_file_code(errno);
    ssize_t got = read(fd, out, capacity);
    close(fd);
    if (got < 0)
        return ERR_IO;
    *size = (size_t)got;
    return ERR_OK;
}

static int place_file_save(void *self, struct bytes text)
{
    const struct place_file *place = self;
    return lake_file_write(place->path, text, NULL);
}

struct archive_place_port place_file_port(struct place_file *place)
{
    return (struct archive_place_port){
        .self = place, .load = place_file_load, .save = place_file_save};
}
