// Qwen-Image's pipelines with references: their vision towers, encoders and trunks, with forecasts.
import { describe, it } from "@std/testing/bdd";
import { Checkpoint } from "../../../gpu-worker/checkpoint/checkpoint.ts";
import { EDIT_PLUS } from "../../../gpu-worker/families/qwen_image/qwen_image_edit_checkpoint.ts";
import { qwenImageEdit } from "../../../gpu-worker/families/qwen_image/qwen_image_edit_family.ts";
import { readQwenImage21Checkpoint } from "../../../gpu-worker/families/qwen_image21/qwen_image21_checkpoint.ts";
import { qwenImage21Family } from "../../../gpu-worker/families/qwen_image21/qwen_image21_family.ts";
import type { OpenPipelineOptions } from "../../../gpu-worker/model/open_pipeline_options.ts";
import type { Family } from "../../../gpu-worker/pipeline/family.ts";
import { loadPipeline } from "../../../gpu-worker/pipeline/load_pipeline.ts";
import type { Pipeline } from "../../../gpu-worker/pipeline/pipeline.ts";
import { Runtime } from "../../../gpu-worker/runtime/mod.ts";
import { WeightStore } from "../../../gpu-worker/session/weight_store.ts";
import { goldenPath, loadGoldens } from "../../goldens/golden.ts";
import { NO_SOFTWARE_GPU } from "../../software_gpu.ts";
import { goldenReferences } from "../families/golden_references.ts";
import { assertAlike } from "./assert_alike.ts";

/** References are smaller than the pipelines', so that a test takes seconds. */
const AREA = 64 * 64;

const EDITS = qwenImageEdit({ ...EDIT_PLUS, conditionArea: 40 * 40, pictureArea: AREA });
const CHECKPOINTS = [
  { folder: "qwen_image_edit/tiny-plus", goldens: "qwen_image_edit/tiny-plus", family: EDITS },
  {
    folder: "qwen_image21/tiny-21",
    goldens: "qwen_image21/references",
    family: {
      ...qwenImage21Family,
      read: (checkpoint, dtype) => readQwenImage21Checkpoint(checkpoint, dtype, { area: AREA }),
    } satisfies typeof qwenImage21Family,
  },
];

/** Loads a family's checkpoint as openPipeline() does. */
async function open(
  family: Family,
  folder: string,
  { provider = "cpu" }: OpenPipelineOptions,
): Promise<Pipeline> {
  const stack = new DisposableStack();
  const pipeline = stack.use(
    await loadPipeline(family, family.read(Checkpoint.open(folder), "float32"), {
      runtime: stack.use(Runtime.open({ provider })),
      dtype: "float32",
      weightStore: stack.use(new WeightStore()),
      model: { id: folder, pipelineClass: "", weights: "as-stored", digest: "" },
    }),
  );
  return {
    model: pipeline.model,
    description: pipeline.description,
    generate: (request, options) => pipeline.generate(request, options),
    [Symbol.dispose]: () => stack.dispose(),
  };
}

for (const { folder, goldens, family } of CHECKPOINTS) {
  describe(`${folder} with references on WebGPU`, { skip: NO_SOFTWARE_GPU !== false }, () => {
    it("gives the CPU's latents and picture, with forecasts", async () => {
      const references = await goldenReferences(loadGoldens(goldens), ["wide", "square"]);
      await assertAlike((options) => open(family, goldenPath(folder), options), [
        { width: 32, height: 16, steps: 8, references, sampler: { method: "spectrum", warmupSteps: 2 } },
      ]);
    });
  });
}
