// Inpainting UNets of nine channels in single files: what diffusers draws with the same numbers.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { describeModel } from "../../../../gpu-worker/model/describe_model.ts";
import { openPipeline } from "../../../../gpu-worker/model/open_pipeline.ts";
import { readModel } from "../../../../gpu-worker/model/read_model.ts";
import { loadGoldens } from "../../../goldens/golden.ts";
import { assertReference, generateReference, referenceCalls } from "../../pipeline/reference_call.ts";
import { type ImageCall, startOf } from "../../pipeline/reference_images.ts";
import { WidenedCheckpoint } from "../../pipeline/widened_checkpoint.ts";
import { type FileTensor, Twin } from "./twin.ts";

const CONV_IN = "model.diffusion_model.input_blocks.0.0.weight";
const KINDS = {
  sd15: {
    golden: "inpaint/sd15_inputs",
    title: "Stable Diffusion 1.5 inpainting",
    pipelineClass: "StableDiffusionInpaintPipeline",
    scheduler: "DDIMScheduler",
  },
  sdxl: {
    golden: "inpaint/sdxl_inputs",
    title: "Stable Diffusion XL inpainting",
    pipelineClass: "StableDiffusionXLInpaintPipeline",
    scheduler: "EulerDiscreteScheduler",
  },
};

describe("an inpainting UNet in a single file", () => {
  for (const [name, { golden, title, pipelineClass, scheduler }] of Object.entries(KINDS)) {
    const goldens = loadGoldens(golden);
    const widened = (tensors: Map<string, FileTensor>) =>
      void tensors.set(CONV_IN, {
        dtype: "F32",
        shape: goldens.shape("conv_in.weight"),
        data: new Uint8Array(goldens.floats("conv_in.weight").buffer),
      });

    it(`gives diffusers' latents in the names of ${name}`, async () => {
      using twin = new Twin(name, widened);
      using components = new WidenedCheckpoint(twin.folder, goldens);
      using pipeline = await openPipeline(twin.path, { parts: { components: components.folder } });
      const calls = Object.fromEntries(referenceCalls(golden)) as Record<string, ImageCall>;
      for (const id of ["picture.strength_1", "picture.source"]) {
        const result = await generateReference(pipeline, calls[id]!, await startOf(calls[id]!));
        assertReference(result, { id, goldens });
      }
    });

    it(`is known by its input in the names of ${name}, beside the components of a model for text`, () => {
      using twin = new Twin(name, widened);
      const parts = { components: twin.folder };
      const { checkpoint } = readModel(twin.path, { parts });
      assert.equal(checkpoint.pipelineClass, pipelineClass);
      assert.equal(checkpoint.componentClass("scheduler"), scheduler);
      const { reading, ...described } = describeModel(twin.path, { parts });
      assert.equal(reading.maskInputs, true);
      assert.equal(described.checkpoint.title, title);
    });
  }
});
