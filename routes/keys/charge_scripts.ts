// Pictures counted by an id, as Lua for Redis. Each script is one step for all edges, and may be repeated.
//
// spectrum:charge:ID  hash: counter, amount, h:HOLDER = until when it counts, p:PLACE = a delivered picture,
//                     made = the number of pictures delivered without places
// spectrum:charges    sorted set: id -> when its last holder is taken for dead
import { KEEP } from "../../protocol/store/kept_keys.ts";
import { MONTH_MS, ONCE_MS } from "./key_store.ts";

const HEAD = `${KEEP}
local OPEN, CHARGE, COUNTER = 'spectrum:charges', 'spectrum:charge:', 'spectrum:count:'
local function add(id, counter, amount)
  if amount == 0 then return end
  redis.call('HSET', CHARGE .. id, 'counter', counter)
  redis.call('HINCRBY', CHARGE .. id, 'amount', amount)
  redis.call('INCRBY', COUNTER .. counter, amount)
  keep(COUNTER .. counter, ${MONTH_MS})
end
-- Without a holder that lives, what was counted is what was delivered.
local function balance(id, counter)
  local amount, delivered, untilMs = 0, 0, 0
  local all = redis.call('HGETALL', CHARGE .. id)
  for i = 1, #all, 2 do
    local kind = string.sub(all[i], 1, 2)
    if all[i] == 'amount' then amount = tonumber(all[i + 1])
    elseif all[i] == 'counter' then counter = all[i + 1]
    elseif all[i] == 'made' then delivered = delivered + tonumber(all[i + 1])
    elseif kind == 'p:' then delivered = delivered + 1
    elseif kind == 'h:' and tonumber(all[i + 1]) <= now then redis.call('HDEL', CHARGE .. id, all[i])
    elseif kind == 'h:' then untilMs = math.max(untilMs, tonumber(all[i + 1])) end
  end
  if untilMs == 0 then
    redis.call('ZREM', OPEN, id)
    add(id, counter, delivered - amount)
    if delivered == 0 then drop(CHARGE .. id) else keep(CHARGE .. id, ${ONCE_MS}) end
  else
    redis.call('ZADD', OPEN, untilMs, id)
    add(id, counter, math.max(0, delivered - amount))
    keep(CHARGE .. id, untilMs - now + ${ONCE_MS})
  end
end
`;

/** ARGV: id, holder, counter, amount, limit, leaseMs. */
export const CHARGE = `${HEAD}
local id = ARGV[1]
local f = redis.call('HMGET', CHARGE .. id, 'counter', 'amount')
local counter = f[1] or ARGV[3]
local missing = math.max(0, tonumber(ARGV[4]) - tonumber(f[2] or '0'))
local used = tonumber(redis.call('GET', COUNTER .. counter) or '0')
if missing > 0 and used + missing > tonumber(ARGV[5]) then return { 0, used } end
add(id, counter, missing)
redis.call('HSET', CHARGE .. id, 'h:' .. ARGV[2], now + tonumber(ARGV[6]))
balance(id, counter)
return { 1, used + missing }`;

/** ARGV: id, holder, counter, done, pictures made, then a place for each picture. */
export const SETTLE = `${HEAD}
local key = CHARGE .. ARGV[1]
if tonumber(ARGV[5]) > tonumber(redis.call('HGET', key, 'made') or '0') then
  redis.call('HSET', key, 'made', ARGV[5])
end
for i = 6, #ARGV do redis.call('HSET', key, 'p:' .. ARGV[i], 1) end
if ARGV[4] == 'holder' then redis.call('HDEL', key, 'h:' .. ARGV[2]) end
if ARGV[4] == 'all' then
  for _, field in ipairs(redis.call('HKEYS', key)) do
    if string.sub(field, 1, 2) == 'h:' then redis.call('HDEL', key, field) end
  end
end
balance(ARGV[1], ARGV[3])
return 'OK'`;

/** ARGV: leaseMs, then id, holder for each. */
export const RENEW = `${HEAD}
for i = 2, #ARGV, 2 do
  if redis.call('HEXISTS', CHARGE .. ARGV[i], 'h:' .. ARGV[i + 1]) == 1 then
    redis.call('HSET', CHARGE .. ARGV[i], 'h:' .. ARGV[i + 1], now + tonumber(ARGV[1]))
    balance(ARGV[i], 'none')
  end
end
return 'OK'`;

export const REPAIR = `${HEAD}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', OPEN, '-inf', now, 'LIMIT', 0, 200)) do
  balance(id, 'none')
end
return 'OK'`;
