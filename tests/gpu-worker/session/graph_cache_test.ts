// Optimized graphs on disk give the same picture, whatever state the folder is in.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { chmodSync, existsSync } from "node:fs";
import { join } from "node:path";
import { openPipeline } from "../../../gpu-worker/model/open_pipeline.ts";
import { goldenPath } from "../../goldens/golden.ts";
import { completeRequest } from "../../../gpu-worker/request/complete_request.ts";

const MODELS = ["flux/tiny-dev", "flux/tiny-schnell", "sd3/tiny-large", "sdxl/tiny-sdxl"];

async function draw(model: string, graphCache?: string): Promise<Float32Array> {
  using pipeline = await openPipeline(goldenPath(model), graphCache === undefined ? {} : { graphCache });
  const request = completeRequest(
    { prompt: "red heart", seed: 3, steps: 4, width: 16, height: 16 },
    pipeline.description,
  );
  return (await pipeline.generate(request)).image.data;
}

function graphsIn(folder: string): string[] {
  return [...Deno.readDirSync(folder)].map(({ name }) => name).sort();
}

async function withFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = Deno.makeTempDirSync();
  try {
    await use(join(folder, "graphs"));
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

describe("GraphCache", () => {
  for (const model of MODELS) {
    it(`gives ${model}'s picture bit for bit, while storing and from the store`, () =>
      withFolder(async (folder) => {
        const plain = await draw(model);
        assert.deepEqual(await draw(model, folder), plain);
        const stored = graphsIn(folder);
        assert.ok(stored.length >= 4 && stored.every((name) => name.endsWith(".onnx")), `${stored}`);
        assert.deepEqual(await draw(model, folder), plain);
        assert.deepEqual(graphsIn(folder), stored);
      }));
  }

  it("makes a damaged file again", () =>
    withFolder(async (folder) => {
      const plain = await draw(MODELS[0]!, folder);
      for (const name of graphsIn(folder)) Deno.writeTextFileSync(join(folder, name), "no graph");
      assert.deepEqual(await draw(MODELS[0]!, folder), plain);
      for (const name of graphsIn(folder)) assert.ok(Deno.statSync(join(folder, name)).size > 1000, name);
    }));

  it("does not mind a file that another process discards meanwhile", () =>
    withFolder(async (folder) => {
      Deno.mkdirSync(folder);
      // A dangling link is listed, but cannot be read.
      Deno.symlinkSync(join(folder, "gone"), join(folder, "old.onnx"));
      assert.deepEqual(await draw(MODELS[0]!, folder), await draw(MODELS[0]!));
    }));

  it("keeps different weights apart", () =>
    withFolder(async (folder) => {
      await draw("flux/tiny-dev", folder);
      const first = graphsIn(folder).length;
      await draw("flux/tiny-schnell", folder);
      assert.equal(graphsIn(folder).length, 2 * first);
    }));

  it("does without where the folder cannot be written", () =>
    withFolder(async (folder) => {
      // A file in the folder's place stops even root, unlike permissions.
      Deno.writeTextFileSync(folder, "");
      chmodSync(folder, 0o444);
      assert.deepEqual(await draw(MODELS[0]!, folder), await draw(MODELS[0]!));
      assert.ok(existsSync(folder) && Deno.statSync(folder).isFile);
    }));
});
