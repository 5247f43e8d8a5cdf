// The checkpoints that we ship, with every method.
import { describe, it } from "@std/testing/bdd";
import { openPipeline } from "../../../gpu-worker/model/open_pipeline.ts";
import { METHOD_NAMES } from "../../../sampler/mod.ts";
import { NO_SOFTWARE_GPU } from "../../software_gpu.ts";
import { assertAlike } from "./assert_alike.ts";

const MODELS = [
  { model: "models/emoji", request: { width: 32, height: 32 } },
  { model: "models/shapes", request: { width: 32, height: 32, numFrames: 5 } },
];

for (const { model, request } of MODELS) {
  describe(`${model} on WebGPU`, { skip: NO_SOFTWARE_GPU !== false }, () => {
    it(`gives the CPU's latents and pictures with ${METHOD_NAMES.join(", ")}`, async () => {
      const requests = METHOD_NAMES.map((method) => ({ ...request, steps: 6, sampler: { method } }));
      await assertAlike((options) => openPipeline(model, options), requests);
    });
  });
}
