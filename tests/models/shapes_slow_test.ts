// Whether the embedded video checkpoint draws what it is asked for, measured in its videos.
import { after, before, describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { openPipeline } from "../../gpu-worker/model/open_pipeline.ts";
import type { Pipeline } from "../../gpu-worker/pipeline/pipeline.ts";
import { measureVideo } from "./measure_video.ts";
import { type ShapePrompt, shapePrompts } from "./shape_prompts.ts";
import { completeRequest } from "../../gpu-worker/request/complete_request.ts";

const PROMPTS = 48;
/** Fewer than its own 30, as 48 videos take a while; method none runs them all. */
const STEPS = 20;

describe("models/shapes", () => {
  let pipeline: Pipeline;
  before(async () => {
    pipeline = await openPipeline("models/shapes");
  });
  after(() => pipeline[Symbol.dispose]());

  const draw = async (prompt: string, fields: object = {}) => {
    const request = completeRequest({
      prompt,
      seed: 7,
      steps: STEPS,
      sampler: { method: "none" },
      ...fields,
    }, pipeline.description);
    return (await pipeline.generate(request)).video!;
  };

  it("shows the shape, color, direction and background of at least 90 % of 48 prompts", async () => {
    const missed: string[] = [];
    for (const { prompt, ...wanted } of shapePrompts(PROMPTS)) {
      const seen = measureVideo(await draw(prompt));
      const wrong = (Object.keys(wanted) as (keyof typeof seen)[]).filter((name) =>
        seen[name] !== wanted[name]
      );
      if (wrong.length > 0) {
        missed.push(`${prompt}: ${wrong.map((name) => `${name} is ${seen[name]}`).join(", ")}`);
      }
    }
    assert.ok(missed.length <= PROMPTS * 0.1, missed.join("\n"));
  });

  it("does so with Spectrum as well", async () => {
    const missed: ShapePrompt[] = [];
    for (const wanted of shapePrompts(12)) {
      const { prompt: _, ...facts } = wanted;
      const video = await draw(wanted.prompt, { steps: 30, sampler: { method: "spectrum" } });
      if (JSON.stringify(measureVideo(video)) !== JSON.stringify(facts)) missed.push(wanted);
    }
    assert.ok(missed.length <= 2, missed.map(({ prompt }) => prompt).join("\n"));
  });
});
