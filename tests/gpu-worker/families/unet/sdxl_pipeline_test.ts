// Compares our UNet pipelines with diffusers' StableDiffusionXLPipeline and StableDiffusionPipeline: every
// recorded call, prompts, rules.
import { after, before, describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { CheckpointError } from "../../../../gpu-worker/checkpoint/checkpoint_error.ts";
import { Checkpoint } from "../../../../gpu-worker/checkpoint/checkpoint.ts";
import { encodeUnetPrompt, zeroPrompt } from "../../../../gpu-worker/families/unet/encode_unet_prompt.ts";
import { familyOf } from "../../../../gpu-worker/model/families.ts";
import { openPipeline } from "../../../../gpu-worker/model/open_pipeline.ts";
import type { Pipeline } from "../../../../gpu-worker/pipeline/pipeline.ts";
import { readSdCheckpoint } from "../../../../gpu-worker/families/unet/sd_checkpoint.ts";
import { readSdxlCheckpoint } from "../../../../gpu-worker/families/unet/sdxl_checkpoint.ts";
import type { OnnxModel } from "../../../../gpu-worker/graph/graph_builder.ts";
import type { LoadedEncoder } from "../../../../gpu-worker/text/encode_text.ts";
import { openTokenizer } from "../../../../gpu-worker/text/tokenizer/tokenizer.ts";
import { Runtime } from "../../../../gpu-worker/runtime/mod.ts";
import { goldenPath, loadGoldens, maxError } from "../../../goldens/golden.ts";
import { ChangedCheckpoint } from "../../pipeline/changed_checkpoint.ts";
import { referenceCases } from "../../pipeline/reference_cases.ts";
import { completeRequest } from "../../../../gpu-worker/request/complete_request.ts";

/** Both sides compute in float32. Three layers magnify the order of sums to about 5e-7. */
const STATES_TOLERANCE = 1e-5;

const CHECKPOINTS = {
  "sdxl/tiny-sdxl": readSdxlCheckpoint,
  "sdxl/tiny-sd15": readSdCheckpoint,
  "sdxl/tiny-sd21": readSdCheckpoint,
};

for (const [name, read] of Object.entries(CHECKPOINTS)) {
  const goldens = loadGoldens(name);
  const folder = goldenPath(name);

  describe(`UNetPipeline.generate() on ${name}`, () => {
    referenceCases(name);
  });

  describe(`encodeUnetPrompt() on ${name}`, () => {
    for (const prompt of ["plain", "empty", "unicode"]) {
      it(`gives diffusers' states, '${prompt}' prompt`, async () => {
        const { cases } = JSON.parse(Deno.readTextFileSync(`${folder}/goldens.json`));
        using stack = new DisposableStack();
        const runtime = stack.use(Runtime.open());
        const encoders: Record<string, LoadedEncoder> = {};
        const reading = read(Checkpoint.open(folder), "float32");
        const graphs: Record<string, OnnxModel> = reading.buildGraphs();
        for (const [name, tokenizer] of Object.entries(reading.tokenizers)) {
          const session = stack.use(await runtime.createSession(graphs[name]!));
          encoders[name] = { session, tokenizer: openTokenizer(tokenizer) };
        }
        const id = `text.${prompt}`;
        const encoded = await encodeUnetPrompt({ text: cases[id].prompt }, { runtime, encoders, reading });
        assert.equal(encoded.tokens, goldens.shape(`${id}.prompt_embeds`)[1]);
        assert(maxError(encoded.embeds, goldens.floats(`${id}.prompt_embeds`)) <= STATES_TOLERANCE);
        const projected = goldens.has(`${id}.text_embeds`);
        const pooled = projected ? goldens.floats(`${id}.text_embeds`) : new Float32Array(0);
        assert(maxError(encoded.pooled, pooled) <= STATES_TOLERANCE);
      });
    }
  });
}

describe("zeroPrompt()", () => {
  it("keeps the shape of a prompt", () => {
    const prompt = { tokens: 2, embeds: Float32Array.of(1, -2, 3, 4), pooled: Float32Array.of(5) };
    assert.deepEqual(zeroPrompt(prompt), {
      tokens: 2,
      embeds: new Float32Array(4),
      pooled: new Float32Array(1),
    });
  });
});

describe("UNetPipeline", () => {
  const folder = goldenPath("sdxl/tiny-sd15");
  let pipeline: Pipeline;
  before(async () => {
    pipeline = await openPipeline(folder);
  });
  after(() => pipeline[Symbol.dispose]());
  const request = { prompt: "a cat", seed: 1, steps: 20, width: 16, height: 16 };

  it("plans every call of the network where the solver makes more than was asked for (PNDM)", async () => {
    const indices: number[] = [];
    const { plan } = await pipeline.generate(
      completeRequest({ ...request, sampler: { method: "spectrum" } }, pipeline.description),
      { onStep: ({ index, steps }) => void indices.push(index, steps) },
    );
    assert.equal(plan.length, 21);
    assert.deepEqual(indices.slice(-2), [20, 21]);
    assert(plan.includes("forecast"));
  });

  it("takes its defaults from checkpoint and family", () => {
    const { width, height, steps, guidanceScale, guidanceRescale } = completeRequest({
      prompt: "",
      seed: 0,
    }, pipeline.description);
    assert.deepEqual([width, height, steps, guidanceScale, guidanceRescale], [16, 16, 50, 7.5, 0]);
  });

  const REFUSED: [change: object, message: RegExp][] = [
    [{ guidanceRescale: 1.5 }, /'guidanceRescale' must be in 0..1: current value is 1.5/],
    [{ trueCfgScale: 2 }, /'trueCfgScale'/],
    [{ negativePrompt: "dog", guidanceScale: 1 }, /'negativePrompt' takes 'guidanceScale' > 1/],
    [{ width: 15 }, /'width' must be divisible by 2/],
    [{ maxSequenceLength: 77 }, /'maxSequenceLength'/],
  ];
  for (const [change, message] of REFUSED) {
    it(`complete() refuses ${JSON.stringify(change)}`, () => {
      assert.throws(() => completeRequest({ ...request, ...change }, pipeline.description), message);
    });
  }

  it("previews the estimate of the final picture", async () => {
    const sizes: number[][] = [];
    await pipeline.generate(completeRequest({ ...request, steps: 4, width: 24 }, pipeline.description), {
      previewSteps: new Set([1, 3]),
      onPreview: (index, { width, height }) => void sizes.push([index, width, height]),
    });
    assert.deepEqual(sizes, [[1, 24, 16], [3, 24, 16]]);
  });
});

describe("readSdCheckpoint(), readSdxlCheckpoint()", () => {
  const read = (name: string, changes: ConstructorParameters<typeof ChangedCheckpoint>[1]) => {
    using changed = new ChangedCheckpoint(goldenPath(`sdxl/${name}`), changes);
    const checkpoint = Checkpoint.open(changed.folder);
    return familyOf(checkpoint).read(checkpoint, "float32");
  };

  it("refuse the other's UNet", () => {
    const index = (pipelineClass: string) => ({ index: { _class_name: pipelineClass } });
    assert.throws(() => read("tiny-sd15", index("StableDiffusionXLPipeline")), /'text_encoder_2' must be/);
    assert.throws(
      () => read("tiny-sdxl", index("StableDiffusionPipeline")),
      (error) =>
        error instanceof CheckpointError && /'cross_attention_dim' must be .* 8.*is 20/.test(error.message),
    );
  });

  it("refuse a scheduler that is not known", () => {
    const scheduler = { _class_name: "LCMScheduler" };
    assert.throws(() => read("tiny-sdxl", { scheduler }), /'LCMScheduler' is not supported/);
  });

  it("read a scheduler's infinities as Python writes them", () => {
    const change = { scheduler: { _class_name: "DPMSolverMultistepScheduler" } };
    using changed = new ChangedCheckpoint(goldenPath("sdxl/tiny-sdxl"), change);
    const text = `{"_class_name": "DPMSolverMultistepScheduler", "lambda_min_clipped": -Infinity}`;
    Deno.writeTextFileSync(`${changed.folder}/scheduler/scheduler_config.json`, text);
    const { scheduler } = readSdxlCheckpoint(Checkpoint.open(changed.folder), "float32");
    assert.equal(scheduler["lambda_min_clipped"], -Infinity);
  });

  it("computes the UNet in float16 where the device's type is bfloat16, which has no convolutions", () => {
    const { denoiserType } = readSdxlCheckpoint(Checkpoint.open(goldenPath("sdxl/tiny-sdxl")), "bfloat16");
    assert.equal(denoiserType, "float16");
  });
});
