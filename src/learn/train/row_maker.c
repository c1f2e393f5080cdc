/* SPDX-License-Identifier: Apache-2.0 */
#include "learn/train/row_maker.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/decimal.h"
#include "market/world.h"
#include "wire/decode.h"

/* A pause longer than this has no slots: nothing was there to predict from. */
#define ROW_PAUSE_US_MAX (60 * CLOCK_US_PER_S)

struct row_maker {
    struct dataset *dataset;
    struct world *world;
    struct decode *decode;
    bool started;
    int64_t warm_us; /* rows from here on count */
    int64_t next_slot_us;
    int64_t priced;                /* slots up to this one have their price */
    uint64_t skip_epoch, skip_seq; /* records below were given up by the live writer */
    uint64_t refused;
};

int row_maker_open(const char *symbol, struct dataset *dataset, struct row_maker **out,
                   struct err *err)
{
    struct row_maker *maker = calloc(1, sizeof(*maker));
    if (maker == NULL)
        return err_set(err, ERR_MEMORY, "no memory to make rows");
    maker->dataset = dataset;
    struct world_options options = {0};
    snprintf(options.symbol, sizeof(options.symbol), "%s", symbol);
    int rc = world_open(&options, &maker->world, err);
    if (rc == ERR_OK)
        rc = decode_open(symbol, &maker->decode, err);
    if (rc != ERR_OK) {
        row_maker_close(maker);
        return rc;
    }
    *out = maker;
    return ERR_OK;
}

void row_maker_close(struct row_maker *maker)
{
    if (maker == NULL)
        return;
    if (maker->decode != NULL)
        decode_close(maker->decode);
    if (maker->world != NULL)
        world_close(maker->world);
    free(maker);
}

static void row_maker_start(struct row_maker *maker, int64_t now_us)
{
    maker->started = true;
    maker->warm_us = now_us + DATASET_SPAN_S * CLOCK_US_PER_S;
    maker->next_slot_us = clock_slot_us(clock_slot(now_us) + 1);
    maker->priced = clock_slot(now_us) - 1;
}

/* Mids of the boundaries that the world has closed since the last look. */
static int row_maker_prices(struct row_maker *maker, int exponent, struct err *err)
{
    struct world_slot_mid mids[WORLD_SLOT_MIDS];
    int count = world_slot_mids(maker->world, mids, WORLD_SLOT_MIDS);
    int rc = ERR_OK;
    for (int i = count - 1; i >= 0 && rc == ERR_OK; i--)
        if (mids[i].slot > maker->priced) {
            /* The double nearest to the exact decimal: what a store's text reads back as. */
            double mid = decimal_to_f64(mids[i].mid2 * 5, exponent - 1);
            rc = dataset_add_price(maker->dataset, mids[i].slot, mid, mids[i].valid, err);
        }
    if (count > 0 && mids[0].slot > maker->priced)
        maker->priced = mids[0].slot;
    return rc;
}

static int row_maker_slot(struct row_maker *maker, struct err *err)
{
    struct world_view view;
    int64_t slot_us = maker->next_slot_us;
    world_view(maker->world, &view);
    maker->next_slot_us += CLOCK_SLOT_US;
    int rc = row_maker_prices(maker, view.price_exponent, err);
    if (rc != ERR_OK)
        return rc;
    return dataset_add(maker->dataset, clock_slot(slot_us), &view.vector, slot_us >= maker->warm_us,
                       err);
}

/* A slot sees every record before its time and none after it. */
static int row_maker_pass(struct row_maker *maker, int64_t recv_us, struct err *err)
{
    int rc = ERR_OK;
    if (recv_us - maker->next_slot_us > ROW_PAUSE_US_MAX)
        row_maker_start(maker, recv_us);
    while (recv_us >= maker->next_slot_us && rc == ERR_OK)
        rc = row_maker_slot(maker, err);
    return rc;
}

/* Behind a declared hole lie records that came too late for the live writer. */
static bool row_maker_given_up(struct row_maker *maker, const struct record *record)
{
    if (record->kind == RECORD_HOLE && record->payload.size == 16) {
        maker->skip_epoch = bytes_load_u64(record->payload.data);
        maker->skip_seq = bytes_load_u64(record->payload.data + 8);
    }
    return !record_is_control(record) &&
           record_compare(record->epoch, record->seq, maker->skip_epoch, maker->skip_seq) < 0;
}

int row_maker_apply(struct row_maker *maker, const struct record *record, struct err *err)
{
    if (record->kind == RECORD_SLOT)
        return ERR_OK; /* says where a prediction was made, not what was true */
    if (!maker->started)
        row_maker_start(maker, record->recv_us);
    int rc = row_maker_pass(maker, record->recv_us, err);
    if (rc != ERR_OK || row_maker_given_up(maker, record))
        return rc;
    struct event event;
    if (decode_record(maker->decode, record, &event, NULL, NULL) == ERR_OK)
        world_apply(maker->world, &event);
    else
        maker->refused++;
    return ERR_OK;
}

int row_maker_end(struct row_maker *maker, struct err *err)
{
    struct world_view view;
    if (!maker->started)
        return ERR_OK;
    world_view(maker->world, &view);
    return row_maker_prices(maker, view.price_exponent, err);
}

uint64_t row_maker_refused(const struct row_maker *maker)
{
    return maker->refused;
}
