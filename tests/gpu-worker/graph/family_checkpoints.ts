// Tiny checkpoints whose graphs hold every kind of node that this software emits. Folders of tests/goldens,
// some with
// ControlNets.

/** Returns what adds a ControlNet of tests/goldens to a model's name. */
const withNet = (net: string) => `+controlnet:tests/goldens/control/${net}`;

const FLUX_WITH_NETS = `flux/tiny-dev${withNet("flux/canny")}${withNet("flux/union")}`;
export const SDXL_WITH_NET = `sdxl/tiny-sdxl${withNet("sdxl/canny")}`;

export const FAMILY_CHECKPOINTS: readonly string[] = [
  "chroma/tiny-hd",
  "flux/tiny-dev",
  FLUX_WITH_NETS,
  "flux2/tiny-base",
  "flux2/tiny-distilled",
  "frames/tiny-flf",
  "hunyuan_video/tiny-concat",
  "hunyuan_video/tiny-distilled",
  "hunyuan_video/tiny-plain",
  "hunyuan_video/tiny-replace",
  "qwen_image/tiny-image",
  "qwen_image_edit/tiny-edit",
  "qwen_image_edit/tiny-plus",
  "qwen_image21/tiny-21",
  "qwen_image21/tiny-plain",
  "sd3/tiny-large",
  "sd3/tiny-medium",
  "sdxl/tiny-sd15",
  "sdxl/tiny-sd21",
  "sdxl/tiny-sdxl",
  SDXL_WITH_NET,
  `sdxl/tiny-sd15${withNet("sd15/canny")}`,
  `sdxl/tiny-sd21${withNet("sd21/depth")}`,
  "wan/tiny-a14b",
  "wan/tiny-euler",
  "wan/tiny-ti2v",
  "wan/tiny-unipc",
  "z_image/tiny-base",
];
