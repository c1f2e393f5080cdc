/* covers: src/recover/anchor/anchor_judge.c src/hot/state/state_verdict.c */
/* Any text as REST replies on their way into an anchor, as an anchor document and as a
 * verdict: judged without a crash, and what is called sound is sound.
 * SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/check.h"
#include "hot/state/anchor_document.h"
#include "hot/state/state_verdict.h"
#include "recover/anchor/anchor_judge.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void judge_depth(struct bytes text, struct anchor_touch *touch)
{
    struct err err = {0};
    int result = anchor_judge_touch(text, touch, &err);
    CHECK(result == ERR_OK || err.text[0] != 0);
    if (result == ERR_OK)
        CHECK(touch->last_update_id > 0 && touch->best_bid > 0 &&
              touch->best_bid < touch->best_ask);
}

static void judge_trades(struct bytes text)
{
    struct anchor_chain chain = {0};
    uint32_t added = 0;
    if (anchor_judge_trades(text, &chain, &added, NULL) != ERR_OK) {
        CHECK(chain.count == 0);
        return;
    }
    CHECK(chain.count == added);
    struct anchor_chain before = chain;
    /* The same page does not follow itself. */
    CHECK(added == 0 || anchor_judge_trades(text, &chain, &added, NULL) != ERR_OK);
    CHECK(memcmp(&before, &chain, sizeof(chain)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes text = bytes_of(data, size);
    struct anchor_touch touch = {.last_update_id = 1, .best_bid = 1, .best_ask = 2};
    struct anchor_document document;
    struct state_verdict verdict;
    judge_trades(text);
    (void)anchor_judge_klines(text, &touch, NULL);
    judge_depth(text, &touch);
    if (anchor_document_read(text, &document, NULL) == ERR_OK)
        CHECK(document.symbol[0] != 0 && document.token[0] != 0);
    int result = state_verdict_read(text, &verdict, NULL);
    CHECK((result == ERR_OK && size > 0) == (verdict.action != STATE_VERDICT_NONE));
    return 0;
}
