/* The contract of learn/lake/archive_port.h as tests that run on every engine: an engine's
 * test program fills in struct archive_engine and runs archive_contract_run.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_TESTS_LIB_ARCHIVE_CONTRACT_H
#define BTCAST_TESTS_LIB_ARCHIVE_CONTRACT_H

#include "learn/lake/archive_port.h"

/* What the suite asks of an engine's harness. Every call fails the test when it cannot do
 * what it says. */
struct archive_engine {
    const char *name;
    void (*start)(void); /* an empty lake, an empty spool */
    void (*stop)(void);
    struct archive_port (*open)(void); /* one at a time; closed and opened: a restart */
    void (*close)(void);
    int64_t (*now_us)(void);
    void (*wait)(void);      /* at most 1 ms */
    void (*take_away)(void); /* the lake cannot be reached, and can be again */
    void (*bring_back)(void);
    /* What the lake has: records of a block with this seq (0: it has none, or no such
     * object), and objects of replies of this type and first id. */
    int (*records)(const struct archive_block *block, uint64_t seq);
    int (*replies)(enum archive_rest type, int64_t first_id);
};

#define ARCHIVE_CONTRACT_SYMBOL "BTCUSDT"

/* Runs the suite; returns the number of failed tests. */
int archive_contract_run(const struct archive_engine *engine);

#endif
