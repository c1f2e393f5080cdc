/* The contract of hot/stream/stream_port.h as tests that run on every engine: an engine's
 * test program fills in struct stream_engine and runs stream_contract_run.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_TESTS_LIB_STREAM_CONTRACT_H
#define BTCAST_TESTS_LIB_STREAM_CONTRACT_H

#include "hot/stream/stream_port.h"

/* What the suite asks of an engine's harness. Every call fails the test when it cannot do
 * what it says. */
struct stream_engine {
    const char *name;
    /* An empty server with or without durable storage, and its end. */
    void (*start)(bool durable);
    void (*stop)(void);
    /* One producer and one consumer at a time; opened after start, closed before stop. */
    struct stream_producer (*open_producer)(stream_put_fn done, void *context);
    void (*close_producer)(void);
    struct stream_consumer (*open_consumer)(const char *name, stream_record_fn record,
                                            void *context);
    void (*close_consumer)(void);
    /* The clock, and waiting for at most 1 ms. */
    int64_t (*now_us)(void);
    void (*wait)(void);
    /* Faults: death and return, standing still and going on, loss of all data, and a
     * partition that refuses every record while the others work. */
    void (*kill)(void);
    void (*restart)(void);
    void (*pause)(void);
    void (*resume)(void);
    void (*lose_data)(void);
    void (*refuse)(enum stream_name name, bool refused);
};

/* Runs the suite; returns the number of failed tests. */
int stream_contract_run(const struct stream_engine *engine);

#endif
