/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/redis/redis_stream_script.h"

/* Ids must ascend, so a record written behind one that was refused would bar the refused
 * one for ever: the script stops a stream at its first refusal. Only when an id is refused
 * as too small is the top of the stream looked at (XINFO copies two entries). */
const char redis_stream_script_put[] =
    "local outcome, stopped, top, refusal = {}, {}, {}, ''\n"
    "local function judge(key, id)\n"
    "  if not top[key] then\n"
    "    local info = redis.call('XINFO', 'STREAM', key)\n"
    "    for i = 1, #info, 2 do\n"
    "      if info[i] == 'last-generated-id' then top[key] = info[i + 1] end\n"
    "    end\n"
    "  end\n"
    "  local same = string.match(top[key], '^%d+') == string.match(id, '^%d+')\n"
    "  return same and 'D' or 'F'\n"
    "end\n"
    "for i = 1, #ARGV, 3 do\n"
    "  local key, id, letter = KEYS[tonumber(ARGV[i])], ARGV[i + 1], 'R'\n"
    "  if not stopped[key] then\n"
    "    local reply = redis.pcall('XADD', key, id, 'e', ARGV[i + 2])\n"
    "    if type(reply) == 'string' then\n"
    "      letter, top[key] = 'W', nil\n"
    "    elseif string.find(reply.err, 'equal or smaller', 1, true) then\n"
    "      letter = judge(key, id)\n"
    "    else\n"
    "      stopped[key] = true\n"
    "      if refusal == '' then refusal = reply.err end\n"
    "    end\n"
    "  end\n"
    "  outcome[#outcome + 1] = letter\n"
    "end\n"
    "return {table.concat(outcome), refusal}\n";

/* The last id, not the last entry's: it stays when everything was trimmed away. */
const char redis_stream_script_tops[] =
    "local tops = {}\n"
    "for k = 1, #KEYS do\n"
    "  tops[k] = '0-0'\n"
    "  if redis.call('EXISTS', KEYS[k]) == 1 then\n"
    "    local info = redis.call('XINFO', 'STREAM', KEYS[k])\n"
    "    for i = 1, #info, 2 do\n"
    "      if info[i] == 'last-generated-id' then tops[k] = info[i + 1] end\n"
    "    end\n"
    "  end\n"
    "end\n"
    "return tops\n";

/* Numbers of an id are compared as text, the longer one being larger: Lua's own numbers end
 * at 2^53. Times are the server's, so that the clocks of several machines do not matter.
 * A store that has lost everything knows of nobody: as long as the registry is young
 * (@since) somebody may be missing in it. What the stored checkpoint says of itself goes
 * before what its writer has registered: a failover may have brought an older one back. */
const char redis_stream_script_trim[] =
    "local function less(a, b)\n"
    "  if #a ~= #b then return #a < #b end\n"
    "  return a < b\n"
    "end\n"
    "local function older(a, b)\n"
    "  local ae, as = string.match(a, '^(%d+)%-(%d+)$')\n"
    "  local be, bs = string.match(b, '^(%d+)%-(%d+)$')\n"
    "  if ae ~= be then return less(ae, be) end\n"
    "  return less(as, bs)\n"
    "end\n"
    "if redis.call('EXISTS', KEYS[1]) == 0 then return {0, 0, 0, 0} end\n"
    "local time = redis.call('TIME')\n"
    "local now = time[1] * 1000 + math.floor(time[2] / 1000)\n"
    "local flat, slowest, expired = redis.call('HGETALL', KEYS[2]), nil, 0\n"
    "local settled = true\n"
    "for i = 1, #flat, 2 do\n"
    "  local position, seen = string.match(flat[i + 1], '^(%d+%-%d+) (%d+)$')\n"
    "  if flat[i] == '@since' then\n"
    "    settled = now - tonumber(flat[i + 1]) >= tonumber(ARGV[4])\n"
    "  elseif not position or now - seen > tonumber(ARGV[1]) then\n"
    "    redis.call('HDEL', KEYS[2], flat[i])\n"
    "    expired = expired + 1\n"
    "  elseif not slowest or older(position, slowest) then\n"
    "    slowest = position\n"
    "  end\n"
    "end\n"
    "if not slowest then redis.call('DEL', KEYS[2]) end\n"
    "if slowest and KEYS[3] then\n"
    "  local stored = redis.call('GETRANGE', KEYS[3], ARGV[5], ARGV[6])\n"
    "  local position = string.match(stored, '^%d+%-%d+')\n"
    "  settled = settled and position\n"
    "  if position and older(position, slowest) then slowest = position end\n"
    "end\n"
    "local read = 0\n"
    "if slowest and settled then\n"
    "  read = redis.call('XTRIM', KEYS[1], 'MINID', '~', slowest, 'LIMIT', ARGV[3])\n"
    "end\n"
    "local capped = redis.call('XTRIM', KEYS[1], 'MAXLEN', '~', ARGV[2], 'LIMIT', ARGV[3])\n"
    "local crossed = 0\n"
    "if capped > 0 and slowest then\n"
    "  local first = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]\n"
    "  if first and older(slowest, first[1]) then crossed = 1 end\n"
    "end\n"
    "return {read, capped, crossed, expired}\n";

const char redis_stream_script_commit[] =
    "local time = redis.call('TIME')\n"
    "local now = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))\n"
    "for i = 1, #KEYS do\n"
    "  redis.call('HSETNX', KEYS[i], '@since', now)\n"
    "  redis.call('HSET', KEYS[i], ARGV[1], ARGV[i + 1] .. ' ' .. now)\n"
    "end\n"
    "return #KEYS\n";

const char redis_stream_script_await[] =
    "local time = redis.call('TIME')\n"
    "local now = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))\n"
    "for i = 1, #KEYS do\n"
    "  redis.call('HSETNX', KEYS[i], '@since', now)\n"
    "  redis.call('HSETNX', KEYS[i], ARGV[1], '0-0 ' .. now)\n"
    "end\n"
    "return #KEYS\n";
