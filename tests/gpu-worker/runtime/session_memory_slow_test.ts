// Resident memory is the whole process's: this test runs alone.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { liveHandles, Runtime } from "../../../gpu-worker/runtime/mod.ts";
import { assertFlat } from "../../service/assert_flat.ts";
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
    // Keeping one output of 64 kB per run would take 125 MB in each round.
    const measure = () => [{ name: "this process", descriptors: 0, memory: Deno.memoryUsage().rss }];
    await assertFlat(() => repeat(2_000), { measure, spare: 0 });
    assert.deepEqual(liveHandles(), handles);
  });
});
