/* Bronze: each record once, every trade id there. SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "learn/lake/bronze_key.h"
#include "recover/backfill/backfill.h"
#include "sim/agents.h"
#include "sim/checks.h"
#include "sim/simulation.h"

/* The newest records may still be on their way to the archive. */
#define CHECK_BRONZE_TAIL 400
/* A loss this long before the end is fetched by then. */
#define CHECK_BRONZE_SETTLED_US 12000000

static void check_bronze_make_room(struct check_epoch *epoch, uint64_t seq)
{
    if (seq < epoch->bronze_room)
        return;
    size_t room = epoch->room > seq ? epoch->room : (size_t)seq + 1;
    epoch->bronze = realloc(epoch->bronze, room * sizeof(*epoch->bronze));
    CHECK(epoch->bronze != NULL);
    memset(epoch->bronze + epoch->bronze_room, 0,
           (room - epoch->bronze_room) * sizeof(*epoch->bronze));
    epoch->bronze_room = room;
}

void checks_archived(struct checks *checks, const struct record *record)
{
    struct check_epoch *epoch = check_epoch(checks, record->epoch);
    if (record->seq <= epoch->stamped)
        epoch->stream[record->seq] |= CHECK_ARCHIVED;
}

void checks_bronze_put(struct checks *checks, const struct lake_block *object, int number)
{
    if (object->id.kind == ARCHIVE_CONTROL)
        return;
    struct check_epoch *epoch = check_epoch(checks, object->id.epoch);
    /* What it replaces is gone. */
    for (size_t seq = 0; seq < epoch->bronze_room; seq++)
        if (epoch->bronze[seq] == (uint32_t)number + 1)
            epoch->bronze[seq] = 0;
    for (int i = 0; i < object->count; i++) {
        uint64_t seq = object->seqs[i];
        check_bronze_make_room(epoch, seq);
        if (epoch->bronze[seq] != 0)
            simulation_fail(checks->simulation, CHECK_BRONZE_ONCE,
                            "(%llu, %llu) stands in objects %u and %d of bronze",
                            (unsigned long long)epoch->epoch, (unsigned long long)seq,
                            (unsigned)epoch->bronze[seq] - 1, number);
        epoch->bronze[seq] = (uint32_t)number + 1;
    }
}

/* What the agent has in open blocks counts as there: UINT32_MAX. */
static void check_bronze_open(struct checks *checks)
{
    struct process *process = simulation_process(checks->simulation, PROCESS_ARCHIVE, 0);
    if (!process_is_up(process))
        return;
    const struct lake_block *blocks = agent_archive_blocks(process->agent);
    for (int i = 0; i < LAKE_BLOCKS_MAX; i++) {
        if (!blocks[i].used || blocks[i].id.kind == ARCHIVE_CONTROL)
            continue;
        struct check_epoch *epoch = check_epoch(checks, blocks[i].id.epoch);
        for (int j = 0; j < blocks[i].count; j++) {
            check_bronze_make_room(epoch, blocks[i].seqs[j]);
            epoch->bronze[blocks[i].seqs[j]] = UINT32_MAX;
        }
    }
}

static bool check_bronze_has(const struct check_epoch *epoch, uint64_t seq)
{
    return seq < epoch->bronze_room && epoch->bronze[seq] != 0;
}

static void check_bronze_records(struct checks *checks)
{
    for (int i = 0; i < checks->epoch_count; i++) {
        const struct check_epoch *epoch = &checks->epochs[i];
        uint64_t last = epoch->stamped;
        if (i == checks->epoch_count - 1)
            last = last > CHECK_BRONZE_TAIL ? last - CHECK_BRONZE_TAIL : 0;
        for (uint64_t seq = 1; seq <= last; seq++) {
            bool kept = seq > epoch->floor && (epoch->stream[seq] & ~CHECK_MARKS) != 0;
            if ((!kept && (epoch->stream[seq] & CHECK_ARCHIVED) == 0) ||
                check_bronze_has(epoch, seq))
                continue;
            simulation_fail(checks->simulation, CHECK_BRONZE_MISSING,
                            "(%llu, %llu) is not in bronze", (unsigned long long)epoch->epoch,
                            (unsigned long long)seq);
            return;
        }
    }
}

/* --- trade ids ----------------------------------------------------------------------- */

static bool check_bronze_at_work(struct checks *checks)
{
    struct backfill_status status;
    struct process *process = simulation_process(checks->simulation, PROCESS_POLL, 0);
    if (!process_is_up(process))
        return true;
    backfill_status(agent_poll_backfill(process->agent), &status);
    return status.busy || status.waiting > 0;
}

static void check_bronze_mark(uint8_t *there, int64_t base, int64_t end, int64_t first,
                              int64_t last)
{
    for (int64_t id = first < base ? base : first; id <= last && id <= end; id++)
        there[id - base] = 1;
}

static void check_bronze_trades(struct checks *checks)
{
    const struct simulation *simulation = checks->simulation;
    const struct virtual_lake *lake = &simulation->lake;
    int64_t until_us = simulation->queue.now_us - CHECK_BRONZE_SETTLED_US, end = -1;
    if (checks->trade_count == 0 || check_bronze_at_work(checks))
        return;
    int64_t base = checks->trades[0].first_id;
    for (int i = 0; i < checks->trade_count && checks->trades[i].recv_us <= until_us; i++)
        end = checks->trades[i].first_id + checks->trades[i].count - 1;
    if (end < base)
        return;
    uint8_t *there = calloc((size_t)(end - base + 1), 1);
    CHECK(there != NULL);
    for (int i = 0; i < checks->trade_count; i++) {
        const struct check_trade *trade = &checks->trades[i];
        if (check_bronze_has(check_epoch(checks, trade->epoch), trade->seq))
            check_bronze_mark(there, base, end, trade->first_id,
                              trade->first_id + trade->count - 1);
    }
    for (int i = 0; i < lake->range_count; i++)
        if (checks->losses > 0 || !lake->ranges[i].poll)
            check_bronze_mark(there, base, end, lake->ranges[i].first, lake->ranges[i].last);
    for (int64_t id = base; id <= end; id++)
        if (there[id - base] == 0) {
            simulation_fail(checks->simulation, CHECK_BRONZE_TRADES,
                            "trade %lld of %lld to %lld is not in bronze", (long long)id,
                            (long long)base, (long long)end);
            break;
        }
    free(there);
}

void check_bronze_end(struct checks *checks)
{
    check_bronze_open(checks);
    check_bronze_records(checks);
    check_bronze_trades(checks);
}
