/* SPDX-License-Identifier: Apache-2.0 */
#include "learn/store/row_loader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

/* One row always finds room in an empty queue. */
#define ROW_LOADER_ROW_MAX 8192u

int row_loader_open(struct row_loader *loader, const struct row_loader_options *options,
                    struct err *err)
{
    PRE(options->batch_rows > 0 && options->batch_rows <= ROW_LOADER_ROWS_MAX);
    memset(loader, 0, sizeof(*loader));
    loader->options = *options;
    loader->limit = options->batch_rows;
    loader->bytes = malloc(ROW_LOADER_BYTES_MAX);
    loader->rows = calloc(ROW_LOADER_ROWS_MAX, sizeof(*loader->rows));
    prng_init(&loader->prng, options->seed);
    if (loader->bytes != NULL && loader->rows != NULL)
        return ERR_OK;
    row_loader_close(loader);
    return err_set(err, ERR_MEMORY, "out of memory");
}

void row_loader_close(struct row_loader *loader)
{
    free(loader->bytes);
    free(loader->rows);
    loader->bytes = NULL;
    loader->rows = NULL;
}

int row_loader_room(const struct row_loader *loader)
{
    size_t left = (ROW_LOADER_BYTES_MAX - loader->size) / ROW_LOADER_ROW_MAX;
    int rows = ROW_LOADER_ROWS_MAX - loader->count;
    return (size_t)rows < left ? rows : (int)left;
}

int row_loader_add(struct row_loader *loader, struct bytes row, int64_t position, int64_t mono_us)
{
    PRE(row.size > 0 && row.size <= ROW_LOADER_ROW_MAX && row.data[row.size - 1] == '\n');
    if (loader->count == ROW_LOADER_ROWS_MAX || row.size > ROW_LOADER_BYTES_MAX - loader->size)
        return ERR_AGAIN;
    if (loader->count == 0)
        loader->oldest_us = mono_us;
    memcpy(loader->bytes + loader->size, row.data, row.size);
    loader->size += row.size;
    loader->rows[loader->count++] =
        (struct row_loader_row){.size = (uint32_t)row.size, .position = position};
    loader->stats.added++;
    return ERR_OK;
}

int row_loader_waiting(const struct row_loader *loader)
{
    return loader->count;
}

const char *row_loader_trouble(const struct row_loader *loader)
{
    return loader->text;
}

static size_t row_loader_size(const struct row_loader *loader, int rows)
{
    size_t size = 0;
    for (int i = 0; i < rows; i++)
        size += loader->rows[i].size;
    return size;
}

static void row_loader_drop(struct row_loader *loader, int rows)
{
    size_t size = row_loader_size(loader, rows);
    memmove(loader->bytes, loader->bytes + size, loader->size - size);
    memmove(loader->rows, loader->rows + rows,
            (size_t)(loader->count - rows) * sizeof(loader->rows[0]));
    loader->size -= size;
    loader->count -= rows;
}

static void row_loader_on_done(void *context, const struct store_reply *reply)
{
    struct row_loader *loader = context;
    loader->answered = true;
    loader->result = reply->result;
    loader->changed = reply->changed;
    snprintf(loader->text, sizeof(loader->text), "%s", reply->result == ERR_OK ? "" : reply->text);
}

/* Full jitter, doubling. */
static void row_loader_wait(struct row_loader *loader, int64_t mono_us)
{
    int64_t limit_us = loader->options.retry_min_us;
    for (int i = 0; i < loader->failures && limit_us < loader->options.retry_max_us; i++)
        limit_us *= 2;
    if (limit_us > loader->options.retry_max_us)
        limit_us = loader->options.retry_max_us;
    loader->failures++;
    loader->stats.retries++;
    loader->retry_us = mono_us + (int64_t)prng_below(&loader->prng, (uint64_t)limit_us + 1);
}

static void row_loader_refuse(struct row_loader *loader)
{
    if (loader->options.refused != NULL)
        loader->options.refused(loader->options.context,
                                bytes_of(loader->bytes, loader->rows[0].size), loader->text);
    loader->stats.refused++;
    row_loader_drop(loader, 1);
}

static void row_loader_take_answer(struct row_loader *loader, int64_t mono_us)
{
    int rows = loader->in_flight;
    loader->answered = false;
    loader->in_flight = 0;
    if (loader->result == ERR_OK) {
        row_loader_drop(loader, rows);
        loader->stats.batches++;
        loader->stats.loaded += (uint64_t)rows;
        loader->stats.changed += loader->changed;
        loader->failures = 0;
        loader->limit = loader->limit * 2 < loader->options.batch_rows ? loader->limit * 2
                                                                       : loader->options.batch_rows;
    } else if (loader->result != ERR_MALFORMED) {
        row_loader_wait(loader, mono_us);
    } else if (rows > 1) {
        loader->limit = rows / 2;
    } else {
        row_loader_refuse(loader);
    }
}

static void row_loader_send(struct row_loader *loader, int64_t mono_us)
{
    int rows = loader->count < loader->limit ? loader->count : loader->limit;
    char position[STORE_POSITION_SIZE];
    snprintf(position, sizeof(position), "%lld", (long long)loader->rows[rows - 1].position);
    struct store_position at = {.loader = loader->options.loader, .position = position};
    const struct store_port *port = loader->options.port;
    loader->in_flight = rows;
    int result = port->load(port->self, loader->options.load,
                            bytes_of(loader->bytes, row_loader_size(loader, rows)),
                            at.loader[0] != '\0' ? &at : NULL, row_loader_on_done, loader);
    if (result == ERR_OK)
        return;
    loader->in_flight = 0;
    snprintf(loader->text, sizeof(loader->text), "%s", err_text(result));
    row_loader_wait(loader, mono_us);
}

int row_loader_do_work(struct row_loader *loader, int64_t mono_us)
{
    int work = loader->answered;
    if (loader->answered)
        row_loader_take_answer(loader, mono_us);
    /* What lies behind a halved batch has waited long enough already. */
    bool due = loader->count >= loader->limit ||
               (loader->count > 0 && mono_us - loader->oldest_us >= loader->options.linger_us);
    if (loader->in_flight > 0 || !due || mono_us < loader->retry_us)
        return work;
    row_loader_send(loader, mono_us);
    return work + 1;
}
