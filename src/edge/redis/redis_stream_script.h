/* The scripts of the stream engine; who uses one keeps its own struct redis_script.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_EDGE_REDIS_REDIS_STREAM_SCRIPT_H
#define BTCAST_EDGE_REDIS_REDIS_STREAM_SCRIPT_H

/* KEYS: streams. ARGV: for each record the number of its key (from 1), its id, its bytes.
 * Returns {one letter a record, text of the first refusal}: W written, D duplicate, F
 * fenced, R not written. After an R of a stream its later records are R and untouched. */
extern const char redis_stream_script_put[];
/* KEYS: streams. Returns the last id of each, "0-0" of one that is not there. */
extern const char redis_stream_script_tops[];
/* KEYS: stream, its consumers. ARGV: expiry in ms, longest length, most entries to remove.
 * Returns {removed behind the slowest consumer, removed by length, 1 if that crossed a
 * consumer's position, consumers expired}. */
extern const char redis_stream_script_trim[];
/* KEYS: consumers hashes. ARGV: name, then one position a key. */
extern const char redis_stream_script_commit[];
/* KEYS: consumers hashes. ARGV: the name of one that is to be waited for. One that is there stays.
 */
extern const char redis_stream_script_await[];

#endif
