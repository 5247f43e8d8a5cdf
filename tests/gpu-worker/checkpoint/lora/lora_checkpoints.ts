// The checkpoints that have goldens of LoRAs, by the folder of their files.
import type { Lora } from "../../../../protocol/wire/model_name.ts";
import { goldenPath } from "../../../goldens/golden.ts";

export const LORA_CHECKPOINTS: Readonly<Record<string, string>> = {
  chroma: "chroma/tiny-hd",
  flux: "flux/tiny-dev",
  flux2: "flux2/tiny-base",
  hunyuan_video: "hunyuan_video/tiny-plain",
  qwen_image: "qwen_image/tiny-image",
  sd3: "sd3/tiny-large",
  sdxl: "sdxl/tiny-sdxl",
  z_image: "z_image/tiny-base",
};

/** The two LoRAs of every golden: `style` or `kohya` at 0.7 and `detail` at -0.3. */
export function loraFiles(family: string, style: "style" | "kohya"): Lora[] {
  const file = (name: string) => goldenPath(`lora/${family}/${name}.safetensors`);
  return [{ path: file(style), weight: 0.7 }, { path: file("detail"), weight: -0.3 }];
}
