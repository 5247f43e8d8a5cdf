// Every family's text encoders, trunk, head, modulation and decoder on its tiny checkpoint, with forecasts.
import { describe, it } from "@std/testing/bdd";
import { openPipeline } from "../../../gpu-worker/model/open_pipeline.ts";
import { NO_SOFTWARE_GPU } from "../../software_gpu.ts";
import { goldenPath, loadGoldens } from "../../goldens/golden.ts";
import { SDXL_WITH_NET } from "../graph/family_checkpoints.ts";
import { assertAlike } from "./assert_alike.ts";

const SIZE = { width: 24, height: 16 };
const CONTROL = {
  ...SIZE,
  controlImage: { ...SIZE, data: loadGoldens("control").floats("input.control") },
};
const FROM_IMAGE = {
  width: 32,
  height: 16,
  maxSequenceLength: 24,
  firstFrame: {
    width: 45,
    height: 31,
    file: { bytes: Deno.readFileSync(goldenPath("frames/first.png")), sha256: "" },
  },
};

const CHECKPOINTS = [
  { folder: SDXL_WITH_NET, request: { ...CONTROL, controlEnd: 0.8 } },
  { folder: "flux/tiny-dev", request: { width: 24, height: 16 } },
  { folder: "chroma/tiny-hd", request: { width: 24, height: 16 } },
  { folder: "flux2/tiny-distilled", request: { width: 12, height: 20, maxSequenceLength: 32 } },
  { folder: "qwen_image/tiny-image", request: { width: 32, height: 16 } },
  { folder: "qwen_image21/tiny-21", request: { width: 24, height: 16 } },
  { folder: "sd3/tiny-large", request: { width: 24, height: 16 } },
  { folder: "sdxl/tiny-sdxl", request: { width: 24, height: 16 } },
  { folder: "sdxl/tiny-sd15", request: { width: 24, height: 16 } },
  { folder: "wan/tiny-a14b", request: { width: 32, height: 16, numFrames: 5 } },
  { folder: "wan/tiny-ti2v", request: { width: 48, height: 16, numFrames: 5 } },
  { folder: "wan/tiny-unipc", request: { width: 32, height: 16, numFrames: 5 } },
  { folder: "hunyuan_video/tiny-distilled", request: { width: 32, height: 16, numFrames: 5 } },
  { folder: "hunyuan_video/tiny-replace", request: { ...FROM_IMAGE, numFrames: 5 } },
  { folder: "z_image/tiny-base", request: { width: 24, height: 16 } },
];

for (const { folder, request } of CHECKPOINTS) {
  describe(`${folder} on WebGPU`, { skip: NO_SOFTWARE_GPU !== false }, () => {
    it("gives the CPU's latents and picture, with forecasts", async () => {
      await assertAlike((options) => openPipeline(goldenPath(folder), options), [
        { ...request, steps: 8, sampler: { method: "spectrum", warmupSteps: 2 } },
      ]);
    });
  });
}
