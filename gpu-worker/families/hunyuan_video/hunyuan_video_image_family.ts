// diffusers' HunyuanVideoImageToVideoPipeline: HunyuanVideo from an image, which is seen beside the latents
// or is the video's first frame.
import type { Family } from "../../pipeline/family.ts";
import { encodeHunyuanVideoImagePrompt } from "./encode_hunyuan_video_image_prompt.ts";
import { hunyuanVideoFamily } from "./hunyuan_video_family.ts";
import {
  type HunyuanVideoImageCheckpoint,
  readHunyuanVideoImageCheckpoint,
} from "./hunyuan_video_image_checkpoint.ts";
import { hunyuanVideoImageSingleFile } from "./hunyuan_video_single_file.ts";
import { prepareHunyuanVideoFrames } from "./prepare_hunyuan_video_frames.ts";

export const hunyuanVideoImageFamily: Family<HunyuanVideoImageCheckpoint> = {
  ...hunyuanVideoFamily,
  read: readHunyuanVideoImageCheckpoint,
  singleFile: hunyuanVideoImageSingleFile,
  encodePrompt: encodeHunyuanVideoImagePrompt,
  promptsSeeFirstFrame: true,
  prepareFrames: prepareHunyuanVideoFrames,
};
