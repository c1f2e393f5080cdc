/* The Lua scripts of the hot state. Each checks everything before its first write, so it
 * happens whole or not at all (a failed script does not roll back: CONTRACTS.md section
 * 12, row 1). They answer with an array whose first word is the verdict: ok, fenced, held,
 * missing, token, empty. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_EDGE_REDIS_REDIS_STATE_SCRIPTS_H
#define BTCAST_EDGE_REDIS_REDIS_STATE_SCRIPTS_H

/* KEYS lease fence; ARGV owner ttl_ms wall_ms kin. */
extern const char redis_state_lease_take[];
/* KEYS lease fence; ARGV owner ttl_ms epoch. */
extern const char redis_state_lease_renew[];
/* KEYS lease; ARGV owner. */
extern const char redis_state_lease_release[];
/* KEYS ob tr1 tr5 feat fence [checkpoint];
 * ARGV epoch n1..n4 (pairs) ttl_tr_s ttl_feat_s pairs… [blob]. */
extern const char redis_state_flush[];
/* KEYS new ob tr1 tr5 feat, fence; ARGV epoch n1..n4 ttl_new_s (unused) pairs…. */
extern const char redis_state_stage[];
/* KEYS 4 new, 4 live, flag, doc, ask, fence, gap; ARGV epoch token ttl_tr ttl_feat wall_ms. */
extern const char redis_state_swap[];
/* KEYS ask fence; ARGV epoch json ttl_ms. */
extern const char redis_state_ask[];
/* KEYS doc flag. */
extern const char redis_state_look[];
extern const char redis_state_verify[];
/* KEYS doc; ARGV token. */
extern const char redis_state_refuse[];

#endif
