// Keys and stores for tests.
import { drawApiKey } from "../../../routes/keys/api_key.ts";
import type { KeyRecord, KeyStore } from "../../../routes/keys/key_store.ts";

/** A new key with all scopes but admin and no limits, unless `fields` say otherwise. */
export async function drawTestKey(
  fields: Partial<KeyRecord> = {},
): Promise<{ key: string; record: KeyRecord }> {
  const { key, record } = await drawApiKey({
    name: "test",
    scopes: ["generate", "read"],
    requests_per_minute: null,
    pictures_per_month: null,
    created_at: "2026-01-01T00:00:00.000Z",
  });
  return { key, record: { ...record, ...fields } };
}

/** `store` while `isAway()` is false, else a store that cannot be reached; counts what it was asked. */
export function interruptible(
  store: KeyStore,
  isAway: () => boolean,
): { store: KeyStore; asked: () => number } {
  let asked = 0;
  const ask = <T>(answer: () => Promise<T>) => {
    asked++;
    return isAway() ? Promise.reject(new Error("connection refused")) : answer();
  };
  return {
    store: {
      find: (id) => ask(() => store.find(id)),
      list: () => ask(() => store.list()),
      isEmpty: () => ask(() => store.isEmpty()),
      noteKeys: () => ask(() => store.noteKeys()),
      add: (record) => ask(() => store.add(record)),
      revoke: (id, at) => ask(() => store.revoke(id, at)),
      take: (take) => ask(() => store.take(take)),
      charge: (charge) => ask(() => store.charge(charge)),
      settle: (settlement) => ask(() => store.settle(settlement)),
      renew: (held, leaseMs) => ask(() => store.renew(held, leaseMs)),
      repair: () => ask(() => store.repair()),
      used: (counter) => ask(() => store.used(counter)),
    },
    asked: () => asked,
  };
}
