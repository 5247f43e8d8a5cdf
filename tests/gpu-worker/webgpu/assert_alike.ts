// Compares a pipeline on WebGPU with the same one on the CPU.
import assert from "node:assert/strict";
import type { OpenPipelineOptions } from "../../../gpu-worker/model/open_pipeline_options.ts";
import type { GenerateResult, Pipeline } from "../../../gpu-worker/pipeline/pipeline.ts";
import { completeRequest } from "../../../gpu-worker/request/complete_request.ts";
import type { PartialRequest } from "../../../gpu-worker/request/generate_request.ts";
import { maxError } from "../../goldens/golden.ts";
import { runtimeOn } from "./on_both.ts";
import { recordPlacement } from "./record_placement.ts";

/** Error of latents after 8 steps, relative to the largest. Both devices compute in float32. */
const LATENTS_TOLERANCE = 1e-3;
/** Difference of two decoded values in -1..1: less than a step of 8 bits. */
const PICTURE_TOLERANCE = 2e-3;

/** Runs the requests on both, and checks that no node of a graph was left to the CPU. */
export async function assertAlike(
  open: (options: OpenPipelineOptions) => Promise<Pipeline>,
  requests: readonly Partial<PartialRequest>[],
): Promise<void> {
  // The device lives on, and with it the shaders that the next pipeline shares.
  runtimeOn("webgpu");
  using cpu = await open({});
  using placement = recordPlacement();
  {
    using gpu = await open({ provider: "webgpu" });
    for (const request of requests) {
      const ask = (pipeline: Pipeline): Promise<GenerateResult> =>
        pipeline.generate(
          completeRequest({ prompt: "a red square", seed: 3, ...request }, pipeline.description),
        );
      const expected = await ask(cpu);
      const actual = await ask(gpu);
      assertSame(actual, expected, JSON.stringify(request));
    }
    assert.deepEqual(await placement.left(), []);
  }
}

/** Compares everything that a run gives. */
export function assertSame(actual: GenerateResult, expected: GenerateResult, label: string): void {
  assert.deepEqual(actual.plan, expected.plan, label);
  within(maxError(actual.latents.data, expected.latents.data), LATENTS_TOLERANCE, `latents of ${label}`);
  within(maxError(actual.image.data, expected.image.data), PICTURE_TOLERANCE, `picture of ${label}`);
  assert.deepEqual([...actual.forecastErrors.keys()], [...expected.forecastErrors.keys()], label);
  for (const [step, error] of expected.forecastErrors) {
    const difference = Math.abs(actual.forecastErrors.get(step)! - error) / error;
    within(difference, LATENTS_TOLERANCE, `forecast error of step ${step} of ${label}`);
  }
}

function within(error: number, tolerance: number, what: string): void {
  assert(error <= tolerance, `${what}: ${error} is over ${tolerance}`);
}
