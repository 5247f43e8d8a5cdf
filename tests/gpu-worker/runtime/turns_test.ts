import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { OneAtATime } from "../../../gpu-worker/runtime/turns.ts";

describe("OneAtATime", () => {
  it("makes one call at a time in order, also after one that failed", async () => {
    const turns = new OneAtATime();
    const events: string[] = [];
    const gates = [0, 1, 2].map(() => Promise.withResolvers<void>());
    const calls = gates.map(({ promise }, i) =>
      turns.take(async () => {
        events.push(`begin ${i}`);
        await promise;
        events.push(`end ${i}`);
        return i;
      })
    );
    assert.equal(turns.isBusy, true);
    gates[2]!.resolve();
    gates[0]!.resolve();
    gates[1]!.reject(new Error("broken"));
    const results = await Promise.allSettled(calls);
    assert.deepEqual(results.map(({ status }) => status), ["fulfilled", "rejected", "fulfilled"]);
    assert.deepEqual(events, ["begin 0", "end 0", "begin 1", "begin 2", "end 2"]);
    await turns.take(() => Promise.resolve());
  });

  it("releases objects after the active call and before the next one, in order", async () => {
    const turns = new OneAtATime();
    const events: string[] = [];
    const log = (event: string) => () => void events.push(event);
    turns.release(log("at once"));
    assert.deepEqual(events, ["at once"]);
    const gate = Promise.withResolvers<void>();
    const first = turns.take(() => gate.promise.then(log("first")));
    const second = turns.take(() => Promise.resolve().then(log("second")));
    turns.release(log("value"));
    turns.release(log("session"));
    assert.deepEqual(events, ["at once"]);
    gate.resolve();
    await first;
    await second;
    assert.deepEqual(events, ["at once", "first", "value", "session", "second"]);
  });
});
