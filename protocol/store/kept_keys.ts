// Keys that no eviction may take, and that end all the same. A Redis with a volatile policy evicts only
// keys with an expiry of their own. What was promised (jobs, idempotency keys, counted pictures) has none:
// its end is noted in one sorted set, and a sweep deletes what is past it. Results and logs keep their
// expiry, so that they go first.

/** Lua: `now` in ms by the store's clock, and keep(key, ms), which notes the end of a key. */
export const KEEP = `
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local function keep(key, ms)
  redis.call('PERSIST', key)
  redis.call('ZADD', 'spectrum:kept', now + ms, key)
end
local function drop(key)
  redis.call('DEL', key)
  redis.call('ZREM', 'spectrum:kept', key)
end
`;

/** Largest number of keys that one sweep deletes. */
export const SWEPT_AT_ONCE = 500;

/** Deletes what is past its end, a part at a time. Returns the number of deleted keys. */
export const SWEEP = `${KEEP}
local due = redis.call('ZRANGEBYSCORE', 'spectrum:kept', '-inf', now, 'LIMIT', 0, ${SWEPT_AT_ONCE})
for _, key in ipairs(due) do drop(key) end
return #due`;
