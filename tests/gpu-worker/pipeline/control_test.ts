// Compares runs with ControlNets with diffusers' ControlNet pipelines: every recorded call, several
// pictures at once, and the rules of the fields.
import { after, before, describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import sharp from "sharp";
import { createBatch } from "../../../gpu-worker/denoiser/picture_batch.ts";
import { decodeImage } from "../../../gpu-worker/media/decode_image.ts";
import type { DecodedImage } from "../../../gpu-worker/media/decoded_image.ts";
import { openPipeline } from "../../../gpu-worker/model/open_pipeline.ts";
import type { Pipeline } from "../../../gpu-worker/pipeline/pipeline.ts";
import { completeRequest } from "../../../gpu-worker/request/complete_request.ts";
import { controlsStep } from "../../../gpu-worker/request/control.ts";
import { goldenPath, loadGoldens, maxError } from "../../goldens/golden.ts";
import { ChangedCheckpoint } from "./changed_checkpoint.ts";
import {
  assertReference,
  completeReference,
  generateReference,
  type ReferenceCall,
  referenceCalls,
} from "./reference_call.ts";

const INPUT = loadGoldens("control");
const SIZE = { width: 24, height: 16 };
const CONTROL: DecodedImage = { ...SIZE, data: INPUT.floats("input.control") };
const START: DecodedImage = { ...SIZE, data: INPUT.floats("input.start") };
const MASK = { ...SIZE, data: Uint8Array.from(INPUT.ints("input.mask")) };

const MODELS = {
  sdxl: ["sdxl/tiny-sdxl", "sdxl/canny"],
  sd15: ["sdxl/tiny-sd15", "sd15/canny"],
  sd21: ["sdxl/tiny-sd21", "sd21/depth"],
  flux: ["flux/tiny-dev", "flux/canny"],
  flux_union: ["flux/tiny-dev", "flux/union"],
} as const;

interface ControlCall extends ReferenceCall {
  controlnet_conditioning_scale?: number;
  control_guidance_start?: number;
  control_guidance_end?: number;
  control_mode?: number;
  start?: boolean;
  mask?: boolean;
  run_steps?: number;
}

const netPath = (net: string) => goldenPath(`control/${net}`);

function partsOf(call: ControlCall, controlImage = CONTROL) {
  return {
    controlImage,
    controlScale: call.controlnet_conditioning_scale,
    controlStart: call.control_guidance_start,
    controlEnd: call.control_guidance_end,
    controlMode: call.control_mode,
    ...call.start && { image: START },
    ...call.mask && { mask: MASK },
  };
}

for (const [name, [checkpoint, net]] of Object.entries(MODELS)) {
  describe(`Pipeline.generate() with a ControlNet on ${checkpoint} (${name})`, () => {
    const goldens = loadGoldens(`control/${name}`);
    const folder = goldenPath(checkpoint);
    const suffix = `+controlnet:${netPath(net)}`;
    let pipeline: Pipeline;
    before(async () => {
      pipeline = await openPipeline(folder + suffix);
    });
    after(() => pipeline[Symbol.dispose]());

    for (const [id, call] of referenceCalls(`control/${name}`) as [string, ControlCall][]) {
      if (id === "picture.large") continue;
      it(`gives diffusers' latents for ${id}`, async () => {
        const { scheduler, run_steps: steps } = call;
        using changed = scheduler && new ChangedCheckpoint(folder, { scheduler });
        using other = changed && await openPipeline(changed.folder + suffix);
        const result = await generateReference(other ?? pipeline, call, partsOf(call));
        assertReference(result, { id, goldens });
        if (steps !== undefined) assert.equal(result.plan.length, steps);
      });
    }

    if (!goldens.has("picture.second.latents")) return;

    it("gives the same when several are drawn together", async () => {
      const calls = Object.fromEntries(referenceCalls(`control/${name}`)) as Record<string, ControlCall>;
      const ids = ["picture.scale_1", "picture.second"];
      const places = createBatch(ids.length);
      const results = await Promise.all(ids.map(async (id, i) => {
        const request = completeReference(pipeline, calls[id]!, partsOf(calls[id]!));
        using batch = places[i]!;
        return await pipeline.generate(request, { batch });
      }));
      for (const [i, id] of ids.entries()) assertReference(results[i]!, { id, goldens });
    });

    it("gives the plain checkpoint's latents without a control image, and at scale 0", async () => {
      const { scale_0: call } = casesOf(name);
      using plain = await openPipeline(folder);
      const expected = await generateReference(plain, call!);
      const own = await generateReference(pipeline, call!);
      const zero = await generateReference(pipeline, call!, partsOf(call!));
      assert.deepEqual(own.latents.data, expected.latents.data);
      // FLUX draws the control image's latents before the noise, as diffusers does.
      if (name !== "flux") assert.deepEqual(zero.latents.data, expected.latents.data);
    });
  });
}

function casesOf(name: string): Record<string, ControlCall> {
  return Object.fromEntries(
    (referenceCalls(`control/${name}`) as [string, ControlCall][]).map((
      [id, call],
    ) => [id.split(".")[1]!, call]),
  );
}

describe("a control image of another size than the picture", () => {
  it("is resized as diffusers does, up to the rounding of a resize", async () => {
    using pipeline = await openPipeline(
      `${goldenPath("sdxl/tiny-sdxl")}+controlnet:${netPath("sdxl/canny")}`,
    );
    const [height, width] = INPUT.shape("input.large") as [number, number, number];
    const raw = { width, height, channels: 3 as const };
    const file = await sharp(Uint8Array.from(INPUT.ints("input.large")), { raw }).png().toBuffer();
    const { large: call } = casesOf("sdxl");
    const image = await decodeImage(file, { ...SIZE, multiple: 1 });
    const { latents } = await generateReference(pipeline, call!, partsOf(call!, image));
    const expected = loadGoldens("control/sdxl").floats("picture.large.latents");
    const error = maxError(latents.data, expected);
    assert(error < 2e-2, `error ${error}`);
  });
});

describe("controlsStep()", () => {
  it("has diffusers' rule, whose window covers whole steps", () => {
    const steps = (start: number, end: number) =>
      Array.from({ length: 8 }, (_, step) => step)
        .filter((step) => controlsStep({ start, end }, { step, steps: 8 }));
    assert.deepEqual(steps(0, 1), [0, 1, 2, 3, 4, 5, 6, 7]);
    assert.deepEqual(steps(0.25, 0.75), [2, 3, 4, 5]);
    assert.deepEqual(steps(0.3, 0.7), [3, 4]);
    assert.deepEqual(steps(0.51, 0.6), []);
  });
});

describe("completeRequest() with a control image", () => {
  const description = {
    defaults: {
      steps: 20,
      width: 48,
      height: 48,
      guidanceScale: 1,
      trueCfgScale: 1,
      maxSequenceLength: 1,
      sampler: {},
    },
    rules: {
      sizeMultiple: 8,
      maxSequenceLength: 1,
      guidance: "cfg" as const,
      startImage: { strength: 0.3, partialStep: "skip" as const },
      controlNets: [{ name: "canny" }, { name: "union", modes: 3 }],
    },
  };
  const one = { ...description, rules: { ...description.rules, controlNets: [{ name: "canny" }] } };
  const none = {
    ...description,
    rules: { ...description.rules, controlNets: undefined },
  } as unknown as typeof one;
  const controlImage = SIZE;
  const request = { prompt: "a cat", seed: 1, controlImage, controlNet: "canny" };

  it("takes the size from the control image, and diffusers' defaults", () => {
    const { width, height, control } = completeRequest({ ...request, controlNet: undefined }, one);
    assert.deepEqual([width, height], [24, 16]);
    assert.deepEqual(control, { name: "canny", image: controlImage, scale: 1, start: 0, end: 1 });
  });

  it("takes the mode of a union", () => {
    const { control } = completeRequest({ ...request, controlNet: "union", controlMode: 2 }, description);
    assert.equal(control?.mode, 2);
  });

  const REFUSED: [change: object, message: RegExp, model?: typeof one][] = [
    [{ controlNet: undefined }, /'controlNet' must be one of canny, union: current value is absent/],
    [{ controlNet: "depth" }, /'controlNet' must be one of canny, union: current value is 'depth'|is depth/],
    [{}, /'controlImage' must be absent with this model, which has no ControlNet/, none],
    [{ controlImage: undefined }, /'controlNet' takes 'controlImage': there is none/],
    [
      { controlImage: undefined, controlNet: undefined, controlScale: 1 },
      /'controlScale' takes 'controlImage': there is none/,
    ],
    [
      { controlImage: { width: 8, height: 8 }, width: 24, height: 16 },
      /'controlImage' must be 24x16 pixels: it is 8x8/,
    ],
    [{ controlScale: 11 }, /'controlScale' must be in 0\.\.10: current value is 11/],
    [{ controlScale: NaN }, /'controlScale' must be in 0\.\.10: current value is NaN/],
    [
      { controlStart: 0.5, controlEnd: 0.5 },
      /'controlStart' must be below 'controlEnd' \(0\.5\), but is 0\.5/,
    ],
    [{ controlMode: 1 }, /'controlMode' must be absent with canny, which has one mode, but is 1/],
    [{ controlNet: "union" }, /'controlMode' must be a whole number in 0\.\.2 with union, but is absent/],
    [
      { controlNet: "union", controlMode: 3 },
      /'controlMode' must be a whole number in 0\.\.2 with union, but is 3/,
    ],
    [
      { image: SIZE, mask: SIZE, paddingMaskCrop: 2 },
      /'paddingMaskCrop' does not go together with 'controlImage'/,
    ],
  ];
  for (const [change, message, model = description] of REFUSED) {
    it(`refuses ${message.source}`, () => {
      assert.throws(() => completeRequest({ ...request, ...change }, model as typeof description), message);
    });
  }
});
