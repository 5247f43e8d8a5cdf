import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { KeyDirectory } from "../../../routes/keys/key_directory.ts";
import { MemoryKeyStore } from "../../../routes/keys/memory_key_store.ts";
import { drawTestKey, interruptible } from "./key.ts";

function start() {
  const state = { now: 0, away: false };
  const { store, asked } = interruptible(new MemoryKeyStore(), () => state.away);
  const directory = new KeyDirectory({ store, log: () => {}, now: () => state.now });
  return { state, store, asked, directory };
}

describe("KeyDirectory", () => {
  it("find() asks the store at most once in 30 s, and feels a revocation within them", async () => {
    const { state, store, asked, directory } = start();
    const { record } = await drawTestKey();
    await store.add(record);
    assert.equal((await directory.find(record.id))!.revoked_at, null);
    await store.revoke(record.id, new Date("2026-02-01T00:00:00Z"));
    const before = asked();
    state.now = 29_999;
    assert.equal((await directory.find(record.id))!.revoked_at, null);
    assert.equal(asked(), before);
    state.now = 30_000;
    assert.equal((await directory.find(record.id))!.revoked_at, "2026-02-01T00:00:00.000Z");
  });

  it("find() counts the 30 s from the question, however long the answer takes", async () => {
    const { state, store, directory } = start();
    const { record } = await drawTestKey();
    await store.add(record);
    const finding = directory.find(record.id);
    state.now = 20_000;
    await finding;
    await store.revoke(record.id, new Date());
    state.now = 30_000;
    assert.notEqual((await directory.find(record.id))!.revoked_at, null);
  });

  it("find() remembers for 5 s that a key does not exist", async () => {
    const { state, store, asked, directory } = start();
    const { record } = await drawTestKey();
    assert.equal(await directory.find(record.id), undefined);
    await store.add(record);
    const before = asked();
    state.now = 4999;
    assert.equal(await directory.find(record.id), undefined);
    assert.equal(asked(), before);
    state.now = 5000;
    assert.equal((await directory.find(record.id))!.id, record.id);
  });

  it("find() believes a known key for ten minutes while the store is away, and no other", async () => {
    const { state, store, directory } = start();
    const { record } = await drawTestKey();
    await store.add(record);
    await directory.find(record.id);
    state.away = true;
    state.now = 599_999;
    assert.equal((await directory.find(record.id))!.id, record.id);
    const away = { name: "ApiError", status: 503, code: "key_store_unavailable" };
    await assert.rejects(directory.find("000000000000"), away);
    state.now = 600_000;
    await assert.rejects(directory.find(record.id), away);
  });

  it("find() forgets no key for guesses, however many come", async () => {
    const { state, store, directory } = start();
    const { record } = await drawTestKey();
    await store.add(record);
    await directory.find(record.id);
    for (let guess = 0; guess < 20_000; guess++) await directory.find(`guess-${guess}`);
    state.away = true;
    state.now = 100_000;
    assert.equal((await directory.find(record.id))!.id, record.id);
  });

  it("isEmpty() stays false after the first key, and keeps its answer while the store is away", async () => {
    const { state, store, directory } = start();
    state.away = true;
    await assert.rejects(directory.isEmpty(), { status: 503 });
    state.away = false;
    assert.equal(await directory.isEmpty(), true);
    state.away = true;
    state.now = 100_000;
    assert.equal(await directory.isEmpty(), true);
    state.away = false;
    await store.add((await drawTestKey()).record);
    assert.equal(await directory.isEmpty(), false);
    state.away = true;
    state.now = 1_000_000;
    assert.equal(await directory.isEmpty(), false);
  });

  it("asks the store once if many ask for one key at once", async () => {
    const { asked, directory } = start();
    await Promise.all(Array.from({ length: 9 }, () => directory.isEmpty()));
    assert.equal(asked(), 1);
    await Promise.all(Array.from({ length: 9 }, () => directory.find("a")));
    assert.equal(asked(), 2);
  });

  it("isEmpty() knows of a key that find() has found", async () => {
    const { store, directory } = start();
    assert.equal(await directory.isEmpty(), true);
    const { record } = await drawTestKey();
    await store.add(record);
    assert.equal(await directory.isEmpty(), true);
    await directory.find(record.id);
    assert.equal(await directory.isEmpty(), false);
  });

  it("isEmpty() of an edge that has seen keys keeps others closed when the store was emptied", async () => {
    const { state, store, directory } = start();
    await store.add((await drawTestKey()).record);
    assert.equal(await directory.isEmpty(), false);
    const emptied = new MemoryKeyStore();
    const lost = interruptible(emptied, () => false).store;
    Object.assign(store, lost);
    const restarted = () => new KeyDirectory({ store: emptied, log: () => {} }).isEmpty();
    assert.equal(await restarted(), true);
    state.now = 30_000;
    assert.equal(await directory.isEmpty(), false);
    assert.equal(await restarted(), false);
  });
});
