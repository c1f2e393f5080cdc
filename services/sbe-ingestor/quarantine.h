/* Refused frames kept for a look: a capture file under the data folder (`btcast decode`
 * prints it with each frame's error) and a log line, both bounded.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SERVICES_SBE_INGESTOR_QUARANTINE_H
#define BTCAST_SERVICES_SBE_INGESTOR_QUARANTINE_H

#include "base/log.h"
#include "edge/file/capture_writer.h"
#include "wire/sbe.h"

#define QUARANTINE_BYTES_MAX (16u * 1024 * 1024) /* then only counted, until the next start */

struct quarantine {
    char path[CAPTURE_FILE_PATH_SIZE];
    struct capture_header header;
    struct capture_writer *writer; /* opened with the first frame */
    bool broken;
    uint64_t frames, bytes;
    struct log_limit log;
};

void quarantine_open(struct quarantine *self, const char *data_dir, const char *symbol,
                     int64_t wall_us);
void quarantine_close(struct quarantine *self);
/* Matches struct ingest_options' quarantine, with the struct as context. */
void quarantine_frame(void *self, enum sbe_verdict verdict, size_t offset, struct bytes frame);
void quarantine_do_work(struct quarantine *self, int64_t mono_us);

#endif
