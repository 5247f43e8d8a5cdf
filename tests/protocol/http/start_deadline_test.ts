// Deadlines that share a timer.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { startDeadline } from "../../../protocol/http/start_deadline.ts";

describe("startDeadline()", () => {
  it("rejects with the caller's error, the earliest deadline first", async () => {
    const order: string[] = [];
    using late = startDeadline(250, () => new Error("late"));
    using early = startDeadline(1, () => new Error("early"));
    const note = (error: Error) => void order.push(error.message);
    await Promise.all([late.passed.catch(note), early.passed.catch(note)]);
    assert.deepEqual(order, ["early", "late"]);
  });

  it("never rejects once it is disposed of", async () => {
    let isPassed = false;
    const ended = startDeadline(1, () => new Error("ended"));
    ended.passed.catch(() => isPassed = true);
    ended[Symbol.dispose]();
    using other = startDeadline(150, () => new Error("other"));
    await assert.rejects(other.passed, /other/);
    assert.equal(isPassed, false);
  });
});
