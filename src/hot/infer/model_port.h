/* What inference needs to change its models while it runs: where the registry points, the
 * bytes behind that, and a copy of its own for the day when neither answers (DESIGN.md
 * section 7, Registry). Asynchronous: a call that returns ERR_OK is answered once, never
 * from inside itself. Implemented by services/inference/inference_registry on
 * edge/redis/redis_model. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_HOT_INFER_MODEL_PORT_H
#define BTCAST_HOT_INFER_MODEL_PORT_H

#include "base/bytes.h"
#include "model/model.h"

enum model_role { MODEL_PRODUCTION, MODEL_SHADOW, MODEL_ROLES };
const char *model_role_name(enum model_role role);

/* sha[role]: lower case hexadecimal, "" when the registry names none. Borrowed. */
typedef void (*model_pointer_fn)(void *context, int result, const char *const sha[MODEL_ROLES]);
/* result: ERR_OK; ERR_NOT_FOUND; ERR_CORRUPT (the bytes have another hash); ERR_FULL (more
 * than MODEL_WATCH_BYTES_MAX); or why there was no answer. file is borrowed. */
typedef void (*model_file_fn)(void *context, int result, struct bytes file);

struct model_port {
    void *self;
    int (*pointer)(void *self, model_pointer_fn done, void *context);
    int (*fetch)(void *self, const char *sha, model_file_fn done, void *context);
    /* Keeps the file as the last good one in production; NULL: nothing is kept. */
    void (*keep)(void *self, struct bytes file);
    /* Puts the bytes of a file that was refused aside, for whoever wants to know why; NULL: they
     * are forgotten. Called when no slot is near, as keep is. */
    void (*refuse)(void *self, const char *sha, struct bytes file);
};

#endif
