import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { systemClock } from "../../../protocol/process/clock.ts";
import { until } from "../../until.ts";
import { FakeClock } from "./fake_clock.ts";

describe("systemClock", () => {
  it("after() calls once, unless disposed of", async () => {
    const called: string[] = [];
    systemClock.after(0, () => called.push("disposed of"))[Symbol.dispose]();
    const startedAt = systemClock.now();
    systemClock.after(2, () => called.push("kept"));
    await until(() => called.length > 0);
    assert.deepEqual(called, ["kept"]);
    assert.ok(systemClock.now() >= startedAt);
  });
});

describe("FakeClock", () => {
  it("advance() lets timers go off in their order, at their own time", () => {
    const clock = new FakeClock();
    const seen: [string, number][] = [];
    const note = (name: string) => () => void seen.push([name, clock.now()]);
    clock.after(20, note("second"));
    clock.after(10, () => {
      note("first")();
      clock.after(5, note("nested"));
    });
    clock.after(15, note("disposed of"))[Symbol.dispose]();
    clock.after(31, note("late"));
    clock.advance(30);
    assert.deepEqual(seen, [["first", 10], ["nested", 15], ["second", 20]]);
    assert.deepEqual([clock.now(), clock.waiting], [30, 1]);
  });
});
