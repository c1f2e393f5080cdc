/* SPDX-License-Identifier: Apache-2.0 */
#include "hot/infer/degrade.h"

#include "base/check.h"

static const char *const degrade_names[DEGRADE_COUNT] = {"live", "stale", "degraded", "fallback",
                                                         "blind"};

const char *degrade_mode_name(enum degrade_mode mode)
{
    PRE((int)mode >= 0 && mode < DEGRADE_COUNT);
    return degrade_names[mode];
}

void degrade_init(struct degrade *degrade)
{
    *degrade = (struct degrade){.mode = DEGRADE_BLIND};
}

static enum degrade_mode degrade_of(const struct degrade_inputs *inputs)
{
    if (!inputs->features_read)
        return inputs->fallback_view ? DEGRADE_FALLBACK : DEGRADE_BLIND;
    if (inputs->rest_book || inputs->features_age_us > DEGRADE_DEGRADED_US)
        return DEGRADE_DEGRADED;
    if (!inputs->book_live || inputs->features_age_us > DEGRADE_STALE_US)
        return DEGRADE_STALE;
    return DEGRADE_LIVE;
}

bool degrade_judge(struct degrade *degrade, const struct degrade_inputs *inputs,
                   enum degrade_mode *from)
{
    enum degrade_mode to = degrade_of(inputs);
    *from = degrade->mode;
    if (to == degrade->mode)
        return false;
    degrade->moves[degrade->mode][to]++;
    degrade->mode = to;
    return true;
}
