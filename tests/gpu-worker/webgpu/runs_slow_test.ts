// Ways to run a checkpoint: stored and asked types, a picture batch, a start image, an error budget.
// All share one pipeline on each device, as most of the time goes into the compilation of shaders.
import { after, before, describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { createBatch } from "../../../gpu-worker/denoiser/picture_batch.ts";
import { openPipeline } from "../../../gpu-worker/model/open_pipeline.ts";
import type { Pipeline } from "../../../gpu-worker/pipeline/pipeline.ts";
import { completeRequest } from "../../../gpu-worker/request/complete_request.ts";
import type { GenerateRequest, PartialRequest } from "../../../gpu-worker/request/generate_request.ts";
import { goldenPath, loadGoldens } from "../../goldens/golden.ts";
import { NO_SOFTWARE_GPU } from "../../software_gpu.ts";
import { assertSame } from "./assert_alike.ts";
import { NarrowCheckpoint } from "./narrow_checkpoint.ts";
import { type Placement, recordPlacement } from "./record_placement.ts";

const PROMPTS = ["a red square", "two blue circles on white"];

describe("a checkpoint in bfloat16, opened with --dtype float16", { skip: NO_SOFTWARE_GPU !== false }, () => {
  const notes: string[] = [];
  const owned = new DisposableStack();
  let placement: Placement;
  let cpu: Pipeline;
  let gpu: Pipeline;
  before(async () => {
    const { folder } = owned.use(new NarrowCheckpoint(goldenPath("flux/tiny-dev"), "BF16"));
    cpu = owned.use(await openPipeline(folder));
    placement = owned.use(recordPlacement());
    const warn = (note: string) => notes.push(note);
    gpu = owned.use(await openPipeline(folder, { provider: "webgpu", dtype: "float16", warn }));
  });
  after(() => owned.dispose());

  const requestFor = (fields: Partial<PartialRequest>): GenerateRequest =>
    completeRequest({
      prompt: PROMPTS[0]!,
      seed: 3,
      width: 24,
      height: 16,
      steps: 4,
      sampler: { method: "spectrum", warmupSteps: 2 },
      ...fields,
    }, cpu.description);

  it("computes in float32, and says so, on an adapter without float16", () => {
    assert.match(notes.join("\n"), /no shader-f16.*computes in float32 instead/);
  });

  it("draws a picture batch like single pictures on the CPU", async () => {
    const requests = PROMPTS.map((prompt, i) => requestFor({ prompt, seed: 3 + i }));
    const places = createBatch(requests.length);
    const results = await Promise.all(requests.map(async (request, i) => {
      using batch = places[i]!;
      const result = await gpu.generate(request, { batch });
      assert.equal(batch.pictures, requests.length);
      return result;
    }));
    for (const [i, request] of requests.entries()) {
      assertSame(results[i]!, await cpu.generate(request), request.prompt);
    }
  });

  it("begins from an image", async () => {
    const image = { width: 24, height: 16, data: loadGoldens("img2img").floats("input.image") };
    const request = requestFor({ image, strength: 0.5 });
    assertSame(await gpu.generate(request), await cpu.generate(request), "image");
  });

  it("measures the CPU's errors and chooses its steps under an error budget", async () => {
    const request = requestFor({ steps: 12, sampler: { method: "taylorseer", order: 1, errorBudget: 0.2 } });
    const expected = await cpu.generate(request);
    assert(expected.forecastErrors.size > 0);
    assert.deepEqual(new Set(expected.plan), new Set(["full", "forecast"]));
    assertSame(await gpu.generate(request), expected, "budget");
  });

  it("leaves no node to the CPU", async () => {
    assert.deepEqual(await placement.left(), []);
  });
});
