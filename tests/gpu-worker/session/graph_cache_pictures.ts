// Pictures that are drawn with a graph cache.
import assert from "node:assert/strict";
import { join } from "node:path";
import { openPipeline } from "../../../gpu-worker/model/open_pipeline.ts";
import { completeRequest } from "../../../gpu-worker/request/complete_request.ts";
import { goldenPath } from "../../goldens/golden.ts";

export async function draw(model: string, graphCache?: string): Promise<Float32Array> {
  using pipeline = await openPipeline(goldenPath(model), graphCache === undefined ? {} : { graphCache });
  const request = completeRequest(
    { prompt: "red heart", seed: 3, steps: 4, width: 16, height: 16 },
    pipeline.description,
  );
  return (await pipeline.generate(request)).image.data;
}

export function graphsIn(folder: string): string[] {
  return [...Deno.readDirSync(folder)].map(({ name }) => name).sort();
}

/** Calls `use` with the path of a folder that is not there yet, and deletes it afterwards. */
export async function withFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = Deno.makeTempDirSync();
  try {
    await use(join(folder, "graphs"));
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

/** A model draws the same without a cache, while it fills one and from the cache. */
export async function assertSamePicture(model: string): Promise<void> {
  await withFolder(async (folder) => {
    const plain = await draw(model);
    assert.deepEqual(await draw(model, folder), plain);
    const stored = graphsIn(folder);
    assert.ok(stored.length >= 4 && stored.every((name) => name.endsWith(".onnx")), `${stored}`);
    assert.deepEqual(await draw(model, folder), plain);
    assert.deepEqual(graphsIn(folder), stored);
  });
}
