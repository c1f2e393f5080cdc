/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/redis/redis_state_scripts.h"

/* Epochs are milliseconds: far below 2^53, exact as Lua numbers. */
#define STORED_FENCE(key) "local stored = tonumber(redis.call('GET', " key ") or '0') or 0\n"

/* The fence is raised with the lease: whoever held it before is refused from now on. */
const char redis_state_lease_take[] =
    "local held = redis.call('GET', KEYS[1])\n"
    "local kin = held and ARGV[4] ~= '' and string.sub(held, 1, #ARGV[4]) == ARGV[4]\n"
    "if held and held ~= ARGV[1] and not kin then return {'held', held} end\n" STORED_FENCE(
        "KEYS[2]") "local epoch = math.max(stored + 1, tonumber(ARGV[3]))\n"
                   "redis.call('SET', KEYS[2], string.format('%.0f', epoch))\n"
                   "redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])\n"
                   "return {'ok', epoch}\n";

/* A lease that has vanished (a flushed or failed-over store) is set again as long as no
 * newer writer has raised the fence. */
const char redis_state_lease_renew[] =
    STORED_FENCE("KEYS[2]") "if tonumber(ARGV[3]) < stored then return {'fenced', stored} end\n"
                            "local held = redis.call('GET', KEYS[1])\n"
                            "if held and held ~= ARGV[1] then return {'held', held} end\n"
                            "redis.call('SET', KEYS[2], ARGV[3])\n"
                            "redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])\n"
                            "return {'ok', tonumber(ARGV[3])}\n";

const char redis_state_lease_release[] = "local held = redis.call('GET', KEYS[1])\n"
                                         "if held ~= ARGV[1] then return {'held', held or ''} end\n"
                                         "redis.call('DEL', KEYS[1])\n"
                                         "return {'ok', 0}\n";

/* DEL before HSET: the hash is replaced whole, so a level that is gone is gone. */
const char redis_state_flush[] = STORED_FENCE(
    "KEYS[5]") "if tonumber(ARGV[1]) < stored then return {'fenced', stored} end\n"
               "if tonumber(ARGV[1]) > stored then redis.call('SET', KEYS[5], ARGV[1]) end\n"
               "local at = 8\n"
               "for i = 1, 4 do\n"
               "  local last = at + 2 * tonumber(ARGV[1 + i]) - 1\n"
               "  redis.call('DEL', KEYS[i])\n"
               "  redis.call('HSET', KEYS[i], unpack(ARGV, at, last))\n"
               "  at = last + 1\n"
               "end\n"
               "redis.call('EXPIRE', KEYS[2], ARGV[6])\n"
               "redis.call('EXPIRE', KEYS[3], ARGV[6])\n"
               "redis.call('EXPIRE', KEYS[4], ARGV[7])\n"
               "if KEYS[6] then redis.call('SET', KEYS[6], ARGV[at]) end\n"
               "return {'ok', tonumber(ARGV[1])}\n";

const char redis_state_stage[] =
    STORED_FENCE("KEYS[5]") "if tonumber(ARGV[1]) < stored then return {'fenced', stored} end\n"
                            "local at = 8\n"
                            "for i = 1, 4 do\n"
                            "  local last = at + 2 * tonumber(ARGV[1 + i]) - 1\n"
                            "  redis.call('DEL', KEYS[i])\n"
                            "  redis.call('HSET', KEYS[i], unpack(ARGV, at, last))\n"
                            "  redis.call('EXPIRE', KEYS[i], ARGV[6])\n"
                            "  at = last + 1\n"
                            "end\n"
                            "return {'ok', tonumber(ARGV[1])}\n";

/* RENAME carries the source's TTL over (CONTRACTS.md section 12, row 2): PERSIST and
 * EXPIRE say it again. The gap hash keeps the token as proof for the one who asked. */
const char redis_state_swap[] =
    "for i = 1, 4 do\n"
    "  if redis.call('EXISTS', KEYS[i]) == 0 then return {'missing', KEYS[i]} end\n"
    "end\n"
    "local token = redis.call('GET', KEYS[9])\n"
    "if token ~= ARGV[2] then return {'token', token or ''} end\n" STORED_FENCE(
        "KEYS[12]") "if tonumber(ARGV[1]) < stored then return {'fenced', stored} end\n"
                    "local epoch = tonumber(ARGV[1]) + 1\n"
                    "for i = 1, 4 do redis.call('RENAME', KEYS[i], KEYS[4 + i]) end\n"
                    "redis.call('PERSIST', KEYS[5])\n"
                    "redis.call('EXPIRE', KEYS[6], ARGV[3])\n"
                    "redis.call('EXPIRE', KEYS[7], ARGV[3])\n"
                    "redis.call('EXPIRE', KEYS[8], ARGV[4])\n"
                    "redis.call('SET', KEYS[12], string.format('%.0f', epoch))\n"
                    "redis.call('DEL', KEYS[9], KEYS[10], KEYS[11])\n"
                    "redis.call('HSET', KEYS[13], 'anchor_token', ARGV[2], 'anchor_ms', ARGV[5])\n"
                    "return {'ok', epoch}\n";

const char redis_state_ask[] =
    STORED_FENCE("KEYS[2]") "if tonumber(ARGV[1]) < stored then return {'fenced', stored} end\n"
                            "redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])\n"
                            "return {'ok', stored}\n";

const char redis_state_look[] = "local verdict = redis.call('GET', KEYS[3]) or ''\n"
                                "local doc = redis.call('GET', KEYS[1])\n"
                                "if not doc then return {'empty', '', '', verdict} end\n"
                                "return {'ok', redis.call('GET', KEYS[2]) or '', doc, verdict}\n";

/* ob has no TTL, the others have what was set just now, or a little less. */
const char redis_state_verify[] = STORED_FENCE(
    "KEYS[5]") "if tonumber(ARGV[1]) < stored then return {'fenced', stored} end\n"
               "for i = 1, 4 do\n"
               "  local place = redis.call('HMGET', KEYS[i], 'epoch', 'seq')\n"
               "  if place[1] ~= ARGV[2] or place[2] ~= ARGV[3] then\n"
               "    return {'wrong', KEYS[i] .. ' is at ' .. (place[1] or 'nothing') .. '/' ..\n"
               "      (place[2] or 'nothing')}\n"
               "  end\n"
               "  local ttl, most = redis.call('TTL', KEYS[i]), tonumber(ARGV[3 + i])\n"
               "  if (most < 0 and ttl ~= -1) or (most > 0 and (ttl < 0 or ttl > most)) then\n"
               "    return {'wrong', KEYS[i] .. ' has a TTL of ' .. ttl}\n"
               "  end\n"
               "end\n"
               "local touch = redis.call('HMGET', KEYS[1], 'best_bid', 'best_ask', 'bid1_p',\n"
               "  'ask1_p', 'spread')\n"
               "for i = 1, 5 do\n"
               "  if not touch[i] then return {'wrong', KEYS[1] .. ' has no touch'} end\n"
               "end\n"
               "local bid, ask = tonumber(touch[1]), tonumber(touch[2])\n"
               "if not bid or not ask or bid <= 0 or bid >= ask then\n"
               "  return {'wrong', KEYS[1] .. ' is crossed'}\n"
               "end\n"
               "return {'ok', stored}\n";

/* The token is looked for as the builder of the document writes it. */
const char redis_state_refuse[] =
    "local doc = redis.call('GET', KEYS[1])\n"
    "if not doc then return {'empty', ''} end\n"
    "if not string.find(doc, '\"token\":\"' .. ARGV[1] .. '\"', 1, true) then\n"
    "  return {'token', ''}\n"
    "end\n"
    "redis.call('DEL', KEYS[1])\n"
    "return {'ok', 0}\n";
