/* The reader's half of the hot state: fields and values of the four hashes back into
 * numbers, every value checked; what is malformed is counted and counts as absent. No
 * I/O, no allocation: the edge hands over what one atomic read returned.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_HOT_STATE_STATE_PARSE_H
#define BTCAST_HOT_STATE_STATE_PARSE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "hot/state/state_keys.h"
#include "market/feature.h"
#include "market/world.h"

#define STATE_READ_HASHES 4

/* Exactly what the text said: mantissa * 10^exponent, exponent = minus the digits after
 * the point. decimal_to_f64 of a mid is the double every replay gets. */
struct state_decimal {
    int64_t mantissa;
    int exponent;
};

enum state_source { STATE_SOURCE_NONE, STATE_SOURCE_SBE, STATE_SOURCE_REST };

struct state_slot_mid {
    int64_t slot;
    struct state_decimal mid;
    bool valid;
};

struct state_read {
    /* Set by state_parse_finish. */
    bool consistent; /* all four there, with the same epoch and seq */
    bool has_vector; /* schema, values, vec_epoch, vec_seq, as_of_us and mid all there */

    bool present[STATE_READ_HASHES]; /* by enum state_key: the hash had any field */
    uint64_t epoch[STATE_READ_HASHES], seq[STATE_READ_HASHES]; /* 0: missing */
    uint32_t malformed;                                        /* values refused */

    /* ob */
    int64_t last_update_id;
    int64_t ts_us; /* receive time of the last record; 0: missing */
    enum state_source source;
    struct state_decimal best_bid, best_ask; /* mantissa 0: missing */
    /* feat */
    bool book_live; /* as of the last record */
    uint64_t writer;
    uint64_t schema, vec_epoch, vec_seq;
    int64_t as_of_us;
    struct state_decimal mid; /* as of the vector */
    bool vec_live;            /* the book was synced then */
    float values[FEATURE_COUNT];
    struct state_slot_mid mids[WORLD_SLOT_MIDS]; /* newest first */
    int mid_count;

    unsigned seen; /* which parts of the vector came; private */
};

/* The fields of a hash that a reader uses, all that need be fetched: *names static, returns
 * their count, at most STATE_PARSE_FIELDS_MAX. */
#define STATE_PARSE_FIELDS_MAX 12
int state_parse_fields(enum state_key hash, const char *const **names);

/* Order: begin, every pair of every hash, finish. */
void state_parse_begin(struct state_read *read);
/* One pair of the hash STATE_OB, STATE_TR_1S, STATE_TR_5S or STATE_FEAT. Fields that the
 * reader has no use for are ignored. */
void state_parse_field(struct state_read *read, enum state_key hash, struct bytes field,
                       struct bytes value);
void state_parse_finish(struct state_read *read);

/* "123.4500" -> {1234500, -4}. Non-negative, at most 19 digits; false otherwise. */
bool state_parse_decimal(struct bytes text, struct state_decimal *out);

#endif
