// Compares image to video with diffusers' WanImageToVideoPipeline: every recorded call, what the network sees
// of the frames, and requests whose frames do not fit the model.
import { after, before, describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { createBatch } from "../../../../gpu-worker/denoiser/picture_batch.ts";
import { decodeFrame } from "../../../../gpu-worker/media/decode_frame.ts";
import { describeModel } from "../../../../gpu-worker/model/describe_model.ts";
import { openPipeline } from "../../../../gpu-worker/model/open_pipeline.ts";
import { readModel } from "../../../../gpu-worker/model/read_model.ts";
import type { Pipeline } from "../../../../gpu-worker/pipeline/pipeline.ts";
import { completeRequest } from "../../../../gpu-worker/request/complete_request.ts";
import { type FrameImage, requireFrames } from "../../../../gpu-worker/request/video_frames.ts";
import { Runtime, type Session } from "../../../../gpu-worker/runtime/mod.ts";
import { prepareWanFrames } from "../../../../gpu-worker/families/wan/prepare_wan_frames.ts";
import type { WanCheckpoint, WanGraphs } from "../../../../gpu-worker/families/wan/wan_checkpoint.ts";
import { latentsOf } from "../../../../gpu-worker/vae/video_size.ts";
import { goldenPath, loadGoldens, maxError } from "../../../goldens/golden.ts";
import { FIRST, LAST } from "../given_frames.ts";
import { ChangedCheckpoint } from "../../pipeline/changed_checkpoint.ts";
import {
  assertReference,
  generateReference,
  type ReferenceCall,
  referenceCalls,
} from "../../pipeline/reference_call.ts";

interface FrameCall extends ReferenceCall {
  last_image: boolean;
}

/** Goldens -> checkpoint. */
const CHECKPOINTS = {
  "frames/tiny-i2v": "frames/tiny-i2v",
  "frames/tiny-flf": "frames/tiny-flf",
  "frames/tiny-a14b": "frames/tiny-a14b",
  "frames/ti2v": "wan/tiny-ti2v",
};

function framesOf({ last_image: isLast }: { last_image?: boolean }) {
  return { firstFrame: FIRST, ...isLast && { lastFrame: LAST } };
}

for (const [name, checkpoint] of Object.entries(CHECKPOINTS)) {
  describe(`Pipeline.generate() from frames on ${name}`, () => {
    const goldens = loadGoldens(name);
    let pipeline: Pipeline;
    before(async () => {
      pipeline = await openPipeline(goldenPath(checkpoint));
    });
    after(() => pipeline[Symbol.dispose]());

    for (const [id, call] of referenceCalls(name) as [string, FrameCall][]) {
      it(`gives diffusers' latents for ${id}`, async () =>
        assertReference(await generateReference(pipeline, call, framesOf(call)), { id, goldens }));
    }
  });
}

for (const name of ["frames/tiny-i2v", "frames/tiny-flf", "frames/tiny-a14b"]) {
  describe(`prepareWanFrames() of ${name}`, () => {
    const goldens = loadGoldens(name);
    const { cases } = JSON.parse(Deno.readTextFileSync(goldenPath(`${name}/goldens.json`)));
    for (const [id, call] of Object.entries(cases as Record<string, FrameCall & { num_frames: number }>)) {
      if (!id.startsWith("condition.")) continue;
      it(`gives diffusers' ${id}`, async () => {
        const { runs, condition } = await prepare(goldenPath(name), call);
        assert(maxError(condition.channels!, goldens.floats(`${id}.channels`)) <= 2e-5);
        if (goldens.has(`${id}.states`)) {
          assert(maxError(condition.states!, goldens.floats(`${id}.states`)) <= 2e-5);
        }
        // 26 calls of each of three parts would be 78.
        if (call.num_frames === 101) assert(runs < 45, `the parts ran ${runs} times`);
      });
    }
  });
}

/** Encodes the frames of a call, and counts the runs of the encoder's parts. */
async function prepare(folder: string, call: FrameCall & { num_frames: number }) {
  const { reading, graphs } = readModel(folder, {});
  using runtime = Runtime.open();
  using owned = new DisposableStack();
  const sessions = new Map<string, Session>();
  let runs = 0;
  const prepareFrames = prepareWanFrames({
    runtime,
    reading: reading as WanCheckpoint,
    graphs: graphs as WanGraphs,
    later: (graph) => ({
      inputNames: [...graph.inputNames],
      async run(feeds, options) {
        if (graph.name.startsWith("vae")) runs++;
        const session = sessions.get(graph.name) ?? owned.use(await runtime.createSession(graph));
        sessions.set(graph.name, session);
        return await session.run(feeds, options);
      },
    }),
  })!;
  const { width, height, num_frames: numFrames } = call;
  const { firstFrame: first, lastFrame: last } = framesOf(call);
  const size = latentsOf((reading as WanCheckpoint).latentScale, { width, height, numFrames });
  const condition = await prepareFrames({
    frames: { first, ...last && { last } },
    size,
    width,
    height,
    signal: undefined,
  });
  return { runs, condition };
}

describe("decodeFrame()", () => {
  const goldens = loadGoldens("frames/tiny-i2v");
  const { vision } = describeModel(goldenPath("frames/tiny-i2v")).reading as unknown as WanCheckpoint;

  it("prepares a picture for CLIP as transformers does", async () => {
    const { vision: pixels } = await decodeFrame(FIRST.file!.bytes, {
      width: 16,
      height: 16,
      field: "input_reference",
      vision,
    });
    assert(maxError(pixels!, goldens.floats("pixels.first.pixel_values")) <= 1e-6);
  });

  it("refuses what is no picture, and a damaged one", async () => {
    const size = { width: 16, height: 16, field: "input_reference" as const };
    const message = /Cannot read 'input_reference' as it is no image, or a damaged one/;
    await assert.rejects(decodeFrame(new Uint8Array([1, 2, 3]), size), message);
    const { bytes } = FIRST.file!;
    await assert.rejects(decodeFrame(bytes.subarray(0, bytes.length / 2), size), message);
  });
});

describe("a video of frames", () => {
  const request = { prompt: "a red heart", seed: 1, steps: 3, numFrames: 5, width: 32, height: 32 };
  const sampler = { method: "none" as const };

  for (const name of ["wan/tiny-ti2v", "frames/tiny-i2v"]) {
    it(`of ${name} gets its own frame in a picture batch, and both branches of guidance see it`, async () => {
      using pipeline = await openPipeline(goldenPath(name));
      const requests = [FIRST, LAST].map((firstFrame) =>
        completeRequest({ ...request, firstFrame, sampler }, pipeline.description)
      );
      const alone = await Promise.all(requests.map((each) => pipeline.generate(each)));
      const places = createBatch(2);
      const together = await Promise.all(
        requests.map((each, i) => pipeline.generate(each, { batch: places[i]! })),
      );
      for (const [i, { latents }] of together.entries()) {
        assert(maxError(latents.data, alone[i]!.latents.data) <= 1e-4);
      }
      assert(maxError(alone[0]!.latents.data, alone[1]!.latents.data) > 1e-2);
    });
  }

  it("of a network for text too is another one than that from text alone", async () => {
    using pipeline = await openPipeline(goldenPath("wan/tiny-ti2v"));
    const complete = (frames: object) =>
      completeRequest({ ...request, ...frames, sampler }, pipeline.description);
    const [withFrame, plain] = [
      await pipeline.generate(complete({ firstFrame: FIRST })),
      await pipeline.generate(complete({})),
    ];
    assert(maxError(withFrame.latents.data, plain.latents.data) > 1e-2);
  });

  it("has about as many pixels as the model's own size, in the proportions of its first frame", () => {
    const { reading } = describeModel(goldenPath("frames/tiny-i2v"));
    const sizeOf = (firstFrame: FrameImage, given: object = {}) => {
      const { width, height } = completeRequest({ prompt: "x", seed: 0, firstFrame, ...given }, reading);
      return [width, height];
    };
    // diffusers' examples: the square root of 832 x 480 times or through the shape, rounded down to 16.
    assert.deepEqual(sizeOf({ width: 1600, height: 1600 }), [624, 624]);
    assert.deepEqual(sizeOf({ width: 4000, height: 3000 }), [720, 544]);
    assert.deepEqual(sizeOf({ width: 4000, height: 3000 }, { width: 320 }), [320, 240]);
    assert.deepEqual(sizeOf({ width: 4000, height: 3000 }, { width: 320, height: 320 }), [320, 320]);
    assert.deepEqual(sizeOf({ width: 8000, height: 16 }), [4096, 16]);
  });

  const REFUSED: [model: string, fields: object, message: RegExp][] = [
    [
      "frames/tiny-i2v",
      {},
      /'firstFrame' must be given with this model, which makes videos from a first frame/,
    ],
    [
      "frames/tiny-i2v",
      framesOf({ last_image: true }),
      /'lastFrame' must be absent.*takes a first frame alone/,
    ],
    ["frames/tiny-flf", framesOf({}), /'lastFrame' must be given with this model.*a first and a last frame/],
    [
      "wan/tiny-ti2v",
      framesOf({ last_image: true }),
      /'lastFrame' must be absent.*takes a first frame alone/,
    ],
    ["wan/tiny-unipc", framesOf({}), /'firstFrame' must be absent.*makes videos from text alone/],
    ["flux/tiny-dev", framesOf({}), /'firstFrame' must be absent.*draws pictures from text alone/],
    ["wan/tiny-ti2v", { lastFrame: LAST }, /'lastFrame' must be absent/],
    ["frames/tiny-a14b", { lastFrame: LAST }, /'lastFrame' takes 'firstFrame'/],
    [
      "frames/tiny-a14b",
      { ...framesOf({ last_image: true }), numFrames: 1 },
      /'lastFrame' takes 'numFrames' > 1/,
    ],
    [
      "frames/tiny-a14b",
      { firstFrame: { width: 1, height: 1 } },
      /'firstFrame' must have at least 16x16.*1x1/,
    ],
  ];
  for (const [model, fields, message] of REFUSED) {
    it(`is refused by ${model}: ${message}`, () => {
      const { reading } = describeModel(goldenPath(model));
      assert.throws(() => {
        requireFrames(completeRequest({ prompt: "x", seed: 0, ...fields }, reading), reading.rules);
      }, { message });
    });
  }

  it("takes a checkpoint whose network and autoencoder fit only", () => {
    const refused = (changes: ConstructorParameters<typeof ChangedCheckpoint>[1], message: RegExp) => {
      using changed = new ChangedCheckpoint(goldenPath("frames/tiny-i2v"), changes);
      assert.throws(() => describeModel(changed.folder), { message });
    };
    refused({ index: { _class_name: "WanPipeline" } }, /'in_channels'/);
    refused(
      { index: { image_encoder: ["transformers", "SiglipVisionModel"] } },
      /'image_encoder' must be CLIPVisionModel/,
    );
  });
});
