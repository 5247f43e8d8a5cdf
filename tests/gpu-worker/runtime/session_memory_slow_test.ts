// Resident memory is the whole process's: this test runs alone.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { liveHandles, Runtime } from "../../../gpu-worker/runtime/mod.ts";
import { sumAndProduct } from "./models.ts";

describe("Session", () => {
  it("run() keeps no memory: 2,000 runs", async () => {
    using runtime = Runtime.open();
    using session = await runtime.createSession(sumAndProduct());
    using a = runtime.allocate("float32", [16_384]);
    using b = runtime.allocate("float32", [16_384]);
    const repeat = async (count: number) => {
      for (let i = 0; i < count; i++) {
        const { sum, product } = await session.run({ a, b }, { signal: AbortSignal.any([]) });
        sum!.as("float32").data();
        sum![Symbol.dispose]();
        product![Symbol.dispose]();
      }
    };
    await repeat(200);
    const handles = liveHandles();
    const before = Deno.memoryUsage().rss;
    await repeat(2_000);
    const grown = (Deno.memoryUsage().rss - before) / 2 ** 20;
    assert.deepEqual(liveHandles(), handles);
    // Keeping one output of 64 kB per run would take 125 MB. The heap between two
    // collections stays far below that.
    assert(grown < 40, `resident memory grew by ${grown.toFixed(0)} MB`);
  });
});
