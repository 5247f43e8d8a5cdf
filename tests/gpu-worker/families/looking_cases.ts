// The cases that Qwen-Image's pipelines with references share besides recorded calls: several pictures,
// forecasts.
import { it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import type { GenerateOptions, Pipeline } from "../../../gpu-worker/pipeline/pipeline.ts";
import { completeRequest } from "../../../gpu-worker/request/complete_request.ts";
import { type Goldens, maxError } from "../../goldens/golden.ts";
import { goldenReferences } from "./golden_references.ts";

/** Adds cases to a describe() of a pipeline with the references "wide", "tall" and "square". */
export function lookingCases({ pipeline, goldens }: { pipeline: () => Pipeline; goldens: Goldens }): void {
  const draw = async (
    names: string[],
    { seed = 1, ...fields }: { seed?: number; [field: string]: unknown },
    options: GenerateOptions = {},
  ) => {
    const request = completeRequest({
      ...{ prompt: "a red heart", seed, width: 32, height: 32, trueCfgScale: 3 },
      references: await goldenReferences(goldens, names),
      ...fields,
    }, pipeline().description);
    return await pipeline().generate(request, options);
  };

  it("tells two pictures' references apart, and gives each its own picture again", async () => {
    const latents = async (names: string[], seed: number) =>
      (await draw(names, { seed, steps: 4 })).latents.data;
    const plain = await latents(["wide"], 1);
    const [wide, tall, again] = await Promise.all([
      latents(["wide"], 1),
      latents(["tall"], 1),
      latents(["wide"], 2),
    ]);
    assert.deepEqual(wide, plain);
    assert.ok(maxError(tall, plain) > 1e-2);
    assert.ok(maxError(again, plain) > 1e-2);
  });

  it("forecasts each branch from its own history", async () => {
    const run = (sampler: object, fields: object = { negativePrompt: "blurry" }) =>
      draw(["square"], { steps: 12, sampler, ...fields });
    const full = await run({ method: "none" });
    // A forecast that always repeats a full pass of the step itself changes nothing.
    const measured = await run({ method: "spectrum", fullSteps: Array.from({ length: 12 }, (_, i) => i) });
    assert.ok(maxError(measured.latents.data, full.latents.data) <= 1e-5);
    // Equal branches must give what no guidance gives, with forecasts too. Histories that mix would not.
    const forecast = { method: "spectrum", warmupSteps: 3, windowSize: 2 };
    const equal = await run(forecast, { negativePrompt: "a red heart" });
    const unguided = await run(forecast, { trueCfgScale: 1 });
    assert.ok(equal.plan.includes("forecast"));
    assert.ok(maxError(equal.latents.data, unguided.latents.data) <= 1e-4);
  });

  it("keeps features of the picture's tokens alone", async () => {
    const kept: number[] = [];
    const plan = { steps: 2, trueCfgScale: 1, sampler: { method: "none" } };
    const { latents } = await draw(
      ["wide", "tall"].slice(0, pipeline().description.rules.references!.max),
      plan,
      {
        onFeature: ({ dims }) => void kept.push(dims[0]!),
      },
    );
    assert.deepEqual(kept, [latents.dims[1], latents.dims[1]]);
  });

  it("refuses a prompt with the token of a picture", async () => {
    const drawing = draw(["wide"], { prompt: "a <|image_pad|>", steps: 2 });
    await assert.rejects(drawing, /prompt.*must not contain <\|image_pad\|>/);
  });
}
