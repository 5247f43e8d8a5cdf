// ControlNets together with everything else: LoRAs, masks, start images, picture batches under guidance,
// offloading, weights in blocks and pictures that leave their batch.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { createBatch } from "../../../gpu-worker/denoiser/picture_batch.ts";
import { openPipeline } from "../../../gpu-worker/model/open_pipeline.ts";
import type { OpenPipelineOptions } from "../../../gpu-worker/model/open_pipeline_options.ts";
import type { GenerateResult, Pipeline } from "../../../gpu-worker/pipeline/pipeline.ts";
import { completeRequest } from "../../../gpu-worker/request/complete_request.ts";
import type { PartialRequest } from "../../../gpu-worker/request/generate_request.ts";
import { goldenPath, loadGoldens, maxError } from "../../goldens/golden.ts";

const INPUT = loadGoldens("control");
const SIZE = { width: 24, height: 16 };
const CONTROL = { ...SIZE, data: INPUT.floats("input.control") };
const START = { ...SIZE, data: INPUT.floats("input.start") };
const MASK = { ...SIZE, data: Uint8Array.from(INPUT.ints("input.mask")) };

const SDXL = `${goldenPath("sdxl/tiny-sdxl")}+controlnet:${goldenPath("control/sdxl/canny")}`;
const FLUX = `${goldenPath("flux/tiny-dev")}+controlnet:${goldenPath("control/flux/canny")}` +
  `+controlnet:${goldenPath("control/flux/union")}`;
const LORA = "tests/goldens/lora/sdxl/style.safetensors";

const REQUEST = {
  prompt: "a red heart",
  seed: 5,
  steps: 6,
  controlImage: CONTROL,
  sampler: { method: "none" },
} as const;

const draw = (pipeline: Pipeline, more: Partial<PartialRequest> = {}): Promise<GenerateResult> =>
  pipeline.generate(completeRequest({ ...REQUEST, ...more }, pipeline.description));

function assertNear(actual: GenerateResult, expected: GenerateResult, tolerance = 1e-5): void {
  const error = maxError(actual.latents.data, expected.latents.data);
  assert(error <= tolerance, `error ${error}`);
}

async function drawTogether(pipeline: Pipeline, each: readonly Partial<PartialRequest>[]) {
  const places = createBatch(each.length);
  return await Promise.all(each.map(async (more, i) => {
    using batch = places[i]!;
    return await pipeline.generate(completeRequest({ ...REQUEST, ...more }, pipeline.description), { batch });
  }));
}

describe("a ControlNet", () => {
  it("goes with a LoRA, a start image and a mask, each of which changes the picture", async () => {
    const all = { image: START, mask: MASK, strength: 0.7 };
    const results: GenerateResult[] = [];
    for (const model of [SDXL, `${SDXL}+${LORA}:0.8`]) {
      using pipeline = await openPipeline(model);
      for (const more of [all, { ...all, mask: undefined }, { ...all, controlScale: 0 }]) {
        results.push(await draw(pipeline, more));
      }
    }
    const texts = results.map(({ latents }) => latents.data.join());
    assert.equal(new Set(texts).size, results.length);
  });

  it("gives each picture of a batch its own control image, under guidance too", async () => {
    const other = { ...SIZE, data: CONTROL.data.map((value) => -value) };
    for (
      const [model, more] of [
        [SDXL, { guidanceScale: 5 }],
        [FLUX, { controlNet: "canny", trueCfgScale: 2, maxSequenceLength: 32 }],
        [FLUX, { controlNet: "union", controlMode: 1, trueCfgScale: 2, maxSequenceLength: 32 }],
      ] as const
    ) {
      using pipeline = await openPipeline(model);
      const each = [{ ...more, seed: 1 }, { ...more, seed: 2, controlImage: other, prompt: "a fox" }];
      const together = await drawTogether(pipeline, each);
      for (const [i, own] of each.entries()) assertNear(together[i]!, await draw(pipeline, own));
    }
  });

  it("stays with the picture whose companion leaves the batch", async () => {
    using pipeline = await openPipeline(SDXL);
    const expected = await draw(pipeline, { seed: 8 });
    const [stays, leaves] = createBatch(2);
    const controller = new AbortController();
    const gone = (async () => {
      using batch = leaves!;
      const request = completeRequest({ ...REQUEST, seed: 9 }, pipeline.description);
      const onStep = ({ index }: { index: number }) => index === 1 && controller.abort(new Error("gone"));
      return await pipeline.generate(request, {
        batch,
        signal: controller.signal,
        onStep: (s) => void onStep(s),
      });
    })();
    const [left, kept] = await Promise.allSettled([
      gone,
      (async () => {
        using batch = stays!;
        return await pipeline.generate(
          completeRequest({ ...REQUEST, seed: 8 }, pipeline.description),
          { batch },
        );
      })(),
    ]);
    assert.equal(left.status, "rejected");
    assert(kept.status === "fulfilled");
    assertNear(kept.value, expected);
  });

  const OPTIONS: [name: string, options: OpenPipelineOptions, tolerance: number][] = [
    ["offloading", { offload: true }, 0],
    ["weights in int8", { weights: "int8" }, 0.2],
  ];
  for (const [name, options, tolerance] of OPTIONS) {
    it(`runs with ${name}`, async () => {
      for (const [model, more] of [[SDXL, {}], [FLUX, { controlNet: "union", controlMode: 0 }]] as const) {
        using pipeline = await openPipeline(model);
        using other = await openPipeline(model, options);
        assertNear(await draw(other, more), await draw(pipeline, more), tolerance);
      }
    });
  }

  it("leaves out its steps outside the window, at a cost of no run", async () => {
    using pipeline = await openPipeline(SDXL);
    const never = await draw(pipeline, { controlStart: 0.4, controlEnd: 0.5 });
    const off = await draw(pipeline, { controlScale: 0 });
    assertNear(never, off, 0);
  });
});
