/* SPDX-License-Identifier: Apache-2.0 */
#include "services/data-connector/connector_lake.h"

#include <string.h>

#include "edge/lake/folder_objects.h"
#include "edge/s3/s3_objects.h"

static int connector_lake_open_s3(struct connector_lake *lake, const char *url, struct loop *loop,
                                  struct err *err)
{
    struct s3_target target = {0};
    int result = s3_target_parse(url, &target, err);
    if (result == ERR_OK)
        result = s3_target_environment(&target, err);
    if (result != ERR_OK)
        return err_wrap(err, result, "lake");
    struct s3_objects_options options = {.target = &target, .seed = (uint64_t)loop_wall_us()};
    return s3_objects_open(&options, loop, &lake->s3, err);
}

int connector_lake_open(struct connector_lake *lake, const char *where, struct loop *loop,
                        struct err *err)
{
    memset(lake, 0, sizeof(*lake));
    if (strncmp(where, "s3:", 3) == 0)
        return connector_lake_open_s3(lake, where, loop, err);
    return folder_objects_open(where, &lake->folder, err);
}

void connector_lake_close(struct connector_lake *lake)
{
    if (lake->folder != NULL)
        folder_objects_close(lake->folder);
    s3_objects_close(lake->s3);
    memset(lake, 0, sizeof(*lake));
}

struct object_port connector_lake_port(const struct connector_lake *lake)
{
    return lake->s3 != NULL ? *s3_objects_port(lake->s3) : folder_objects_port(lake->folder);
}
