// Cases that every family has: diffusers' recorded calls of a checkpoint.
import { after, before, it } from "@std/testing/bdd";
import { openPipeline } from "../../../gpu-worker/model/open_pipeline.ts";
import type { Pipeline } from "../../../gpu-worker/pipeline/pipeline.ts";
import { goldenPath, loadGoldens } from "../../goldens/golden.ts";
import { assertReference, changesCheckpoint, generateReference, referenceCalls } from "./reference_call.ts";

/**
 * Adds a case to a describe() for each recorded call of the checkpoint as it stands.
 * @param name folder of the goldens
 * @param folder of the checkpoint
 * @returns the opened pipeline, for further cases
 */
export function referenceCases(name: string, folder: string = goldenPath(name)): () => Pipeline {
  const goldens = loadGoldens(name);
  let pipeline: Pipeline;
  before(async () => {
    pipeline = await openPipeline(folder);
  });
  after(() => pipeline[Symbol.dispose]());

  for (const [id, call] of referenceCalls(name)) {
    if (changesCheckpoint(call)) continue;
    it(`gives diffusers' results for ${id}`, async () =>
      assertReference(await generateReference(pipeline, call), { id, goldens }));
  }
  return () => pipeline;
}
