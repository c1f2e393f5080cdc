/* SPDX-License-Identifier: Apache-2.0 */
#include "services/cli/health_line.h"

#include <string.h>

void health_line_status(const char *status, bool colour, struct text *out)
{
    const char *paint = !colour                           ? ""
                        : strcmp(status, "healthy") == 0  ? "\033[32m"
                        : strcmp(status, "degraded") == 0 ? "\033[33m"
                                                          : "\033[31m";
    text_add_format(out, "%s%-10.20s%s", paint, status, paint[0] != '\0' ? "\033[0m" : "");
}

void health_line_write(const char *name, const json_t *health, bool colour, struct text *out)
{
    const char *status = json_string_value(json_object_get(health, "status"));
    const char *reason = json_string_value(json_object_get(health, "reason"));
    text_add_format(out, "  %-18s ", name);
    health_line_status(status != NULL ? status : "down", colour, out);
    if (reason != NULL)
        text_add_format(out, " %.120s", reason);
    json_t *components = json_object_get(health, "components");
    for (void *at = json_object_iter(components); at != NULL;
         at = json_object_iter_next(components, at)) {
        const char *state =
            json_string_value(json_object_get(json_object_iter_value(at), "status"));
        if (state != NULL)
            text_add_format(out, " %.24s:%.16s", json_object_iter_key(at), state);
    }
}
