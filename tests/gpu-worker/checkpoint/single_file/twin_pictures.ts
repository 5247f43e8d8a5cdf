// Pictures of single files that have the numbers of the tiny checkpoints.
import assert from "node:assert/strict";
import type { PartFiles } from "../../../../gpu-worker/checkpoint/part_files.ts";
import { openPipeline } from "../../../../gpu-worker/model/open_pipeline.ts";
import type { OpenPipelineOptions } from "../../../../gpu-worker/model/open_pipeline_options.ts";
import type { GenerateResult } from "../../../../gpu-worker/pipeline/pipeline.ts";
import { loadGoldens } from "../../../goldens/golden.ts";
import {
  assertReference,
  changesCheckpoint,
  generateReference,
  type ReferenceCall,
  referenceCalls,
} from "../../pipeline/reference_call.ts";
import { Twin } from "./twin.ts";

/** The first call of the checkpoint as it stands. */
export const firstCall = (golden: string) =>
  referenceCalls(golden).find(([, call]) => !changesCheckpoint(call))!;

/** Runs `call` with a model. */
export async function runModel(
  model: string,
  options: OpenPipelineOptions & { call: ReferenceCall },
): Promise<GenerateResult & { digest: string }> {
  const { call, ...open } = options;
  using pipeline = await openPipeline(model, open);
  return { ...await generateReference(pipeline, call), digest: pipeline.model.digest };
}

/** Both results have the same latents and the same picture, bit for bit. */
export function assertSame(result: GenerateResult, expected: GenerateResult): void {
  assert.deepEqual(result.latents.data, expected.latents.data);
  assert.deepEqual(result.image.data, expected.image.data);
}

export interface TwinCase {
  golden: string;
  /** Twins of other networks that the file lacks. */
  parts?: PartFiles;
}

/** The file's picture is diffusers' picture of the golden checkpoint, and the folder's bit for bit. */
export async function assertTwin(name: string, { golden, parts = {} }: TwinCase): Promise<void> {
  const [id, call] = firstCall(golden);
  using twin = new Twin(name);
  using others = new DisposableStack();
  const files = Object.entries(parts).map(([part, name]) => [part, others.use(new Twin(name)).path]);
  const result = await runModel(twin.path, {
    call,
    parts: { components: twin.folder, ...Object.fromEntries(files) },
  });
  assertReference(result, { id, goldens: loadGoldens(golden) });
  const same = await runModel(twin.folder, { call });
  assertSame(result, same);
  assert.notEqual(result.digest, same.digest);
}
