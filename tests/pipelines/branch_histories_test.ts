// Guidance branches share every run of the network, and no branch may see another's past.
import { after, before, describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { Checkpoint } from "../../gpu-worker/pipelines/checkpoint.ts";
import type { EncodedPrompt } from "../../gpu-worker/pipelines/encoded_prompt.ts";
import { type DenoiserSessions, OnnxDenoiser } from "../../gpu-worker/pipelines/onnx_denoiser.ts";
import { readSd3Checkpoint, type Sd3Checkpoint } from "../../gpu-worker/pipelines/sd3_checkpoint.ts";
import { sd3Feeds } from "../../gpu-worker/pipelines/sd3_feeds.ts";
import { Runtime } from "../../gpu-worker/runtime/mod.ts";
import { createForecaster, randn, resolveSamplerOptions } from "../../sampler/mod.ts";
import { goldenPath, maxError } from "../goldens/golden.ts";

/** float32 of a product whose rows ONNX Runtime may sum in another order in a larger batch. */
const TOLERANCE = 1e-5;
const STEPS = 8;
const ANCHORS = [0, 1, 3];
const FORECASTS = [4, 5, 6];
const SIZE = { channels: 16, height: 8, width: 4 };

describe("OnnxDenoiser.forecast()", () => {
  const stack = new DisposableStack();
  let checkpoint: Sd3Checkpoint;
  let runtime: Runtime;
  let sessions: DenoiserSessions;
  before(async () => {
    runtime = stack.use(Runtime.open());
    checkpoint = readSd3Checkpoint(Checkpoint.open(goldenPath("sd3/tiny-large")), "float32");
    const { trunk, head } = checkpoint.graphs;
    sessions = {
      trunk: stack.use(await runtime.createSession(trunk)),
      head: stack.use(await runtime.createSession(head)),
    };
  });
  after(() => stack.dispose());

  it("forecasts every branch from its own history alone", async () => {
    const prompts = [prompt(1), prompt(2), prompt(3)];
    const together = await forecasts(prompts);
    for (const [branch, prompt] of prompts.entries()) {
      const alone = await forecasts([prompt]);
      for (const [i, output] of alone.entries()) {
        const length = output.length;
        const rowOf = (at: number) => together[i]!.subarray(at * length, (at + 1) * length);
        assert.ok(maxError(rowOf(branch), output) <= TOLERANCE, `branch ${branch}, forecast ${i}`);
        const next = (branch + 1) % prompts.length;
        assert.ok(maxError(rowOf(next), output) > 0.01, "branches differ, or nothing would be shown");
      }
    }
  });

  /** Three full passes, then three forecasts in one call; all rows of each output. */
  async function forecasts(prompts: EncodedPrompt[]): Promise<Float32Array[]> {
    const { config } = checkpoint;
    using feeds = sd3Feeds(runtime, { config, branches: prompts, size: SIZE });
    using denoiser = new OnnxDenoiser(runtime, sessions, {
      branches: prompts.length,
      latentLength: SIZE.channels * SIZE.height * SIZE.width,
      slots: ANCHORS.length,
      featureDims: [SIZE.height / 2, SIZE.width / 2, config.innerDim],
      featureType: "float32",
      trunkFeeds: (latents, timestep) => feeds.trunk(latents, timestep),
      headFeeds: (timesteps) => feeds.head(timesteps),
      guide: (output) => output,
    });
    const at = (step: number) => ({ step, timestep: 1000 - 100 * step, sigma: 1 - step / 10 });
    for (const [slot, step] of ANCHORS.entries()) {
      const latents = randn([SIZE.channels, SIZE.height, SIZE.width], 10 + step);
      await denoiser.full({ ...at(step), latents, slot });
    }
    const forecaster = createForecaster(resolveSamplerOptions({ method: "spectrum", m: 1 }, STEPS), STEPS);
    return await denoiser.forecast(
      FORECASTS.map((step) => ({ ...at(step), weights: forecaster.weights(step, ANCHORS) })),
    );
  }

  function prompt(seed: number): EncodedPrompt {
    const { jointAttentionDim, pooledProjectionDim } = checkpoint.config;
    return {
      tokens: 5,
      embeds: randn([5, jointAttentionDim], seed),
      pooled: randn([pooledProjectionDim], 100 + seed),
    };
  }
});
