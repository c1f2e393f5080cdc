/* The registry as Redis shows it: `models:{symbol}` says which artifact is in production and
 * which one is the shadow, `model:{symbol}:SHA256` holds the bytes, `shadow:{symbol}` what
 * the shadow says (DESIGN.md section 7, Registry). The reading half serves hot/infer's model
 * port; the writing half is the registry's. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_EDGE_REDIS_REDIS_MODEL_H
#define BTCAST_EDGE_REDIS_REDIS_MODEL_H

#include "edge/redis/redis_link.h"
#include "hot/infer/infer.h"
#include "hot/infer/model_port.h"
#include "hot/state/state_keys.h"

/* Entries kept in shadow:{symbol}: as many as predictions. */
#define REDIS_MODEL_SHADOWS_MAX 86400
/* An artifact that nobody asserts any more goes after this. */
#define REDIS_MODEL_TTL_S 604800

struct redis_model;

/* link is borrowed: one of its own, so that large replies delay nobody's slot. */
int redis_model_open(struct redis_link *link, enum state_key_style style, const char *symbol,
                     struct redis_model **model, struct err *err) MUST_CHECK;
void redis_model_close(struct redis_model *model);

/* As struct model_port says. */
int redis_model_pointer(struct redis_model *model, model_pointer_fn done, void *context);
int redis_model_fetch(struct redis_model *model, const char *sha, model_file_fn done,
                      void *context);
/* Appends the shadow's word for a slot; the second replica's is dropped by Redis. */
int redis_model_shadow(struct redis_model *model, const struct infer_shadow *shadow);

/* The artifact's bytes under their hash (written to sha), kept REDIS_MODEL_TTL_S; then a
 * pointer may name it. done may be NULL. */
int redis_model_put(struct redis_model *model, struct bytes file, char sha[MODEL_SHA256_SIZE],
                    redis_reply_fn done, void *context);
/* sha "": no model in this role. */
int redis_model_point(struct redis_model *model, enum model_role role, const char *sha,
                      redis_reply_fn done, void *context);

#endif
