/* The contract of learn/lake/object_port.h as tests that run on every engine: an engine's
 * test program fills in struct object_engine and runs object_contract_run.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_TESTS_LIB_OBJECT_CONTRACT_H
#define BTCAST_TESTS_LIB_OBJECT_CONTRACT_H

#include "learn/lake/object_port.h"

/* What the suite asks of an engine's harness. */
struct object_engine {
    const char *name;
    /* An empty lake, opened; and its end. Fail the test when they cannot. */
    const struct object_port *(*start)(void);
    void (*stop)(void);
    /* The clock, and waiting for at most 2 ms. */
    int64_t (*now_us)(void);
    void (*wait)(void);
    /* A size above which an object takes the engine's way for large ones. */
    size_t large;
    /* Shortcomings of a foreign server that stands behind an engine. */
    bool no_empty_objects, own_order;
};

/* Runs the suite; returns the number of failed tests. */
int object_contract_run(const struct object_engine *engine);

#endif
