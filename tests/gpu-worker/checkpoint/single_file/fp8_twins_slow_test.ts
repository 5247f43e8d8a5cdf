// Single files whose tensors are all fp8, in the original names of each family: some are reordered as they
// are read. Each draws as a file that holds the same numbers in float32.
import { describe, it } from "@std/testing/bdd";
import { goldenPath } from "../../../goldens/golden.ts";
import { asFp8, asFp8Rows, toFp8, toFp8Rows } from "./to_fp8.ts";
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

describe("a single file in fp8 with a scale a row draws as one in float32, in the names of", () => {
  for (const name of ["sdxl", "flux-dev", "flux2", "qwen-image-2.1", "z-image", "sd3-medium", "wan"]) {
    it(name, async () => {
      const [, call] = firstCall(GOLDENS[name]!);
      using fp8 = new Twin(name, toFp8Rows);
      using wide = new Twin(name, asFp8Rows);
      const parts = { components: fp8.folder };
      for (const weights of ["as-stored", "int8"] as const) {
        const result = await runModel(fp8.path, { call, parts, weights });
        assertSame(result, await runModel(wide.path, { call, parts, weights }));
      }
    });
  }

  it("flux-dev, with a LoRA", async () => {
    const [, call] = firstCall(GOLDENS["flux-dev"]!);
    using fp8 = new Twin("flux-dev", toFp8Rows);
    using wide = new Twin("flux-dev", asFp8Rows);
    const options = {
      call,
      loras: [{ path: goldenPath("lora/flux/style.safetensors"), weight: 0.5 }],
      parts: { components: fp8.folder },
    };
    for (const weights of ["as-stored", "int8"] as const) {
      const result = await runModel(fp8.path, { ...options, weights });
      assertSame(result, await runModel(wide.path, { ...options, weights }));
    }
  });
});
