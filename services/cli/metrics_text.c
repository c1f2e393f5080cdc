/* SPDX-License-Identifier: Apache-2.0 */
#include "services/cli/metrics_text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define METRICS_TEXT_NAME_SIZE 128

/* The end of the line's name when the line is a sample of it, else NULL. */
static const char *metrics_text_match(const char *line, const char *name)
{
    size_t length = strlen(name);
    if (strncmp(line, name, length) != 0 || (line[length] != ' ' && line[length] != '{'))
        return NULL;
    return line + length;
}

static const char *metrics_text_next(const char *line)
{
    const char *end = strchr(line, '\n');
    return end != NULL ? end + 1 : line + strlen(line);
}

/* Behind the labels; they hold no spaces that matter, quotes are closed within the line. */
static bool metrics_text_number(const char *at, double *value)
{
    const char *line_end = metrics_text_next(at);
    if (*at == '{') {
        while (at < line_end && *at != '}')
            at++;
        if (at == line_end)
            return false;
        at++;
    }
    char *end;
    *value = strtod(at, &end);
    return end != at;
}

bool metrics_text_value(const char *page, const char *name, double *value)
{
    for (const char *line = page; *line != '\0'; line = metrics_text_next(line)) {
        const char *at = metrics_text_match(line, name);
        if (at != NULL)
            return metrics_text_number(at, value);
    }
    return false;
}

/* The bucket's upper edge out of {…le="0.03"…}. */
static bool metrics_text_edge(const char *at, double *edge)
{
    const char *line_end = metrics_text_next(at);
    const char *label = strstr(at, "le=\"");
    if (label == NULL || label >= line_end)
        return false;
    *edge = strncmp(label + 4, "+Inf", 4) == 0 ? (double)INFINITY : strtod(label + 4, NULL);
    return true;
}

bool metrics_text_quantile(const char *page, const char *name, double q, double *value)
{
    char bucket[METRICS_TEXT_NAME_SIZE];
    char total_name[METRICS_TEXT_NAME_SIZE];
    double total = 0;
    snprintf(bucket, sizeof(bucket), "%s_bucket", name);
    snprintf(total_name, sizeof(total_name), "%s_count", name);
    if (!metrics_text_value(page, total_name, &total) || total <= 0)
        return false;
    double low = 0;
    double before = 0;
    for (const char *line = page; *line != '\0'; line = metrics_text_next(line)) {
        const char *at = metrics_text_match(line, bucket);
        double edge;
        double count;
        if (at == NULL || !metrics_text_edge(at, &edge) || !metrics_text_number(at, &count))
            continue;
        if (count >= q * total) {
            bool open = isinf(edge) || count <= before;
            *value = open ? low : low + (edge - low) * (q * total - before) / (count - before);
            return true;
        }
        low = edge;
        before = count;
    }
    return false;
}
