// State in Redis over REST, shared by all edges.
import type { RedisLink } from "../../protocol/store/redis_link.ts";
import { MAX_LIST, type SetOptions, type StateStore } from "./state_store.ts";

const PREFIX = "spectrum:state:";
/** Agendas that nobody adds to. */
const AGENDA_MS = 2 * 86_400_000;

/** KEYS: list. ARGV: value, ttl in ms, front. */
const PUSH = `
redis.call('LREM', KEYS[1], 0, ARGV[1])
redis.call(ARGV[3] == '1' and 'LPUSH' or 'RPUSH', KEYS[1], ARGV[1])
if ARGV[3] == '1' then redis.call('LTRIM', KEYS[1], 0, ${MAX_LIST - 1})
else redis.call('LTRIM', KEYS[1], -${MAX_LIST}, -1) end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
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
    { ttlMs: px, onlyIfAbsent = false, onlyIfPresent = false }: SetOptions,
  ): Promise<boolean> {
    const options = onlyIfAbsent
      ? { px, nx: true as const }
      : onlyIfPresent
      ? { px, xx: true as const }
      : { px };
    return await this.#link.ask((redis) => redis.set(PREFIX + key, value, options)) !== null;
  }

  async delete(key: string): Promise<void> {
    await this.#link.ask((redis) => redis.del(PREFIX + key));
  }

  async push(
    list: string,
    value: string,
    { ttlMs, front = false }: { ttlMs: number; front?: boolean },
  ): Promise<void> {
    const values = [value, String(ttlMs), front ? "1" : "0"];
    await this.#link.ask((redis) => redis.eval(PUSH, [PREFIX + list], values));
  }

  async rotate(list: string): Promise<string | undefined> {
    const key = PREFIX + list;
    return await this.#link.ask((redis) => redis.lmove<string>(key, key, "left", "right")) ?? undefined;
  }

  async schedule(agenda: string, member: string, at: number): Promise<void> {
    const key = PREFIX + agenda;
    await this.#link.ask((redis) =>
      Promise.all([redis.zadd(key, { score: at, member }), redis.pexpire(key, AGENDA_MS)])
    );
  }

  async forgetBefore(agenda: string, at: number): Promise<void> {
    await this.#link.ask((redis) => redis.zremrangebyscore(PREFIX + agenda, "-inf", `(${at}`));
  }

  async unschedule(agenda: string, member: string): Promise<void> {
    await this.#link.ask((redis) => redis.zrem(PREFIX + agenda, member));
  }

  async claimDue(agenda: string, { leaseMs, limit }: { leaseMs: number; limit: number }): Promise<string[]> {
    const values = [leaseMs, limit].map(String);
    return await this.#link.ask((redis) => redis.eval(CLAIM_DUE, [PREFIX + agenda], values)) as string[];
  }

  async latest(agenda: string, limit: number): Promise<string[]> {
    return await this.#link.ask((redis) =>
      redis.zrange<string[]>(PREFIX + agenda, 0, limit - 1, { rev: true })
    );
  }
}
