/* SPDX-License-Identifier: Apache-2.0 */
#include "services/sbe-ingestor/quarantine.h"

#include <stdio.h>
#include <string.h>

#include "edge/loop/loop.h"

void quarantine_open(struct quarantine *self, const char *data_dir, const char *symbol,
                     int64_t wall_us)
{
    *self = (struct quarantine){.header = {.created_us = wall_us}, .log = LOG_LIMIT_DEFAULT};
    snprintf(self->header.symbol, sizeof(self->header.symbol), "%s", symbol);
    snprintf(self->path, sizeof(self->path), "%s/quarantine.cap", data_dir);
}

void quarantine_close(struct quarantine *self)
{
    struct err err = {0};
    if (capture_writer_close(self->writer, &err) != ERR_OK)
        log_warn("quarantine_failed", "reason=\"%s\"", err.text);
    self->writer = NULL;
}

static void quarantine_fail(struct quarantine *self, const struct err *err)
{
    self->broken = true;
    log_warn("quarantine_failed", "reason=\"%s\"", err->text);
}

static void quarantine_store(struct quarantine *self, struct bytes frame)
{
    struct err err = {0};
    const int64_t mono_us = loop_mono_us();
    if (self->broken || self->bytes + frame.size > QUARANTINE_BYTES_MAX)
        return;
    if (self->writer == NULL) {
        struct capture_writer_options options = {.path = self->path,
                                                 .header = self->header,
                                                 .bytes_max = 2 * QUARANTINE_BYTES_MAX,
                                                 .sync = CAPTURE_WRITER_SYNC_CLOSE};
        if (capture_writer_open(&options, mono_us, &self->writer, &err) != ERR_OK) {
            quarantine_fail(self, &err);
            return;
        }
    }
    if (frame.size > RECORD_PAYLOAD_MAX)
        frame.size = RECORD_PAYLOAD_MAX;
    struct record record = {
        .seq = ++self->frames, .recv_us = loop_wall_us(), .kind = RECORD_FRAME, .payload = frame};
    self->bytes += frame.size;
    if (capture_writer_add(self->writer, &record, mono_us, &err) != ERR_OK)
        quarantine_fail(self, &err);
}

void quarantine_frame(void *context, enum sbe_verdict verdict, size_t offset, struct bytes frame)
{
    struct quarantine *self = context;
    uint64_t skipped = 0;
    quarantine_store(self, frame);
    if (log_limit_pass(&self->log, loop_mono_us(), &skipped))
        log_warn("frame_refused", "cause=\"%s\" offset=%zu size=%zu skipped=%llu",
                 sbe_verdict_text(verdict), offset, frame.size, (unsigned long long)skipped);
}

void quarantine_do_work(struct quarantine *self, int64_t mono_us)
{
    struct err err = {0};
    if (self->writer != NULL && !self->broken &&
        capture_writer_do_work(self->writer, mono_us, &err) != ERR_OK)
        quarantine_fail(self, &err);
}
