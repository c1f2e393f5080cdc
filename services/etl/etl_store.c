/* SPDX-License-Identifier: Apache-2.0 */
#include "services/etl/etl_store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "edge/loop/loop.h"

#define ETL_STORE_WAIT_US      2000
#define ETL_STORE_LINGER_US    (20 * CLOCK_US_PER_MS)
#define ETL_STORE_BATCH        1024
#define ETL_STORE_RETRY_MIN_US (50 * CLOCK_US_PER_MS)
#define ETL_STORE_RETRY_MAX_US (2 * CLOCK_US_PER_S)

static void etl_store_on_refused(void *context, struct bytes row, const char *why)
{
    struct etl_store *self = context;
    if (self->refused++ == 0) /* one names the cause, the others are counted */
        log_warn("row_refused", "row=\"%.60s\" reason=\"%s\"", (const char *)row.data, why);
}

static int etl_store_open_loaders(struct etl_store *self, const char *symbol, struct err *err)
{
    const struct store_load *loads[ETL_TABLES] = {&self->features.load, &self->mids,
                                                  &etl_rows_bar_load, &etl_rows_quality_load};
    etl_rows_feature_load(&self->features);
    etl_rows_mid_load(&self->mids);
    int result = ERR_OK;
    for (int i = 0; i < ETL_TABLES && result == ERR_OK; i++) {
        struct row_loader_options options = {.port = pq_store_port(self->store),
                                             .load = loads[i],
                                             .batch_rows = ETL_STORE_BATCH,
                                             .linger_us = ETL_STORE_LINGER_US,
                                             .retry_min_us = ETL_STORE_RETRY_MIN_US,
                                             .retry_max_us = ETL_STORE_RETRY_MAX_US,
                                             .refused = etl_store_on_refused,
                                             .context = self,
                                             .seed = (uint64_t)loop_mono_us() + (uint64_t)i};
        if (i == ETL_FEATURES)
            snprintf(options.loader, sizeof(options.loader), "etl:%s", symbol);
        result = row_loader_open(&self->loaders[i], &options, err);
    }
    return result;
}

static int etl_store_turn(struct etl_store *self, struct err *err)
{
    if (atomic_load(self->stop))
        return err_set(err, ERR_AGAIN, "told to stop");
    int64_t now_us = loop_mono_us();
    const struct store_port *port = pq_store_port(self->store);
    int work = port->do_work(port->self, now_us);
    for (int i = 0; i < ETL_TABLES; i++)
        work += row_loader_do_work(&self->loaders[i], now_us);
    loop_run_once(self->loop, work > 0 ? 0 : ETL_STORE_WAIT_US);
    return ERR_OK;
}

/* --- where it is ------------------------------------------------------------------------ */

static void etl_store_on_position(void *context, const struct store_reply *reply)
{
    struct etl_store *self = context;
    self->asked = false; /* one that got lost is asked again */
    self->has_position = reply->result == ERR_OK;
    self->position = reply->result == ERR_OK ? strtoll(reply->text, NULL, 10) : 0;
}

static int etl_store_ask_position(struct etl_store *self, struct err *err)
{
    const struct store_port *port = pq_store_port(self->store);
    const int64_t end_us = loop_mono_us() + ETL_STORE_PATIENCE_US / 4;
    self->has_position = false;
    while (!self->has_position) {
        if (loop_mono_us() > end_us)
            return err_set(err, ERR_CONNECTION, "the SQL store does not answer: %s",
                           pq_link_error(pq_store_link(self->store)));
        if (!self->asked)
            self->asked = port->position(port->self, self->loaders[ETL_FEATURES].options.loader,
                                         etl_store_on_position, self) == ERR_OK;
        int result = etl_store_turn(self, err);
        if (result != ERR_OK)
            return result;
    }
    return ERR_OK;
}

int etl_store_open(struct etl_store *self, const char *database, const char *symbol,
                   const atomic_bool *stop, struct err *err)
{
    if (self->store != NULL)
        return etl_store_ask_position(self, err);
    memset(self, 0, sizeof(*self));
    self->stop = stop;
    if (database[0] == '\0')
        return ERR_OK;
    struct pq_link_options options = {.target = database, .seed = (uint64_t)loop_mono_us()};
    int result = loop_open(&self->loop, err);
    if (result == ERR_OK)
        result = pq_store_open(&options, self->loop, &self->store, err);
    if (result == ERR_OK)
        result = etl_store_open_loaders(self, symbol, err);
    return result == ERR_OK ? etl_store_ask_position(self, err) : result;
}

void etl_store_close(struct etl_store *self)
{
    if (self->store != NULL)
        pq_store_close(self->store); /* answers what is under way */
    for (int i = 0; i < ETL_TABLES; i++)
        row_loader_close(&self->loaders[i]);
    if (self->loop != NULL)
        loop_close(self->loop);
    memset(self, 0, sizeof(*self));
}

/* --- rows ------------------------------------------------------------------------------- */

static int etl_store_stuck(const struct etl_store *self, struct err *err)
{
    const char *trouble = "";
    for (int i = 0; i < ETL_TABLES; i++)
        if (row_loader_trouble(&self->loaders[i])[0] != '\0')
            trouble = row_loader_trouble(&self->loaders[i]);
    return err_set(err, ERR_CONNECTION, "the SQL store takes no rows: %s", trouble);
}

static uint64_t etl_store_done(const struct etl_store *self)
{
    uint64_t done = self->refused;
    for (int i = 0; i < ETL_TABLES; i++)
        done += self->loaders[i].stats.loaded;
    return done;
}

/* Turns until at most `left` rows of the table wait (table ETL_TABLES: of all of them). */
static int etl_store_wait(struct etl_store *self, int table, int left, struct err *err)
{
    int64_t end_us = loop_mono_us() + ETL_STORE_PATIENCE_US;
    uint64_t done = etl_store_done(self);
    for (;;) {
        int waiting = 0;
        for (int i = 0; i < ETL_TABLES; i++)
            if (i == table || table == ETL_TABLES)
                waiting += row_loader_waiting(&self->loaders[i]);
        if (waiting <= left)
            return ERR_OK;
        int result = etl_store_turn(self, err);
        if (result != ERR_OK)
            return result;
        if (etl_store_done(self) != done)
            end_us = loop_mono_us() + ETL_STORE_PATIENCE_US;
        done = etl_store_done(self);
        if (loop_mono_us() > end_us)
            return etl_store_stuck(self, err);
    }
}

int etl_store_add(struct etl_store *self, enum etl_table table, struct bytes row, int64_t position,
                  struct err *err)
{
    if (self->store == NULL)
        return ERR_OK;
    struct row_loader *loader = &self->loaders[table];
    int result = ERR_OK;
    if (row_loader_room(loader) == 0)
        result = etl_store_wait(self, (int)table, row_loader_waiting(loader) / 2, err);
    if (result == ERR_OK && row_loader_add(loader, row, position, loop_mono_us()) != ERR_OK)
        result = err_set(err, ERR_FULL, "no room for a row");
    return result;
}

int etl_store_drain(struct etl_store *self, struct err *err)
{
    if (self->store == NULL)
        return ERR_OK;
    int result = etl_store_wait(self, ETL_TABLES, 0, err);
    self->loaded = etl_store_done(self) - self->refused;
    return result;
}
