/* The steps of a get: ranges of one version of the object (If-Match), written to a file beside
 * the wanted one, which it becomes when it is whole. SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "edge/s3/s3_call.h"

#define S3_GET_RESTARTS_MAX 3

static void s3_get_fail(struct s3_call *call, int code)
{
    snprintf(call->text, sizeof(call->text), "%.180s: %.60s", call->partial, strerror(code));
    s3_call_end(call, code == ENOSPC || code == EDQUOT ? ERR_FULL : ERR_IO);
}

static void s3_get_send(struct s3_call *call)
{
    char range[80], match[S3_CALL_ETAG_SIZE + 16];
    uint64_t last = call->offset + call->objects->options.get_bytes - 1;
    bool is_piece = call->step == S3_STEP_PIECE;
    snprintf(range, sizeof(range), "Range: bytes=%llu-%llu", (unsigned long long)call->offset,
             (unsigned long long)last);
    snprintf(match, sizeof(match), "If-Match: %s", call->etag);
    s3_call_send(call, &(struct s3_request){.method = "GET",
                                            .has_key = true,
                                            .headers = {is_piece ? range : NULL,
                                                        call->etag[0] != '\0' ? match : NULL},
                                            .sha256 = SIGV4_EMPTY_SHA256});
}

/* Durable under its own name. */
static void s3_get_finish(struct s3_call *call)
{
    char folder[S3_CALL_PATH_SIZE];
    snprintf(folder, sizeof(folder), "%s", call->path);
    if (fsync(call->fd) != 0 || rename(call->partial, call->path) != 0) {
        s3_get_fail(call, errno);
        return;
    }
    int fd = open(dirname(folder), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
    s3_call_end(call, ERR_OK);
}

static void s3_get_restart(struct s3_call *call, const char *why)
{
    snprintf(call->text, sizeof(call->text), "%s", why);
    if (call->restarts++ >= S3_GET_RESTARTS_MAX) {
        s3_call_end(call, ERR_IO);
        return;
    }
    call->offset = 0;
    call->etag[0] = '\0';
    call->step = S3_STEP_PIECE;
    if (ftruncate(call->fd, 0) != 0)
        s3_get_fail(call, errno);
}

/* The size the piece must have; -1: the reply does not say what it is a piece of. */
static int64_t s3_get_expected(const struct s3_call *call)
{
    if (call->status != 206)
        return (int64_t)call->body_size; /* the whole, without ranges */
    if (call->whole_size < 0 || (uint64_t)call->whole_size > S3_OBJECTS_SIZE_MAX ||
        (uint64_t)call->whole_size < call->offset)
        return -1;
    uint64_t left = (uint64_t)call->whole_size - call->offset;
    uint64_t piece = call->objects->options.get_bytes;
    return (int64_t)(left < piece ? left : piece);
}

static bool s3_get_write(struct s3_call *call)
{
    size_t done = 0;
    while (done < call->body_size) {
        ssize_t wrote = pwrite(call->fd, call->body + done, call->body_size - done,
                               (off_t)(call->offset + done));
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote < 0) {
            s3_get_fail(call, errno);
            return false;
        }
        done += (size_t)wrote;
    }
    return true;
}

static void s3_get_take(struct s3_call *call)
{
    uint64_t whole = call->status == 206 ? (uint64_t)call->whole_size : call->body_size;
    if (call->status != 206)
        call->offset = 0;
    if ((int64_t)call->body_size != s3_get_expected(call)) {
        s3_get_restart(call, "a piece of another size than asked for");
        return;
    }
    if (call->offset > 0 && strcmp(call->etag, call->reply_etag) != 0) {
        s3_get_restart(call, "the object was replaced while it was read");
        return;
    }
    memcpy(call->etag, call->reply_etag, sizeof(call->etag));
    if (!s3_get_write(call))
        return;
    call->offset += call->body_size;
    call->objects->stats.bytes_got += call->body_size;
    if (call->offset >= whole)
        s3_get_finish(call);
}

void s3_get_step(struct s3_call *call)
{
    if (!call->replied) {
        s3_get_send(call);
        return;
    }
    bool is_piece = call->step == S3_STEP_PIECE;
    int result = s3_call_judge(call);
    if (result == ERR_OK)
        s3_get_take(call);
    else if (call->status == 416 && is_piece && call->offset == 0)
        call->step = S3_STEP_PLAIN; /* an empty object has no first byte */
    else if ((call->status == 412 || call->status == 416) && is_piece)
        s3_get_restart(call, "the object was replaced while it was read");
    else if (result != ERR_AGAIN || !s3_call_retry(call))
        s3_call_end(call, result);
}
