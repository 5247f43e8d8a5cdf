// Tests a pipeline's cancellation, previews and repeated use, on the embedded checkpoint.
import type { DecodedImage } from "../../../gpu-worker/media/decoded_image.ts";
import { after, before, describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { openPipeline } from "../../../gpu-worker/model/open_pipeline.ts";
import type { Pipeline } from "../../../gpu-worker/pipeline/pipeline.ts";
import { liveHandles } from "../../../gpu-worker/runtime/mod.ts";
import { maxError } from "../../goldens/golden.ts";
import { onPipeline } from "./on_pipeline.ts";
import { completeRequest } from "../../../gpu-worker/request/complete_request.ts";

describe("Pipeline.generate()", () => {
  let pipeline: Pipeline;
  before(async () => {
    pipeline = await openPipeline("models/emoji");
  });
  after(() => pipeline[Symbol.dispose]());

  const request = (steps: number) =>
    completeRequest({ prompt: "a crab", seed: 1, steps }, pipeline.description);

  it("aborts with the signal's reason within a step, and frees the run's tensors", async () => {
    using pipeline = await openPipeline("models/emoji");
    const idle = liveHandles();
    const controller = new AbortController();
    const reason = new Error("the last viewer left");
    const seen: number[] = [];
    const run = pipeline.generate(request(20), {
      signal: controller.signal,
      onStep: ({ index }) => {
        seen.push(index);
        if (index === 6) controller.abort(reason);
      },
    });
    await assert.rejects(run, reason);
    assert.equal(seen.at(-1), 6);
    assert.deepEqual(liveHandles(), idle);
  });

  it("gives the same picture after an aborted run as before", async () => {
    const first = await pipeline.generate(request(8));
    await assert.rejects(pipeline.generate(request(8), { signal: AbortSignal.abort() }));
    const second = await pipeline.generate(request(8));
    assert.deepEqual(second.image.data, first.image.data);
  });

  it(
    "gives each of several pictures at once its own picture, whatever happens to another",
    onPipeline("models/emoji", async (pipeline) => {
      const seeded = (seed: number) =>
        completeRequest({ prompt: "a crab", seed, steps: 12 }, pipeline.description);
      const controller = new AbortController();
      const alone = [await pipeline.generate(seeded(1)), await pipeline.generate(seeded(2))];
      const cancelled = pipeline.generate(seeded(3), {
        signal: controller.signal,
        onStep: ({ index }) => {
          if (index === 4) controller.abort("cancelled");
        },
      });
      const together = [pipeline.generate(seeded(1)), pipeline.generate(seeded(2))];
      await assert.rejects(cancelled, (reason) => reason === "cancelled");
      for (const [i, { latents, forecastErrors, image }] of (await Promise.all(together)).entries()) {
        assert.deepEqual(latents.data, alone[i]!.latents.data);
        assert.deepEqual(forecastErrors, alone[i]!.forecastErrors);
        assert.deepEqual(image.data, alone[i]!.image.data);
      }
    }),
  );

  it("reports every step in order with its kind", async () => {
    const kinds: string[] = [];
    const { plan } = await pipeline.generate(request(20), {
      onStep: ({ kind, index }) => void (kinds[index] = kind),
    });
    assert.deepEqual(kinds, plan);
  });

  it("previews the estimate of the final picture, which the last one nearly is", async () => {
    const previews = new Map<number, DecodedImage>();
    const { image } = await pipeline.generate(request(20), {
      previewSteps: new Set([4, 19]),
      onPreview: (index, preview) => void previews.set(index, preview),
    });
    assert.deepEqual([...previews.keys()], [4, 19]);
    assert.deepEqual([previews.get(4)!.width, previews.get(4)!.height], [64, 64]);
    // At the last step the estimate is the step's result, except for float32 rounding.
    assert.ok(maxError(previews.get(19)!.data, image.data) < 1e-4);
  });

  it("keeps previews of large pictures small", async () => {
    const large = completeRequest(
      { prompt: "a crab", seed: 1, steps: 1, width: 520, height: 264 },
      pipeline.description,
    );
    let size: number[] = [];
    await pipeline.generate(large, {
      previewSteps: new Set([0]),
      onPreview: (_, { width, height }) => void (size = [width, height]),
    });
    assert.deepEqual(size, [176, 88]);
  });

  it("draws a red heart for README's first command", async () => {
    const { image: { data, width, height } } = await pipeline.generate(
      completeRequest({ prompt: "red heart", seed: 42 }, pipeline.description),
    );
    const area = width * height;
    const centre = (channel: number) => data[channel * area + (height / 2) * width + width / 2]!;
    assert.ok(centre(0) > 0.5 && centre(1) < 0 && centre(2) < 0, `${[0, 1, 2].map(centre)}`);
    const corner = (channel: number) => data[channel * area]!;
    assert.ok([0, 1, 2].every((channel) => corner(channel) > 0.7), `${[0, 1, 2].map(corner)}`);
  });

  it("draws something for any text", async () => {
    for (
      const prompt of ["", " ", "?!", "\u0000\ud800", "ein rotes Herz", "赤いハート", "word ".repeat(200)]
    ) {
      const { image } = await pipeline.generate(
        completeRequest({ prompt, seed: 1, steps: 4 }, pipeline.description),
      );
      assert.ok(image.data.every(Number.isFinite), `not finite for ${JSON.stringify(prompt.slice(0, 20))}`);
    }
  });
});
