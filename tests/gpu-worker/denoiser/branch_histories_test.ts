// Guidance branches share every call of the network, but no branch may see another branch's history.
import { after, before, describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { Checkpoint } from "../../../gpu-worker/checkpoint/checkpoint.ts";
import type { DenoiserSessions } from "../../../gpu-worker/denoiser/denoiser_shape.ts";
import { OnnxDenoiser } from "../../../gpu-worker/denoiser/onnx_denoiser.ts";
import { familyOf } from "../../../gpu-worker/model/families.ts";
import { denoisedDims } from "../../../gpu-worker/pipeline/run_shape.ts";
import { Runtime } from "../../../gpu-worker/runtime/mod.ts";
import type { EncodedPrompt } from "../../../gpu-worker/text/encoded_prompt.ts";
import { createForecaster, randn, resolveSamplerOptions } from "../../../sampler/mod.ts";
import { goldenPath, maxError } from "../../goldens/golden.ts";

/** float32 products whose terms ONNX Runtime may sum in another order in a larger batch. */
const TOLERANCE = 1e-5;
const STEPS = 8;
const ANCHORS = [0, 1, 3];
const FORECASTS = [4, 5, 6];
const [HEIGHT, WIDTH] = [8, 4];

/** Checkpoints whose branches of guidance are rows of one call. */
const CHECKPOINTS = {
  "Chroma": "chroma/tiny-hd",
  "FLUX": "flux/tiny-dev",
  "Qwen-Image": "qwen_image/tiny-image",
  "Qwen-Image-2.1": "qwen_image21/tiny-21",
  "Stable Diffusion 3": "sd3/tiny-large",
  "SDXL": "sdxl/tiny-sdxl",
  "Stable Diffusion 1.5": "sdxl/tiny-sd15",
  "Wan": "wan/tiny-unipc",
};

/** Widths of a prompt's states and of the pooled text, by the names that configs have for them. */
interface TextConfig {
  jointAttentionDim?: number;
  contextInDim?: number;
  crossAttentionDim?: number;
  textDim?: number;
  pooledProjectionDim?: number;
  textTime?: { pooledDim: number };
}

for (const [name, folder] of Object.entries(CHECKPOINTS)) {
  describe(`OnnxDenoiser.forecast() of ${name}`, () => {
    const stack = new DisposableStack();
    const checkpoint = Checkpoint.open(goldenPath(folder));
    const family = familyOf(checkpoint);
    const reading = family.read(checkpoint, "float32");
    const { config, latentScale: { channels }, rules } = reading;
    const size = { channels, frames: rules.video ? 3 : 1, height: HEIGHT, width: WIDTH };
    const latentDims = denoisedDims({ family, reading }, size);
    const featureDims = family.featureDims(config, size);
    const text = config as TextConfig;
    const width = text.jointAttentionDim ?? text.contextInDim ?? text.crossAttentionDim ?? text.textDim!;
    const pooled = text.pooledProjectionDim ?? text.textTime?.pooledDim ?? 1;
    let runtime: Runtime;
    let sessions: DenoiserSessions;
    before(async () => {
      runtime = stack.use(Runtime.open());
      const { trunk, head, modulation } = reading.buildGraphs();
      sessions = {
        trunk: stack.use(await runtime.createSession(trunk)),
        head: stack.use(await runtime.createSession(head)),
        ...modulation && { modulation: stack.use(await runtime.createSession(modulation)) },
      };
    });
    after(() => stack.dispose());

    it("forecasts every branch from its own history alone", async () => {
      const prompts = [1, 2, 3].map((seed) => ({
        tokens: 5,
        embeds: randn([5, width], seed),
        pooled: randn([pooled], 100 + seed),
      }));
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

    /** Runs three full passes, then three forecasts in one call. Returns all rows of each output. */
    async function forecasts(prompts: EncodedPrompt[]): Promise<Float32Array[]> {
      const at = (step: number) => ({ step, timestep: 1000 - 100 * step, sigma: 1 - step / 10 });
      const options = { config, branches: prompts, size, guidanceScale: 3.5, width: 8, height: 16 };
      using feeds = family.feeds(runtime, options);
      using denoiser = new OnnxDenoiser(runtime, sessions, {
        branches: prompts.length,
        outputDims: latentDims,
        slots: ANCHORS.length,
        steps: STEPS,
        featureDims,
        featureType: "float32",
        trunkFeeds: (latents, timestep) => feeds.trunk(latents, timestep),
        modulationFeeds: () =>
          feeds.modulation(Array.from({ length: STEPS }, (_, step) => at(step).timestep)),
        guide: (output) => output,
      });
      for (const [slot, step] of ANCHORS.entries()) {
        const latents = randn(latentDims, 10 + step);
        await denoiser.full({ ...at(step), latents, slot });
      }
      const forecaster = createForecaster(
        resolveSamplerOptions({ method: "spectrum", m: 1 }, STEPS),
        STEPS,
      );
      return await denoiser.forecast(
        FORECASTS.map((step) => ({ ...at(step), weights: forecaster.weights(step, ANCHORS) })),
      );
    }
  });
}
