// The registry: maps diffusers' pipeline classes to families. A new family is one line here.
import { showValue } from "../../sampler/mod.ts";
import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import { CheckpointError } from "../checkpoint/checkpoint_error.ts";
import { chromaFamily } from "../families/chroma/chroma_family.ts";
import { fluxFamily, fluxFillFamily, fluxKontextFamily } from "../families/flux/flux_family.ts";
import { flux2KleinFamily } from "../families/flux2/flux2_family.ts";
import { hunyuanVideoFamily } from "../families/hunyuan_video/hunyuan_video_family.ts";
import { hunyuanVideoImageFamily } from "../families/hunyuan_video/hunyuan_video_image_family.ts";
import {
  qwenImageEditFamily,
  qwenImageEditPlusFamily,
} from "../families/qwen_image/qwen_image_edit_family.ts";
import { qwenImageFamily } from "../families/qwen_image/qwen_image_family.ts";
import { qwenImage21Family } from "../families/qwen_image21/qwen_image21_family.ts";
import { sd3Family } from "../families/sd3/sd3_family.ts";
import { sdFamily, sdxlFamily } from "../families/unet/unet_family.ts";
import { wanFamily } from "../families/wan/wan_family.ts";
import { zImageFamily } from "../families/z_image/z_image_family.ts";
import type { Family } from "../pipeline/family.ts";

export const FAMILIES: Readonly<Record<string, Family>> = {
  ChromaPipeline: chromaFamily,
  Flux2KleinPipeline: flux2KleinFamily,
  FluxFillPipeline: fluxFillFamily,
  FluxKontextPipeline: fluxKontextFamily,
  FluxPipeline: fluxFamily,
  HunyuanVideoImageToVideoPipeline: hunyuanVideoImageFamily,
  HunyuanVideoPipeline: hunyuanVideoFamily,
  QwenImage21Pipeline: qwenImage21Family,
  QwenImageEditPipeline: qwenImageEditFamily,
  QwenImageEditPlusPipeline: qwenImageEditPlusFamily,
  QwenImagePipeline: qwenImageFamily,
  StableDiffusionInpaintPipeline: sdFamily,
  StableDiffusionPipeline: sdFamily,
  StableDiffusion3Pipeline: sd3Family,
  StableDiffusionXLInpaintPipeline: sdxlFamily,
  StableDiffusionXLPipeline: sdxlFamily,
  WanImageToVideoPipeline: wanFamily,
  WanPipeline: wanFamily,
  ZImagePipeline: zImageFamily,
};

/** Relatives of supported classes -> what they are. */
const RELATIVES: Readonly<Record<string, string>> = {
  WanAnimatePipeline: "Wan Animate; Wan from text and from frames is supported",
  WanVACEPipeline: "Wan VACE; Wan from text and from frames is supported",
};

/**
 * Returns the family of a checkpoint.
 * @throws {CheckpointError} saying what the checkpoint is, or listing the supported classes.
 */
export function familyOf({ folder, pipelineClass }: Checkpoint): Family {
  if (Object.hasOwn(FAMILIES, pipelineClass)) return FAMILIES[pipelineClass]!;
  if (Object.hasOwn(RELATIVES, pipelineClass)) {
    throw new CheckpointError(
      `Cannot open ${folder} as pipeline class ${pipelineClass} is not supported: it is ${
        RELATIVES[pipelineClass]
      }`,
    );
  }
  const known = Object.keys(FAMILIES).join(", ");
  throw new CheckpointError(
    `Cannot open ${folder} as pipeline class ${
      showValue(pipelineClass)
    } is not supported: known are ${known}`,
  );
}
