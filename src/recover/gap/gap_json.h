/* The JSON texts of the gap detector: its verdict, the anchor it asks for, an operator's
 * override, and what it remembers between two lives. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_RECOVER_GAP_GAP_JSON_H
#define BTCAST_RECOVER_GAP_GAP_JSON_H

#include "base/err.h"
#include "base/text.h"
#include "hot/state/gap_event.h"
#include "hot/state/state_port.h"
#include "recover/gap/gap_judge.h"
#include "recover/gap/gap_port.h"

#define GAP_JSON_SIZE 512
#define GAP_BY_SIZE   64
/* An override lives at most a week. */
#define GAP_OVERRIDE_MS_MAX INT64_C(604800000)

enum gap_action { GAP_ACT_NONE, GAP_ACT_ANCHOR, GAP_ACT_IGNORE, GAP_ACT_WAIT, GAP_ACTIONS };
const char *gap_action_text(enum gap_action action);

struct gap_verdict {
    enum gap_action action;
    char cause[GAP_CAUSE_SIZE];
    char by[GAP_BY_SIZE];
    int64_t until_ms;
    uint64_t epoch, seq; /* place in the order that it speaks of; 0: none */
};
void gap_json_verdict(const struct gap_verdict *verdict, struct text *out);
/* In the form of the aggregator's own ask. */
void gap_json_ask(const struct gap_verdict *verdict, int64_t recv_us, struct text *out);

enum gap_mode { GAP_AUTO, GAP_FORCE, GAP_IGNORE, GAP_MODES };
const char *gap_mode_text(enum gap_mode mode);
bool gap_mode_parse(struct bytes name, enum gap_mode *mode);

struct gap_override {
    enum gap_mode mode;
    char by[GAP_BY_SIZE];
    int64_t at_ms, until_ms;
};
void gap_json_override(const struct gap_override *override, struct text *out);
/* No bytes: GAP_AUTO. ERR_MALFORMED (and GAP_AUTO) for anything that is no override. */
int gap_json_read_override(struct bytes json, struct gap_override *override,
                           struct err *err) MUST_CHECK;

struct gap_memory {
    char id[GAP_ID_SIZE]; /* everything up to this entry has been judged */
    enum gap_state state;
    int64_t since_ms, cooled_ms;
    int64_t forced_ms; /* at_ms of the last override that forced */
    int64_t hint_until_ms[GAP_HINTS];
    char swapped[STATE_TOKEN_SIZE];
};
void gap_json_memory(const struct gap_memory *memory, struct text *out);
/* ERR_EMPTY for no bytes; ERR_MALFORMED. */
int gap_json_read_memory(struct bytes json, struct gap_memory *memory, struct err *err) MUST_CHECK;

#endif
