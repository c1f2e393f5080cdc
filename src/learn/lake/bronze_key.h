/* Names of bronze objects (CONTRACTS.md section 4; DESIGN.md section 7, "Lake"):
 *
 *   bronze/sbe/BTCUSDT/year=2026/month=11/day=20/hour=13/
 *       trades_20261120_1305_1763640000000000-17.parquet
 *   bronze/rest/BTCUSDT/aggTrades/year=2026/month=11/day=20/
 *       aggTrades_20261120_1305_3300112233.parquet
 *
 * The four schemas of bronze/sbe lie in one folder, told apart by the prefix (CONTRACTS.md
 * section 12, row 22). Times are UTC receive times. Pure.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_LEARN_LAKE_BRONZE_KEY_H
#define BTCAST_LEARN_LAKE_BRONZE_KEY_H

#include "learn/lake/archive_port.h"
#include "learn/lake/object_port.h"

#define BRONZE_KEY_MINUTE_US 60000000LL
/* Minutes of 1970-01-01 to 9999-12-31: what four digits of a year can say. */
#define BRONZE_KEY_MINUTE_MAX 4223371679LL

/* "trades", "depth", "bba", "control". */
const char *bronze_key_kind_text(enum archive_kind kind);
/* "depth", "aggTrades", "klines", "historicalTrades". */
const char *bronze_key_rest_text(enum archive_rest type);

/* The block that a record of this kind belongs to. */
void bronze_key_block(enum archive_kind kind, const char *symbol, const struct record *record,
                      struct archive_block *block);
bool bronze_key_block_equal(const struct archive_block *a, const struct archive_block *b);
/* < 0, 0, > 0 by (epoch, block, minute): the order of the records in them. */
int bronze_key_block_compare(const struct archive_block *a, const struct archive_block *b);

/* "2026-11-20" into out[11], and the hour of the day: the partition columns. */
int bronze_key_partition(int64_t minute, char out[11]);

/* Write the key into out[OBJECT_KEY_SIZE]. ERR_INVALID for a symbol that is none or a time
 * that four digits of a year cannot say. */
int bronze_key_of_block(const struct archive_block *block, char *out) MUST_CHECK;
int bronze_key_of_reply(const struct archive_rest_reply *reply, char *out) MUST_CHECK;
/* The folder of a symbol's blocks, "bronze/sbe/BTCUSDT/". */
int bronze_key_of_symbol(const char *symbol, char *out) MUST_CHECK;
/* The identity back from a key of bronze/sbe; ERR_MALFORMED for any other text. */
int bronze_key_read_block(const char *key, struct archive_block *block) MUST_CHECK;
/* True for a key that every engine takes: [A-Za-z0-9=._-] parts between single '/', none of
 * them beginning with a dot, shorter than OBJECT_KEY_SIZE. */
bool bronze_key_valid(const char *key);

#endif
