// Scripts of the batch service. Each promise of a batch is one atomic step in Redis.
// They need Redis 7 for their flags, and build the names of their keys: no cluster.
//
// A full Redis refuses whatever may grow. Scripts that end, move or hand out work may grow all the same: they
// write little, and without them nothing that is full would ever end. Only pictures wait for room.
import { PREFIX } from "./batch_keys.ts";

/** Lifetime of a batch without its results. */
export const RECORD_BYTES = 4000;

const COMMON = `
local function key(kind, id) return '${PREFIX}' .. kind .. ':' .. id end
local TURNS, LEASES, LATER = '${PREFIX}turns', '${PREFIX}leases', '${PREFIX}later'
local PARKED, CLOSING = '${PREFIX}parked', '${PREFIX}closing'
local OWED, SIZES = '${PREFIX}owed', '${PREFIX}sizes'
local UNTOLD = '${PREFIX}untold'
local call = redis.call
local time = call('TIME')
local seconds = tonumber(time[1])
local now = seconds * 1000 + math.floor(tonumber(time[2]) / 1000)

-- A batch waits once, in its tenant's list; the tenant is in turn as long as that list is not empty.
local function lineUp(batch)
  local status, lined, tenant = unpack(call('HMGET', key('batch', batch), 'status', 'lined', 'tenant'))
  if status ~= 'in_progress' or lined == '1' then return end
  if call('LLEN', key('waiting', tenant)) == 0 then call('RPUSH', TURNS, tenant) end
  call('RPUSH', key('waiting', tenant), batch)
  call('HSET', key('batch', batch), 'lined', '1')
end

local function unline(batch, tenant)
  call('LREM', key('waiting', tenant), 0, batch)
  if call('LLEN', key('waiting', tenant)) == 0 then call('LREM', TURNS, 0, tenant) end
  if call('EXISTS', key('batch', batch)) == 1 then call('HSET', key('batch', batch), 'lined', '0') end
end

-- The content of a deleted file goes with the last batch that reads it.
local function dropContent(file)
  if call('EXISTS', key('file', file)) == 0 and call('SCARD', key('uses', file)) == 0 then
    call('UNLINK', key('content', file), key('lines', file), key('uses', file))
  end
end

-- What a batch takes up of its tenant's share: what is promised to it, and in the end what it has.
local function hold(batch, tenant, bytes, untilMs)
  local before = call('HGET', key('batch', batch), 'held')
  if before then call('ZREM', key('held', tenant), batch .. ':' .. before) end
  call('HSET', key('batch', batch), 'held', bytes)
  call('ZADD', key('held', tenant), untilMs, batch .. ':' .. bytes)
end

local function finish(batch, status, keep)
  local tenant, file, counter, answers, errors =
    unpack(call('HMGET', key('batch', batch), 'tenant', 'file', 'counter', 'o:bytes', 'e:bytes'))
  unline(batch, tenant)
  local record = ${RECORD_BYTES} + call('HSTRLEN', key('batch', batch), 'errors')
  hold(batch, tenant, (answers or 0) + (errors or 0) + record, now + keep * 1000)
  call('HSET', key('batch', batch), 'status', status, status .. '_at', seconds)
  if status ~= 'failed' then call('HSET', key('batch', batch), 'finalizing_at', seconds) end
  call('EXPIRE', key('batch', batch), keep)
  call('EXPIRE', key('results', batch), keep)
  call('DEL', key('tries', batch), key('again', batch))
  call('ZREM', CLOSING, batch)
  call('ZREM', PARKED, batch)
  call('SREM', key('uses', file), batch)
  dropContent(file)
  if counter then call('HSET', OWED, batch, 'ended') end
end
`;

const grows = (script: string) => `#!lua\n${COMMON}${script}`;
const grownAnyway = (script: string) => `#!lua flags=allow-oom\n${COMMON}${script}`;

/**
 * A batch of a file, once for each id. ARGV: id, tenant, request, file, requests, errors or '', seconds it
 * may run, seconds to keep, counter of a quota or '', its holder, pictures counted, bytes of its results.
 * Returns 0 if the file is gone.
 */
export const CREATE = grownAnyway(`
local id, tenant, request, file, total, errors, window, keep, counter, holder, count, bytes = unpack(ARGV)
local batch = key('batch', id)
if call('EXISTS', batch) == 1 then return 1 end
if call('EXISTS', key('content', file)) == 0 then return 0 end
local expires = seconds + tonumber(window)
local life = tonumber(window) + tonumber(keep)
call('HSET', batch, 'tenant', tenant, 'request', request, 'file', file, 'total', total,
  'status', 'in_progress', 'created_at', seconds, 'in_progress_at', seconds, 'expires_at', expires)
if counter ~= '' then
  call('HSET', batch, 'counter', counter, 'holder', holder, 'count', count)
  call('HSET', OWED, id, 'begun')
end
call('EXPIRE', batch, life)
call('ZADD', key('batches', tenant), now, id)
call('ZREMRANGEBYSCORE', key('batches', tenant), '-inf', now - life * 1000)
call('EXPIRE', key('batches', tenant), life)
hold(id, tenant, bytes, now + life * 1000)
if call('TTL', key('held', tenant)) < life then call('EXPIRE', key('held', tenant), life) end
if errors ~= '' then
  call('HSET', batch, 'errors', errors, 'total', 0)
  call('HDEL', batch, 'in_progress_at')
  finish(id, 'failed', keep)
  return 1
end
call('SADD', key('uses', file), id)
for _, kind in ipairs({'content', 'lines', 'uses'}) do
  if call('TTL', key(kind, file)) < life then call('EXPIRE', key(kind, file), life) end
end
call('HINCRBY', SIZES, 'open', total)
call('ZADD', CLOSING, expires * 1000, id)
lineUp(id)
return 1`);

/**
 * The next request: tenants in turn, and each one's batches in turn; what is to be tried again after
 * what is new. ARGV: lease in ms. Returns batch, index, text, how often it was begun without an end,
 * how often it has failed.
 */
export const TAKE = grownAnyway(`
for _, set in ipairs({LEASES, LATER}) do
  for _, member in ipairs(call('ZRANGEBYSCORE', set, '-inf', now, 'LIMIT', 0, 20)) do
    call('ZREM', set, member)
    local batch, index = member:match('^(.*):(%d+)$')
    if call('HGET', key('batch', batch), 'status') == 'in_progress' then
      call('RPUSH', key('again', batch), index)
      if call('ZSCORE', PARKED, batch) == false then lineUp(batch) end
    end
  end
end
for _, batch in ipairs(call('ZRANGEBYSCORE', PARKED, '-inf', now, 'LIMIT', 0, 20)) do
  call('ZREM', PARKED, batch)
  lineUp(batch)
end
while true do
  local tenant = call('LMOVE', TURNS, TURNS, 'LEFT', 'RIGHT')
  if not tenant then return false end
  local batch = call('LMOVE', key('waiting', tenant), key('waiting', tenant), 'LEFT', 'RIGHT')
  if not batch then
    call('LREM', TURNS, 0, tenant)
  else
    local status, begun, total, file, expires =
      unpack(call('HMGET', key('batch', batch), 'status', 'begun', 'total', 'file', 'expires_at'))
    begun = tonumber(begun or 0)
    local index
    if status == 'in_progress' and seconds < tonumber(expires) then
      if begun < tonumber(total) then
        index = begun
        begun = call('HINCRBY', key('batch', batch), 'begun', 1)
      else
        index = call('LPOP', key('again', batch))
      end
    end
    if not index then
      unline(batch, tenant)
    elseif call('HEXISTS', key('results', batch), index) == 0 then
      if begun >= tonumber(total) and call('LLEN', key('again', batch)) == 0 then unline(batch, tenant) end
      call('ZADD', LEASES, now + tonumber(ARGV[1]), batch .. ':' .. index)
      local tries = call('HINCRBY', key('tries', batch), 'begun:' .. index, 1)
      local fails = tonumber(call('HGET', key('tries', batch), 'failed:' .. index) or 0)
      local start, length =
        struct.unpack('<I4I4', call('GETRANGE', key('lines', file), index * 8, index * 8 + 7))
      local text = call('GETRANGE', key('content', file), start, start + length - 1)
      return {batch, tonumber(index), text, tries, fails, call('HGET', key('batch', batch), 'request')}
    end
  end
end`);

/** Keeps requests under way. ARGV: lease in ms, "BATCH:INDEX", ... */
export const RENEW = grownAnyway(`
for i = 2, #ARGV do call('ZADD', LEASES, 'XX', now + tonumber(ARGV[1]), ARGV[i]) end
return 0`);

/**
 * Gives a request back, to be tried later. ARGV: batch, index, ms until then, 'failed' or 'away'. A batch
 * whose request nobody could take hands out nothing in the meantime.
 */
export const AGAIN = grownAnyway(`
local batch, index, delay, why = unpack(ARGV)
if call('ZREM', LEASES, batch .. ':' .. index) == 0 then return 0 end
call('ZADD', LATER, now + tonumber(delay), batch .. ':' .. index)
call('HDEL', key('tries', batch), 'begun:' .. index)
if why == 'failed' then
  call('HINCRBY', key('tries', batch), 'failed:' .. index, 1)
else
  unline(batch, call('HGET', key('batch', batch), 'tenant') or '')
  call('ZADD', PARKED, now + tonumber(delay), batch)
end
return 1`);

/**
 * Notes the end of one request, once: a second end changes nothing. The last one ends the batch.
 * ARGV: batch, index, outcome, line, pictures made, seconds to keep.
 */
const SETTLE = `
local id, index, outcome, line, made, keep = unpack(ARGV)
local batch = key('batch', id)
call('ZREM', LEASES, id .. ':' .. index)
call('ZREM', LATER, id .. ':' .. index)
local status = call('HGET', batch, 'status')
if status ~= 'in_progress' and status ~= 'cancelling' then return 0 end
local mark = outcome == 'completed' and 'o' or 'e'
if call('HSETNX', key('results', id), index, mark .. line) == 0 then return 0 end
call('HDEL', key('tries', id), 'begun:' .. index, 'failed:' .. index)
call('HINCRBY', batch, outcome, 1)
call('HINCRBY', batch, 'made', made)
call('HINCRBY', batch, mark .. ':bytes', #line + 1)
call('HINCRBY', SIZES, 'open', -1)
if outcome == 'completed' then
  call('HINCRBY', SIZES, 'bytes', #line)
  if call('HINCRBY', SIZES, 'lines', 1) >= 2000 then
    call('HSET', SIZES, 'lines', 1000, 'bytes', math.floor(tonumber(call('HGET', SIZES, 'bytes')) / 2))
  end
end
local settled = call('HINCRBY', batch, 'settled', 1)
if settled < tonumber(call('HGET', batch, 'total')) then return 1 end
if status == 'cancelling' then finish(id, 'cancelled', keep)
elseif call('HEXISTS', batch, 'expired') == 1 then finish(id, 'expired', keep)
else finish(id, 'completed', keep) end
return 1`;
export const SETTLE_LARGE = grows(SETTLE);
export const SETTLE_SMALL = grownAnyway(SETTLE);

/** Stops handing out the requests of a batch. ARGV: batch. Returns 0 if it has ended. */
export const CANCEL = grownAnyway(`
local batch = key('batch', ARGV[1])
local status, tenant = unpack(call('HMGET', batch, 'status', 'tenant'))
if status == 'cancelling' then return 1 end
if status ~= 'in_progress' then return 0 end
call('HSET', batch, 'status', 'cancelling', 'cancelling_at', seconds)
unline(ARGV[1], tenant)
call('ZADD', CLOSING, now, ARGV[1])
return 1`);

/**
 * Returns batches to close now. Another process looks at them again later. ARGV: ms
 * until then, largest number.
 */
export const CLAIM = grownAnyway(`
local batches = call('ZRANGEBYSCORE', CLOSING, '-inf', now, 'LIMIT', 0, ARGV[2])
for _, batch in ipairs(batches) do call('ZADD', CLOSING, now + tonumber(ARGV[1]), batch) end
return batches`);

/**
 * Returns batches whose webhooks are to be told, and hides them from others for a while.
 * ARGV: milliseconds, how many.
 */
export const CLAIM_UNTOLD = grownAnyway(`
local batches = call('ZRANGEBYSCORE', UNTOLD, '-inf', now, 'LIMIT', 0, ARGV[2])
for _, batch in ipairs(batches) do call('ZADD', UNTOLD, now + tonumber(ARGV[1]), batch) end
return batches`);

/** Has a batch looked at again. ARGV: batch, milliseconds. */
export const TELL_LATER = grownAnyway(`
return call('ZADD', UNTOLD, 'XX', now + tonumber(ARGV[2]), ARGV[1])`);

/**
 * Returns how the rest of a batch ends: 'cancelled' or 'expired', with its file and requests, or '' if
 * it goes on. ARGV: batch.
 */
export const CLOSE = grownAnyway(`
local batch = key('batch', ARGV[1])
local status, tenant, file, total, expires =
  unpack(call('HMGET', batch, 'status', 'tenant', 'file', 'total', 'expires_at'))
if status == 'cancelling' then return {'cancelled', file, total} end
if status ~= 'in_progress' then
  call('ZREM', CLOSING, ARGV[1])
  return {'', '', 0}
end
if seconds < tonumber(expires) then
  call('ZADD', CLOSING, tonumber(expires) * 1000, ARGV[1])
  return {'', '', 0}
end
call('HSET', batch, 'expired', '1')
unline(ARGV[1], tenant)
return {'expired', file, total}`);

/** Requests that have no end and that no puller holds. ARGV: batch, first index, index behind the last. */
export const UNMADE = grownAnyway(`
local left = {}
for index = tonumber(ARGV[2]), tonumber(ARGV[3]) - 1 do
  if call('HEXISTS', key('results', ARGV[1]), index) == 0 then
    local lease = call('ZSCORE', LEASES, ARGV[1] .. ':' .. index)
    if not lease or tonumber(lease) <= now then table.insert(left, index) end
  end
end
return left`);

/**
 * The store of keys was told of a batch. What has changed meanwhile is told anew, as another process may have
 * told it before. ARGV: batch, what was owed.
 */
export const PAID = grownAnyway(`
local owed = call('HGET', OWED, ARGV[1])
if owed == ARGV[2] then call('HDEL', OWED, ARGV[1])
elseif not owed and ARGV[2] == 'begun' then call('HSET', OWED, ARGV[1], 'again') end
return 'OK'`);

/** Returns the number and the bytes of a tenant's files and batches. ARGV: tenant. */
export const HELD = grownAnyway(`
call('ZREMRANGEBYSCORE', key('held', ARGV[1]), '-inf', now)
local sum, members = 0, call('ZRANGE', key('held', ARGV[1]), 0, -1)
for _, member in ipairs(members) do sum = sum + tonumber(member:match(':(%d+)$')) end
return {#members, sum}`);

/** ARGV: file, tenant, bytes. */
export const DELETE_FILE = grownAnyway(`
call('ZREM', key('held', ARGV[2]), ARGV[1] .. ':' .. ARGV[3])
call('DEL', key('file', ARGV[1]))
call('ZREM', key('files', ARGV[2]), ARGV[1])
dropContent(ARGV[1])
return 1`);
