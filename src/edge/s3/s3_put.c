/* The steps of a put: the bytes are read and hashed piece by piece, since the signature wants
 * their hash in front. SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "edge/file/sha256_hex.h"
#include "edge/s3/s3_call.h"
#include "edge/s3/s3_xml.h"

#define S3_PUT_READ_BYTES   (4u * 1024u * 1024u) /* in one turn */
#define S3_PUT_RESTARTS_MAX 2

static bool s3_put_is_multipart(const struct s3_call *call)
{
    return call->size > call->objects->options.multipart_above;
}

static void s3_put_fail(struct s3_call *call, int result, const char *what)
{
    snprintf(call->text, sizeof(call->text), "%.180s: %.60s", call->path, what);
    s3_call_end(call, result);
}

/* Takes back what was uploaded: unfinished uploads cost money until they are. */
static void s3_put_give_up(struct s3_call *call, int result)
{
    s3_call_end(call, result);
    memcpy(call->cause, call->text, sizeof(call->cause));
    if (call->upload[0] != '\0')
        call->step = S3_STEP_ABORT;
}

static uint64_t s3_put_piece_size(const struct s3_call *call)
{
    uint64_t left = call->size - call->offset;
    uint64_t part = s3_put_is_multipart(call) ? call->objects->options.part_bytes : left;
    return left < part ? left : part;
}

static bool s3_put_begin_piece(struct s3_call *call)
{
    call->piece_size = (size_t)s3_put_piece_size(call);
    call->piece_at = 0;
    free(call->piece);
    call->piece = malloc(call->piece_size + 1);
    if (call->hash == NULL)
        call->hash = EVP_MD_CTX_new();
    return call->piece != NULL && call->hash != NULL &&
           EVP_DigestInit_ex(call->hash, EVP_sha256(), NULL) == 1;
}

static void s3_put_end_piece(struct s3_call *call)
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    EVP_DigestFinal_ex(call->hash, digest, &size);
    text_hex(bytes_of(digest, size), call->sha256);
    call->step = s3_put_is_multipart(call) ? S3_STEP_PART : S3_STEP_WHOLE;
}

static void s3_put_read(struct s3_call *call)
{
    if (call->piece == NULL && !s3_put_begin_piece(call)) {
        s3_put_fail(call, ERR_IO, "out of memory");
        return;
    }
    size_t left = call->piece_size - call->piece_at;
    size_t size = left < S3_PUT_READ_BYTES ? left : S3_PUT_READ_BYTES;
    ssize_t got = size > 0 ? pread(call->fd, call->piece + call->piece_at, size,
                                   (off_t)(call->offset + call->piece_at))
                           : 0;
    if (got < 0 || (got == 0 && size > 0)) {
        snprintf(call->text, sizeof(call->text), "%.180s: %.60s", call->path,
                 got < 0 ? strerror(errno) : "it became shorter while it was read");
        s3_put_give_up(call, ERR_IO);
        return;
    }
    EVP_DigestUpdate(call->hash, call->piece + call->piece_at, (size_t)got);
    call->piece_at += (size_t)got;
    if (call->piece_at == call->piece_size)
        s3_put_end_piece(call);
}

static void s3_put_send_complete(struct s3_call *call)
{
    char sha256[SHA256_HEX_SIZE];
    size_t room = 128 + (size_t)call->part_count * (S3_CALL_ETAG_SIZE + 80);
    free(call->piece);
    call->piece = malloc(room);
    if (call->piece == NULL)
        return; /* tried again at the next turn */
    struct text xml = text_begin((char *)call->piece, room);
    text_add(&xml, "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
    for (int i = 0; i < call->part_count; i++)
        text_add_format(&xml, "<Part><PartNumber>%d</PartNumber><ETag>%s</ETag></Part>", i + 1,
                        call->etags[i]);
    text_add(&xml, "</CompleteMultipartUpload>");
    struct bytes body = bytes_of(call->piece, xml.size);
    sha256_hex(body, sha256);
    s3_call_send(call, &(struct s3_request){.method = "POST",
                                            .has_key = true,
                                            .query = {{"uploadId", call->upload}},
                                            .query_count = 1,
                                            .body = body,
                                            .sha256 = sha256});
}

static void s3_put_send(struct s3_call *call)
{
    char number[16];
    struct s3_request request = {.method = "PUT", .has_key = true, .sha256 = SIGV4_EMPTY_SHA256};
    if (call->step == S3_STEP_COMPLETE) {
        s3_put_send_complete(call);
        return;
    }
    if (call->step == S3_STEP_CREATE) {
        request.method = "POST";
        request.query[request.query_count++] = (struct sigv4_pair){"uploads", ""};
    } else if (call->step == S3_STEP_ABORT) {
        request.method = "DELETE";
        request.query[request.query_count++] = (struct sigv4_pair){"uploadId", call->upload};
    } else {
        request.body = bytes_of(call->piece, call->piece_size);
        request.sha256 = call->sha256;
    }
    if (call->step == S3_STEP_PART) {
        snprintf(number, sizeof(number), "%d", call->part_count + 1);
        request.query[request.query_count++] = (struct sigv4_pair){"partNumber", number};
        request.query[request.query_count++] = (struct sigv4_pair){"uploadId", call->upload};
    }
    s3_call_send(call, &request);
}

static void s3_put_next_piece(struct s3_call *call)
{
    call->objects->stats.bytes_put += call->piece_size;
    call->offset += call->piece_size;
    free(call->piece);
    call->piece = NULL;
    call->step = call->offset < call->size ? S3_STEP_READ : S3_STEP_COMPLETE;
}

static void s3_put_on_created(struct s3_call *call)
{
    if (s3_xml_text(bytes_of(call->body, call->body_size), "UploadId", call->upload,
                    sizeof(call->upload)) &&
        call->upload[0] != '\0') {
        call->step = S3_STEP_READ;
        return;
    }
    call->upload[0] = '\0';
    s3_put_fail(call, ERR_IO, "the store began an upload without an id");
}

static void s3_put_on_part(struct s3_call *call)
{
    /* Without its tag the part cannot be named; tags stand between quotes. */
    if (call->reply_etag[0] == '\0' || strpbrk(call->reply_etag, "<>&") != NULL) {
        snprintf(call->text, sizeof(call->text), "a part without an ETag");
        s3_put_give_up(call, ERR_IO);
        return;
    }
    memcpy(call->etags[call->part_count++], call->reply_etag, S3_CALL_ETAG_SIZE);
    s3_put_next_piece(call);
}

/* The one reply that may say 200 and hold an error all the same. */
static int s3_put_judge_complete(struct s3_call *call)
{
    char code[64];
    struct bytes error, body = bytes_of(call->body, call->body_size);
    if (!s3_xml_next(&body, "Error", &error))
        return ERR_OK;
    if (!s3_xml_text(error, "Code", code, sizeof(code)))
        code[0] = '\0';
    snprintf(call->text, sizeof(call->text), "completing the upload: %s", code);
    return ERR_AGAIN;
}

/* The upload is not known any more (its end may have been done by a request whose reply was
 * lost): all from the start. */
static void s3_put_restart(struct s3_call *call)
{
    if (call->restarts++ >= S3_PUT_RESTARTS_MAX) {
        s3_call_end(call, ERR_IO);
        return;
    }
    call->upload[0] = '\0';
    call->part_count = 0;
    call->offset = 0;
    free(call->piece);
    call->piece = NULL;
    call->step = S3_STEP_CREATE;
}

static void s3_put_on_success(struct s3_call *call)
{
    switch (call->step) {
    case S3_STEP_CREATE:
        s3_put_on_created(call);
        break;
    case S3_STEP_PART:
        s3_put_on_part(call);
        break;
    case S3_STEP_WHOLE:
        call->objects->stats.bytes_put += call->piece_size;
        s3_call_end(call, ERR_OK);
        break;
    default:
        s3_call_end(call, ERR_OK);
        break;
    }
}

static void s3_put_on_reply(struct s3_call *call)
{
    if (call->step == S3_STEP_ABORT) {
        call->replied = false;
        memcpy(call->text, call->cause, sizeof(call->text));
        call->step = S3_STEP_DONE; /* best effort: the bucket's own rules clean up the rest */
        return;
    }
    int result = s3_call_judge(call);
    if (result == ERR_OK && call->step == S3_STEP_COMPLETE)
        result = s3_put_judge_complete(call);
    if (result == ERR_OK)
        s3_put_on_success(call);
    else if (result == ERR_NOT_FOUND && call->upload[0] != '\0')
        s3_put_restart(call);
    else if (result != ERR_AGAIN || !s3_call_retry(call))
        s3_put_give_up(call, result == ERR_NOT_FOUND ? ERR_IO : result);
}

void s3_put_step(struct s3_call *call)
{
    if (call->replied)
        s3_put_on_reply(call);
    else if (call->step == S3_STEP_READ)
        s3_put_read(call);
    else
        s3_put_send(call);
}
