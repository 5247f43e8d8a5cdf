// Compares our Qwen-Image-2.1 pipeline with diffusers' QwenImage21Pipeline: text, pictures of the autoencoder, and every
// recorded call from prompt to picture; settings, rejected checkpoints.
import { after, before, describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { encodeQwenImage21Prompt } from "../../../../gpu-worker/families/qwen_image21/encode_qwen_image21_prompt.ts";
import type { QwenImage21Checkpoint } from "../../../../gpu-worker/families/qwen_image21/qwen_image21_checkpoint.ts";
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

const CHECKPOINTS = { "qwen_image21/tiny-21": 1024, "qwen_image21/tiny-plain": 1024 };
/** Two dozen layers magnify the order of sums. */
const TOLERANCE = 2e-5;

for (const [name, maxSequenceLength] of Object.entries(CHECKPOINTS)) {
  describe(`QwenImage21Pipeline.generate() on ${name}`, () => {
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
        width: 24,
        height: 16,
        maxSequenceLength,
        sampler: { method: "spectrum", warmupSteps: 3 },
      }, pipeline.description);
      const seen: number[] = [];
      const { latents } = await pipeline.generate(request, {
        previewSteps: new Set([4, 9]),
        onPreview: (index, { width, height }) => void seen.push(index, width, height),
      });
      assert.deepEqual(seen, [4, 24, 16, 9, 24, 16]);
      const plain = await pipeline.generate(request);
      assert.ok(maxError(latents.data, plain.latents.data) <= 1e-5);
    });
  });

  describe(`the components of ${name}`, () => {
    const goldens = loadGoldens(name);
    const reading = describeModel(goldenPath(name)).reading as QwenImage21Checkpoint;
    const graphs = reading.buildGraphs();
    const { cases } = JSON.parse(Deno.readTextFileSync(goldenPath(`${name}/goldens.json`)));

    for (const id of ["text.plain", "text.empty", "text.unicode"]) {
      it(`encode prompts as diffusers does: ${id}`, async () => {
        using runtime = Runtime.open();
        using session = await runtime.createSession(graphs.qwen);
        const qwen = { session, tokenizer: openTokenizer(reading.tokenizers.qwen) };
        const { tokens, embeds } = await encodeQwenImage21Prompt(
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

describe("readQwenImage21Checkpoint()", () => {
  const folder = goldenPath("qwen_image21/tiny-21");

  it("fills in QwenImage21Pipeline's defaults, and as many steps as it has sigmas of its own", () => {
    const { defaults } = describeModel(goldenPath("qwen_image21/tiny-plain")).reading;
    assert.deepEqual([defaults.steps, defaults.trueCfgScale, defaults.width], [40, 1, 1024]);
    assert.equal(describeModel(folder).reading.defaults.steps, 8);
  });

  it("draws every picture alone, as prompts differ in length", () => {
    const { reading } = describeModel(folder);
    const request = completeRequest({ prompt: "", seed: 0, width: 8, height: 8 }, reading);
    assert.equal(batchLimit(request, reading.rules), 1);
    assert.ok(batchLimit(request, { ...reading.rules, drawnAlone: false }) > 1);
  });

  const REFUSED: [changes: CheckpointChanges, message: RegExp][] = [
    [
      { index: { text_encoder: ["transformers", "Qwen3Model"] } },
      /'text_encoder' must be Qwen3VLForConditionalGeneration.*Qwen3Model$/,
    ],
    [{ index: { vae: ["diffusers", "AutoencoderKLQwenImage"] } }, /'vae' must be AutoencoderKLQwenImage21/],
    [{ index: { sample_sigmas: [1, "x"] } }, /'sample_sigmas\.1'/],
    [{ index: { sample_sigmas: [] } }, /'sample_sigmas'/],
    [
      { transformer: { context_in_dim: 20 } },
      /'context_in_dim' must be the text encoder's 'hidden_size' \(16\).* 20$/,
    ],
    [
      { transformer: { in_channels: 16, out_channels: 16 } },
      /'in_channels' must be the autoencoder's 'z_dim' \(8\).* 16$/,
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
