// The list of models that single files may hold. A new one is a line here.
import type { Architecture } from "../checkpoint/single_file/architecture.ts";
import { chromaSingleFile } from "../families/chroma/chroma_single_file.ts";
import { flux2SingleFile } from "../families/flux2/flux2_single_file.ts";
import { fluxSingleFile } from "../families/flux/flux_single_file.ts";
import { hunyuanVideoSingleFile } from "../families/hunyuan_video/hunyuan_video_single_file.ts";
import { qwenImage21SingleFile } from "../families/qwen_image21/qwen_image21_single_file.ts";
import { qwenImageSingleFile } from "../families/qwen_image/qwen_image_single_file.ts";
import { sd3SingleFile } from "../families/sd3/sd3_single_file.ts";
import { sdSingleFile, sdxlSingleFile } from "../families/unet/unet_single_file.ts";
import { wanSingleFile } from "../families/wan/wan_single_file.ts";
import { zImageSingleFile } from "../families/z_image/z_image_single_file.ts";

export const ARCHITECTURES: readonly Architecture[] = [
  sdSingleFile,
  sdxlSingleFile,
  sd3SingleFile,
  fluxSingleFile,
  flux2SingleFile,
  chromaSingleFile,
  qwenImageSingleFile,
  qwenImage21SingleFile,
  wanSingleFile,
  zImageSingleFile,
  hunyuanVideoSingleFile,
];
