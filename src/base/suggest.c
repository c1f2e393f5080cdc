/* SPDX-License-Identifier: Apache-2.0 */
#include "base/suggest.h"

#include <stdint.h>
#include <string.h>

#define SUGGEST_FAR 1000

static size_t suggest_least(size_t a, size_t b)
{
    return a < b ? a : b;
}

size_t suggest_distance(const char *a, const char *b)
{
    size_t rows = strlen(a);
    size_t columns = strlen(b);
    if (rows > SUGGEST_NAME_MAX || columns > SUGGEST_NAME_MAX)
        return SUGGEST_FAR;
    /* Three rows of the optimal string alignment table, rotated. */
    uint8_t table[3][SUGGEST_NAME_MAX + 1];
    uint8_t *before = table[0];
    uint8_t *last = table[1];
    uint8_t *row = table[2];
    for (size_t j = 0; j <= columns; j++)
        last[j] = (uint8_t)j;
    for (size_t i = 1; i <= rows; i++) {
        row[0] = (uint8_t)i;
        for (size_t j = 1; j <= columns; j++) {
            size_t cost = last[j - 1] + (a[i - 1] == b[j - 1] ? 0u : 1u);
            cost = suggest_least(cost, suggest_least(last[j], row[j - 1]) + 1u);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                cost = suggest_least(cost, before[j - 2] + 1u);
            row[j] = (uint8_t)cost;
        }
        uint8_t *spare = before;
        before = last;
        last = row;
        row = spare;
    }
    return last[columns];
}

void suggest_offer(const char *wanted, const char *name, const char **best)
{
    size_t limit = strlen(wanted) / 3;
    size_t distance = suggest_distance(wanted, name);
    if (distance > (limit < 2 ? 2 : limit))
        return;
    if (*best == NULL || distance < suggest_distance(wanted, *best))
        *best = name;
}
