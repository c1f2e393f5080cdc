/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/postgres/pq_training.h"

#include <stdio.h>

#include "learn/store/training_rows.h"
#include "wire/sbe.h"

#define PQ_TRAINING_SLOT_MAX INT64_C(4000000000) /* the year 2223 */

struct pq_training {
    struct training_copy copy;
    struct err *err;
};

static int pq_training_row(void *context, struct bytes row)
{
    struct pq_training *load = context;
    return training_copy_take(&load->copy, row, load->err);
}

static int64_t pq_training_ceil_slot(int64_t wall_us)
{
    return clock_slot(wall_us + CLOCK_SLOT_US - 1);
}

int pq_training_load(struct pq_sync *sync, const char *symbol, int64_t from_us, int64_t to_us,
                     struct dataset *dataset, struct err *err)
{
    char sql[1024];
    const size_t before = dataset->count;
    struct pq_training load = {.copy = {.dataset = dataset}, .err = err};
    if (!sbe_symbol_valid(bytes_text(symbol)))
        return err_set(err, ERR_INVALID, "%.40s is no symbol", symbol);
    int64_t from = pq_training_ceil_slot(from_us);
    int64_t to = to_us > 0 ? pq_training_ceil_slot(to_us) : PQ_TRAINING_SLOT_MAX;
    /* The mids as the text says them, to the nearest double: decimal_to_f64. COPY takes no
     * parameters; the symbol was checked to be letters and digits. */
    snprintf(sql, sizeof(sql),
             "COPY (SELECT d.slot, d.features, m.mid::float8, t.mid::float8"
             " FROM ml_training_data d"
             " JOIN slot_mid m ON m.symbol = d.symbol AND m.slot = d.slot AND m.mid > 0"
             " JOIN slot_mid t ON t.symbol = d.symbol AND t.slot = d.slot + 5 AND t.valid"
             " WHERE d.symbol = '%s' AND d.schema_hash = '%016llx'"
             " AND d.\"timestamp\" >= to_timestamp(%lld) AND d.\"timestamp\" < to_timestamp(%lld)"
             " ORDER BY d.\"timestamp\") TO STDOUT (FORMAT binary)",
             symbol, (unsigned long long)feature_schema_hash(), (long long)from * 2,
             (long long)to * 2);
    int result = pq_sync_copy_out(sync, sql, pq_training_row, &load, err);
    if (result == ERR_OK && !load.copy.ended)
        result = err_set(err, ERR_CONNECTION, "the rows end in the middle");
    if (result == ERR_OK && dataset->count == before)
        result = err_set(err, ERR_EMPTY, "the store has no training rows of %s then", symbol);
    return result;
}
