/* SPDX-License-Identifier: Apache-2.0 */
#include "hot/ingest/backlog.h"

#include <stdlib.h>

#include "base/check.h"

/* One entry slot for so many bytes: small entries run out of slots first, which only
 * shortens the memory. */
#define BACKLOG_BYTES_PER_ENTRY 256

struct backlog {
    uint64_t first, end;
    size_t entries_max;
    size_t bytes_max;
    size_t write_at; /* where the next entry's bytes go */
    size_t bytes_used;
    struct backlog_entry *entries;
    uint8_t *bytes;
};

int backlog_open(size_t bytes_max, struct backlog **out, struct err *err)
{
    PRE(bytes_max >= BACKLOG_BYTES_MIN);
    const size_t entries_max = bytes_max / BACKLOG_BYTES_PER_ENTRY;
    struct backlog *backlog = calloc(1, sizeof(*backlog));
    if (backlog == NULL)
        return err_set(err, ERR_MEMORY, "backlog");
    backlog->entries = calloc(entries_max, sizeof(*backlog->entries));
    backlog->bytes = malloc(bytes_max);
    if (backlog->entries == NULL || backlog->bytes == NULL) {
        backlog_close(backlog);
        return err_set(err, ERR_MEMORY, "backlog of %zu bytes", bytes_max);
    }
    backlog->entries_max = entries_max;
    backlog->bytes_max = bytes_max;
    *out = backlog;
    return ERR_OK;
}

void backlog_close(struct backlog *backlog)
{
    if (backlog == NULL)
        return;
    free(backlog->entries);
    free(backlog->bytes);
    free(backlog);
}

uint64_t backlog_first(const struct backlog *backlog)
{
    return backlog->first;
}

uint64_t backlog_end(const struct backlog *backlog)
{
    return backlog->end;
}

size_t backlog_bytes(const struct backlog *backlog)
{
    return backlog->bytes_used;
}

struct backlog_entry *backlog_at(const struct backlog *backlog, uint64_t number)
{
    PRE(number >= backlog->first && number < backlog->end);
    return &backlog->entries[number % backlog->entries_max];
}

/* Where size contiguous bytes fit, or NULL. The used region runs from the head entry to
 * write_at, possibly around the end; the rest before a wrap is left unused. */
static uint8_t *backlog_room(const struct backlog *backlog, size_t size)
{
    if (backlog->first == backlog->end)
        return size <= backlog->bytes_max ? backlog->bytes : NULL;
    const size_t head = (size_t)(backlog_at(backlog, backlog->first)->data - backlog->bytes);
    if (backlog->write_at > head) {
        if (size <= backlog->bytes_max - backlog->write_at)
            return backlog->bytes + backlog->write_at;
        return size < head ? backlog->bytes : NULL;
    }
    return size < head - backlog->write_at ? backlog->bytes + backlog->write_at : NULL;
}

bool backlog_push(struct backlog *backlog, const struct backlog_entry *entry)
{
    PRE(entry->size > 0);
    if (backlog->end - backlog->first == backlog->entries_max)
        return false;
    uint8_t *at = backlog_room(backlog, entry->size);
    if (at == NULL)
        return false;
    memcpy(at, entry->data, entry->size);
    struct backlog_entry *slot = &backlog->entries[backlog->end % backlog->entries_max];
    *slot = *entry;
    slot->data = at;
    backlog->write_at = (size_t)(at - backlog->bytes) + entry->size;
    backlog->bytes_used += entry->size;
    backlog->end++;
    return true;
}

void backlog_drop_head(struct backlog *backlog)
{
    PRE(backlog->first < backlog->end);
    backlog->bytes_used -= backlog_at(backlog, backlog->first)->size;
    backlog->first++;
}
