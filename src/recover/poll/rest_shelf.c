/* SPDX-License-Identifier: Apache-2.0 */
#include "recover/poll/rest_shelf.h"

#include "base/check.h"

void rest_shelf_put(struct rest_shelf *shelf, const struct archive_rest_reply *reply)
{
    PRE(shelf->state != REST_SHELF_PUTTING && shelf->state != REST_SHELF_STORING);
    shelf->reply = *reply;
    shelf->retry_us = 0;
    shelf->state = REST_SHELF_PUTTING;
}

static void rest_shelf_on_done(void *context, const struct archive_reply *reply)
{
    struct rest_shelf *shelf = context;
    shelf->answered = true;
    shelf->result = reply->result;
}

static void rest_shelf_try(struct rest_shelf *shelf, int64_t mono_us)
{
    const struct archive_port *archive = shelf->archive;
    if (mono_us < shelf->retry_us)
        return;
    shelf->answered = false;
    shelf->retry_us = mono_us + REST_SHELF_RETRY_US;
    int result = archive->rest(archive->self, &shelf->reply, rest_shelf_on_done, shelf);
    if (result == ERR_OK)
        shelf->state = REST_SHELF_STORING;
    else if (result == ERR_INVALID)
        shelf->state = REST_SHELF_QUARANTINED; /* no object can be made of it, ever */
    else
        shelf->retries++;
}

enum rest_shelf_state rest_shelf_do_work(struct rest_shelf *shelf, int64_t mono_us)
{
    if (shelf->state == REST_SHELF_PUTTING)
        rest_shelf_try(shelf, mono_us);
    if (shelf->state != REST_SHELF_STORING || !shelf->answered)
        return shelf->state;
    if (shelf->result == ERR_OK)
        shelf->state = REST_SHELF_STORED;
    else if (shelf->result == ERR_MALFORMED)
        shelf->state = REST_SHELF_QUARANTINED;
    else {
        shelf->state = REST_SHELF_PUTTING;
        shelf->retry_us = mono_us + REST_SHELF_RETRY_US;
        shelf->retries++;
    }
    return shelf->state;
}
