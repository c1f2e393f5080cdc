/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/file/progress_file.h"

#include <stdlib.h>
#include <string.h>

#include "edge/file/whole_file.h"

static int progress_file_load(void *self, char *out, size_t capacity, size_t *size)
{
    const struct progress_file *file = self;
    uint8_t *data = NULL;
    int result = whole_file_read(file->path, capacity, &data, size, NULL);
    if (result == ERR_OK)
        memcpy(out, data, *size);
    free(data);
    return result;
}

static int progress_file_save(void *self, struct bytes text)
{
    const struct progress_file *file = self;
    return whole_file_replace(file->path, text, NULL);
}

struct progress_port progress_file_port(struct progress_file *file)
{
    return (struct progress_port){
        .self = file, .load = progress_file_load, .save = progress_file_save};
}
