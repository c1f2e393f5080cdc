/* The stages of a model and the moves between them: one table, which the store and the command
 * line ask. staging -> shadow -> production -> archived; at most one model of a name serves.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_LEARN_REGISTRY_MODEL_STAGE_H
#define BTCAST_LEARN_REGISTRY_MODEL_STAGE_H

#include <stdbool.h>

enum model_stage {
    MODEL_STAGE_STAGING,
    MODEL_STAGE_SHADOW,
    MODEL_STAGE_PRODUCTION,
    MODEL_STAGE_ARCHIVED,
    MODEL_STAGES,
    MODEL_NO_STAGE = -1,
};

enum model_move {
    MODEL_MOVE_SHADOW,   /* begins to predict beside the live one */
    MODEL_MOVE_PROMOTE,  /* begins to serve */
    MODEL_MOVE_REPLACE,  /* a better one took its place; it may come back */
    MODEL_MOVE_ROLLBACK, /* was taken out for being bad; it stays out */
    MODEL_MOVE_RESTORE,  /* comes back when its successor was taken out */
    MODEL_MOVE_ARCHIVE,  /* was given up before it served */
    MODEL_MOVES,
};

/* Why a model is archived, as kept beside its stage. */
#define MODEL_REASON_REPLACED    "replaced"
#define MODEL_REASON_ROLLED_BACK "rolled back"
#define MODEL_REASON_GIVEN_UP    "given up"

/* Where the move leads; MODEL_NO_STAGE when the table does not have it. */
enum model_stage model_stage_after(enum model_stage from, enum model_move move);
/* The reason that an archiving move leaves, "" for the others. */
const char *model_stage_reason(enum model_move move);
/* May an archived model come back? */
bool model_stage_may_restore(enum model_stage stage, const char *reason);

const char *model_stage_name(enum model_stage stage);
enum model_stage model_stage_parse(const char *name);
/* Its deployment_type in the audit table. */
const char *model_move_name(enum model_move move);

#endif
