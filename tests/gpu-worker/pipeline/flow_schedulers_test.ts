// Schedulers of other classes that requests choose for flow models, against diffusers.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { openPipeline } from "../../../gpu-worker/model/open_pipeline.ts";
import { goldenPath, loadGoldens, maxError } from "../../goldens/golden.ts";
import { completeReference, type ReferenceCall, referenceCalls } from "./reference_call.ts";

/** A call under a scheduler of another class, with options of its own. */
type ScheduledCall = ReferenceCall & { name: string; options: Record<string, unknown> };

const MODELS = [
  "chroma/tiny-hd",
  "flux/tiny-dev",
  "flux/tiny-schnell",
  "flux2/tiny-base",
  "qwen_image/tiny-image",
];

describe("Pipeline.generate() with a flow scheduler of another class", () => {
  for (const model of MODELS) {
    it(`equals diffusers on ${model}`, async () => {
      using pipeline = await openPipeline(goldenPath(model));
      const folder = `flow_schedulers/${model.replace("/", "-")}`;
      const goldens = loadGoldens(folder);
      for (const [id, call] of referenceCalls(folder)) {
        const { name, options } = call as ScheduledCall;
        const request = completeReference(pipeline, call);
        const { latents } = await pipeline.generate({ ...request, scheduler: { name, options } });
        const error = maxError(latents.data, goldens.floats(`${id}.latents`));
        assert.ok(error <= 1e-4, `${id} differs by ${error}`);
      }
    });
  }
});
