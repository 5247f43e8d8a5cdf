// Compares our Z-Image pipeline with diffusers' ZImagePipeline: prompts, the VAE, every recorded call; rules,
// rejected checkpoints.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { Checkpoint } from "../../../../gpu-worker/checkpoint/checkpoint.ts";
import { encodeZImagePrompt } from "../../../../gpu-worker/families/z_image/encode_z_image_prompt.ts";
import { readZImageCheckpoint } from "../../../../gpu-worker/families/z_image/z_image_checkpoint.ts";
import { readModel } from "../../../../gpu-worker/model/read_model.ts";
import { batchLimit } from "../../../../gpu-worker/request/batch_limit.ts";
import { completeRequest } from "../../../../gpu-worker/request/complete_request.ts";
import { Runtime } from "../../../../gpu-worker/runtime/mod.ts";
import { openTokenizer } from "../../../../gpu-worker/text/tokenizer/tokenizer.ts";
import { goldenPath, loadGoldens, maxError } from "../../../goldens/golden.ts";
import { ChangedCheckpoint } from "../../pipeline/changed_checkpoint.ts";
import { referenceCases } from "../../pipeline/reference_cases.ts";
import { type RefusedCheckpoint, refusedCheckpoints } from "../../pipeline/refused_checkpoints.ts";

const LENGTHS = { "z_image/tiny-base": 48, "z_image/tiny-turbo": 32 };
/** Both sides compute in float32. A few layers magnify the order of sums. */
const TOLERANCE = 1e-5;

for (const [name, maxSequenceLength] of Object.entries(LENGTHS)) {
  describe(`ZImagePipeline.generate() on ${name}`, () => {
    referenceCases(name);
  });

  describe(`encodeZImagePrompt() with ${name}`, () => {
    const goldens = loadGoldens(name);
    const { cases } = JSON.parse(Deno.readTextFileSync(goldenPath(`${name}/goldens.json`)));
    const reading = readZImageCheckpoint(Checkpoint.open(goldenPath(name)), "float32");
    for (const id of ["text.plain", "text.empty", "text.unicode"]) {
      it(`gives diffusers' states for ${id}`, async () => {
        using runtime = Runtime.open();
        using session = await runtime.createSession(reading.buildGraphs().qwen);
        const encoders = { qwen: { session, tokenizer: openTokenizer(reading.tokenizers.qwen) } };
        const { tokens, embeds } = await encodeZImagePrompt(
          { text: cases[id].prompt, maxSequenceLength },
          { runtime, encoders, reading },
        );
        assert.equal(tokens, goldens.shape(`${id}.embeds`)[1]);
        assert(maxError(embeds, goldens.floats(`${id}.embeds`)) <= TOLERANCE);
      });
    }
  });
}

describe("completeRequest() of ZImagePipeline", () => {
  const { reading } = readModel(goldenPath("z_image/tiny-base"));
  const complete = (fields: object) => completeRequest({ prompt: "x", seed: 0, ...fields }, reading);

  it("fills in ZImagePipeline's defaults", () => {
    const { steps, guidanceScale, width, height, ...limits } = complete({});
    // The tiny checkpoint has fewer positions than a picture of 1024 pixels and 512 tokens of text take.
    assert.deepEqual([steps, guidanceScale, width, height], [50, 5, 128, 128]);
    assert.deepEqual([limits.maxSequenceLength, limits.cfgNormalization, limits.cfgTruncation], [192, 0, 1]);
  });

  it("makes every picture alone, as prompts differ in length", () => {
    assert.equal(batchLimit(complete({ width: 16, height: 16, maxSequenceLength: 32 }), reading.rules), 1);
  });

  const REFUSED: [fields: object, message: RegExp][] = [
    [{ width: 18 }, /'width' must be divisible by 4: current value is 18/],
    [{ width: 132 }, /'width' must be a whole number in 4\.\.128: current value is 132/],
    [{ maxSequenceLength: 193 }, /'maxSequenceLength'.*1\.\.192.*193/],
    [{ trueCfgScale: 2 }, /'trueCfgScale' must be 1/],
    [{ guidanceScale: 0, negativePrompt: "y" }, /'negativePrompt' takes 'guidanceScale' > 0.* 0$/],
    [{ cfgTruncation: 1.5 }, /'cfgTruncation' must be in 0\.\.1: current value is 1.5/],
    [{ cfgNormalization: -1 }, /'cfgNormalization' must be in 0\.\.100: current value is -1/],
  ];
  const small = { width: 16, height: 16, maxSequenceLength: 32 };
  for (const [fields, message] of REFUSED) {
    it(`refuses ${JSON.stringify(fields)}`, () =>
      assert.throws(() => complete({ ...small, ...fields }), { message }));
  }

  it("refuses limits of guidance under inverted sigmas, which would begin guidance in mid-run", () => {
    const scheduler = { _class_name: "FlowMatchEulerDiscreteScheduler", invert_sigmas: true };
    using checkpoint = new ChangedCheckpoint(goldenPath("z_image/tiny-base"), { scheduler });
    const inverted = readModel(checkpoint.folder).reading;
    const fields = { prompt: "x", seed: 0, ...small };
    assert.equal(completeRequest(fields, inverted).cfgTruncation, undefined);
    assert.throws(() => completeRequest({ ...fields, cfgTruncation: 0.5 }, inverted), {
      message: /'cfgTruncation' must be absent with this model: current value is 0.5/,
    });
  });

  it("refuses limits of guidance with other models", () => {
    const flux = readModel(goldenPath("flux/tiny-dev")).reading;
    const fields = { prompt: "x", seed: 0, width: 16, height: 16, cfgTruncation: 0.5 };
    assert.throws(() => completeRequest(fields, flux), {
      message: /'cfgTruncation' must be absent with this model: current value is 0.5/,
    });
  });
});

describe("readZImageCheckpoint()", () => {
  const REFUSED: RefusedCheckpoint[] = [
    [{ transformer: { cap_feat_dim: 18 } }, /'cap_feat_dim' must be .*'hidden_size' \(20\), but is 18/],
    [{ transformer: { in_channels: 8 } }, /'in_channels' must be .*'latent_channels' \(16\), but is 8/],
    [{ scheduler: { _class_name: "FlowMatchEulerDiscreteScheduler", shift: "three" } }, /shift.*three/],
    [{ scheduler: { _class_name: "DDIMScheduler" } }, /'scheduler' must be FlowMatchEuler.*DDIMScheduler$/],
    [
      { index: { text_encoder: ["transformers", "T5EncoderModel"] } },
      /'text_encoder' must be Qwen3ForCausalLM/,
    ],
  ];
  refusedCheckpoints(goldenPath("z_image/tiny-base"), REFUSED);
});
