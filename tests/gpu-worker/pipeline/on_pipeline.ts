// Returns a test with its own pipeline, after which no native object may be left. (An assertion in
// afterEach() would not count: Deno's node:test drops its failures.)
import assert from "node:assert/strict";
import { openPipeline } from "../../../gpu-worker/model/open_pipeline.ts";
import type { Pipeline } from "../../../gpu-worker/pipeline/pipeline.ts";
import { liveHandles } from "../../../gpu-worker/runtime/mod.ts";

export function onPipeline(model: string, test: (pipeline: Pipeline) => Promise<void>): () => Promise<void> {
  return async () => {
    const before = liveHandles();
    {
      using pipeline = await openPipeline(model);
      await test(pipeline);
    }
    assert.deepEqual(liveHandles(), before);
  };
}
