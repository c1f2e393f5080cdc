/* SPDX-License-Identifier: Apache-2.0 */
#include "hot/state/state_keys.h"

#include <stdbool.h>
#include <stdio.h>

#include "base/check.h"

/* The symbol stands between prefix and suffix, in braces with the hashtag style. */
static const struct state_key_name {
    const char *prefix;
    const char *suffix;
} state_key_names[STATE_KEY_COUNT] = {
    [STATE_OB] = {"ob:", ""},
    [STATE_TR_1S] = {"tr:", ":1s"},
    [STATE_TR_5S] = {"tr:", ":5s"},
    [STATE_FEAT] = {"feat:", ""},
    [STATE_NEW_OB] = {"ob:new:", ""},
    [STATE_NEW_TR_1S] = {"tr:new:", ":1s"},
    [STATE_NEW_TR_5S] = {"tr:new:", ":5s"},
    [STATE_NEW_FEAT] = {"feat:new:", ""},
    [STATE_REANCHOR] = {"reanchor:", ""},
    [STATE_REANCHOR_ASK] = {"reanchor:ask:", ""},
    [STATE_REANCHOR_DOC] = {"reanchor:doc:", ""},
    [STATE_FENCE] = {"fence:", ""},
    [STATE_LEASE] = {"lease:", ""},
    [STATE_CHECKPOINT] = {"checkpoint:", ""},
    [STATE_GAP] = {"gap:", ""},
    [STATE_GAP_EVENTS] = {"gap-events:", ""},
    [STATE_GAP_VERDICT] = {"gap:verdict:", ""},
    [STATE_GAP_OVERRIDE] = {"gap:override:", ""},
    [STATE_GAP_MEMORY] = {"gap:memory:", ""},
    [STATE_GAP_AUDIT] = {"gap-audit:", ""},
    [STATE_PRED] = {"pred:", ""},
    [STATE_PREDICTIONS] = {"predictions:", ""},
    [STATE_CALIBRATION] = {"calibration:", ""},
    [STATE_MODELS] = {"models:", ""},
    [STATE_MODEL] = {"model:", ""},
    [STATE_SHADOW] = {"shadow:", ""},
};

const char *state_key(enum state_key key, enum state_key_style style, const char *symbol, char *out)
{
    PRE(key >= 0 && key < STATE_KEY_COUNT);
    const struct state_key_name *name = &state_key_names[key];
    bool braces = style == STATE_KEYS_HASHTAG;
    int size = snprintf(out, STATE_KEY_SIZE, "%s%s%s%s%s", name->prefix, braces ? "{" : "", symbol,
                        braces ? "}" : "", name->suffix);
    CHECK(size > 0 && size < STATE_KEY_SIZE);
    return out;
}
