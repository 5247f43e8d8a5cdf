// diffusers' HunyuanVideoImageToVideoPipeline: HunyuanVideo from an image, which is seen beside the latents
// or is the video's first frame.
import type { Family } from "../../pipeline/family.ts";
import { encodeHunyuanVideoImagePrompt } from "./encode_hunyuan_video_image_prompt.ts";
import { hunyuanVideoFamily } from "./hunyuan_video_family.ts";
import {
  type HunyuanVideoImageCheckpoint,
  readHunyuanVideoImageCheckpoint,
} from "./hunyuan_video_image_checkpoint.ts";
import { prepareHunyuanVideoFrames } from "./prepare_hunyuan_video_frames.ts";

const { singleFile: _, ...shared } = hunyuanVideoFamily;

export const hunyuanVideoImageFamily: Family<HunyuanVideoImageCheckpoint> = {
  ...shared,
  read: readHunyuanVideoImageCheckpoint,
  encodePrompt: encodeHunyuanVideoImagePrompt,
  promptsSeeFirstFrame: true,
  prepareFrames: prepareHunyuanVideoFrames,
};
