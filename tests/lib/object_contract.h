/* The contract of learn/lake/object_port.h as tests that run on every engine: an engine's
 * test program fills in struct object_engine and runs object_contract_run.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_TESTS_LIB_OBJECT_CONTRACT_H
#define BTCAST_TESTS_LIB_OBJECT_CONTRACT_H

#include "learn/lake/object_port.h"

/* What the suite asks of an engine's harness. Every call fails the test when it cannot do
 * what it says. */
struct object_engine {
    const char *name;
    void (*start)(void); /* an empty lake */
    void (*stop)(void);
    struct object_port (*open)(void); /* one at a time */
    void (*close)(void);
    int64_t (*now_us)(void);
    void (*wait)(void);      /* at most 1 ms */
    void (*take_away)(void); /* the lake cannot be reached, and can be again */
    void (*bring_back)(void);
    /* Shortcomings of a foreign server behind the engine: a range of an empty object comes with
     * a wrong length; listings have an order of their own. */
    bool no_empty_objects, own_order;
};

/* Runs the suite; returns the number of failed tests. */
int object_contract_run(const struct object_engine *engine);

#endif
