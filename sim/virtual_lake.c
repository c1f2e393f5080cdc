/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/virtual_lake.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "hot/state/rest_view_state.h"
#include "learn/lake/bronze_key.h"
#include "sim/simulation.h"

bool virtual_lake_is_away(const struct virtual_lake *lake)
{
    return lake->simulation->queue.now_us < lake->away_until_us;
}

/* --- objects ------------------------------------------------------------------------- */

static struct lake_block *lake_object(struct virtual_lake *lake, const struct archive_block *id)
{
    for (int i = 0; i < lake->object_count; i++)
        if (bronze_key_block_equal(&lake->objects[i].id, id))
            return &lake->objects[i];
    if (lake->object_count == lake->object_room) {
        lake->object_room = lake->object_room == 0 ? 64 : 2 * lake->object_room;
        lake->objects = realloc(lake->objects, (size_t)lake->object_room * sizeof(*lake->objects));
        CHECK(lake->objects != NULL);
    }
    struct lake_block *fresh = &lake->objects[lake->object_count++];
    *fresh = (struct lake_block){.id = *id, .used = true};
    return fresh;
}

void virtual_lake_put(struct virtual_lake *lake, struct lake_block *block)
{
    struct lake_block *object = lake_object(lake, &block->id);
    free(object->seqs);
    *object = *block;
    *block = (struct lake_block){0};
    checks_bronze_put(&lake->simulation->checks, object, (int)(object - lake->objects));
}

void virtual_lake_add_range(struct virtual_lake *lake, const struct lake_range *range)
{
    if (range->last < range->first)
        return;
    if (lake->range_count == lake->range_room) {
        lake->range_room = lake->range_room == 0 ? 64 : 2 * lake->range_room;
        lake->ranges = realloc(lake->ranges, (size_t)lake->range_room * sizeof(*lake->ranges));
        CHECK(lake->ranges != NULL);
    }
    lake->ranges[lake->range_count++] = *range;
}

void virtual_lake_open(struct virtual_lake *lake, struct simulation *simulation)
{
    lake->simulation = simulation;
}

void virtual_lake_close(struct virtual_lake *lake)
{
    for (int i = 0; i < lake->object_count; i++)
        free(lake->objects[i].seqs);
    for (int i = 0; i < lake->journal_count; i++)
        blob_drop(lake->journal[i].payload);
    free(lake->journal);
    free(lake->objects);
    free(lake->ranges);
}

/* --- files --------------------------------------------------------------------------- */

static int lake_file_load(void *self, void *out, size_t capacity, size_t *size)
{
    const struct lake_file_port *port = self;
    const struct lake_disk_file *file = &port->lake->files[port->file];
    if (file->size == 0)
        return ERR_NOT_FOUND;
    if (file->size > capacity)
        return ERR_FULL;
    memcpy(out, file->bytes, file->size);
    *size = file->size;
    return ERR_OK;
}

static int lake_file_save(void *self, struct bytes text)
{
    const struct lake_file_port *port = self;
    struct lake_disk_file *file = &port->lake->files[port->file];
    if (text.size > sizeof(file->bytes))
        return ERR_FULL;
    memcpy(file->bytes, text.data, text.size);
    file->size = text.size;
    return ERR_OK;
}

static int lake_place_load(void *self, uint8_t *out, size_t capacity, size_t *size)
{
    return lake_file_load(self, out, capacity, size);
}

static int lake_progress_load(void *self, char *out, size_t capacity, size_t *size)
{
    return lake_file_load(self, out, capacity, size);
}

struct archive_place_port virtual_lake_place(struct lake_file_port *port)
{
    return (struct archive_place_port){
        .self = port, .load = lake_place_load, .save = lake_file_save};
}

struct progress_port virtual_lake_progress(struct lake_file_port *port)
{
    return (struct progress_port){.self = port, .load = lake_progress_load, .save = lake_file_save};
}

static bool lake_view_read(void *self, int64_t slot_us, struct state_read *state)
{
    const struct virtual_lake *lake = self;
    if (lake->view_put_us == 0 || slot_us - lake->view.received_us > REST_VIEW_OLD_US ||
        lake->view.mid2 <= 0)
        return false;
    rest_view_state(&lake->view, state);
    return true;
}

struct infer_view_port virtual_lake_view(struct virtual_lake *lake)
{
    return (struct infer_view_port){.self = lake, .read = lake_view_read};
}

void virtual_lake_put_view(void *context, const struct rest_view *view)
{
    struct virtual_lake *lake = context;
    lake->view = *view;
    lake->view_put_us = lake->simulation->queue.now_us;
}
