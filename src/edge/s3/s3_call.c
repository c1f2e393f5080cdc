/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/s3/s3_call.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "edge/s3/s3_xml.h"

#define S3_CALL_URL_SIZE      4096
#define S3_CALL_HEADER_SIZE   4400
#define S3_CALL_RETRY_AFTER_S 30
/* A retry costs one, a success gives a little back. */
#define S3_CALL_BUDGET_BACK 0.1

static void s3_call_on_reply(void *context, const struct https_reply *reply)
{
    struct s3_call *call = context;
    call->in_flight = false;
    call->replied = true;
    call->reply_result = reply->result;
    call->status = reply->status;
    call->retry_after_s = reply->retry_after_s;
    call->whole_size = reply->whole_size;
    snprintf(call->reply_etag, sizeof(call->reply_etag), "%s",
             strlen(reply->etag) < sizeof(call->reply_etag) ? reply->etag : "");
    snprintf(call->text, sizeof(call->text), "%s", reply->why);
    free(call->body);
    call->body_size = 0;
    call->body = malloc(reply->body.size + 1);
    if (call->body == NULL) {
        call->reply_result = ERR_MEMORY;
        return;
    }
    if (reply->body.size > 0)
        memcpy(call->body, reply->body.data, reply->body.size);
    call->body_size = reply->body.size;
}

struct s3_signed {
    char url[S3_CALL_URL_SIZE];
    char path[OBJECT_KEY_SIZE * 3 + 400], query[S3_CALL_URL_SIZE / 2];
    char time[SIGV4_TIME_SIZE], authorization[SIGV4_AUTHORIZATION_SIZE];
    char headers[4][S3_CALL_HEADER_SIZE];
    const char *list[12];
};

static bool s3_call_sign(const struct s3_call *call, const struct s3_request *request,
                         struct s3_signed *out)
{
    const struct s3_target *target = &call->objects->target;
    struct text path = text_begin(out->path, sizeof(out->path));
    struct text query = text_begin(out->query, sizeof(out->query));
    text_add(&path, request->has_key ? target->root : target->place);
    if (request->has_key)
        sigv4_encode(&path, call->key, true);
    text_end(&path);
    sigv4_query(&query, request->query, request->query_count);
    text_end(&query);
    sigv4_time(loop_wall_us(), out->time);
    struct sigv4_pair headers[4] = {{"host", target->host},
                                    {"x-amz-date", out->time},
                                    {"x-amz-content-sha256", request->sha256},
                                    {"x-amz-security-token", target->token}};
    struct sigv4_request sign = {.method = request->method,
                                 .path = out->path,
                                 .query = out->query,
                                 .headers = headers,
                                 .header_count = target->token[0] != '\0' ? 4 : 3,
                                 .payload_sha256 = request->sha256,
                                 .time = out->time,
                                 .region = target->region,
                                 .service = "s3",
                                 .key_id = target->key_id,
                                 .secret = target->secret};
    int size = snprintf(out->url, sizeof(out->url), "%s%s%s%s", target->base, out->path,
                        query.size > 0 ? "?" : "", out->query);
    return !path.truncated && !query.truncated && size > 0 && (size_t)size < sizeof(out->url) &&
           sigv4_authorize(&sign, out->authorization);
}

static void s3_call_headers(const struct s3_call *call, const struct s3_request *request,
                            struct s3_signed *out)
{
    const struct s3_target *target = &call->objects->target;
    int count = 0;
    snprintf(out->headers[0], S3_CALL_HEADER_SIZE, "Authorization: %s", out->authorization);
    snprintf(out->headers[1], S3_CALL_HEADER_SIZE, "x-amz-date: %s", out->time);
    snprintf(out->headers[2], S3_CALL_HEADER_SIZE, "x-amz-content-sha256: %s", request->sha256);
    for (; count < 3; count++)
        out->list[count] = out->headers[count];
    if (target->token[0] != '\0') {
        snprintf(out->headers[3], S3_CALL_HEADER_SIZE, "x-amz-security-token: %s", target->token);
        out->list[count++] = out->headers[3];
    }
    for (int i = 0; i < 2; i++)
        if (request->headers[i] != NULL)
            out->list[count++] = request->headers[i];
    /* libcurl's own ideas: a form, and a question before large bodies. */
    out->list[count++] = "Content-Type: application/octet-stream";
    out->list[count++] = "Expect:";
    if (request->body.size == 0 && strcmp(request->method, "PUT") == 0)
        out->list[count++] = "Content-Length: 0";
    out->list[count] = NULL;
}

void s3_call_send(struct s3_call *call, const struct s3_request *request)
{
    struct s3_objects *objects = call->objects;
    struct s3_signed *made = malloc(sizeof(*made));
    if (made == NULL)
        return; /* tried again at the next turn */
    if (!s3_call_sign(call, request, made)) {
        free(made);
        snprintf(call->text, sizeof(call->text), "the request is too long to be signed");
        s3_call_end(call, ERR_IO);
        return;
    }
    s3_call_headers(call, request, made);
    struct https_request send = {.method = request->method,
                                 .url = made->url,
                                 .headers = made->list,
                                 .body = request->body,
                                 .keep_body = true,
                                 .timeout_us = objects->options.timeout_us};
    call->in_flight = https_send(objects->https, &send, s3_call_on_reply, call) == ERR_OK;
    objects->stats.requests += call->in_flight;
    free(made);
}

/* "HTTP 403 SignatureDoesNotMatch: The request signature …" */
static void s3_call_explain(struct s3_call *call, char *code, size_t size)
{
    char message[160];
    struct bytes body = bytes_of(call->body, call->body_size);
    if (!s3_xml_text(body, "Code", code, size))
        code[0] = '\0';
    if (!s3_xml_text(body, "Message", message, sizeof(message)))
        message[0] = '\0';
    snprintf(call->text, sizeof(call->text), "HTTP %d%s%s%s%s", call->status,
             code[0] != '\0' ? " " : "", code, message[0] != '\0' ? ": " : "", message);
}

static int s3_call_judge_status(const struct s3_call *call, const char *code)
{
    if (strcmp(code, "NoSuchBucket") == 0)
        return ERR_IO;
    if (strcmp(code, "QuotaExceeded") == 0 || call->status == 507)
        return ERR_FULL;
    if (call->status == 404)
        return ERR_NOT_FOUND;
    if (call->status >= 500 || call->status == 429 || call->status == 408 ||
        strcmp(code, "RequestTimeout") == 0 || strcmp(code, "SlowDown") == 0)
        return ERR_AGAIN;
    return ERR_IO;
}

int s3_call_judge(struct s3_call *call)
{
    char code[64];
    call->replied = false;
    if (call->reply_result == ERR_TIMEOUT || call->reply_result == ERR_CONNECTION ||
        call->reply_result == ERR_MALFORMED)
        return ERR_AGAIN;
    if (call->reply_result != ERR_OK)
        return call->reply_result == ERR_MEMORY ? ERR_AGAIN : ERR_IO;
    if (call->status >= 200 && call->status < 300) {
        struct s3_objects *objects = call->objects;
        if (objects->budget < S3_CALL_BUDGET_MAX)
            objects->budget += S3_CALL_BUDGET_BACK;
        call->tries = 0;
        return ERR_OK;
    }
    s3_call_explain(call, code, sizeof(code));
    return s3_call_judge_status(call, code);
}

bool s3_call_retry(struct s3_call *call)
{
    struct s3_objects *objects = call->objects;
    if (++call->tries >= objects->options.tries)
        return false;
    if (objects->budget < 1.0) {
        objects->stats.refused_retries++;
        return false;
    }
    objects->budget -= 1.0;
    objects->stats.retries++;
    int64_t limit_us = objects->options.retry_min_us;
    for (int i = 1; i < call->tries && limit_us < objects->options.retry_max_us; i++)
        limit_us *= 2;
    if (limit_us > objects->options.retry_max_us)
        limit_us = objects->options.retry_max_us;
    call->retry_us = objects->now_us + (int64_t)prng_below(&objects->prng, (uint64_t)limit_us + 1);
    if (call->retry_after_s > 0 && call->retry_after_s <= S3_CALL_RETRY_AFTER_S)
        call->retry_us += call->retry_after_s * CLOCK_US_PER_S;
    return true;
}

void s3_call_end(struct s3_call *call, int result)
{
    if (result == ERR_AGAIN)
        result = call->reply_result == ERR_TIMEOUT ? ERR_TIMEOUT : ERR_CONNECTION;
    call->result = result;
    call->step = S3_STEP_DONE;
}

void s3_call_free(struct s3_call *call)
{
    if (call->fd >= 0)
        close(call->fd);
    if (call->partial[0] != '\0')
        unlink(call->partial); /* gone already when it became the file */
    EVP_MD_CTX_free(call->hash);
    free(call->piece);
    free(call->etags);
    free(call->body);
    memset(call, 0, sizeof(*call));
    call->fd = -1;
}
