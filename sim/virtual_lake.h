/* The lake and the disks of those who write to it: bronze objects that stay, the spool that
 * takes them while the lake is away, small files that survive a crash, and the shared file of
 * the REST view. An engine is what a process has of it in memory: open blocks and answers it
 * owes; a crash takes that and nothing else. An object becomes durable some time after it was
 * asked for, and its answer comes later still. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SIM_VIRTUAL_LAKE_H
#define BTCAST_SIM_VIRTUAL_LAKE_H

#include "hot/infer/infer_port.h"
#include "hot/state/rest_view.h"
#include "learn/lake/archive_journal.h"
#include "learn/lake/archive_place.h"
#include "learn/lake/archive_port.h"
#include "recover/poll/progress.h"
#include "sim/model/blob.h"
#include "sim/virtual_process.h"

#define LAKE_FILE_MAX    2048
#define LAKE_BLOCKS_MAX  32
#define LAKE_CALLS_MAX   16
#define LAKE_SPOOL_MAX   24 /* objects */
#define LAKE_OBJECT_SIZE ((uint64_t)1 << 20)

enum lake_file { LAKE_FILE_PLACE, LAKE_FILE_POLL, LAKE_FILE_BACKFILL, LAKE_FILES };

/* Records of one block, in the order in which they were appended. */
struct lake_block {
    struct archive_block id;
    uint64_t *seqs;
    int count, room;
    bool used;
};

/* Trade ids that a REST reply brought into the lake. */
struct lake_range {
    int64_t first, last;
    bool poll;
};

/* A record in the journal; one that was not flushed goes with the process. */
struct lake_entry {
    struct archive_block block;
    struct record record;
    struct blob *payload;
    bool flushed;
};

struct lake_disk_file {
    uint8_t bytes[LAKE_FILE_MAX];
    size_t size; /* 0: never written */
};

struct virtual_lake {
    struct simulation *simulation;
    struct lake_block *objects; /* those of streams, by first writing */
    int object_count, object_room;
    struct lake_range *ranges;
    int range_count, range_room;
    struct lake_entry *journal; /* as appended */
    int journal_count, journal_room;
    int64_t away_until_us;
    struct lake_disk_file files[LAKE_FILES];
    struct rest_view view;
    int64_t view_put_us; /* 0: never */
    uint64_t replies;    /* REST replies in it */
};

void virtual_lake_open(struct virtual_lake *lake, struct simulation *simulation);
void virtual_lake_close(struct virtual_lake *lake);

bool virtual_lake_is_away(const struct virtual_lake *lake);
/* The block becomes the object of its name, whatever was there, and is empty then. */
void virtual_lake_put(struct virtual_lake *lake, struct lake_block *block);
/* Trade ids that a reply brings; none when last < first. */
void virtual_lake_add_range(struct virtual_lake *lake, const struct lake_range *range);

/* Ports over the files; context is held by the caller. */
struct lake_file_port {
    struct virtual_lake *lake;
    enum lake_file file;
};
struct archive_place_port virtual_lake_place(struct lake_file_port *port);
struct progress_port virtual_lake_progress(struct lake_file_port *port);
/* The view as inference maps it; self is the lake. */
struct infer_view_port virtual_lake_view(struct virtual_lake *lake);
void virtual_lake_put_view(void *lake, const struct rest_view *view);

struct lake_engine;
struct lake_engine *lake_engine_open(struct process *process, struct virtual_lake *lake);
/* What it owes is never answered. */
void lake_engine_close(struct lake_engine *engine);
/* The journal of this process: what an earlier one has flushed comes first. */
struct archive_journal_port lake_engine_journal(struct lake_engine *engine);
struct archive_port lake_engine_port(struct lake_engine *engine);
/* Blocks that are open or asked for: [LAKE_BLOCKS_MAX], used or not. */
const struct lake_block *lake_engine_blocks(const struct lake_engine *engine);

#endif
