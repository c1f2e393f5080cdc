/* The steps of a listing, and those of a drop. SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edge/s3/s3_call.h"
#include "edge/s3/s3_xml.h"

static void s3_list_send(struct s3_call *call)
{
    const struct s3_target *target = &call->objects->target;
    char prefix[OBJECT_KEY_SIZE + 256], after[OBJECT_KEY_SIZE + 256], page[16];
    struct s3_request request = {.method = "GET", .sha256 = SIGV4_EMPTY_SHA256};
    snprintf(prefix, sizeof(prefix), "%s%s", target->prefix, call->key);
    snprintf(after, sizeof(after), "%s%s", target->prefix, call->after);
    snprintf(page, sizeof(page), "%d", call->objects->options.list_page);
    request.query[request.query_count++] = (struct sigv4_pair){"list-type", "2"};
    request.query[request.query_count++] = (struct sigv4_pair){"prefix", prefix};
    request.query[request.query_count++] = (struct sigv4_pair){"max-keys", page};
    if (call->token[0] != '\0')
        request.query[request.query_count++] =
            (struct sigv4_pair){"continuation-token", call->token};
    else if (call->after[0] != '\0')
        request.query[request.query_count++] = (struct sigv4_pair){"start-after", after};
    s3_call_send(call, &request);
}

static void s3_list_entry(struct s3_call *call, struct bytes content)
{
    const char *root = call->objects->target.prefix;
    char key[OBJECT_KEY_SIZE + 256], size[24], modified[40], *end = NULL;
    struct object_entry entry = {0};
    bool good = s3_xml_text(content, "Key", key, sizeof(key)) &&
                s3_xml_text(content, "Size", size, sizeof(size)) &&
                strncmp(key, root, strlen(root)) == 0;
    if (good)
        entry.size = strtoull(size, &end, 10);
    if (good && s3_xml_text(content, "LastModified", modified, sizeof(modified)))
        good = s3_xml_time(modified, &entry.modified_us);
    entry.key = key + strlen(root);
    if (!good || *end != '\0' || !s3_objects_is_key(entry.key)) {
        call->objects->stats.foreign_keys++; /* not made by this engine */
        return;
    }
    call->entry(call->context, ERR_OK, &entry);
}

static void s3_list_take(struct s3_call *call)
{
    char more[8];
    struct bytes content, body = bytes_of(call->body, call->body_size);
    if (!s3_xml_text(body, "IsTruncated", more, sizeof(more))) {
        snprintf(call->text, sizeof(call->text), "a listing that is none");
        s3_call_end(call, ERR_IO);
        return;
    }
    bool last = strcmp(more, "true") != 0;
    if (!last && !s3_xml_text(body, "NextContinuationToken", call->token, sizeof(call->token))) {
        snprintf(call->text, sizeof(call->text), "a page of a listing without the way to the next");
        s3_call_end(call, ERR_IO);
        return;
    }
    while (s3_xml_next(&body, "Contents", &content))
        s3_list_entry(call, content);
    if (last)
        s3_call_end(call, ERR_OK);
}

static void s3_drop_send(struct s3_call *call)
{
    s3_call_send(call, &(struct s3_request){
                           .method = "DELETE", .has_key = true, .sha256 = SIGV4_EMPTY_SHA256});
}

void s3_list_step(struct s3_call *call)
{
    bool drops = call->kind == S3_DROP;
    if (!call->replied) {
        if (drops)
            s3_drop_send(call);
        else
            s3_list_send(call);
        return;
    }
    int result = s3_call_judge(call);
    if (drops && (result == ERR_OK || result == ERR_NOT_FOUND))
        s3_call_end(call, ERR_OK);
    else if (result == ERR_OK)
        s3_list_take(call);
    else if (result != ERR_AGAIN || !s3_call_retry(call))
        s3_call_end(call, result == ERR_NOT_FOUND ? ERR_IO : result);
}
