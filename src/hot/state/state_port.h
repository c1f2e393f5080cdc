/* The state port: what the aggregator wants from the store that holds the hot state, each
 * call atomic there and fenced (DESIGN.md sections 5 and 6). Asynchronous: a call starts
 * work and `done` is called exactly once later, from do_work or from the loop, never from
 * inside the call. Implemented by edge/redis/redis_state.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_HOT_STATE_STATE_PORT_H
#define BTCAST_HOT_STATE_STATE_PORT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"
#include "hot/state/state_image.h"

/* Longest owner or token with its NUL. */
#define STATE_OWNER_SIZE 64
#define STATE_TOKEN_SIZE 64
/* Checkpoints over this are not stored. */
#define STATE_CHECKPOINT_BYTES_MAX ((size_t)8 * 1024 * 1024)
/* Temporary keys of a swap live so long if nobody swaps them. */
#define STATE_TTL_NEW_S 600

/* result: ERR_OK; ERR_FENCED (epoch = the stored one); ERR_REFUSED (text = who holds it);
 * ERR_NOT_FOUND (text = the missing key); ERR_EMPTY (nothing stored); ERR_CONNECTION or
 * ERR_TIMEOUT (unknown whether it happened); ERR_IO (text = the store's words). data,
 * verdict and text are borrowed for the call. */
struct state_reply {
    int result;
    uint64_t epoch;
    struct bytes data;
    const char *text;
    struct bytes verdict; /* of anchor_look: gap-detector's (JSON); size 0: none */
};
typedef void (*state_done_fn)(void *context, const struct state_reply *reply);

struct state_lease {
    const char *owner; /* unique for a process and start */
    const char *kin;   /* a holder that begins so is our own former life: its lease is ours to
                          take at once; "": none is */
    int64_t ttl_ms;
};

/* Every call returns ERR_OK when started, else ERR_CONNECTION or ERR_AGAIN and done is
 * not called. A fence accepts epoch >= stored and stores it, so it only grows. */
struct state_port {
    void *self;
    bool (*ready)(void *self);

    /* Takes the writer lease if nobody else holds it: reply.epoch = max(stored fence + 1,
     * wall_ms), stored at once, so the former writer is fenced from this moment on. */
    int (*lease_take)(void *self, const struct state_lease *lease, int64_t wall_ms,
                      state_done_fn done, void *context);
    /* Holds it longer; heals a lease and fence that the store has lost. */
    int (*lease_renew)(void *self, const struct state_lease *lease, uint64_t epoch,
                       state_done_fn done, void *context);
    int (*lease_release)(void *self, const struct state_lease *lease, state_done_fn done,
                         void *context);

    /* All four hashes replaced whole, with their TTLs, and the checkpoint if it has any
     * bytes: one step under the fence. */
    int (*flush)(void *self, uint64_t epoch, const struct state_image *image,
                 struct bytes checkpoint, state_done_fn done, void *context);
    /* reply.data = the last checkpoint. */
    int (*load)(void *self, state_done_fn done, void *context);

    /* Says under the fence that an anchor is wanted, for ttl_ms; json says why. */
    int (*anchor_ask)(void *self, uint64_t epoch, struct bytes json, int64_t ttl_ms,
                      state_done_fn done, void *context);
    /* Looks for a handed-over document: reply.data, reply.text = the flag's token ("" when
     * the flag is gone). It stays where it is. Without one ERR_EMPTY. In either case
     * reply.verdict. */
    int (*anchor_look)(void *self, state_done_fn done, void *context);
    /* Takes the document of this token away: it will not do, another one is wanted. */
    int (*anchor_refuse)(void *self, const char *token, state_done_fn done, void *context);
    /* Writes the four temporary hashes under the fence. */
    int (*anchor_stage)(void *self, uint64_t epoch, const struct state_image *image,
                        state_done_fn done, void *context);
    /* The swap, all or nothing (CONTRACTS.md section 12, rows 1 to 3): every temporary key
     * there, the flag has this token, the fence holds; then four renames, TTLs, flag,
     * document and ask dropped, fence raised (reply.epoch = the new one, to write with). */
    int (*anchor_swap)(void *self, uint64_t epoch, const char *token, int64_t wall_ms,
                       state_done_fn done, void *context);

    /* Reads the live hashes back: all four there with this image's epoch and seq, TTLs as they
     * should be, touch present and not crossed (CONTRACTS.md section 7, step 5). ERR_MALFORMED
     * with what is wrong; ERR_FENCED. */
    int (*anchor_verify)(void *self, uint64_t epoch, const struct state_image *image,
                         state_done_fn done, void *context);

    /* What the aggregator sees of losses: replaces fields of the gap hash and appends the
     * same as an event. */
    int (*gap_report)(void *self, const struct state_pair *pairs, int count, state_done_fn done,
                      void *context);

    int (*do_work)(void *self, int64_t mono_us);
};

#endif
