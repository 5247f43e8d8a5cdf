// Keys and counters in Redis over REST: shared by all instances, written by `deno task keys`.
// Counters by a script of our own: docs/decisions/0011-limits-by-a-script.md.
import type { RedisLink } from "../../protocol/store/redis_link.ts";
import { KEEP, SWEEP, SWEPT_AT_ONCE } from "../../protocol/store/kept_keys.ts";
import { CHARGE, RENEW, REPAIR, SETTLE } from "./charge_scripts.ts";
import {
  type Charge,
  type KeyRecord,
  keyRecordSchema,
  type KeyStore,
  revoked,
  type Settlement,
  type Take,
  type Taken,
} from "./key_store.ts";

/** A hash of records by id. */
const KEYS = "spectrum:keys";
/** A note that there were keys. Edges write it again if it is lost. */
const NOTE = "spectrum:keyed";
const COUNTER = "spectrum:count:";

/** Check and addition in one step. KEYS: counter, previous. ARGV: amount, limit, weight, ttl in ms. */
const TAKE = `${KEEP}
local used = tonumber(redis.call('GET', KEYS[1]) or '0')
local before = tonumber(redis.call('GET', KEYS[2]) or '0')
local amount = tonumber(ARGV[1])
if amount > 0 and used + before * tonumber(ARGV[3]) + amount > tonumber(ARGV[2]) then
  return {0, used, before}
end
if redis.call('EXISTS', KEYS[1]) == 0 then keep(KEYS[1], tonumber(ARGV[4])) end
used = redis.call('INCRBY', KEYS[1], amount)
return {1, used, before}`;

export class RedisKeyStore implements KeyStore {
  readonly #link: RedisLink;

  constructor(link: RedisLink) {
    this.#link = link;
  }

  async find(id: string): Promise<KeyRecord | undefined> {
    const text = await this.#link.ask((redis) => redis.hget<string>(KEYS, id));
    return text === null ? undefined : parseRecord(text);
  }

  async list(): Promise<KeyRecord[]> {
    const texts = await this.#link.ask((redis) => redis.hvals(KEYS)) as string[];
    return texts.map(parseRecord).sort((a, b) => a.created_at < b.created_at ? -1 : 1);
  }

  async isEmpty({ waitMs = 0 } = {}): Promise<boolean> {
    return await this.#link.ask((redis) => redis.exists(KEYS, NOTE), { waitMs }) === 0;
  }

  async noteKeys(): Promise<void> {
    await this.#link.ask((redis) => redis.set(NOTE, "1"));
  }

  async add(record: KeyRecord): Promise<boolean> {
    return await this.#link.ask((redis) => redis.hsetnx(KEYS, record.id, JSON.stringify(record))) === 1;
  }

  async revoke(id: string, at: Date): Promise<KeyRecord | undefined> {
    const found = await this.find(id);
    if (found === undefined) return undefined;
    // Nothing else in a record ever changes, so that there is nothing to overwrite.
    const record = revoked(found, at);
    await this.#link.ask((redis) => redis.hset(KEYS, { [id]: JSON.stringify(record) }));
    return record;
  }

  async take({ counter, previous, amount, limit, ttlMs }: Take): Promise<Taken> {
    const keys = [COUNTER + counter, COUNTER + (previous?.counter ?? "none")];
    const values = [amount, limit, previous?.weight ?? 0, ttlMs].map(String);
    const [ok, used, before] = await this.#link.ask((redis) => redis.eval(TAKE, keys, values)) as number[];
    return { ok: ok === 1, used: used!, before: before! };
  }

  async charge(
    { id, holder, counter, amount, limit, leaseMs }: Charge,
  ): Promise<{ ok: boolean; used: number }> {
    const values = [id, holder, counter, amount, limit, leaseMs].map(String);
    const [ok, used] = await this.#link.ask((redis) => redis.eval(CHARGE, [], values)) as number[];
    return { ok: ok === 1, used: used! };
  }

  async settle({ id, holder, counter, delivered, made = 0, done }: Settlement): Promise<void> {
    const values = [id, holder, counter, done, String(made), ...delivered.map(String)];
    await this.#link.ask((redis) => redis.eval(SETTLE, [], values));
  }

  async renew(held: readonly Pick<Charge, "id" | "holder">[], leaseMs: number): Promise<void> {
    if (held.length === 0) return;
    const values = [leaseMs, ...held.flatMap(({ id, holder }) => [id, holder])].map(String);
    await this.#link.ask((redis) => redis.eval(RENEW, [], values));
  }

  async repair(): Promise<void> {
    await this.#link.ask((redis) => redis.eval(REPAIR, [], []));
    while (await this.#link.ask((redis) => redis.eval(SWEEP, [], [])) === SWEPT_AT_ONCE);
  }

  async used(counter: string): Promise<number> {
    return Number(await this.#link.ask((redis) => redis.get<string>(COUNTER + counter)));
  }
}

function parseRecord(text: string): KeyRecord {
  return keyRecordSchema.parse(JSON.parse(text));
}
