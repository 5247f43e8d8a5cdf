// Single files whose tensors are all fp8, in the original names of each family: some are reordered as they
// are read. Each draws as a file that holds the same numbers in float32.
import { describe, it } from "@std/testing/bdd";
import { asFp8, toFp8 } from "./to_fp8.ts";
import { Twin } from "./twin.ts";
import { assertSame, firstCall, runModel } from "./twin_pictures.ts";

const GOLDENS: Record<string, string> = {
  "sd21": "sdxl/tiny-sd21",
  "sdxl": "sdxl/tiny-sdxl",
  "flux-dev": "flux/tiny-dev",
  "flux-schnell": "flux/tiny-schnell",
  "flux2": "flux2/tiny-base",
  "chroma": "chroma/tiny-hd",
  "qwen-image": "qwen_image/tiny-image",
  "qwen-image-2.1": "qwen_image21/tiny-21",
  "z-image": "z_image/tiny-base",
  "sd3-medium": "sd3/tiny-medium",
  "sd3-large": "sd3/tiny-large",
  "wan": "wan/tiny-unipc",
  "wan-ti2v": "wan/tiny-ti2v",
  "hunyuan-video": "hunyuan_video/tiny-distilled",
};

describe("a single file in fp8 draws as one in float32 with its numbers, in the names of", () => {
  for (const [name, golden] of Object.entries(GOLDENS)) {
    it(name, async () => {
      const [, call] = firstCall(golden);
      using fp8 = new Twin(name, toFp8);
      using wide = new Twin(name, asFp8);
      const parts = { components: fp8.folder };
      const result = await runModel(fp8.path, { call, parts });
      assertSame(result, await runModel(wide.path, { call, parts }));
      const held = await runModel(fp8.path, { call, parts, weights: "int8" });
      assertSame(held, await runModel(wide.path, { call, parts, weights: "int8" }));
    });
  }
});
