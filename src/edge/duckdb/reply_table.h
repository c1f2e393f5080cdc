/* REST replies as rows: DuckDB's JSON functions take apart what wire/rest_json has judged.
 * The reply's bytes stand in the first row. docs/lake.md lists the columns.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_EDGE_DUCKDB_REPLY_TABLE_H
#define BTCAST_EDGE_DUCKDB_REPLY_TABLE_H

#include "edge/duckdb/duckdb_session.h"
#include "learn/lake/archive_port.h"

#define REPLY_TABLE_SQL_SIZE    4096
#define REPLY_TABLE_REASON_SIZE 128

struct reply_table;

int reply_table_open(struct duckdb_session *session, struct reply_table **table,
                     struct err *err) MUST_CHECK;
void reply_table_close(struct reply_table *table);
/* ERR_MALFORMED: the body is not what the call answers (BINANCE.md section 8). */
int reply_table_judge(struct reply_table *table, const struct archive_rest_reply *reply,
                      struct err *err) MUST_CHECK;
/* What the next SELECT reads; borrowed until then. */
void reply_table_set(struct reply_table *table, struct bytes body);
/* The SELECT, into out[REPLY_TABLE_SQL_SIZE]. ERR_INVALID for a reason that is too long. */
int reply_table_select(const struct archive_rest_reply *reply, char *out) MUST_CHECK;

#endif
