import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import type { EncodedPrompt } from "../../../gpu-worker/text/encoded_prompt.ts";
import { RememberedPrompts } from "../../../gpu-worker/text/remembered_prompts.ts";

const MAX_BYTES = 100;

describe("RememberedPrompts.encode()", () => {
  it("encodes a prompt once, for callers at the same time and for later ones", async () => {
    const { ask, encodings } = encoder();
    const together = [ask("a fox"), ask("a fox"), ask("an owl")];
    assert.deepEqual(encodings.map(({ text }) => text), ["a fox", "an owl"]);
    for (const { finish } of encodings) finish();
    const [first, second, other] = await Promise.all(together);
    assert.equal(first, second);
    assert.notEqual(first, other);
    assert.equal(await ask("a fox"), first);
    assert.equal(encodings.length, 2);
  });

  it("encodes a prompt anew for another length", async () => {
    const { ask, encodings } = encoder();
    const both = [ask("a fox"), ask("a fox", undefined, 2)];
    for (const { finish } of encodings) finish();
    assert.deepEqual((await Promise.all(both)).map(({ tokens }) => tokens), [1, 2]);
  });

  it("lets a caller leave while others wait", async () => {
    const { ask, encodings } = encoder();
    const leaving = new AbortController();
    const first = ask("a fox", leaving.signal);
    const second = ask("a fox", new AbortController().signal);
    leaving.abort(new Error("gone"));
    await assert.rejects(first, { message: "gone" });
    assert.equal(encodings[0]!.signal.aborted, false);
    encodings[0]!.finish();
    assert.equal((await second).tokens, 1);
  });

  it("ends an encoding when the last caller has left, who waits for its end", async () => {
    const { ask, encodings } = encoder();
    const callers = [new AbortController(), new AbortController()];
    const [first, last] = callers.map(({ signal }) => ask("a fox", signal));
    callers[0]!.abort(new Error("first"));
    await assert.rejects(first!, { message: "first" });
    callers[1]!.abort(new Error("last"));
    const [{ signal, fail }] = encodings as [Encoding];
    assert.equal(signal.reason.message, "last");
    assert.equal(await Promise.race([last, undefinedSoon()]), undefined);
    fail(signal.reason);
    await assert.rejects(last!, { message: "last" });
  });

  it("starts again for a caller who comes while an abandoned encoding ends", async () => {
    const { ask, encodings } = encoder();
    const leaving = new AbortController();
    const abandoned = ask("a fox", leaving.signal);
    leaving.abort(new Error("gone"));
    const next = ask("a fox");
    assert.equal(encodings.length, 2);
    encodings[0]!.fail(leaving.signal.reason);
    await assert.rejects(abandoned, { message: "gone" });
    // The end of the first encoding does not hide the second one.
    const third = ask("a fox");
    assert.equal(encodings.length, 2);
    encodings[1]!.finish();
    assert.equal(await next, await third);
  });

  it("tells all who wait of a failure, and does not remember it", async () => {
    const { ask, encodings } = encoder();
    const together = [ask("a fox"), ask("a fox")];
    encodings[0]!.fail(new Error("out of memory"));
    for (const caller of together) await assert.rejects(caller, { message: "out of memory" });
    const again = ask("a fox");
    encodings[1]!.finish();
    assert.equal((await again).tokens, 1);
  });

  it("begins nothing for a signal that is aborted", async () => {
    const { ask, encodings } = encoder();
    await assert.rejects(ask("a fox", AbortSignal.abort(new Error("gone"))), { message: "gone" });
    assert.equal(encodings.length, 0);
  });

  it("forgets the prompts that were not asked for the longest", async () => {
    const { ask, encodings } = encoder();
    const draw = async (key: string) => {
      const encoded = ask(key);
      encodings.at(-1)!.finish();
      await encoded;
    };
    // Each entry needs its name (6 bytes with the length) and two numbers.
    const kept = Math.floor(MAX_BYTES / 14);
    for (let i = 0; i <= kept; i++) await draw(`${i}`);
    await draw("1");
    assert.equal(encodings.length, kept + 1);
    await draw("0");
    assert.equal(encodings.length, kept + 2);
  });

  it("remembers by bytes: none that is larger than all may be together", async () => {
    const { ask, encodings } = encoder();
    for (let i = 0; i < 2; i++) {
      const encoded = ask("a fox", undefined, MAX_BYTES / 4);
      encodings.at(-1)!.finish();
      await encoded;
    }
    assert.equal(encodings.length, 2);
  });
});

interface Encoding {
  text: string;
  signal: AbortSignal;
  finish(): void;
  fail(error: Error): void;
}

/** Returns an encoder whose encodings end when the test says so. */
function encoder() {
  const encodings: Encoding[] = [];
  const prompts = new RememberedPrompts((text, { maxSequenceLength: tokens, signal }) => {
    const { promise, resolve, reject } = Promise.withResolvers<EncodedPrompt>();
    const encoded = { tokens, embeds: new Float32Array(tokens), pooled: new Float32Array(1) };
    encodings.push({ text, signal, finish: () => resolve(encoded), fail: reject });
    return promise;
  }, { maxBytes: MAX_BYTES });
  const ask = (text: string, signal?: AbortSignal, maxSequenceLength = 1) =>
    prompts.encode(text, { maxSequenceLength, ...signal && { signal } });
  return { ask, encodings };
}

/** Resolves to undefined after all settled promises have been handled. */
function undefinedSoon(): Promise<undefined> {
  return new Promise((resolve) => setTimeout(() => resolve(undefined)));
}
