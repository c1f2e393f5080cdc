/* Replies of the model server in hiredis' own shape, so that the engines read them as they
 * read a real server's. One arena a reply, taken from a pool.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SIM_MODEL_MODEL_REPLY_H
#define BTCAST_SIM_MODEL_MODEL_REPLY_H

#include <hiredis/hiredis.h>

#include "sim/model/blob.h"

struct model_reply;

struct model_reply *model_reply_new(void);
void model_reply_free(struct model_reply *reply);
/* The finished reply: set by the one who makes it. */
redisReply *model_reply_root(const struct model_reply *reply);
redisReply *model_reply_set_root(struct model_reply *reply, redisReply *root);

/* Parts; all live as long as the reply. */
redisReply *model_reply_nil(struct model_reply *reply);
redisReply *model_reply_integer(struct model_reply *reply, long long value);
redisReply *model_reply_status(struct model_reply *reply, const char *text);
redisReply *model_reply_error(struct model_reply *reply, const char *text);
redisReply *model_reply_string(struct model_reply *reply, struct bytes bytes);
/* The blob is held, not copied. */
redisReply *model_reply_blob(struct model_reply *reply, struct blob *blob);
/* A value inside a blob, copied because a NUL has to follow it. */
redisReply *model_reply_array(struct model_reply *reply, size_t elements);
/* Frees the pool. */
void model_reply_drain(void);

#endif
