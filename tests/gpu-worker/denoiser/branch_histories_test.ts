// Guidance branches share every call of the network, but no branch may see another branch's history.
import { after, before, describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import type { OnnxModel } from "../../../gpu-worker/graph/graph_builder.ts";
import type { BranchFeeds } from "../../../gpu-worker/denoiser/branch_feeds.ts";
import { Checkpoint } from "../../../gpu-worker/checkpoint/checkpoint.ts";
import type { EncodedPrompt } from "../../../gpu-worker/text/encoded_prompt.ts";
import type { DenoiserSessions } from "../../../gpu-worker/denoiser/denoiser_shape.ts";
import { OnnxDenoiser } from "../../../gpu-worker/denoiser/onnx_denoiser.ts";
import { readChromaCheckpoint } from "../../../gpu-worker/families/chroma/chroma_checkpoint.ts";
import { chromaFeeds } from "../../../gpu-worker/families/chroma/chroma_feeds.ts";
import { readFluxCheckpoint } from "../../../gpu-worker/families/flux/flux_checkpoint.ts";
import { fluxFeeds } from "../../../gpu-worker/families/flux/flux_feeds.ts";
import { readQwenImageCheckpoint } from "../../../gpu-worker/families/qwen_image/qwen_image_checkpoint.ts";
import { qwenImageFeeds } from "../../../gpu-worker/families/qwen_image/qwen_image_feeds.ts";
import { readQwenImage21Checkpoint } from "../../../gpu-worker/families/qwen_image21/qwen_image21_checkpoint.ts";
import { qwenImage21Feeds } from "../../../gpu-worker/families/qwen_image21/qwen_image21_feeds.ts";
import { readSdCheckpoint } from "../../../gpu-worker/families/unet/sd_checkpoint.ts";
import { readSd3Checkpoint } from "../../../gpu-worker/families/sd3/sd3_checkpoint.ts";
import { sd3Feeds } from "../../../gpu-worker/families/sd3/sd3_feeds.ts";
import { readSdxlCheckpoint } from "../../../gpu-worker/families/unet/sdxl_checkpoint.ts";
import { unetFeeds } from "../../../gpu-worker/families/unet/unet_feeds.ts";
import { readWanCheckpoint } from "../../../gpu-worker/families/wan/wan_checkpoint.ts";
import { wanFeeds, wanGrid } from "../../../gpu-worker/families/wan/wan_feeds.ts";
import { Runtime } from "../../../gpu-worker/runtime/mod.ts";
import { createForecaster, randn, resolveSamplerOptions } from "../../../sampler/mod.ts";
import { goldenPath, maxError } from "../../goldens/golden.ts";

/** float32 products whose terms ONNX Runtime may sum in another order in a larger batch. */
const TOLERANCE = 1e-5;
const STEPS = 8;
const ANCHORS = [0, 1, 3];
const FORECASTS = [4, 5, 6];
const [HEIGHT, WIDTH] = [8, 4];

interface Family {
  buildGraphs(): Record<"trunk" | "head", OnnxModel> & { modulation?: OnnxModel };
  latentDims: number[];
  /** Features of a token and of the pooled text. */
  textDims: [embeds: number, pooled: number];
  featureDims: number[];
  feeds(runtime: Runtime, branches: EncodedPrompt[]): BranchFeeds;
}

const FAMILIES: Record<string, () => Family> = {
  "Chroma": () => {
    const { buildGraphs, config } = readChromaCheckpoint(
      Checkpoint.open(goldenPath("chroma/tiny-hd")),
      "float32",
    );
    const size = { channels: config.inChannels / 4, height: HEIGHT, width: WIDTH };
    const tokens = HEIGHT / 2 * WIDTH / 2;
    return {
      buildGraphs,
      latentDims: [tokens, config.inChannels],
      textDims: [config.jointAttentionDim, 1],
      featureDims: [tokens, config.innerDim],
      feeds: (runtime, branches) => chromaFeeds(runtime, { config, branches, size }),
    };
  },
  "FLUX": () => {
    const { buildGraphs, config } = readFluxCheckpoint(
      Checkpoint.open(goldenPath("flux/tiny-dev")),
      "float32",
    );
    const size = { channels: config.inChannels / 4, height: HEIGHT, width: WIDTH };
    const tokens = HEIGHT / 2 * WIDTH / 2;
    return {
      buildGraphs,
      latentDims: [tokens, config.inChannels],
      textDims: [config.jointAttentionDim, config.pooledProjectionDim],
      featureDims: [tokens, config.innerDim],
      feeds: (runtime, branches) => fluxFeeds(runtime, { config, branches, size, guidanceScale: 3.5 }),
    };
  },
  "Qwen-Image": () => {
    const { buildGraphs, config } = readQwenImageCheckpoint(
      Checkpoint.open(goldenPath("qwen_image/tiny-image")),
      "float32",
    );
    const size = { channels: config.inChannels / 4, height: HEIGHT, width: WIDTH };
    const tokens = HEIGHT / 2 * WIDTH / 2;
    return {
      buildGraphs,
      latentDims: [tokens, config.inChannels],
      textDims: [config.jointAttentionDim, 1],
      featureDims: [tokens, config.innerDim],
      feeds: (runtime, branches) => qwenImageFeeds(runtime, { config, branches, size }),
    };
  },
  "Qwen-Image-2.1": () => {
    const { buildGraphs, config } = readQwenImage21Checkpoint(
      Checkpoint.open(goldenPath("qwen_image21/tiny-21")),
      "float32",
    );
    const size = { channels: config.inChannels, height: HEIGHT, width: WIDTH };
    return {
      buildGraphs,
      latentDims: [HEIGHT * WIDTH, config.inChannels],
      textDims: [config.contextInDim, 1],
      featureDims: [HEIGHT * WIDTH, config.innerDim],
      feeds: (runtime, branches) => qwenImage21Feeds(runtime, { config, branches, size }),
    };
  },
  "Stable Diffusion 3": () => {
    const { buildGraphs, config } = readSd3Checkpoint(
      Checkpoint.open(goldenPath("sd3/tiny-large")),
      "float32",
    );
    const size = { channels: 16, height: HEIGHT, width: WIDTH };
    return {
      buildGraphs,
      latentDims: [size.channels, HEIGHT, WIDTH],
      textDims: [config.jointAttentionDim, config.pooledProjectionDim],
      featureDims: [HEIGHT / 2, WIDTH / 2, config.innerDim],
      feeds: (runtime, branches) => sd3Feeds(runtime, { config, branches, size }),
    };
  },
  "SDXL": () => {
    const { buildGraphs, config } = readSdxlCheckpoint(
      Checkpoint.open(goldenPath("sdxl/tiny-sdxl")),
      "float32",
    );
    const size = { channels: 4, height: HEIGHT, width: WIDTH };
    return {
      buildGraphs,
      latentDims: [size.channels, HEIGHT, WIDTH],
      textDims: [config.crossAttentionDim, config.textTime!.pooledDim],
      featureDims: [config.channels, HEIGHT, WIDTH],
      feeds: (runtime, branches) => unetFeeds(runtime, { config, branches, size, height: 16, width: 8 }),
    };
  },
  "Stable Diffusion 1.5": () => {
    const { buildGraphs, config } = readSdCheckpoint(
      Checkpoint.open(goldenPath("sdxl/tiny-sd15")),
      "float32",
    );
    const size = { channels: 4, height: HEIGHT, width: WIDTH };
    return {
      buildGraphs,
      latentDims: [size.channels, HEIGHT, WIDTH],
      textDims: [config.crossAttentionDim, 1],
      featureDims: [config.channels, HEIGHT, WIDTH],
      feeds: (runtime, branches) => unetFeeds(runtime, { config, branches, size, height: 16, width: 8 }),
    };
  },
  "Wan": () => {
    const { buildGraphs, config } = readWanCheckpoint(
      Checkpoint.open(goldenPath("wan/tiny-unipc")),
      "float32",
    );
    const size = { channels: 16, frames: 3, height: HEIGHT, width: WIDTH };
    return {
      buildGraphs,
      latentDims: [size.channels, size.frames, HEIGHT, WIDTH],
      textDims: [config.textDim, 1],
      featureDims: [...wanGrid(config, size), config.innerDim],
      feeds: (runtime, branches) => wanFeeds(runtime, { config, branches, size }),
    };
  },
};

for (const [name, read] of Object.entries(FAMILIES)) {
  describe(`OnnxDenoiser.forecast() of ${name}`, () => {
    const stack = new DisposableStack();
    const family = read();
    const { latentDims, textDims, featureDims } = family;
    let runtime: Runtime;
    let sessions: DenoiserSessions;
    before(async () => {
      runtime = stack.use(Runtime.open());
      const { trunk, head, modulation } = family.buildGraphs();
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
        embeds: randn([5, textDims[0]], seed),
        pooled: randn([textDims[1]], 100 + seed),
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
      using feeds = family.feeds(runtime, prompts);
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
