/* SPDX-License-Identifier: Apache-2.0 */
#include "services/data-connector/connector_served.h"

#include <stdio.h>
#include <string.h>

/* Behind the slot by so much: inference has read what the last tick before it left, and the next
 * tick is not due (a tick comes 5 ms before each slot, then 100 ms later). */
#define CONNECTOR_SERVED_DELAY_US     (20 * CLOCK_US_PER_MS)
#define CONNECTOR_SERVED_BATCH        64
#define CONNECTOR_SERVED_LINGER_US    (1 * CLOCK_US_PER_S)
#define CONNECTOR_SERVED_RETRY_MIN_US (100 * CLOCK_US_PER_MS)
#define CONNECTOR_SERVED_RETRY_MAX_US (10 * CLOCK_US_PER_S)

int connector_served_open(struct connector_served *self, const struct store_port *port,
                          const char *symbol, enum state_key_style style, struct redis_link *link,
                          struct metrics *metrics, struct err *err)
{
    memset(self, 0, sizeof(*self));
    if (port == NULL)
        return ERR_OK;
    self->link = link;
    snprintf(self->symbol, sizeof(self->symbol), "%s", symbol);
    state_key(STATE_FEAT, style, symbol, self->key);
    feature_rows_served_load(&self->sql);
    struct row_loader_options options = {.port = port,
                                         .load = &self->sql.load,
                                         .batch_rows = CONNECTOR_SERVED_BATCH,
                                         .linger_us = CONNECTOR_SERVED_LINGER_US,
                                         .retry_min_us = CONNECTOR_SERVED_RETRY_MIN_US,
                                         .retry_max_us = CONNECTOR_SERVED_RETRY_MAX_US,
                                         .seed = (uint64_t)(uintptr_t)self};
    int result = row_loader_open(&self->rows, &options, err);
    if (result != ERR_OK)
        return result;
    self->wanted = true;
    self->stored = metrics_counter(metrics, "store_rows_loaded_total", "table=\"served_vector\"",
                                   "Rows that are in the SQL store.");
    self->missed = metrics_counter(metrics, "store_served_vectors_missed_total", NULL,
                                   "Slots whose served vector could not be taken.");
    return ERR_OK;
}

void connector_served_close(struct connector_served *self)
{
    row_loader_close(&self->rows);
    self->wanted = false;
}

/* --- one slot --------------------------------------------------------------------------- */

static bool connector_served_parse(struct connector_served *self, const redisReply *reply)
{
    const char *const *names;
    int count = state_parse_fields(STATE_FEAT, &names);
    state_parse_begin(&self->read);
    if (reply == NULL || reply->type != REDIS_REPLY_ARRAY || reply->elements != (size_t)count)
        return false;
    for (int i = 0; i < count; i++)
        if (reply->element[i]->type == REDIS_REPLY_STRING)
            state_parse_field(&self->read, STATE_FEAT, bytes_text(names[i]),
                              bytes_of(reply->element[i]->str, (size_t)reply->element[i]->len));
    state_parse_finish(&self->read);
    return self->read.has_vector;
}

/* A vector younger than the slot is a later one than was served: feature_rows refuses it. */
static bool connector_served_add(struct connector_served *self)
{
    const struct state_read *read = &self->read;
    char buffer[FEATURE_ROWS_ROW_MAX];
    struct text out = text_begin(buffer, sizeof(buffer));
    struct feature_vector vector = {.schema = read->schema,
                                    .epoch = read->vec_epoch,
                                    .seq = read->vec_seq,
                                    .as_of_us = read->as_of_us,
                                    .mid2 = read->mid.mantissa,
                                    .price_exponent = read->mid.exponent,
                                    .valid = true,
                                    .book_live = read->vec_live};
    struct feature_row row = {.symbol = self->symbol, .slot = self->slot, .vector = &vector};
    memcpy(vector.values, read->values, sizeof(vector.values));
    return feature_rows_add_served(&row, &out, NULL) == ERR_OK &&
           row_loader_add(&self->rows, bytes_of(buffer, out.size), self->slot, self->now_us) ==
               ERR_OK;
}

static void connector_served_on_reply(void *context, int result, const redisReply *reply)
{
    struct connector_served *self = context;
    self->asked = false;
    if (result != ERR_OK || !connector_served_parse(self, reply) || !connector_served_add(self))
        metric_add(self->missed, 1);
}

static int connector_served_ask(struct connector_served *self)
{
    const char *const *names;
    struct bytes argv[STATE_PARSE_FIELDS_MAX + 2] = {BYTES_LITERAL("HMGET"), bytes_text(self->key)};
    int count = state_parse_fields(STATE_FEAT, &names);
    for (int i = 0; i < count; i++)
        argv[2 + i] = bytes_text(names[i]);
    return redis_link_send(self->link, argv, count + 2, connector_served_on_reply, self);
}

static int connector_served_slot(struct connector_served *self, int64_t wall_us)
{
    if (self->due_us == 0) { /* the first slot is one that is still to come */
        self->slot = clock_slot(wall_us);
        self->due_us = clock_slot_us(self->slot + 1) + CONNECTOR_SERVED_DELAY_US;
    }
    if (wall_us < self->due_us || self->asked)
        return 0;
    int64_t slot = clock_slot(wall_us);
    if (slot > self->slot + 1) /* the process was held up, or the clock was moved */
        metric_add(self->missed,
                   slot - self->slot - 1 < 1000 ? (uint64_t)(slot - self->slot - 1) : 1);
    self->slot = slot;
    self->due_us = clock_slot_us(slot + 1) + CONNECTOR_SERVED_DELAY_US;
    self->asked = connector_served_ask(self) == ERR_OK;
    if (!self->asked)
        metric_add(self->missed, 1);
    return 1;
}

int connector_served_do_work(struct connector_served *self, struct clock_now now)
{
    if (!self->wanted)
        return 0;
    self->now_us = now.mono_us;
    int work = connector_served_slot(self, now.wall_us);
    work += row_loader_do_work(&self->rows, now.mono_us);
    metric_add(self->stored, self->rows.stats.loaded - self->counted_loaded);
    self->counted_loaded = self->rows.stats.loaded;
    return work;
}

int connector_served_waiting(const struct connector_served *self)
{
    return self->wanted ? row_loader_waiting(&self->rows) : 0;
}
