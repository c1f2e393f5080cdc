/* SPDX-License-Identifier: Apache-2.0 */
#include "recover/gap/gap_judge.h"

#include <string.h>

#include "base/check.h"

#define LIV GAP_LIVE
#define SUS GAP_SUSPECT
#define REA GAP_REANCHORING
#define COO GAP_COOLDOWN
#define DEG GAP_DEGRADED

/* Read a line: evidence; then what each state becomes. docs/gaps.md says why. */
static const enum gap_state gap_judge_table[GAP_EVIDENCES][GAP_STATES] = {
    /*                     LIVE SUSP REAN COOL DEGR */
    [GAP_SAW_LOSS] = {REA, REA, REA, REA, REA},      [GAP_SAW_TRADES] = {SUS, SUS, REA, COO, DEG},
    [GAP_SAW_CONFIRMED] = {REA, REA, REA, REA, REA}, [GAP_SAW_SETTLED] = {LIV, SUS, REA, COO, DEG},
    [GAP_SAW_HINT] = {SUS, SUS, REA, COO, DEG},      [GAP_SAW_PAIR] = {REA, REA, REA, COO, DEG},
    [GAP_SAW_CALM] = {LIV, LIV, REA, COO, DEG},      [GAP_SAW_ANCHORED] = {COO, COO, COO, COO, COO},
    [GAP_SAW_OVERDUE] = {LIV, SUS, DEG, COO, DEG},   [GAP_SAW_SILENT] = {DEG, DEG, DEG, DEG, DEG},
    [GAP_SAW_DATA] = {LIV, SUS, REA, COO, LIV},      [GAP_SAW_COOLED] = {LIV, SUS, REA, LIV, DEG},
    [GAP_SAW_FORCE] = {REA, REA, REA, REA, REA},
};

static const char *const gap_state_texts[GAP_STATES] = {
    [GAP_LIVE] = "live",         [GAP_SUSPECT] = "suspect",   [GAP_REANCHORING] = "reanchoring",
    [GAP_COOLDOWN] = "cooldown", [GAP_DEGRADED] = "degraded",
};

static const char *const gap_evidence_texts[GAP_EVIDENCES] = {
    [GAP_SAW_LOSS] = "loss",           [GAP_SAW_TRADES] = "trade_hole",
    [GAP_SAW_CONFIRMED] = "confirmed", [GAP_SAW_SETTLED] = "settled",
    [GAP_SAW_HINT] = "hint",           [GAP_SAW_PAIR] = "pair",
    [GAP_SAW_CALM] = "calm",           [GAP_SAW_ANCHORED] = "anchored",
    [GAP_SAW_OVERDUE] = "overdue",     [GAP_SAW_SILENT] = "silent",
    [GAP_SAW_DATA] = "data",           [GAP_SAW_COOLED] = "cooled",
    [GAP_SAW_FORCE] = "force",
};

static const char *const gap_hint_texts[GAP_HINTS] = {
    [GAP_HINT_SILENCE] = "silence",         [GAP_HINT_VOLUME] = "minute volume",
    [GAP_HINT_PRICE] = "price jump",        [GAP_HINT_TIME] = "timestamps",
    [GAP_HINT_RECORDS] = "records missing",
};

const char *gap_state_text(enum gap_state state)
{
    PRE(state >= 0 && state < GAP_STATES);
    return gap_state_texts[state];
}

bool gap_state_parse(const char *name, enum gap_state *state)
{
    for (int i = 0; i < GAP_STATES; i++)
        if (strcmp(name, gap_state_texts[i]) == 0) {
            *state = (enum gap_state)i;
            return true;
        }
    return false;
}

const char *gap_evidence_text(enum gap_evidence evidence)
{
    PRE(evidence >= 0 && evidence < GAP_EVIDENCES);
    return gap_evidence_texts[evidence];
}

const char *gap_hint_text(enum gap_hint hint)
{
    PRE(hint >= 0 && hint < GAP_HINTS);
    return gap_hint_texts[hint];
}

enum gap_state gap_judge_next(enum gap_state state, enum gap_evidence evidence)
{
    PRE(state >= 0 && state < GAP_STATES && evidence >= 0 && evidence < GAP_EVIDENCES);
    return gap_judge_table[evidence][state];
}

void gap_judge_init(struct gap_judge *judge, const struct gap_judge_options *options,
                    int64_t now_ms)
{
    *judge = (struct gap_judge){.options = *options, .state = GAP_LIVE, .since_ms = now_ms};
}

static bool gap_judge_move(struct gap_judge *judge, enum gap_state next, int64_t now_ms)
{
    if (next == GAP_COOLDOWN)
        judge->cooled_ms = now_ms + judge->options.cooldown_ms;
    if (next == judge->state)
        return false;
    judge->moves[judge->state][next]++;
    judge->state = next;
    judge->since_ms = now_ms;
    return true;
}

bool gap_judge_see(struct gap_judge *judge, enum gap_evidence evidence, int64_t now_ms)
{
    enum gap_state next = gap_judge_next(judge->state, evidence);
    judge->seen[evidence]++;
    if (evidence == GAP_SAW_PAIR && judge->state == GAP_COOLDOWN)
        judge->held_back++;
    if (evidence == GAP_SAW_ANCHORED) /* what the hints were about has been replaced */
        memset(judge->hint_until_ms, 0, sizeof(judge->hint_until_ms));
    /* Only an anchor begins a cool-down anew. */
    if (next == GAP_COOLDOWN && evidence != GAP_SAW_ANCHORED)
        return false;
    return gap_judge_move(judge, next, now_ms);
}

static bool gap_judge_holds(const struct gap_judge *judge, enum gap_hint hint, int64_t now_ms)
{
    return judge->hint_until_ms[hint] > now_ms;
}

/* The volume is measured against REST; silence, price and lost records are our own stream's
 * word. Times do not count: clocks are wrong more often than streams. */
static bool gap_judge_pair(const struct gap_judge *judge, int64_t now_ms)
{
    return gap_judge_holds(judge, GAP_HINT_VOLUME, now_ms) &&
           (gap_judge_holds(judge, GAP_HINT_SILENCE, now_ms) ||
            gap_judge_holds(judge, GAP_HINT_PRICE, now_ms) ||
            gap_judge_holds(judge, GAP_HINT_RECORDS, now_ms));
}

bool gap_judge_hint(struct gap_judge *judge, enum gap_hint hint, int64_t now_ms)
{
    PRE(hint >= 0 && hint < GAP_HINTS);
    judge->hint_until_ms[hint] = now_ms + judge->options.hint_hold_ms;
    return gap_judge_see(judge, gap_judge_pair(judge, now_ms) ? GAP_SAW_PAIR : GAP_SAW_HINT,
                         now_ms);
}

void gap_judge_ask(struct gap_judge *judge)
{
    judge->open_questions++;
}

void gap_judge_answer(struct gap_judge *judge)
{
    PRE(judge->open_questions > 0);
    judge->open_questions--;
}

static bool gap_judge_is_calm(const struct gap_judge *judge, int64_t now_ms)
{
    for (int hint = 0; hint < GAP_HINTS; hint++)
        if (gap_judge_holds(judge, (enum gap_hint)hint, now_ms))
            return false;
    return judge->open_questions == 0;
}

bool gap_judge_tick(struct gap_judge *judge, int64_t now_ms)
{
    switch (judge->state) {
    case GAP_SUSPECT:
        return gap_judge_is_calm(judge, now_ms) && gap_judge_see(judge, GAP_SAW_CALM, now_ms);
    case GAP_REANCHORING:
        return now_ms - judge->since_ms > judge->options.overdue_ms &&
               gap_judge_see(judge, GAP_SAW_OVERDUE, now_ms);
    case GAP_COOLDOWN:
        return now_ms >= judge->cooled_ms && gap_judge_see(judge, GAP_SAW_COOLED, now_ms);
    case GAP_LIVE:
    case GAP_DEGRADED:
    case GAP_STATES:
        break;
    }
    return false;
}
