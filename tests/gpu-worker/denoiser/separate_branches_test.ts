// Guidance branches that run in turn, like HunyuanVideo's: no branch may see another branch's history.
import { after, before, describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { Checkpoint } from "../../../gpu-worker/checkpoint/checkpoint.ts";
import { readZImageCheckpoint } from "../../../gpu-worker/families/z_image/z_image_checkpoint.ts";
import { zImageFeeds, zImageGrid } from "../../../gpu-worker/families/z_image/z_image_feeds.ts";
import type { EncodedPrompt } from "../../../gpu-worker/text/encoded_prompt.ts";
import { readHunyuanVideoCheckpoint } from "../../../gpu-worker/families/hunyuan_video/hunyuan_video_checkpoint.ts";
import {
  hunyuanVideoFeeds,
  patchGrid,
} from "../../../gpu-worker/families/hunyuan_video/hunyuan_video_feeds.ts";
import type { DenoiserSessions } from "../../../gpu-worker/denoiser/denoiser_shape.ts";
import { OnnxDenoiser } from "../../../gpu-worker/denoiser/onnx_denoiser.ts";
import { SeparateBranches } from "../../../gpu-worker/denoiser/separate_branches.ts";
import { Runtime } from "../../../gpu-worker/runtime/mod.ts";
import {
  createForecaster,
  type Denoiser,
  type FullCall,
  type PlannedForecasts,
  randn,
  resolveSamplerOptions,
} from "../../../sampler/mod.ts";
import { goldenPath, maxError } from "../../goldens/golden.ts";

const STEPS = 8;
const ANCHORS = [0, 1, 3];
const FORECASTS = [4, 5, 6];

const timestepOf = (step: number) => 1000 - 100 * step;

describe("SeparateBranches with HunyuanVideo", () => {
  const stack = new DisposableStack();
  const { buildGraphs, config } = readHunyuanVideoCheckpoint(
    Checkpoint.open(goldenPath("hunyuan_video/tiny-distilled")),
    "float32",
  );
  const size = { channels: config.inChannels, frames: 2, height: 4, width: 2 };
  const dims = [size.channels, size.frames, size.height, size.width];
  const length = dims.reduce((product, dim) => product * dim, 1);
  let runtime: Runtime;
  let sessions: DenoiserSessions;
  before(async () => {
    runtime = stack.use(Runtime.open());
    const graphs = buildGraphs();
    sessions = {
      trunk: stack.use(await runtime.createSession(graphs.trunk)),
      head: stack.use(await runtime.createSession(graphs.head)),
      modulation: stack.use(await runtime.createSession(graphs.modulation)),
    };
  });
  after(() => stack.dispose());

  it("forecast() reads each branch's own history, also with prompts of different lengths", async () => {
    const prompts = [3, 9, 5].map((tokens, i) => ({
      tokens,
      embeds: randn([tokens, config.textEmbedDim], i + 1),
      pooled: randn([config.pooledProjectionDim], 100 + i),
    }));
    const together = await forecasts(prompts);
    for (const [branch, prompt] of prompts.entries()) {
      const alone = await forecasts([prompt]);
      for (const [i, output] of alone.entries()) {
        const rowOf = (at: number) => together[i]!.subarray(at * length, (at + 1) * length);
        assert.deepEqual(rowOf(branch), output);
        const next = (branch + 1) % prompts.length;
        assert.ok(maxError(rowOf(next), output) > 0.01, "branches differ, or nothing would be shown");
      }
    }
  });

  /** Runs three full passes, then three forecasts in one call. Returns all rows of each output. */
  async function forecasts(prompts: EncodedPrompt[]): Promise<Float32Array[]> {
    using owned = new DisposableStack();
    const branches = prompts.map((prompt) => {
      const feeds = owned.use(
        hunyuanVideoFeeds(runtime, { config, branches: [prompt], size, guidanceScale: 6 }),
      );
      return new OnnxDenoiser(runtime, sessions, {
        branches: 1,
        slots: ANCHORS.length,
        steps: STEPS,
        featureDims: [...patchGrid(config, size), config.innerDim],
        featureType: "float32",
        trunkFeeds: (latents, timestep) => feeds.trunk(latents, timestep),
        modulationFeeds: () => feeds.modulation(Array.from({ length: STEPS }, (_, step) => timestepOf(step))),
        outputDims: dims,
        guide: [1],
      });
    });
    const slots = ANCHORS.length;
    const denoiser = owned.use(new SeparateBranches(branches, { slots, guide: (outputs) => outputs }));
    const at = (step: number) => ({ step, timestep: timestepOf(step), sigma: 1 - step / 10 });
    for (const [slot, step] of ANCHORS.entries()) {
      await denoiser.full({ ...at(step), latents: randn(dims, 10 + step), slot });
    }
    const forecaster = createForecaster(resolveSamplerOptions({ method: "spectrum", m: 1 }, STEPS), STEPS);
    return await denoiser.forecast(
      FORECASTS.map((step) => ({ ...at(step), weights: forecaster.weights(step, ANCHORS) })),
    );
  }
});

describe("SeparateBranches with Z-Image, whose guidance ends in mid-run", () => {
  const { buildGraphs, config } = readZImageCheckpoint(
    Checkpoint.open(goldenPath("z_image/tiny-base")),
    "float32",
  );
  const size = { channels: config.inChannels, height: 4, width: 6 };
  const dims = [size.channels, size.height, size.width];
  const prompt = (tokens: number, embeds: Float32Array) => ({ tokens, embeds, pooled: new Float32Array() });
  const positive = prompt(3, randn([3, config.capFeatDim], 1));
  // Every feature of this branch is NaN, so an output that any of them reaches is NaN too.
  const poison = prompt(40, new Float32Array(40 * config.capFeatDim).fill(NaN));
  const GUIDED_STEPS = 6;

  it("never forecasts from another branch's features, before guidance ends or after", async () => {
    using runtime = Runtime.open();
    using stack = new DisposableStack();
    const graphs = buildGraphs();
    const sessions: DenoiserSessions = {
      trunk: stack.use(await runtime.createSession(graphs.trunk)),
      head: stack.use(await runtime.createSession(graphs.head)),
      modulation: stack.use(await runtime.createSession(graphs.modulation)),
    };
    const timesteps = Array.from({ length: STEPS }, (_, step) => timestepOf(step));
    const open = (branch: EncodedPrompt) => {
      const feeds = stack.use(zImageFeeds(runtime, { config, branches: [branch], size }));
      return new OnnxDenoiser(runtime, sessions, {
        branches: 1,
        slots: ANCHORS.length,
        steps: STEPS,
        featureDims: [...zImageGrid(size), config.dim],
        featureType: "float32",
        trunkFeeds: (latents, timestep) => feeds.trunk(latents, timestep),
        modulationFeeds: () => feeds.modulation(timesteps),
        outputDims: dims,
        guide: [1],
      });
    };
    const forecaster = createForecaster(resolveSamplerOptions({ method: "spectrum", m: 1 }, STEPS), STEPS);
    const at = (step: number) => ({ step, timestep: timestepOf(step), sigma: 1 - step / 10 });
    const outputs = async (branches: readonly EncodedPrompt[], guidedSteps: number) => {
      using denoiser = new SeparateBranches(branches.map(open), {
        slots: ANCHORS.length,
        guide: (outputs) => outputs.slice(0, outputs.length / 2),
        guidedSteps,
      });
      const full: Float32Array[] = [];
      for (const [slot, step] of ANCHORS.entries()) {
        full.push((await denoiser.full({ ...at(step), latents: randn(dims, 10 + step), slot })).output);
      }
      const calls = FORECASTS.map((step) => ({ ...at(step), weights: forecaster.weights(step, ANCHORS) }));
      const sums = [Float64Array.of(1, -2, 3)];
      const forecasts = [...await denoiser.forecast(calls), ...await denoiser.forecast(calls, { sums })];
      const { output } = await denoiser.full({ ...at(7), latents: randn(dims, 20), slot: undefined });
      return [...full, ...forecasts, output];
    };
    const alone = await outputs([positive], Infinity);
    for (const guidedSteps of [GUIDED_STEPS, 1, Infinity]) {
      const poisoned = await outputs([positive, poison], guidedSteps);
      for (const [i, output] of poisoned.entries()) {
        assert.ok(output.every(Number.isFinite), `output ${i} is poisoned`);
        assert.ok(maxError(output, alone[i]!) <= 2e-6, `output ${i}`);
      }
    }
  });
});

describe("SeparateBranches", () => {
  const call: FullCall = {
    step: 0,
    timestep: 1000,
    sigma: 1,
    latents: new Float32Array(2),
    slot: 0,
    check: Float64Array.of(1),
  };
  let disposed = 0;
  const prepared: (readonly PlannedForecasts[])[] = [];
  const branch = (value: number, forecastError?: number): Denoiser & Disposable => ({
    prepare: (forecasts) => Promise.resolve(void prepared.push(forecasts)),
    full: () =>
      Promise.resolve({
        output: Float32Array.of(value, value),
        ...forecastError !== undefined && { forecastError },
      }),
    forecast: (calls) => Promise.resolve(calls.map(({ step }) => Float32Array.of(value, step))),
    features: () => Promise.resolve(Float32Array.of(value, value, 10 * value, 10 * value)),
    [Symbol.dispose]: () => void disposed++,
  });
  const pair = (errors: [number?, number?]) =>
    new SeparateBranches(
      [branch(1, errors[0]), branch(5, errors[1])],
      { slots: 2, guide: ([a, b, c, d]) => Float32Array.of(a! - c!, b! - d!) },
    );

  it("prepare() announces the forecasts to every branch", async () => {
    using denoiser = pair([]);
    const planned = [{ calls: [], sums: [] }];
    await denoiser.prepare(planned);
    assert.deepEqual(prepared, [planned, planned]);
    assert.ok(prepared.every((forecasts) => forecasts === planned));
  });

  it("full() guides the outputs and reports the branch that a forecast would miss most", async () => {
    using denoiser = pair([0.25, 0.125]);
    assert.deepEqual(await denoiser.full(call), {
      output: Float32Array.of(-4, -4),
      forecastError: 0.25,
    });
    using unchecked = pair([]);
    assert.deepEqual(await unchecked.full(call), { output: Float32Array.of(-4, -4) });
  });

  it("forecast() guides each step's outputs", async () => {
    using denoiser = pair([]);
    const weights = Float64Array.of(1);
    const calls = [3, 4].map((step) => ({ step, timestep: 1, sigma: 1, weights }));
    assert.deepEqual(await denoiser.forecast(calls), [Float32Array.of(-4, 0), Float32Array.of(-4, 0)]);
  });

  it("runs the first branch alone once guidance has ended, and sums a gap after it is guided", async () => {
    const seen: [branch: number, steps: number[]][] = [];
    const recording = (value: number): Denoiser & Disposable => ({
      ...branch(value),
      full: ({ step }) => {
        seen.push([value, [step]]);
        return Promise.resolve({ output: Float32Array.of(value, step) });
      },
      forecast: (calls, { sums } = {}) => {
        assert.equal(sums, undefined);
        seen.push([value, calls.map(({ step }) => step)]);
        return Promise.resolve(calls.map(({ step }) => Float32Array.of(value, step)));
      },
    });
    using denoiser = new SeparateBranches([recording(1), recording(5)], {
      slots: 2,
      guide: ([a, b, c, d]) => Float32Array.of(a! - c!, b! - d!),
      guidedSteps: 4,
    });
    assert.deepEqual((await denoiser.full({ ...call, step: 3 })).output, Float32Array.of(-4, 0));
    assert.deepEqual((await denoiser.full({ ...call, step: 4 })).output, Float32Array.of(1, 4));
    const calls = [3, 4, 5].map((step) => ({ step, timestep: 1, sigma: 1, weights: Float64Array.of(1) }));
    const sums = [Float64Array.of(1, 1, 0), Float64Array.of(0, 0, 2)];
    assert.deepEqual(await denoiser.forecast(calls, { sums }), [
      Float32Array.of(-3, 4),
      Float32Array.of(2, 10),
    ]);
    assert.deepEqual(seen, [[1, [3]], [5, [3]], [1, [4]], [1, [3, 4, 5]], [5, [3]]]);
    await assert.rejects(denoiser.features(), /guidance ends before the last step/);
  });

  it("features() returns all branches' features, slot after slot", async () => {
    using denoiser = pair([]);
    assert.deepEqual(await denoiser.features(), Float32Array.of(1, 1, 5, 5, 10, 10, 50, 50));
    using single = new SeparateBranches([branch(7)], { slots: 2, guide: () => assert.fail() });
    assert.deepEqual(await single.features(), Float32Array.of(7, 7, 70, 70));
  });

  it("returns a single branch's output unchanged, and disposes of its input", async () => {
    disposed = 0;
    {
      using denoiser = new SeparateBranches([branch(7)], { slots: 2, guide: () => assert.fail() });
      assert.deepEqual((await denoiser.full(call)).output, Float32Array.of(7, 7));
    }
    assert.equal(disposed, 1);
  });
});
