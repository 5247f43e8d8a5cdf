// diffusers' HunyuanVideoPipeline: HunyuanVideo and every checkpoint of that
// architecture, from text to a video.
import { createSolver, linspace } from "../../../sampler/mod.ts";
import type { Family } from "../../pipeline/family.ts";
import { videoDecoder } from "../../pipeline/latent_decoder.ts";
import { VIDEO_TILING } from "../../vae/video_tiling.ts";
import { decodeHunyuanVideo } from "./decode_hunyuan_video.ts";
import { encodeHunyuanVideoPrompt } from "./encode_hunyuan_video_prompt.ts";
import { type HunyuanVideoCheckpoint, readHunyuanVideoCheckpoint } from "./hunyuan_video_checkpoint.ts";
import { hunyuanVideoFeeds, patchGrid } from "./hunyuan_video_feeds.ts";
import { hunyuanVideoOriginalNames } from "./hunyuan_video_names.ts";
import { hunyuanVideoSingleFile } from "./hunyuan_video_single_file.ts";

export const hunyuanVideoFamily: Family<HunyuanVideoCheckpoint> = {
  read: readHunyuanVideoCheckpoint,
  singleFile: hunyuanVideoSingleFile,
  loras: { originalNames: hunyuanVideoOriginalNames },
  encodePrompt: encodeHunyuanVideoPrompt,
  solver({ steps }, { reading: { scheduler }, noise }) {
    // The sigmas that HunyuanVideoPipeline passes.
    const sigmas = [...linspace(1, 0, steps + 1)].slice(0, -1);
    return createSolver(scheduler, { steps, sigmas, noise });
  },
  feeds: hunyuanVideoFeeds,
  featureDims: (config, size) => [...patchGrid(config, size), config.innerDim],
  // Prompts are not padded and differ in length, so each branch is a call of its own, as in diffusers.
  separateBranches: true,
  decoder({ runtime, session: vae, reading: { latentScale }, vaeTiling }) {
    const decoder = {
      runtime,
      vae,
      scale: latentScale.spatial,
      tiling: vaeTiling ? VIDEO_TILING : undefined,
      lead: latentScale.lead ?? 0,
    };
    return videoDecoder((video) => decodeHunyuanVideo(video, decoder), latentScale);
  },
};
