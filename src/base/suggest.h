/* "Did you mean …": the nearest of several names by edit distance, for mistyped keys,
 * flags and commands. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_BASE_SUGGEST_H
#define BTCAST_BASE_SUGGEST_H

#include <stddef.h>

/* Longer names are not compared. */
#define SUGGEST_NAME_MAX 96

/* Edits (insert, delete, replace, swap of neighbours) that turn a into b; a large number
 * when either is longer than SUGGEST_NAME_MAX. */
size_t suggest_distance(const char *a, const char *b);

/* Keeps the better of two candidates: start with *best = NULL and offer each name. Only
 * names within a third of the wanted one's length (at least 2 edits) are taken. */
void suggest_offer(const char *wanted, const char *name, const char **best);

#endif
