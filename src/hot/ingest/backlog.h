/* Sealed stream entries in memory, oldest first: those not yet acknowledged, and behind
 * them as many acknowledged ones as fit, for a resend after a failover that lost the last
 * writes (DESIGN.md section 5, Streams). One byte ring and one entry ring, both taken at
 * open. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_HOT_INGEST_BACKLOG_H
#define BTCAST_HOT_INGEST_BACKLOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "hot/stream/stream_port.h"

#define BACKLOG_BYTES_MIN (4u * 1024 * 1024)

struct backlog_entry {
    enum stream_name stream;
    bool acked;
    uint32_t records;
    uint64_t epoch, last_seq;
    int64_t since_us; /* monotonic time of its oldest record */
    uint8_t *data;
    size_t size;
};

struct backlog;

int backlog_open(size_t bytes_max, struct backlog **backlog, struct err *err) MUST_CHECK;
void backlog_close(struct backlog *backlog);
/* Copies entry->data in at the end. False: no room, drop the head first. */
bool backlog_push(struct backlog *backlog, const struct backlog_entry *entry);
/* Entries are numbered from 0 for ever: first .. end - 1 are here. */
uint64_t backlog_first(const struct backlog *backlog);
uint64_t backlog_end(const struct backlog *backlog);
/* PRE: first <= number < end. Its data may be changed in place. */
struct backlog_entry *backlog_at(const struct backlog *backlog, uint64_t number);
void backlog_drop_head(struct backlog *backlog);
size_t backlog_bytes(const struct backlog *backlog);

#endif
