/* SPDX-License-Identifier: Apache-2.0 */
#include "hot/infer/journal.h"

#include <stdlib.h>

#include "base/check.h"

int journal_open(struct journal *journal, int capacity, struct err *err)
{
    PRE(capacity > 0 && capacity <= JOURNAL_MAX);
    *journal = (struct journal){.capacity = capacity};
    journal->entries = calloc((size_t)capacity, sizeof(*journal->entries));
    if (journal->entries == NULL)
        return err_set(err, ERR_MEMORY, "journal of %d predictions", capacity);
    return ERR_OK;
}

void journal_close(struct journal *journal)
{
    free(journal->entries);
    *journal = (struct journal){0};
}

static struct journal_entry *journal_at(const struct journal *journal, int index)
{
    return &journal->entries[(journal->first + index) % journal->capacity];
}

static void journal_pop(struct journal *journal)
{
    journal->first = (journal->first + 1) % journal->capacity;
    journal->count--;
    if (journal->count == 0)
        journal->first = 0; /* an outbox that drains each slot stays on one page of memory */
}

void journal_push(struct journal *journal, int64_t slot, const struct prediction *prediction)
{
    PRE(journal->count == 0 || journal_at(journal, journal->count - 1)->slot < slot);
    if (journal->count == journal->capacity) {
        journal_pop(journal);
        journal->dropped++;
    }
    struct journal_entry *entry = journal_at(journal, journal->count++);
    entry->slot = slot;
    entry->prediction = *prediction;
}

const struct journal_entry *journal_first(const struct journal *journal)
{
    return journal->count == 0 ? NULL : journal_at(journal, 0);
}

const struct journal_entry *journal_after(const struct journal *journal, int64_t slot)
{
    for (int i = 0; i < journal->count; i++)
        if (journal_at(journal, i)->slot > slot)
            return journal_at(journal, i);
    return NULL;
}

void journal_pop_through(struct journal *journal, int64_t slot)
{
    while (journal->count > 0 && journal_at(journal, 0)->slot <= slot)
        journal_pop(journal);
}
