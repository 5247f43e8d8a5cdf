// Tiny checkpoints whose graphs hold every kind of node that this software emits. Folders of tests/goldens.

export const FAMILY_CHECKPOINTS: readonly string[] = [
  "chroma/tiny-hd",
  "flux/tiny-dev",
  "flux2/tiny-base",
  "flux2/tiny-distilled",
  "hunyuan_video/tiny-distilled",
  "hunyuan_video/tiny-plain",
  "qwen_image/tiny-image",
  "qwen_image21/tiny-21",
  "qwen_image21/tiny-plain",
  "sd3/tiny-large",
  "sd3/tiny-medium",
  "sdxl/tiny-sd15",
  "sdxl/tiny-sd21",
  "sdxl/tiny-sdxl",
  "wan/tiny-a14b",
  "wan/tiny-euler",
  "wan/tiny-ti2v",
  "wan/tiny-unipc",
  "z_image/tiny-base",
];
