// State in Redis over REST, shared by all edges. What is promised has no expiry of its own:
// protocol/store/kept_keys.ts.
import { KEEP } from "../../protocol/store/kept_keys.ts";
import type { RedisLink } from "../../protocol/store/redis_link.ts";
import {
  type Entered,
  type Entry,
  MAX_LIST,
  type PageOptions,
  type SetOptions,
  type StateStore,
} from "./state_store.ts";

const PREFIX = "spectrum:state:";

/** KEYS: key. ARGV: value, ttl in ms, onlyIfAbsent. */
const SET_KEPT = `${KEEP}
if ARGV[3] == '1' and redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
redis.call('SET', KEYS[1], ARGV[1])
keep(KEYS[1], tonumber(ARGV[2]))
return 1`;

/** KEYS: key. ARGV: from, to. */
const SWAP = `
local found = redis.call('GET', KEYS[1])
if found ~= ARGV[1] then return found end
redis.call('SET', KEYS[1], ARGV[2], 'KEEPTTL')
return ARGV[2]`;

/** KEYS: key, agenda, list. ARGV: value, member, ttl in ms, max. In the list microseconds tell the order. */
const ENTER = `${KEEP}
if redis.call('EXISTS', KEYS[1]) == 1 then return 'known' end
redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', now - ARGV[3])
if redis.call('ZCARD', KEYS[3]) >= tonumber(ARGV[4]) then return 'full' end
redis.call('SET', KEYS[1], ARGV[1])
keep(KEYS[1], tonumber(ARGV[3]))
redis.call('PERSIST', KEYS[2])
redis.call('ZADD', KEYS[2], now, ARGV[2])
redis.call('ZADD', KEYS[3], t[1] * 1000 + t[2] / 1000, ARGV[2])
keep(KEYS[3], tonumber(ARGV[3]))
return 'entered'`;

/** KEYS: key, agenda, list. ARGV: member. */
const REMOVE = `${KEEP}
drop(KEYS[1])
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('ZREM', KEYS[3], ARGV[1])
return 'OK'`;

/** KEYS: list, prefix. ARGV: after, limit, ascending, ttl in ms. */
const PAGE = `
local t = redis.call('TIME')
local start, order = 0, ARGV[3] == '1' and '' or 'REV'
local oldest = '(' .. (t[1] * 1000 - tonumber(ARGV[4]))
if ARGV[1] ~= '' then
  local rank = redis.call('Z' .. order .. 'RANK', KEYS[1], ARGV[1])
  if not rank then return {} end
  start = rank + 1
elseif order == '' then
  start = redis.call('ZCOUNT', KEYS[1], '-inf', oldest)
end
local page, values = redis.call('Z' .. order .. 'RANGE', KEYS[1], start, start + ARGV[2] - 1), {}
for _, member in ipairs(page) do
  local value = redis.call('GET', KEYS[2] .. member)
  if value then values[#values + 1] = value end
end
return values`;

/** KEYS: list. ARGV: value, ttl in ms, front. */
const PUSH = `
redis.call('LREM', KEYS[1], 0, ARGV[1])
redis.call(ARGV[3] == '1' and 'LPUSH' or 'RPUSH', KEYS[1], ARGV[1])
if ARGV[3] == '1' then redis.call('LTRIM', KEYS[1], 0, ${MAX_LIST - 1})
else redis.call('LTRIM', KEYS[1], -${MAX_LIST}, -1) end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 'OK'`;

/** KEYS: agenda. ARGV: member, ms from now. */
const SCHEDULE = `
local t = redis.call('TIME')
redis.call('ZADD', KEYS[1], t[1] * 1000 + math.floor(t[2] / 1000) + ARGV[2], ARGV[1])
return 'OK'`;

/** KEYS: agenda. ARGV: lease in ms, limit. */
const CLAIM_DUE = `
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[2])
for _, member in ipairs(due) do redis.call('ZADD', KEYS[1], now + tonumber(ARGV[1]), member) end
return due`;

export class RedisStateStore implements StateStore {
  readonly #link: RedisLink;

  constructor(link: RedisLink) {
    this.#link = link;
  }

  async get(key: string): Promise<string | undefined> {
    return await this.#link.ask((redis) => redis.get<string>(PREFIX + key)) ?? undefined;
  }

  async set(
    key: string,
    value: string,
    { ttlMs: px, onlyIfAbsent = false, keep = false, waitMs = 0 }: SetOptions,
  ): Promise<boolean> {
    if (keep) return await this.#run(SET_KEPT, [key], [value, px, onlyIfAbsent ? 1 : 0]) === 1;
    const options = onlyIfAbsent ? { px, nx: true as const } : { px };
    return await this.#link.ask((redis) => redis.set(PREFIX + key, value, options), { waitMs }) !== null;
  }

  async swap(key: string, { from, to }: { from: string; to: string }): Promise<string | undefined> {
    return await this.#run(SWAP, [key], [from, to]) as string | null ?? undefined;
  }

  async delete(key: string): Promise<void> {
    await this.#link.ask((redis) => redis.del(PREFIX + key));
  }

  async enter({ key, member, agenda, list, ttlMs, max = 1e9 }: Entry, value: string): Promise<Entered> {
    return await this.#run(ENTER, [key, agenda, list], [value, member, ttlMs, max]) as Entered;
  }

  async remove({ key, member, agenda, list }: Omit<Entry, "ttlMs" | "max">): Promise<void> {
    await this.#run(REMOVE, [key, agenda, list], [member]);
  }

  async page(list: string, options: PageOptions): Promise<string[]> {
    const { prefix, limit, after = "", ascending = false, ttlMs } = options;
    return await this.#run(PAGE, [list, prefix], [after, limit, ascending ? 1 : 0, ttlMs]) as string[];
  }

  async push(
    list: string,
    value: string,
    { ttlMs, front = false }: { ttlMs: number; front?: boolean },
  ): Promise<void> {
    await this.#run(PUSH, [list], [value, ttlMs, front ? 1 : 0]);
  }

  async rotate(list: string): Promise<string | undefined> {
    const key = PREFIX + list;
    return await this.#link.ask((redis) => redis.lmove<string>(key, key, "left", "right")) ?? undefined;
  }

  async schedule(agenda: string, member: string, inMs: number): Promise<void> {
    await this.#run(SCHEDULE, [agenda], [member, Math.round(inMs)]);
  }

  async unschedule(agenda: string, member: string): Promise<void> {
    await this.#link.ask((redis) => redis.zrem(PREFIX + agenda, member));
  }

  async claimDue(agenda: string, { leaseMs, limit }: { leaseMs: number; limit: number }): Promise<string[]> {
    return await this.#run(CLAIM_DUE, [agenda], [leaseMs, limit]) as string[];
  }

  async latest(agenda: string, limit: number): Promise<string[]> {
    return await this.#link.ask((redis) =>
      redis.zrange<string[]>(PREFIX + agenda, 0, limit - 1, { rev: true })
    );
  }

  #run(script: string, keys: string[], values: (string | number)[]): Promise<unknown> {
    return this.#link.ask((redis) => redis.eval(script, keys.map((key) => PREFIX + key), values.map(String)));
  }
}
