/* Names of the hot state in Redis: keys and hash fields, one place for writer and reader
 * (CONTRACTS.md sections 1 and 2). SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_HOT_STATE_STATE_KEYS_H
#define BTCAST_HOT_STATE_STATE_KEYS_H

#include <stddef.h>

#define STATE_KEY_SIZE   96
#define STATE_TTL_TR_S   300
#define STATE_TTL_FEAT_S 120
#define STATE_TTL_PRED_S 600
/* An online calibration outlives its model's use by so long. */
#define STATE_TTL_CALIBRATION_S 604800

/* plain: `ob:BTCUSDT` on a single server; hashtag: `ob:{BTCUSDT}` in Cluster, where the
 * keys of a symbol have to lie in one slot (CONTRACTS.md section 12, row 3). */
enum state_key_style { STATE_KEYS_PLAIN, STATE_KEYS_HASHTAG };

enum state_key {
    STATE_OB,     /* ob:{symbol}                 hash, no TTL */
    STATE_TR_1S,  /* tr:{symbol}:1s              hash, 300 s */
    STATE_TR_5S,  /* tr:{symbol}:5s              hash, 300 s */
    STATE_FEAT,   /* feat:{symbol}               hash, 120 s */
    STATE_NEW_OB, /* ob:new:{symbol} …           hash, 600 s */
    STATE_NEW_TR_1S,
    STATE_NEW_TR_5S,
    STATE_NEW_FEAT,
    STATE_REANCHOR,     /* reanchor:{symbol}           string: owner token */
    STATE_REANCHOR_ASK, /* reanchor:ask:{symbol}       string: a wanted anchor, with its cause */
    STATE_REANCHOR_DOC, /* reanchor:doc:{symbol}       string: handed-over REST replies */
    STATE_FENCE,        /* fence:{symbol}              string: highest writer epoch */
    STATE_LEASE,        /* lease:{symbol}              string: owner of the writer lease */
    STATE_CHECKPOINT,   /* checkpoint:{symbol}         string: world + positions */
    STATE_GAP,          /* gap:{symbol}                hash: what the aggregator sees */
    STATE_GAP_EVENTS,   /* gap-events:{symbol}         stream: each loss, hole and closed minute */
    STATE_GAP_VERDICT,  /* gap:verdict:{symbol}        string: what gap-detector says (JSON) */
    STATE_GAP_OVERRIDE, /* gap:override:{symbol}       string: what an operator says (JSON) */
    STATE_GAP_MEMORY,   /* gap:memory:{symbol}         string: gap-detector's place and state */
    STATE_GAP_AUDIT,    /* gap-audit:{symbol}          stream: overrides and verdicts */
    STATE_PRED,         /* pred:{symbol}               hash, 600 s */
    STATE_PREDICTIONS,  /* predictions:{symbol}        stream, entry id <slot>-0 */
    STATE_CALIBRATION,  /* calibration:{symbol}:MODEL  string: the online calibration fold */
    STATE_MODELS,       /* models:{symbol}             hash: production, shadow = sha256 */
    STATE_MODEL,        /* model:{symbol}:SHA256       string: an artifact's bytes */
    STATE_SHADOW,       /* shadow:{symbol}             stream, entry id <slot>-0: the shadow's */
    STATE_KEY_COUNT,
};
/* Writes the key into out[STATE_KEY_SIZE] and returns out. */
const char *state_key(enum state_key key, enum state_key_style style, const char *symbol,
                      char *out);

/* Fields beyond the specified ones that every one of the four hashes carries. */
#define STATE_FIELD_EPOCH          "epoch" /* ingest epoch of the last record applied */
#define STATE_FIELD_SEQ            "seq"   /* its seq: equal in all four hashes of one flush */
#define STATE_FIELD_LAST_UPDATE_ID "last_update_id" /* of the book's levels, in all four */
#define STATE_FIELD_TS_US          "ts_us" /* receive time of the last record, in all four */
/* In ob: touch of the book itself, and where it came from ("sbe" or "rest"). */
#define STATE_FIELD_BEST_BID "best_bid"
#define STATE_FIELD_BEST_ASK "best_ask"
#define STATE_FIELD_SOURCE   "source"
/* In feat: the vector of the last tick. */
#define STATE_FIELD_VEC       "vec"       /* u64 schema hash, then FEATURE_COUNT float32, LE */
#define STATE_FIELD_VEC_EPOCH "vec_epoch" /* (epoch, seq) of the tick, and its time */
#define STATE_FIELD_VEC_SEQ   "vec_seq"
#define STATE_FIELD_AS_OF_US  "as_of_us"
#define STATE_FIELD_MID       "mid"       /* of that tick, exact (half a tick possible) */
#define STATE_FIELD_VEC_LIVE  "vec_live"  /* "1" or "0": the book was synced at that tick */
#define STATE_FIELD_BOOK_LIVE "book_live" /* "1" or "0"; also in ob */
#define STATE_FIELD_WRITER    "writer"    /* fence epoch of the aggregator that wrote */
/* In feat: newest first, "slot:mid:valid" joined by spaces (world_slot_mids). */
#define STATE_FIELD_SLOT_MIDS "slot_mids"

#endif
