// Compares our HunyuanVideo pipeline with diffusers' HunyuanVideoPipeline: every
// recorded call, from prompt to frames.
import { after, before, describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { CheckpointError } from "../../../../gpu-worker/checkpoint/checkpoint_error.ts";
import { openPipeline } from "../../../../gpu-worker/model/open_pipeline.ts";
import type { Pipeline } from "../../../../gpu-worker/pipeline/pipeline.ts";
import { readModel } from "../../../../gpu-worker/model/read_model.ts";
import { goldenPath } from "../../../goldens/golden.ts";
import { ChangedCheckpoint } from "../../pipeline/changed_checkpoint.ts";
import { referenceCases } from "../../pipeline/reference_cases.ts";
import { completeRequest } from "../../../../gpu-worker/request/complete_request.ts";

for (const name of ["tiny-distilled", "tiny-plain"]) {
  describe(`HunyuanVideoPipeline.generate() on ${name}`, () => {
    referenceCases(`hunyuan_video/${name}`);
  });
}

describe("HunyuanVideoPipeline", () => {
  const request = { prompt: "a red ball", seed: 1, steps: 2, width: 16, height: 16, numFrames: 9 };
  let pipeline: Pipeline;
  before(async () => {
    pipeline = await openPipeline(goldenPath("hunyuan_video/tiny-distilled"));
  });
  after(() => pipeline[Symbol.dispose]());

  it("complete() fills in the settings of the published results", () => {
    const { width, height, numFrames, fps, steps, guidanceScale, trueCfgScale, maxSequenceLength } =
      completeRequest({ prompt: "a cat", seed: 0 }, pipeline.description);
    assert.deepEqual([width, height, numFrames, fps], [960, 544, 61, 24]);
    assert.deepEqual([steps, guidanceScale, trueCfgScale, maxSequenceLength], [50, 6, 1, 256]);
  });

  const REFUSED: [change: object, message: RegExp][] = [
    [{ numFrames: 8 }, /'numFrames' must be a multiple of 4 plus 1: current value is 8/],
    [{ numFrames: 261 }, /'numFrames' must be a whole number in 1..257/],
    [{ width: 24 }, /'width' must be divisible by 16: current value is 24/],
    [{ maxSequenceLength: 257 }, /'maxSequenceLength' must be a whole number in 1..256/],
    [{ negativePrompt: "blurry" }, /'negativePrompt' takes 'trueCfgScale' > 1/],
  ];
  for (const [change, message] of REFUSED) {
    it(`complete() refuses ${JSON.stringify(change)}`, () => {
      assert.throws(() => completeRequest({ ...request, ...change }, pipeline.description), message);
    });
  }

  it("complete() refuses frames that patches of two cannot hold", async () => {
    using plain = await openPipeline(goldenPath("hunyuan_video/tiny-plain"));
    assert.equal(completeRequest({ ...request, numFrames: 5 }, plain.description).numFrames, 5);
    assert.throws(
      () => completeRequest(request, plain.description),
      new RangeError(
        "Cannot generate as 'numFrames' must give a multiple of 2 latent frames with this checkpoint: " +
          "9 give 3",
      ),
    );
  });

  it("generate() shows the middle frame on the way, at most 256 pixels a side", async () => {
    const previews: [index: number, width: number, height: number][] = [];
    await pipeline.generate(completeRequest({ ...request, width: 528, numFrames: 5 }, pipeline.description), {
      previewSteps: new Set([0]),
      onPreview: (index, { width, height }) => void previews.push([index, width, height]),
    });
    assert.deepEqual(previews, [[0, 176, 8]]);
  });

  it("generate() ends with the signal's reason, between steps and in the decoder", async () => {
    const abort = new AbortController();
    const reason = new Error("enough");
    const run = pipeline.generate(completeRequest(request, pipeline.description), {
      signal: abort.signal,
      onStep: ({ index }) => void (index === 0 && abort.abort(reason)),
    });
    await assert.rejects(run, reason);
    const late = new AbortController();
    const decoding = pipeline.generate(completeRequest(request, pipeline.description), {
      signal: late.signal,
      onStep: ({ index, steps }) => void (index === steps - 1 && late.abort(reason)),
    });
    await assert.rejects(decoding, reason);
  });
});

describe("readHunyuanVideoCheckpoint()", () => {
  const original = goldenPath("hunyuan_video/tiny-distilled");
  const REFUSED: [
    what: string,
    changes: ConstructorParameters<typeof ChangedCheckpoint>[1],
    message: RegExp,
  ][] = [
    [
      "another text encoder",
      { index: { text_encoder: ["transformers", "Qwen2Model"] } },
      /'text_encoder' must be LlamaModel or LlamaForCausalLM: model_index.json says Qwen2Model/,
    ],
    [
      "a network that starts from an image",
      { transformer: { image_condition_type: "token_replace" } },
      /'image_condition_type' must be null with HunyuanVideoPipeline, but is token_replace/,
    ],
    [
      "latents that the autoencoder does not have",
      { transformer: { in_channels: 8, out_channels: 8 } },
      /transformer's in_channels must equal the vae's latent_channels: current values are 8 and 16/,
    ],
    [
      "padding on the left",
      { tokenizer: { padding_side: "left" } },
      /tokenizer_config.json as 'padding_side' must be "right": current value is "left"/,
    ],
    [
      "states that LLaMA does not give",
      { transformer: { text_embed_dim: 20 } },
      /text_embed_dim must equal the text_encoder's hidden_size: current values are 20 and 24/,
    ],
  ];
  for (const [what, changes, message] of REFUSED) {
    it(`refuses ${what}`, () => {
      using changed = new ChangedCheckpoint(original, changes);
      assert.throws(
        () => readModel(changed.folder),
        (error) => error instanceof CheckpointError && message.test(error.message),
      );
    });
  }

  it("refuses a dynamic shift, for which the pipeline has no length", () => {
    using changed = new ChangedCheckpoint(original, {
      scheduler: { _class_name: "FlowMatchEulerDiscreteScheduler", use_dynamic_shifting: true },
    });
    assert.throws(() => readModel(changed.folder), TypeError);
  });
});
