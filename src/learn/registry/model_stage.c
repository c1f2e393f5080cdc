/* SPDX-License-Identifier: Apache-2.0 */
#include "learn/registry/model_stage.h"

#include <string.h>

#define NO MODEL_NO_STAGE

static const enum model_stage model_stage_table[MODEL_STAGES][MODEL_MOVES] = {
    /*                     SHADOW        PROMOTE           REPLACE         ROLLBACK        RESTORE
       ARCHIVE */
    [MODEL_STAGE_STAGING] = {MODEL_STAGE_SHADOW, NO, NO, NO, NO, MODEL_STAGE_ARCHIVED},
    [MODEL_STAGE_SHADOW] = {NO, MODEL_STAGE_PRODUCTION, NO, NO, NO, MODEL_STAGE_ARCHIVED},
    [MODEL_STAGE_PRODUCTION] = {NO, NO, MODEL_STAGE_ARCHIVED, MODEL_STAGE_ARCHIVED, NO, NO},
    [MODEL_STAGE_ARCHIVED] = {NO, NO, NO, NO, MODEL_STAGE_PRODUCTION, NO},
};

#undef NO

static const char *const model_stage_names[MODEL_STAGES] = {"staging", "shadow", "production",
                                                            "archived"};

enum model_stage model_stage_after(enum model_stage from, enum model_move move)
{
    if ((int)from < 0 || from >= MODEL_STAGES || (int)move < 0 || move >= MODEL_MOVES)
        return MODEL_NO_STAGE;
    return model_stage_table[from][move];
}

const char *model_stage_reason(enum model_move move)
{
    switch (move) {
    case MODEL_MOVE_REPLACE:
        return MODEL_REASON_REPLACED;
    case MODEL_MOVE_ROLLBACK:
        return MODEL_REASON_ROLLED_BACK;
    case MODEL_MOVE_ARCHIVE:
        return MODEL_REASON_GIVEN_UP;
    default:
        return "";
    }
}

bool model_stage_may_restore(enum model_stage stage, const char *reason)
{
    return stage == MODEL_STAGE_ARCHIVED && strcmp(reason, MODEL_REASON_REPLACED) == 0;
}

const char *model_stage_name(enum model_stage stage)
{
    return (int)stage >= 0 && stage < MODEL_STAGES ? model_stage_names[stage] : "unknown";
}

enum model_stage model_stage_parse(const char *name)
{
    for (int i = 0; i < MODEL_STAGES; i++)
        if (strcmp(model_stage_names[i], name) == 0)
            return (enum model_stage)i;
    return MODEL_NO_STAGE;
}

const char *model_move_name(enum model_move move)
{
    static const char *const names[MODEL_MOVES] = {"shadow",   "promote",  "replace",
                                                   "rollback", "rollback", "archive"};
    return (int)move >= 0 && move < MODEL_MOVES ? names[move] : "unknown";
}
