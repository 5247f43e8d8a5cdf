// diffusers' WanPipeline and WanImageToVideoPipeline: Wan2.1 and Wan2.2 from text or from frames, and every
// checkpoint of that architecture, to a video.
import { createSolver } from "../../../sampler/mod.ts";
import { type Family, ONE_STAGE, type Stage } from "../../pipeline/family.ts";
import { videoDecoder } from "../../pipeline/latent_decoder.ts";
import { VIDEO_TILING } from "../../vae/video_tiling.ts";
import { decodeWan } from "../../vae/decode_wan.ts";
import { encodeWanPrompt } from "./encode_wan_prompt.ts";
import { readWanCheckpoint, type WanCheckpoint } from "./wan_checkpoint.ts";
import { prepareWanFrames } from "./prepare_wan_frames.ts";
import { wanFeeds, wanGrid } from "./wan_feeds.ts";
import { wanLoras } from "./wan_loras.ts";
import { wanFramesSingleFile, wanSingleFile, wanVisionSingleFile } from "./wan_single_file.ts";

/**
 * The family of both pipelines. diffusers calls the network once for each branch; here the branches are rows
 * of one call, each with its own history.
 */
export const wanFamily: Family<WanCheckpoint> = {
  read: readWanCheckpoint,
  singleFile: [wanSingleFile, wanFramesSingleFile, wanVisionSingleFile],
  loras: wanLoras,
  encodePrompt: encodeWanPrompt,
  solver: ({ steps }, { reading: { scheduler }, noise }) => createSolver(scheduler, { steps, noise }),
  stages: expertsOf,
  feeds: wanFeeds,
  featureDims: (config, size) => [...wanGrid(config, size), config.innerDim],
  decoder({ runtime, session: vae, reading: { latentScale, vaeConfig }, graphs, vaeTiling }) {
    const tiling = vaeTiling ? VIDEO_TILING : undefined;
    const decoder = {
      runtime,
      vae,
      caches: graphs.vae.caches,
      scale: latentScale.spatial,
      patchSize: vaeConfig.patchSize,
      tiling,
    };
    return videoDecoder((video) => decodeWan(decoder, video), latentScale);
  },
  prepareFrames: prepareWanFrames,
};

/**
 * Returns the stages of Wan2.2's experts: the first one takes the timesteps down to the boundary. Inverted
 * sigmas begin with the second.
 */
function expertsOf(timesteps: Float64Array, { boundaryTimestep }: WanCheckpoint): readonly Stage[] {
  if (boundaryTimestep === undefined) return ONE_STAGE;
  const stages: Stage[] = [];
  for (const [start, timestep] of timesteps.entries()) {
    const network = timestep < boundaryTimestep ? 1 : 0;
    if (stages.at(-1)?.network !== network) stages.push({ start, network });
  }
  return stages;
}
