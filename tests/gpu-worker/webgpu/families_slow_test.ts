// Every family's text encoders, trunk, head, modulation and decoder on its tiny checkpoint, with forecasts.
import { describe, it } from "@std/testing/bdd";
import type { PartialRequest } from "../../../gpu-worker/request/generate_request.ts";
import { openPipeline } from "../../../gpu-worker/model/open_pipeline.ts";
import { NO_SOFTWARE_GPU } from "../../software_gpu.ts";
import { goldenPath, loadGoldens } from "../../goldens/golden.ts";
import { FLUX_WITH_NETS, SDXL_WITH_NET } from "../graph/family_checkpoints.ts";
import { assertAlike } from "./assert_alike.ts";

const SIZE = { width: 24, height: 16 };
const CONTROL = {
  ...SIZE,
  controlImage: { ...SIZE, data: loadGoldens("control").floats("input.control") },
};

interface Case {
  folder: string;
  request: Partial<PartialRequest>;
  /** What another request has in place of it. @default one request */
  also?: Partial<PartialRequest>;
}

const CHECKPOINTS: readonly Case[] = [
  { folder: SDXL_WITH_NET, request: { ...CONTROL, controlEnd: 0.8 } },
  {
    folder: FLUX_WITH_NETS,
    request: { ...CONTROL, controlNet: "canny" },
    also: { controlNet: "union", controlMode: 1 },
  },
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
  { folder: "z_image/tiny-base", request: { width: 24, height: 16 } },
];

for (const { folder, request, also } of CHECKPOINTS) {
  describe(`${folder} on WebGPU`, { skip: NO_SOFTWARE_GPU !== false }, () => {
    it("gives the CPU's latents and picture, with forecasts", async () => {
      const one = { ...request, steps: 8, sampler: { method: "spectrum", warmupSteps: 2 } } as const;
      const requests = also === undefined ? [one] : [one, { ...one, ...also }];
      await assertAlike((options) => openPipeline(goldenPath(folder), options), requests);
    });
  });
}
