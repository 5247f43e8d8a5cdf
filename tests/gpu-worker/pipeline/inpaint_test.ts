// Compares inpainting with diffusers' inpainting pipelines: every recorded call, several pictures at once,
// and the pixels outside the mask.
import { after, before, describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { createBatch } from "../../../gpu-worker/denoiser/picture_batch.ts";
import { cropRegion } from "../../../gpu-worker/media/crop_region.ts";
import { decodeImage } from "../../../gpu-worker/media/decode_image.ts";
import { type DecodedMask, decodeMask } from "../../../gpu-worker/media/decode_mask.ts";
import type { DecodedImage } from "../../../gpu-worker/media/decoded_image.ts";
import { toRgb } from "../../../gpu-worker/media/to_rgb.ts";
import { openPipeline } from "../../../gpu-worker/model/open_pipeline.ts";
import type { Pipeline } from "../../../gpu-worker/pipeline/pipeline.ts";
import { completeRequest } from "../../../gpu-worker/request/complete_request.ts";
import { toWire } from "../../../gpu-worker/request/wire_settings.ts";
import { goldenPath, type Goldens, loadGoldens } from "../../goldens/golden.ts";
import { WidenedCheckpoint } from "./widened_checkpoint.ts";
import { ChangedCheckpoint } from "./changed_checkpoint.ts";
import { pngOf } from "./reference_images.ts";
import {
  assertReference,
  generateReference,
  type GivenImages,
  type ReferenceCall,
  referenceCalls,
} from "./reference_call.ts";

const INPUT = loadGoldens("inpaint");

const CHECKPOINTS = {
  flux: "flux/tiny-dev",
  sd3: "sd3/tiny-large",
  z_image: "z_image/tiny-base",
  qwen_image: "qwen_image/tiny-image",
  sdxl: "sdxl/tiny-sdxl",
  sd15: "sdxl/tiny-sd15",
  sd21: "sdxl/tiny-sd21",
  // With UNets that see the mask.
  sd15_inputs: "sdxl/tiny-sd15",
  sdxl_inputs: "sdxl/tiny-sdxl",
};

interface InpaintCall extends ReferenceCall {
  mask: string;
  padding_mask_crop?: number;
  run_steps?: number;
}

type Size = Pick<ReferenceCall, "width" | "height">;

/** Returns what a call starts from, opened as a request's files are. */
async function startOf(call: InpaintCall): Promise<GivenImages> {
  if (call.mask === "source") return await sourceOf(call);
  return { image: imageOf(call), mask: await maskOf(call) };
}

function imageOf({ width, height }: Size): DecodedImage {
  return { width, height, data: INPUT.floats(`${width}x${height}.image`) };
}

/** Decodes the files of image and mask whose size is not the picture's. */
async function sourceOf(
  { width, height, padding_mask_crop: paddingMaskCrop }: InpaintCall,
): Promise<GivenImages & { paddingMaskCrop?: number | undefined }> {
  const isPart = paddingMaskCrop !== undefined;
  const image = await decodeImage(await pngOf("source.44x30.pixels"), {
    multiple: 1,
    ...!isPart && { width, height },
  });
  const mask = await decodeMask(await pngOf(isPart ? "source.part.pixels" : "source.66x45.pixels"), {
    width: image.width,
    height: image.height,
    mode: "white",
  });
  return { image, mask, paddingMaskCrop };
}

/** Compares with 8-bit pixels, up to one rounding of the autoencoder's output. */
function assertPixels(image: DecodedImage, { id, goldens }: { id: string; goldens: Goldens }): void {
  const [height, width] = goldens.shape(`${id}.pixels`);
  assert.deepEqual([image.width, image.height], [width, height]);
  const expected = goldens.ints(`${id}.pixels`);
  const errors = Array.from(toRgb(image), (value, i) => Math.abs(value - expected[i]!));
  assert(Math.max(...errors) <= 1, `${id}: pixels are off by ${Math.max(...errors)}`);
}

/** Decodes the mask from a file, as a request's mask is. */
async function maskOf({ width, height, mask }: Size & { mask: string }): Promise<DecodedMask> {
  return await decodeMask(await pngOf(`${width}x${height}.${mask}`), { width, height, mode: "white" });
}

for (const [name, checkpoint] of Object.entries(CHECKPOINTS)) {
  describe(`Pipeline.generate() in a mask on ${checkpoint}`, () => {
    const goldens = loadGoldens(`inpaint/${name}`);
    using stack = new DisposableStack();
    const widened = goldens.has("conv_in.weight")
      ? stack.use(new WidenedCheckpoint(goldenPath(checkpoint), goldens))
      : undefined;
    const folder = widened?.folder ?? goldenPath(checkpoint);
    const owned = stack.move();
    let pipeline: Pipeline;
    before(async () => {
      pipeline = await openPipeline(folder);
    });
    after(() => {
      pipeline[Symbol.dispose]();
      owned.dispose();
    });

    for (const [id, call] of referenceCalls(`inpaint/${name}`) as [string, InpaintCall][]) {
      it(`gives diffusers' latents for ${id}`, async () => {
        const { scheduler, run_steps: steps } = call;
        using changed = scheduler && new ChangedCheckpoint(folder, { scheduler });
        using other = changed && await openPipeline(changed.folder);
        const result = await generateReference(other ?? pipeline, call, await startOf(call));
        assertReference(result, { id, goldens });
        if (goldens.has(`${id}.pixels`)) assertPixels(result.image, { id, goldens });
        if (steps !== undefined) assert.equal(result.plan.length, steps);
      });
    }
  });
}

describe("a picture drawn in a mask", () => {
  const size = { width: 24, height: 16 };
  const image = imageOf(size);
  const request = { prompt: "a red heart on a white background", seed: 42, steps: 8, maxSequenceLength: 40 };
  let pipeline: Pipeline;
  before(async () => {
    pipeline = await openPipeline(goldenPath("flux/tiny-dev"));
  });
  after(() => pipeline[Symbol.dispose]());

  /** Returns the pixels that differ from the image's, as indices. */
  const changed = (drawn: DecodedImage) => {
    const [own, others] = [toRgb(image), toRgb(drawn)];
    return Array.from({ length: own.length / 3 }, (_, i) => i).filter((i) =>
      [0, 1, 2].some((channel) => own[3 * i + channel] !== others[3 * i + channel])
    );
  };

  for (const paddingMaskCrop of [undefined, 2]) {
    it(`keeps the pixels outside the mask exactly, with padding ${paddingMaskCrop}`, async () => {
      for (const mask of ["empty", "corner", "soft", "full"]) {
        if (mask === "empty" && paddingMaskCrop !== undefined) continue;
        const pixels = await maskOf({ ...size, mask });
        const complete = completeRequest(
          { ...request, strength: 0.5, image, mask: pixels, paddingMaskCrop },
          pipeline.description,
        );
        const different = changed((await pipeline.generate(complete)).image);
        assert(different.every((i) => pixels.data[i] !== 0), mask);
        const masked = pixels.data.filter((value) => value === 255).length;
        assert(different.length >= masked / 2, `${mask}: ${different.length} of ${masked} pixels changed`);
      }
    });
  }

  it("is drawn alone around the mask as diffusers does", async () => {
    const { cases: { crop: call } } = JSON.parse(
      Deno.readTextFileSync(goldenPath("inpaint/flux/goldens.json")),
    );
    const mask = await maskOf(call);
    const complete = completeRequest({
      ...request,
      seed: call.seed,
      strength: call.strength,
      guidanceScale: call.guidance_scale,
      image,
      mask,
      paddingMaskCrop: call.padding_mask_crop,
      sampler: { method: "none" },
    }, pipeline.description);
    const { image: drawn } = await pipeline.generate(complete);
    assertPixels(drawn, { id: "crop", goldens: loadGoldens("inpaint/flux") });
  });

  it("is the same when several are drawn together", async () => {
    const mask = await maskOf({ ...size, mask: "other_size" });
    const requests = [42, 43].map((seed) =>
      completeRequest({
        ...request,
        seed,
        strength: 0.5,
        guidanceScale: 3.5,
        image,
        mask,
        sampler: { method: "none" },
      }, pipeline.description)
    );
    const places = createBatch(requests.length);
    const results = await Promise.all(requests.map(async (request, i) => {
      using batch = places[i]!;
      return await pipeline.generate(request, { batch });
    }));
    const goldens = loadGoldens("inpaint/flux");
    assertReference(results[0]!, { id: "picture.other_size", goldens });
    assertReference(results[1]!, { id: "picture.second", goldens });
  });
});

describe("cropRegion()", () => {
  const { cases } = JSON.parse(Deno.readTextFileSync(goldenPath("inpaint/goldens.json")));
  for (const [id, call] of Object.entries(cases as Record<string, InpaintCall & { padding: number }>)) {
    if (!id.startsWith("crop.")) continue;
    it(`gives diffusers' region for ${id}`, async () => {
      const { padding, width: drawnWidth, height: drawnHeight } = call;
      const drawn = { width: drawnWidth, height: drawnHeight };
      const { left, top, width, height } = cropRegion(await maskOf(call), { padding, drawn });
      assert.deepEqual([left, top, left + width, top + height], [...INPUT.ints(`${id}.region`)]);
    });
  }

  it("refuses a mask that marks nothing", () => {
    const two = { width: 2, height: 2 };
    assert.throws(() => cropRegion({ ...two, data: new Uint8Array(4) }, { padding: 1, drawn: two }), {
      name: "ImageError",
      message: /'mask' as it must mark a place to draw anew/,
    });
  });
});

describe("completeRequest() with a mask", () => {
  const description = {
    defaults: {
      steps: 20,
      width: 24,
      height: 16,
      guidanceScale: 1,
      trueCfgScale: 1,
      maxSequenceLength: 1,
      sampler: {},
    },
    rules: {
      sizeMultiple: 8,
      maxSequenceLength: 1,
      guidance: "cfg" as const,
      startImage: { strength: 0.3, maskStrength: 1, partialStep: "skip" as const },
    },
  };
  const image = { width: 24, height: 16 };
  const request = { prompt: "a cat", seed: 1, image, mask: image };

  it("takes the strength of the family's inpainting pipeline", () => {
    const { startImage } = completeRequest(request, description);
    assert.deepEqual(startImage, { image, strength: 1, firstStep: 0, mask: { image, mode: "alpha" } });
    assert.equal(completeRequest({ ...request, mask: undefined }, description).startImage?.strength, 0.3);
  });

  it("draws a part in a size of its own, by default the image's in multiples", () => {
    const image = { width: 45, height: 31 };
    const part = { ...request, image, mask: image, paddingMaskCrop: 2 };
    const { width, height, startImage } = completeRequest(part, description);
    assert.deepEqual([width, height, startImage?.image], [40, 24, image]);
    assert.deepEqual(toWire(completeRequest(part, description)).picture_size, "45x31");
    const sized = completeRequest({ ...part, width: 16, height: 48 }, description);
    assert.deepEqual([sized.width, sized.height, sized.startImage?.image], [16, 48, image]);
  });

  const whole = { width: 8192, height: 2050 };
  const REFUSED: [change: object, message: RegExp][] = [
    [{ image: undefined }, /'mask' takes an image/],
    [{ mask: { width: 8, height: 16 } }, /'mask' must be 24x16 pixels: it is 8x16/],
    [{ mask: undefined, maskMode: "white" }, /'maskMode' takes a mask: current value is white/],
    [{ mask: whole, paddingMaskCrop: 3 }, /'mask' must be 24x16 pixels: it is 8192x2050/],
    [
      { image: whole, mask: whole, paddingMaskCrop: 3, width: 24, height: 16 },
      /'image' must have at most 16777216 pixels and sides of at most 8192 with 'paddingMaskCrop', but is 8192x2050/,
    ],
    [{ mask: undefined, paddingMaskCrop: 3 }, /'paddingMaskCrop' takes a mask: current value is 3/],
    [
      { paddingMaskCrop: 1.5 },
      /'paddingMaskCrop' must be a whole number in 0\.\.4096: current value is 1\.5/,
    ],
  ];
  for (const [change, message] of REFUSED) {
    it(`refuses ${message.source}`, () => {
      assert.throws(() => completeRequest({ ...request, ...change }, description), message);
    });
  }
});
