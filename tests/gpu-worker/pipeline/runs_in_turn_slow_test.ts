// Consecutive runs of one pipeline, on the embedded checkpoint: no run affects the next.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { openPipeline } from "../../../gpu-worker/model/open_pipeline.ts";
import type { GenerateOptions, Pipeline } from "../../../gpu-worker/pipeline/pipeline.ts";
import type { PartialRequest } from "../../../gpu-worker/request/generate_request.ts";
import { liveHandles } from "../../../gpu-worker/runtime/mod.ts";
import { onPipeline } from "../pipeline/on_pipeline.ts";
import { completeRequest } from "../../../gpu-worker/request/complete_request.ts";

const WINDOW = { method: "spectrum", windowSize: 2, warmupSteps: 5, passes: 0 } as const;

describe("Pipeline.generate(), again and again", () => {
  const onEmoji = (
    test: (
      draw: (partial: Partial<PartialRequest>, options?: GenerateOptions) => ReturnType<typeof drawOn>,
    ) => Promise<void>,
  ) => onPipeline("models/emoji", (pipeline) => test((...run) => drawOn(pipeline, ...run)));

  const drawOn = (pipeline: Pipeline, partial: Partial<PartialRequest>, options?: GenerateOptions) =>
    pipeline.generate(
      completeRequest({
        prompt: "a crab",
        seed: 1,
        steps: 20,
        sampler: { ...WINDOW, flexWindow: 3 },
        ...partial,
      }, pipeline.description),
      options,
    );

  it(
    "gives each run a new pipeline's picture, whatever ran before",
    onEmoji(async (draw) => {
      const requests: Partial<PartialRequest>[] = [
        {},
        { prompt: "a red heart on a blue background", seed: 2 },
        { trueCfgScale: 2 },
        { sampler: { ...WINDOW, flexWindow: 3, w: 0.9 } },
        { sampler: { method: "taylorseer", windowSize: 2, warmupSteps: 5, flexWindow: 3, passes: 0 } },
        { sampler: { ...WINDOW, fullSteps: [0, 1, 2, 5, 6, 9, 12, 19] } },
        { steps: 24, sampler: { ...WINDOW, fullSteps: [0, 1, 2, 3, 5, 10, 15] } },
        { sampler: { ...WINDOW, errorBudget: 0.1 } },
        { sampler: { method: "none" }, steps: 3 },
        {},
      ];
      for (const request of requests) {
        using fresh = await openPipeline("models/emoji");
        const expected = await drawOn(fresh, request);
        for (let i = 0; i < 2; i++) {
          const { latents, forecastErrors, plan } = await draw(request);
          assert.deepEqual(latents, expected.latents);
          assert.deepEqual([forecastErrors, plan], [expected.forecastErrors, expected.plan]);
        }
      }
    }),
  );

  it(
    "shows the same previews as a run without any before it",
    onEmoji(async (draw) => {
      const preview = async () => {
        const shown: number[][] = [];
        await draw({}, {
          previewSteps: new Set([9, 13]),
          onPreview: (_, { data }) => void shown.push([...data]),
        });
        return shown;
      };
      const expected = await preview();
      await draw({});
      assert.deepEqual(await preview(), expected);
    }),
  );

  it(
    "holds nothing native between runs, whether they end or are cancelled",
    onEmoji(async (draw) => {
      const before = liveHandles();
      await draw({});
      assert.deepEqual(liveHandles(), before);
      const controller = new AbortController();
      const onStep = ({ index }: { index: number }) => void (index === 7 && controller.abort("enough"));
      await assert.rejects(draw({}, { signal: controller.signal, onStep }), (reason) => reason === "enough");
      assert.deepEqual(liveHandles(), before);
    }),
  );
});
