/* Records in world order -> rows: the live path's own decoder and world, without servers.
 * A row is what inference would have read at its slot; its label comes from the world's mids
 * at slot boundaries (market/slots). Pure. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_LEARN_TRAIN_ROW_MAKER_H
#define BTCAST_LEARN_TRAIN_ROW_MAKER_H

#include "learn/train/dataset.h"
#include "market/record.h"

struct row_maker; /* opaque */

/* Rows go to dataset (borrowed); dataset_finish is the caller's. */
int row_maker_open(const char *symbol, struct dataset *dataset, struct row_maker **maker,
                   struct err *err) MUST_CHECK;
void row_maker_close(struct row_maker *maker);
/* The next record. A frame that cannot be read is counted and passed over. ERR_MEMORY,
 * ERR_FULL of the dataset. */
int row_maker_apply(struct row_maker *maker, const struct record *record,
                    struct err *err) MUST_CHECK;
/* The recording ends: takes the last prices. */
int row_maker_end(struct row_maker *maker, struct err *err) MUST_CHECK;
uint64_t row_maker_refused(const struct row_maker *maker);

#endif
