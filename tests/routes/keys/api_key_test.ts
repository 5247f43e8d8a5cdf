import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { drawApiKey, formatApiKey, holdsSecret, parseApiKey } from "../../../routes/keys/api_key.ts";
import { keyRecordSchema } from "../../../routes/keys/key_store.ts";

const FIELDS = {
  name: "test",
  scopes: ["read" as const],
  requests_per_minute: null,
  pictures_per_month: null,
  created_at: "2026-01-01T00:00:00.000Z",
};

describe("API keys", () => {
  it("drawApiKey() draws 256 bits and records their hash alone", async () => {
    const { key, record } = await drawApiKey(FIELDS);
    const { id, secret } = parseApiKey(key)!;
    assert.equal(secret.length * 4, 256);
    assert.equal(record.id, id);
    assert.equal(formatApiKey({ id, secret }), key);
    assert.ok(!JSON.stringify(record).includes(secret));
    assert.deepEqual(keyRecordSchema.parse(record), record);
    const other = await drawApiKey(FIELDS);
    assert.notEqual(other.key, key);
    assert.notEqual(other.record.id, id);
  });

  it("holdsSecret() knows its own secret from all others", async () => {
    const { key, record } = await drawApiKey(FIELDS);
    const { secret } = parseApiKey(key)!;
    assert.equal(await holdsSecret(record, secret), true);
    for (const other of [secret.slice(1), `${secret.slice(0, -1)}g`, secret.toUpperCase() + "x", ""]) {
      assert.equal(await holdsSecret(record, other), false, other);
    }
  });

  it("holdsSecret() hashes as SHA-256 does", async () => {
    const { record } = await drawApiKey(FIELDS);
    // FIPS 180-2, appendix B.1.
    const abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert.equal(await holdsSecret({ ...record, secret_sha256: abc }, "abc"), true);
  });

  it("parseApiKey() takes nothing else for a key", () => {
    for (const text of ["", "sk-one", "se_1_2", `se_${"a".repeat(12)}_${"b".repeat(63)}`, "se_*_*"]) {
      assert.equal(parseApiKey(text), undefined, text);
    }
  });
});
