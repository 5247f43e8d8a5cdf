// The steps of a run log that must not be torn apart, as Lua for Redis. Keys are derived from ids inside, so
// that this needs one Redis (or Upstash), not a cluster that spreads keys.
//
// spectrum:runs            sorted set: unfinished run -> when its lease ends
// spectrum:name:NAME       the run that makes what NAME stands for
// spectrum:run:ID          hash: state, attempt, worker, previews, keep, name, stepped, restarts, takeovers,
//                          postponed, cancel, request, image,
//                          brief = ID TEXT, the newest event without its bytes
// spectrum:run:ID:log      stream: ID-PART -> a piece of an event's JSON, m = "1" if more follow
// spectrum:run:ID:viewers  sorted set: viewer -> until when it counts
// spectrum:image:NAME      an order's image, for all runs that start from it
// spectrum:image:NAME:runs set: those of them that have not ended
// spectrum:images          hash: name -> characters of each image that is kept
// spectrum:edges           sorted set: edge that clients reach -> until when it counts
//
// Runs under way have no expiry by which a full Redis could choose them: a run ends by its lease. What can be
// made again has one: logs, names, and finished runs.

const HEAD = `
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local RUNS, NAME, P = 'spectrum:runs', 'spectrum:name:', 'spectrum:run:'
local IMAGE, IMAGES, EDGES = 'spectrum:image:', 'spectrum:images', 'spectrum:edges'
local function get(id, ...) return redis.call('HMGET', P .. id, ...) end
local function keys(id) return { P .. id, P .. id .. ':log', P .. id .. ':viewers' } end
local function expire(id, ms) for _, key in ipairs(keys(id)) do redis.call('PEXPIRE', key, ms) end end
local function forgetName(id, name)
  if name and name ~= '' and redis.call('GET', NAME .. name) == id then redis.call('DEL', NAME .. name) end
end
local function dropImage(id)
  local name = redis.call('HGET', P .. id, 'image')
  if not name then return end
  redis.call('HDEL', P .. id, 'image')
  redis.call('SREM', IMAGE .. name .. ':runs', id)
  if redis.call('EXISTS', IMAGE .. name .. ':runs') == 0 then
    redis.call('DEL', IMAGE .. name)
    redis.call('HDEL', IMAGES, name)
  end
end
local function viewers(id)
  redis.call('ZREMRANGEBYSCORE', P .. id .. ':viewers', '-inf', '(' .. now)
  return redis.call('ZCARD', P .. id .. ':viewers')
end
local function see(id, viewer, ms)
  redis.call('ZADD', P .. id .. ':viewers', now + ms, viewer)
  redis.call('PERSIST', P .. id .. ':viewers')
end
`;

/**
 * Keeps an image for the run that is about to be opened. ARGV: name, base64 or '' to ask whether it is kept,
 * ms until then, most characters in all. Returns 1 if it is kept, 0 if it is unknown, -1 if there is no room.
 */
export const KEEP_IMAGE = `${HEAD}
local key = IMAGE .. ARGV[1]
if redis.call('EXISTS', key) == 1 then
  if redis.call('PTTL', key) > 0 then redis.call('PEXPIRE', key, ARGV[3]) end
  return 1
end
if ARGV[2] == '' then return 0 end
local sum, all = #ARGV[2], redis.call('HGETALL', IMAGES)
for i = 1, #all, 2 do
  -- Some were never opened, and have expired.
  if redis.call('EXISTS', IMAGE .. all[i]) == 0 then redis.call('HDEL', IMAGES, all[i])
  else sum = sum + tonumber(all[i + 1]) end
end
if sum > tonumber(ARGV[4]) then return -1 end
redis.call('SET', key, ARGV[2], 'PX', ARGV[3])
redis.call('HSET', IMAGES, ARGV[1], #ARGV[2])
return 1`;

/**
 * ARGV: id, name, viewer, viewerMs, previews, finishedToo, keepMs, request, leaseMs,
 * forgetMs, image's name or ''.
 */
export const OPEN = `${HEAD}
local id, name, previews, keep = ARGV[1], ARGV[2], tonumber(ARGV[5]), tonumber(ARGV[7])
-- The same call again, whose answer was lost.
local own = get(id, 'state', 'attempt', 'worker')
if own[1] then
  if own[1] ~= 'open' or own[2] ~= '1' or own[3] then return { 0, id, own[1] } end
  see(id, ARGV[3], tonumber(ARGV[4]))
  redis.call('ZADD', RUNS, now + tonumber(ARGV[9]), id)
  return { 1, id, 'open' }
end
local current = name ~= '' and redis.call('GET', NAME .. name)
if current then
  local f = get(current, 'state', 'previews', 'keep', 'cancel')
  local wanted = f[1] == 'open' and not f[4] or f[1] == 'completed' and ARGV[6] == '1'
  if wanted and tonumber(f[2]) >= previews then
    if f[1] == 'open' then see(current, ARGV[3], tonumber(ARGV[4])) end
    if keep > tonumber(f[3]) then
      redis.call('HSET', P .. current, 'keep', keep)
      if f[1] ~= 'open' then expire(current, keep) end
    end
    return { 0, current, f[1] }
  end
end
redis.call('HSET', P .. id, 'state', 'open', 'attempt', 1, 'previews', previews, 'keep', keep, 'name', name,
  'restarts', 0, 'request', ARGV[8])
if ARGV[11] ~= '' then
  if redis.call('EXISTS', IMAGE .. ARGV[11]) == 1 then
    redis.call('PERSIST', IMAGE .. ARGV[11])
    redis.call('SADD', IMAGE .. ARGV[11] .. ':runs', id)
    redis.call('HSET', P .. id, 'image', ARGV[11])
  else
    redis.call('HSET', P .. id, 'request', '')
  end
end
see(id, ARGV[3], tonumber(ARGV[4]))
redis.call('ZADD', RUNS, now + tonumber(ARGV[9]), id)
if name ~= '' then redis.call('SET', NAME .. name, id, 'PX', ARGV[10]) end
return { 1, id, 'open' }`;

/** ARGV: id, viewer, viewerMs. */
export const ATTACH = `${HEAD}
local f = get(ARGV[1], 'state', 'cancel')
if not f[1] then return '' end
if f[1] == 'open' then
  if f[2] then return 'cancelled' end
  -- Who cannot be noted, as the store is full, may look all the same.
  pcall(see, ARGV[1], ARGV[2], tonumber(ARGV[3]))
end
return f[1]`;

/** Returns entries up to a number of bytes. ARGV: id, first entry, bytes. */
export const READ = `${HEAD}
local f = get(ARGV[1], 'state', 'worker')
if not f[1] then return {} end
local reply, size, start = { f[1], f[2] or '' }, 0, ARGV[2]
while size < tonumber(ARGV[3]) do
  local page = redis.call('XRANGE', P .. ARGV[1] .. ':log', start, '+', 'COUNT', 16)
  for _, entry in ipairs(page) do
    reply[#reply + 1] = entry[1]
    reply[#reply + 1] = entry[2][2]
    reply[#reply + 1] = entry[2][4]
    size = size + #entry[2][2]
    start = '(' .. entry[1]
    if size >= tonumber(ARGV[3]) then break end
  end
  if #page < 16 then break end
end
return reply`;

/** ARGV: id. The id of the newest whole event, before which READ can begin. */
export const LAST = `${HEAD}
for _, entry in ipairs(redis.call('XREVRANGE', P .. ARGV[1] .. ':log', '+', '-', 'COUNT', 64)) do
  if entry[2][4] == '0' then return entry[1] end
end
return '0-0'`;

/** ARGV: id. */
export const BRIEF = `${HEAD}
local f = get(ARGV[1], 'state', 'worker', 'brief')
if not f[1] then return {} end
return { f[1], f[2] or '', f[3] or '' }`;

/**
 * ARGV: id, attempt, final state or '', stepped, forgetMs, brief, then entry id, text, more for each entry.
 */
export const APPEND = `${HEAD}
local id = ARGV[1]
local f = get(id, 'state', 'attempt', 'cancel', 'name', 'keep')
if not f[1] then return 'unknown' end
if f[1] ~= 'open' or f[2] ~= ARGV[2] then return 'lost' end
local newest = redis.call('XREVRANGE', P .. id .. ':log', '+', '-', 'COUNT', 1)[1]
local a, b = string.match(newest and newest[1] or '0-0', '(%d+)-(%d+)')
a, b = tonumber(a), tonumber(b)
local newer = tonumber(string.match(ARGV[6], '^%d+') or '0')
if newer > 0 and newer >= a then redis.call('HSET', P .. id, 'brief', ARGV[6]) end
for i = 7, #ARGV, 3 do
  local c, d = string.match(ARGV[i], '(%d+)-(%d+)')
  c, d = tonumber(c), tonumber(d)
  if c > a or c == a and d > b then
    redis.call('XADD', P .. id .. ':log', ARGV[i], 'e', ARGV[i + 1], 'm', ARGV[i + 2])
  end
end
if ARGV[4] == '1' then redis.call('HSET', P .. id, 'stepped', 1) end
if ARGV[3] == '' then
  redis.call('PEXPIRE', P .. id .. ':log', ARGV[5])
else
  redis.call('HSET', P .. id, 'state', ARGV[3])
  redis.call('HDEL', P .. id, 'request')
  dropImage(id)
  redis.call('ZREM', RUNS, id)
  redis.call('DEL', P .. id .. ':viewers')
  expire(id, tonumber(f[5]))
  if ARGV[3] ~= 'completed' then forgetName(id, f[4])
  elseif f[4] ~= '' and redis.call('GET', NAME .. f[4]) == id then
    redis.call('PEXPIRE', NAME .. f[4], f[5])
  end
end
redis.call('PUBLISH', RUNS, id)
return f[3] and 'cancelled' or 'held'`;

/** ARGV: id, attempt, leaseMs. */
export const ADVANCE = `${HEAD}
local f = get(ARGV[1], 'state', 'attempt', 'cancel')
if f[1] ~= 'open' or f[2] ~= ARGV[2] or f[3] then return 0 end
redis.call('ZADD', RUNS, now + tonumber(ARGV[3]), ARGV[1])
return redis.call('HINCRBY', P .. ARGV[1], 'attempt', 1)`;

/** ARGV: id, attempt, worker. */
export const ASSIGN = `${HEAD}
local f = get(ARGV[1], 'state', 'attempt', 'cancel')
if not f[1] then return 'unknown' end
if f[1] ~= 'open' or f[2] ~= ARGV[2] then return 'lost' end
redis.call('HSET', P .. ARGV[1], 'worker', ARGV[3])
return f[3] and 'cancelled' or 'held'`;

/** ARGV: leaseMs, forgetMs, then id, attempt for each run. */
export const RENEW = `${HEAD}
local reply = {}
for i = 3, #ARGV, 2 do
  local id = ARGV[i]
  local f = get(id, 'state', 'attempt', 'cancel', 'name')
  if f[1] ~= 'open' or f[2] ~= ARGV[i + 1] then
    reply[#reply + 1] = f[1] and 'lost 0' or 'unknown 0'
  else
    redis.call('ZADD', RUNS, now + tonumber(ARGV[1]), id)
    local seen = viewers(id)
    redis.call('PEXPIRE', P .. id .. ':log', ARGV[2])
    if f[4] ~= '' and redis.call('GET', NAME .. f[4]) == id then
      redis.call('PEXPIRE', NAME .. f[4], ARGV[2])
    end
    reply[#reply + 1] = (f[3] and 'cancelled ' or 'held ') .. seen
  end
end
return reply`;

/** ARGV: id, attempt. */
export const RELEASE = `${HEAD}
local f = get(ARGV[1], 'state', 'attempt')
if f[1] == 'open' and f[2] == ARGV[2] then
  redis.call('ZADD', RUNS, 0, ARGV[1])
  redis.call('PUBLISH', RUNS, ARGV[1])
end
return 'OK'`;

/** ARGV: id, attempt, ms. */
export const POSTPONE = `${HEAD}
local f = get(ARGV[1], 'state', 'attempt')
if f[1] == 'open' and f[2] == ARGV[2] then
  redis.call('ZADD', RUNS, now + tonumber(ARGV[3]), ARGV[1])
  redis.call('HSET', P .. ARGV[1], 'postponed', 1)
  redis.call('HINCRBY', P .. ARGV[1], 'takeovers', -1)
end
return 'OK'`;

/** ARGV: edge, ms. A store that is full counts the edges that it knows. */
export const ATTEND = `${HEAD}
pcall(redis.call, 'ZADD', EDGES, now + tonumber(ARGV[2]), ARGV[1])
redis.call('PEXPIRE', EDGES, ARGV[2])
redis.call('ZREMRANGEBYSCORE', EDGES, '-inf', '(' .. now)
return redis.call('ZCARD', EDGES)`;

export const ORPHANS = `${HEAD}
return redis.call('ZRANGEBYSCORE', RUNS, '-inf', '(' .. now, 'LIMIT', 0, 100)`;

/** ARGV: id, leaseMs, forgetMs, unwatched. */
export const TAKE_OVER = `${HEAD}
local id = ARGV[1]
local lease = redis.call('ZSCORE', RUNS, id)
if not lease or tonumber(lease) >= now then return {} end
local f = get(id, 'state', 'cancel', 'name', 'stepped', 'restarts', 'worker', 'request', 'keep', 'image',
  'postponed')
if f[1] ~= 'open' then
  redis.call('ZREM', RUNS, id)
  return {}
end
if f[2] or ARGV[4] ~= '1' and viewers(id) == 0 then
  redis.call('ZREM', RUNS, id)
  redis.call('HSET', P .. id, 'state', 'cancelled')
  dropImage(id)
  forgetName(id, f[3])
  expire(id, tonumber(f[8]))
  redis.call('PUBLISH', RUNS, id)
  return {}
end
redis.call('ZADD', RUNS, now + tonumber(ARGV[2]), id)
redis.call('PEXPIRE', P .. id .. ':log', ARGV[3])
local attempt = redis.call('HINCRBY', P .. id, 'attempt', 1)
local takeovers = redis.call('HINCRBY', P .. id, 'takeovers', 1)
if f[4] then redis.call('HINCRBY', P .. id, 'restarts', 1) end
redis.call('HDEL', P .. id, 'stepped', 'worker', 'postponed')
local newest = redis.call('XREVRANGE', P .. id .. ':log', '+', '-', 'COUNT', 1)[1]
local last = string.match(newest and newest[1] or '0-0', '(%d+)-')
return { tostring(attempt), last, f[4] and '1' or '0', f[5], tostring(takeovers), f[6] or '', f[7],
  f[9] and redis.call('GET', IMAGE .. f[9]) or '', tonumber(lease) > 0 and not f[10] and '1' or '0' }`;

/** ARGV: viewerMs, then id, viewer for each. */
export const WATCH = `${HEAD}
for i = 2, #ARGV, 2 do
  if get(ARGV[i], 'state')[1] == 'open' then see(ARGV[i], ARGV[i + 1], tonumber(ARGV[1])) end
end
return 'OK'`;

/** ARGV: id, viewer. */
export const LEAVE = `${HEAD}
local id = ARGV[1]
local f = get(id, 'state', 'name')
redis.call('ZREM', P .. id .. ':viewers', ARGV[2])
if f[1] ~= 'open' or viewers(id) > 0 then return 0 end
redis.call('HSET', P .. id, 'cancel', 1)
forgetName(id, f[2])
return 1`;
