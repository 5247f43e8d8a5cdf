// NaN and infinities end a run with an error: no black picture.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { createBatch } from "../../../gpu-worker/denoiser/picture_batch.ts";
import { denoiserLanes } from "../../../gpu-worker/denoiser/denoiser_lanes.ts";
import { finiteDenoiser } from "../../../gpu-worker/denoiser/finite_denoiser.ts";
import type { RunDenoiser } from "../../../gpu-worker/denoiser/run_denoiser.ts";
import { openPipeline } from "../../../gpu-worker/model/open_pipeline.ts";
import type { PartialRequest } from "../../../gpu-worker/request/generate_request.ts";
import { completeRequest } from "../../../gpu-worker/request/complete_request.ts";
import { NotFiniteError } from "../../../gpu-worker/runtime/mod.ts";
import { MemoryResultStore } from "../../../protocol/store/results/memory_result_store.ts";
import { createApp } from "../../../routes/app.ts";
import { MemoryKeyStore } from "../../../routes/keys/memory_key_store.ts";
import { goldenPath } from "../../goldens/golden.ts";
import { testPool } from "../../routes/runs/pool.ts";
import { startTestWorker } from "../http/test_worker.ts";
import { type Poison, PoisonedCheckpoint } from "./poisoned_checkpoint.ts";

const SD = goldenPath("sdxl/tiny-sd15");
const UNET: Poison = { file: "unet/diffusion_pytorch_model.safetensors", tensor: "conv_out.bias" };
const VAE: Poison = { file: "vae/diffusion_pytorch_model.safetensors", tensor: "decoder.conv_out.bias" };
const VIDEO = { width: 32, height: 32, numFrames: 5 };
const GREY = { width: 24, height: 16, data: new Float32Array(3 * 24 * 16) };

interface Case extends Poison {
  checkpoint?: string;
  request?: Partial<PartialRequest>;
  /** Network that the error names. */
  names: string;
}

const CASES: Record<string, Case> = {
  "a picture's denoiser": { ...UNET, names: "'unet' computes in float32 must be finite, but is NaN" },
  "an infinity": { ...UNET, value: Infinity, names: "'unet' computes in float32 must be finite" },
  "a text encoder": {
    file: "text_encoder/model.safetensors",
    tensor: "final_layer_norm.bias",
    names: "'text_encoder'",
  },
  "a picture's decoder": { ...VAE, names: "'vae'" },
  "the encoder of an image to start from": {
    ...VAE,
    tensor: "quant_conv.bias",
    request: { image: GREY, strength: 0.5 },
    names: "'vae'",
  },
  "a video's denoiser": {
    checkpoint: goldenPath("wan/tiny-unipc"),
    file: "transformer/diffusion_pytorch_model.safetensors",
    tensor: "proj_out.bias",
    request: VIDEO,
    names: "'transformer'",
  },
  "a video's decoder": {
    checkpoint: goldenPath("wan/tiny-unipc"),
    file: "vae/diffusion_pytorch_model.safetensors",
    tensor: "decoder.conv_out.bias",
    request: VIDEO,
    names: "'vae'",
  },
};

describe("Pipeline.generate() refuses NaN and infinity", () => {
  for (const [name, { checkpoint = SD, request, names, ...poison }] of Object.entries(CASES)) {
    it(`in ${name}`, async () => {
      using poisoned = new PoisonedCheckpoint(checkpoint, poison);
      using pipeline = await openPipeline(poisoned.folder);
      const complete = completeRequest({ prompt: "x", seed: 1, steps: 2, ...request }, pipeline.description);
      await assert.rejects(pipeline.generate(complete), (error) => {
        assert.ok(error instanceof NotFiniteError);
        assert.match(error.message, new RegExp(names));
        return true;
      });
    });
  }

  it("in a preview, at its step", async () => {
    using poisoned = new PoisonedCheckpoint(SD, VAE);
    using pipeline = await openPipeline(poisoned.folder);
    const request = completeRequest({ prompt: "x", seed: 1, steps: 4 }, pipeline.description);
    const steps: number[] = [];
    const run = pipeline.generate(request, {
      previewSteps: new Set([1]),
      onPreview: () => assert.fail("A preview was shown"),
      onStep: ({ index }) => void steps.push(index),
    });
    await assert.rejects(run, NotFiniteError);
    assert.deepEqual(steps, [0, 1]);
  });

  it("in one picture of a batch, and makes the others", async () => {
    using poisoned = new PoisonedCheckpoint(SD, {
      file: "text_encoder/model.safetensors",
      tensor: "embeddings.token_embedding.weight",
      // The row of "*</w>", of 12 numbers.
      at: 265 * 12,
    });
    using pipeline = await openPipeline(poisoned.folder);
    const prompts = ["a crab", "*", "x"];
    const runs = createBatch(prompts.length).map(async (place, i) => {
      using batch = place;
      const request = { prompt: prompts[i]!, seed: i, steps: 2 };
      return await pipeline.generate(completeRequest(request, pipeline.description), { batch });
    });
    const outcomes = await Promise.allSettled(runs);
    assert.deepEqual(outcomes.map(({ status }) => status), ["fulfilled", "rejected", "fulfilled"]);
  });
});

describe("finiteDenoiser()", () => {
  const source = { component: "unet", dtype: "float16" } as const;
  const unused = () => Promise.resolve();

  it("ends the lane of the broken picture alone", async () => {
    const shared = {
      full: () => Promise.resolve({ output: Float32Array.of(1, NaN, 3) }),
      forecast: () => Promise.resolve([]),
      prepare: unused,
      [Symbol.dispose]() {},
    };
    const lanes = denoiserLanes(shared, 3).map((lane) => finiteDenoiser(lane, source));
    const call = { step: 0, timestep: 1, sigma: 1, latents: new Float32Array(1), slot: undefined };
    const outcomes = await Promise.allSettled(lanes.map((lane) => lane.full(call)));
    assert.deepEqual(outcomes.map(({ status }) => status), ["fulfilled", "rejected", "fulfilled"]);
    for (const lane of lanes) lane[Symbol.dispose]();
  });

  it("checks forecasts, and names a type of larger range", async () => {
    const denoiser: RunDenoiser = {
      full: () => Promise.resolve({ output: Float32Array.of(1) }),
      forecast: () => Promise.resolve([Float32Array.of(0), Float32Array.of(-Infinity)]),
      prepare: unused,
      [Symbol.dispose]() {},
    };
    const message = /'unet' computes in float16 must be finite, but is -Infinity\. Try --dtype bfloat16/;
    await assert.rejects(finiteDenoiser(denoiser, source).forecast([]), message);
  });
});

describe("a worker whose model returns NaN", () => {
  it("answers 500 with the component, and stores nothing", async () => {
    using poisoned = new PoisonedCheckpoint(SD, UNET);
    await using worker = startTestWorker([await openPipeline(poisoned.folder)]);
    let stored = 0;
    const results = new class extends MemoryResultStore {
      override set(...args: Parameters<MemoryResultStore["set"]>) {
        stored++;
        return super.set(...args);
      }
    }();
    const app = createApp({
      workers: testPool(worker.url),
      results,
      keys: ["key"],
      keyStore: new MemoryKeyStore(),
      log: () => {},
    });
    const response = await app.request("http://localhost/v1/images/generations", {
      method: "POST",
      headers: { "content-type": "application/json", authorization: "Bearer key" },
      body: JSON.stringify({ prompt: "x", seed: 1, steps: 2 }),
    });
    const { error } = await response.json();
    assert.deepEqual([response.status, error.code], [500, "not_finite"]);
    assert.match(error.message, /'unet' computes in float32/);
    assert.equal(stored, 0);
  });
});
