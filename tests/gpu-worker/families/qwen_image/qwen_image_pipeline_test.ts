// Compares our Qwen-Image pipeline with diffusers' QwenImagePipeline: text, pictures of the autoencoder, and every
// recorded call from prompt to picture; settings, rejected checkpoints.
import { after, before, describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { encodeQwenImagePrompt } from "../../../../gpu-worker/families/qwen_image/encode_qwen_image_prompt.ts";
import type { QwenImageCheckpoint } from "../../../../gpu-worker/families/qwen_image/qwen_image_checkpoint.ts";
import { describeModel } from "../../../../gpu-worker/model/describe_model.ts";
import { openPipeline } from "../../../../gpu-worker/model/open_pipeline.ts";
import { readModel } from "../../../../gpu-worker/model/read_model.ts";
import type { Pipeline } from "../../../../gpu-worker/pipeline/pipeline.ts";
import { batchLimit } from "../../../../gpu-worker/request/batch_limit.ts";
import { completeRequest } from "../../../../gpu-worker/request/complete_request.ts";
import { Runtime } from "../../../../gpu-worker/runtime/mod.ts";
import { openTokenizer } from "../../../../gpu-worker/text/tokenizer/tokenizer.ts";
import { decodeLatents } from "../../../../gpu-worker/vae/decode_latents.ts";
import { tiledSession } from "../../../../gpu-worker/vae/tiled_decoder.ts";
import { tileFrames } from "../../../../gpu-worker/vae/video_tiling.ts";
import { goldenPath, loadGoldens, maxError } from "../../../goldens/golden.ts";
import { ChangedCheckpoint, type CheckpointChanges } from "../../pipeline/changed_checkpoint.ts";
import { assertReference, generateReference, referenceCalls } from "../../pipeline/reference_call.ts";

const CHECKPOINTS = { "qwen_image/tiny-image": 80, "qwen_image/tiny-static": 120 };
/** Two dozen layers magnify the order of sums. */
const TOLERANCE = 2e-5;

for (const [name, maxSequenceLength] of Object.entries(CHECKPOINTS)) {
  describe(`QwenImagePipeline.generate() on ${name}`, () => {
    const goldens = loadGoldens(name);
    let pipeline: Pipeline;
    before(async () => {
      pipeline = await openPipeline(goldenPath(name));
    });
    after(() => pipeline[Symbol.dispose]());

    for (const [id, call] of referenceCalls(name)) {
      it(`gives diffusers' latents for ${id}`, async () =>
        assertReference(await generateReference(pipeline, call), { id, goldens }));
    }

    it("gives previews and the same latents with and without them", async () => {
      const request = completeRequest({
        prompt: "a red heart",
        seed: 1,
        steps: 12,
        width: 48,
        height: 32,
        maxSequenceLength,
        sampler: { method: "spectrum", warmupSteps: 3 },
      }, pipeline.description);
      const seen: number[] = [];
      const { latents } = await pipeline.generate(request, {
        previewSteps: new Set([4, 9]),
        onPreview: (index, { width, height }) => void seen.push(index, width, height),
      });
      assert.deepEqual(seen, [4, 48, 32, 9, 48, 32]);
      const plain = await pipeline.generate(request);
      assert.ok(maxError(latents.data, plain.latents.data) <= 1e-5);
    });
  });

  describe(`the components of ${name}`, () => {
    const goldens = loadGoldens(name);
    const reading = describeModel(goldenPath(name)).reading as QwenImageCheckpoint;
    const graphs = reading.buildGraphs();
    const { cases } = JSON.parse(Deno.readTextFileSync(goldenPath(`${name}/goldens.json`)));

    for (const id of ["text.plain", "text.empty", "text.unicode"]) {
      it(`encode prompts as diffusers does: ${id}`, async () => {
        using runtime = Runtime.open();
        using session = await runtime.createSession(graphs.qwen);
        const qwen = { session, tokenizer: openTokenizer(reading.tokenizers.qwen) };
        const { tokens, embeds } = await encodeQwenImagePrompt(
          { text: cases[id].prompt, maxSequenceLength },
          { runtime, encoders: { qwen }, reading },
        );
        assert.equal(tokens, goldens.shape(`${id}.prompt_embeds`)[1]);
        assert.ok(maxError(embeds, goldens.floats(`${id}.prompt_embeds`)) <= TOLERANCE);
      });
    }

    for (const id of ["vae.wide", "vae.tiled"].filter((id) => goldens.has(`${id}.latents`))) {
      it(`decode pictures as diffusers does: ${id}`, async () => {
        using runtime = Runtime.open();
        using session = await runtime.createSession(graphs.vae);
        const { side, stride } = cases[id];
        const scale = reading.latentScale.spatial;
        const layoutOf = (size: { height: number; width: number }) =>
          tileFrames(side === undefined ? undefined : { side, stride }, { ...size, scale });
        const vae = tiledSession(session, { runtime, layoutOf });
        const [, ...dims] = goldens.shape(`${id}.latents`);
        const { data } = await decodeLatents({ runtime, vae }, {
          dims,
          data: goldens.floats(`${id}.latents`),
        });
        assert.ok(maxError(data, goldens.floats(`${id}.decoded`)) <= TOLERANCE);
      });
    }
  });
}

describe("readQwenImageCheckpoint()", () => {
  const folder = goldenPath("qwen_image/tiny-image");

  it("fills in QwenImagePipeline's defaults, or Qwen-Image's own size", () => {
    const { defaults } = describeModel(folder).reading;
    assert.deepEqual([defaults.steps, defaults.trueCfgScale, defaults.width], [50, 4, 1024]);
    using checkpoint = new ChangedCheckpoint(folder, { index: { _name_or_path: "Qwen/Qwen-Image" } });
    const { defaults: own } = describeModel(checkpoint.folder).reading;
    assert.deepEqual([own.steps, own.trueCfgScale, own.width, own.height], [50, 4, 1328, 1328]);
  });

  it("draws every picture alone, as prompts differ in length", () => {
    const { reading } = describeModel(folder);
    const request = completeRequest({ prompt: "", seed: 0, width: 16, height: 16 }, reading);
    assert.equal(batchLimit(request, reading.rules), 1);
    assert.ok(batchLimit(request, { ...reading.rules, drawnAlone: false }) > 1);
  });

  const REFUSED: [changes: CheckpointChanges, message: RegExp][] = [
    [
      { index: { text_encoder: ["transformers", "Qwen3Model"] } },
      /'text_encoder' must be Qwen2_5_VLForConditionalGeneration.*Qwen3Model$/,
    ],
    [{ index: { vae: ["diffusers", "AutoencoderKLWan"] } }, /'vae' must be AutoencoderKLQwenImage/],
    [{ transformer: { zero_cond_t: true } }, /'zero_cond_t'.*edit images/],
    [
      { transformer: { joint_attention_dim: 20 } },
      /'joint_attention_dim' must be the text encoder's 'hidden_size' \(24\).* 20$/,
    ],
    [
      { transformer: { in_channels: 16, out_channels: 4 } },
      /'in_channels' must be four times the autoencoder's 'z_dim' \(64\).* 16$/,
    ],
    [{ scheduler: { _class_name: "FlowMatchEulerDiscreteScheduler", surprise: 1 } }, /'surprise'/],
  ];
  for (const [changes, message] of REFUSED) {
    it(`refuses ${JSON.stringify(changes)}`, () => {
      using checkpoint = new ChangedCheckpoint(folder, changes);
      assert.throws(() => readModel(checkpoint.folder), { message });
    });
  }
});
