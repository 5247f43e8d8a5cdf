// Repeats diffusers' recorded calls with images or masks, on checkpoints that are made for them.
import { after, before, describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import sharp from "sharp";
import { createBatch } from "../../../gpu-worker/denoiser/picture_batch.ts";
import { openReference } from "../../../gpu-worker/flags/image_flags.ts";
import { decodeImage } from "../../../gpu-worker/media/decode_image.ts";
import { decodeMask } from "../../../gpu-worker/media/decode_mask.ts";
import { openPipeline } from "../../../gpu-worker/model/open_pipeline.ts";
import type { Pipeline, StepFeature } from "../../../gpu-worker/pipeline/pipeline.ts";
import type { PartialRequest } from "../../../gpu-worker/request/generate_request.ts";
import type { ReferenceImage } from "../../../gpu-worker/request/references.ts";
import { goldenPath, loadGoldens } from "../../goldens/golden.ts";
import type { ChangedCheckpoint } from "./changed_checkpoint.ts";
import {
  assertReference,
  completeReference,
  generateReference,
  type ReferenceCall,
  referenceCalls,
} from "./reference_call.ts";

/** A recorded call with the names of its images. */
export interface ImageCall extends ReferenceCall {
  /** Names of files of references. */
  images?: string[];
  mask?: string;
  run_steps?: number;
}

const INPAINT = loadGoldens("inpaint");

/** Opens the images of a call. */
export async function startOf(
  { images, mask, width, height }: ImageCall,
): Promise<Pick<PartialRequest, "image" | "mask" | "references">> {
  if (mask === undefined) return { references: await Promise.all((images ?? []).map(goldenImage)) };
  const size = { width, height };
  const name = `${width}x${height}`;
  // Image and mask of another size than the picture's.
  const isSource = mask === "source";
  const file = await pngOf(isSource ? "source.66x45.pixels" : `${name}.${mask}`);
  return {
    image: isSource
      ? await decodeImage(await pngOf("source.44x30.pixels"), { ...size, multiple: 1 })
      : { ...size, data: INPAINT.floats(`${name}.image`) },
    mask: await decodeMask(file, { ...size, mode: "white" }),
  };
}

/** Returns recorded 8-bit pixels as a file. */
export async function pngOf(name: string): Promise<Uint8Array> {
  const [height, width, channels = 1] = INPAINT.shape(name) as [number, number, number?];
  const raw = { width, height, channels: channels as 1 | 3 };
  return await sharp(Uint8Array.from(INPAINT.ints(name)), { raw }).png().toBuffer();
}

/** Returns a recorded call of a folder under tests/goldens/references/. */
export function callOf(folder: string, id: string): ImageCall {
  return Object.fromEntries(referenceCalls(`references/${folder}`))[id] as ImageCall;
}

/** Opens an image of tests/goldens/references/. */
export async function goldenImage(name: string): Promise<ReferenceImage> {
  return await openReference(goldenPath(`references/${name}.png`));
}

/**
 * Describes the tests of a folder's calls.
 * @param together two calls that differ in their seed
 * @param only chooses calls by their ids
 */
export function describeReferences(
  name: string,
  { make, together, only = () => true }: {
    make: () => ChangedCheckpoint;
    together?: readonly [string, string];
    only?: (id: string) => boolean;
  },
): void {
  describe(`Pipeline.generate() of ${name}`, () => {
    const goldens = loadGoldens(`references/${name}`);
    const calls = new Map(
      (referenceCalls(`references/${name}`) as [string, ImageCall][]).filter(([id]) => only(id)),
    );
    let checkpoint: ChangedCheckpoint;
    let pipeline: Pipeline;
    before(async () => {
      checkpoint = make();
      pipeline = await openPipeline(checkpoint.folder);
    });
    after(() => {
      pipeline[Symbol.dispose]();
      checkpoint[Symbol.dispose]();
    });

    for (const [id, call] of calls) {
      it(`gives diffusers' latents for ${id}`, async () => {
        const result = await generateReference(pipeline, call, await startOf(call));
        assertReference(result, { id, goldens });
        if (call.run_steps !== undefined) assert.equal(result.plan.length, call.run_steps);
      });
    }
    if (together === undefined) return;

    it("gives the same when several pictures are drawn together", async () => {
      const places = createBatch(together.length);
      const results = await Promise.all(together.map(async (id, i) => {
        using batch = places[i]!;
        const call = calls.get(id)!;
        const request = completeReference(pipeline, call, await startOf(call));
        return await pipeline.generate(request, { batch });
      }));
      for (const [i, id] of together.entries()) assertReference(results[i]!, { id, goldens });
    });

    it("keeps features of the picture's tokens alone", async () => {
      const call = calls.get("spectrum.w_half")!;
      const kept: StepFeature["dims"][] = [];
      const { method: _, ...plain } = call;
      const request = completeReference(pipeline, { ...plain, num_inference_steps: 2 }, await startOf(call));
      const { latents } = await pipeline.generate(request, { onFeature: ({ dims }) => void kept.push(dims) });
      assert.deepEqual(kept.map(([tokens]) => tokens), [latents.dims[1], latents.dims[1]]);
    });
  });
}
