import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { timeRuns } from "../../../../gpu-worker/cli/bench/time_runs.ts";
import { writeRandomFlux } from "../../../../gpu-worker/cli/bench/write_random_flux.ts";
import { openPipeline } from "../../../../gpu-worker/model/open_pipeline.ts";
import { completeRequest } from "../../../../gpu-worker/request/complete_request.ts";

const SIZE = { width: 128, doubleBlocks: 1, singleBlocks: 2, side: 64 };

describe("writeRandomFlux()", () => {
  for (const dtype of ["F32", "BF16"] as const) {
    it(`writes a checkpoint in ${dtype} that opens, runs and stays finite`, async () => {
      const folder = await Deno.makeTempDir();
      try {
        await writeRandomFlux(folder, { ...SIZE, dtype });
        using pipeline = await openPipeline(folder);
        const request = completeRequest({ prompt: "a", seed: 1, steps: 3 }, pipeline.description);
        assert.deepEqual([request.width, request.height], [SIZE.side, SIZE.side]);
        const { latents } = await pipeline.generate(request);
        // (64 / 8)^2 tokens.
        assert.deepEqual(latents.dims, [1, 64, 64]);
        assert.ok(latents.data.every(Number.isFinite));
      } finally {
        await Deno.remove(folder, { recursive: true });
      }
    });
  }
});

describe("timeRuns()", () => {
  it("tells full passes and forecasts apart", async () => {
    using pipeline = await openPipeline("models/emoji");
    const [none, spectrum] = await timeRuns(pipeline, {
      rows: [
        { name: "none", sampler: { method: "none" } },
        {
          name: "spectrum",
          sampler: { method: "spectrum", windowSize: 2, flexWindow: 0, warmupSteps: 3, m: 1 },
        },
      ],
      rounds: 1,
      request: { steps: 8 },
      signal: new AbortController().signal,
    });
    assert.deepEqual([none!.steps, none!.passes, none!.forecast], [8, 8, 0]);
    assert.deepEqual([spectrum!.steps, spectrum!.passes], [8, 5]);
    for (const { denoise, full, forecast, passes, steps } of [none!, spectrum!]) {
      assert.ok(full > 0 && denoise >= full * passes + forecast * (steps - passes) - 1);
    }
  });
});
