/* Rows of the ETL on their way into the store and into silver: COPY text, the same bytes for
 * both, and the loads that take it. Labels and outcomes follow from the mids, whichever of
 * the two comes first. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_LEARN_ETL_ETL_ROWS_H
#define BTCAST_LEARN_ETL_ETL_ROWS_H

#include "learn/etl/etl_world.h"
#include "learn/store/feature_rows.h"

/* Longest row of any load below. */
#define ETL_ROWS_ROW_MAX FEATURE_ROWS_ROW_MAX

/* feature_store, as feature_rows_load, with the labels that known mids give, and the skew between
 * vectors that were served and recomputed (data_quality_metrics, dataset served_vector). */
void etl_rows_feature_load(struct feature_rows_sql *sql);
/* slot_mid, as prediction_rows_mid_load: gives feature rows their label as well. */
void etl_rows_mid_load(struct store_load *load);
/* market_data_minute and data_quality_metrics: rows that sql/silver makes. A row that is there
 * is replaced. */
extern const struct store_load etl_rows_bar_load;
extern const struct store_load etl_rows_quality_load;

/* One feature_store row. ERR_EMPTY: the slot has no vector to be stored (none yet, or older
 * than its slot by 2 s); nothing is added then. */
int etl_rows_add_slot(const char *symbol, const struct etl_slot *slot, struct text *out,
                      struct err *err) MUST_CHECK;
/* One slot_mid row. */
int etl_rows_add_mid(const char *symbol, const struct world_slot_mid *mid, int exponent,
                     struct text *out, struct err *err) MUST_CHECK;

#endif
