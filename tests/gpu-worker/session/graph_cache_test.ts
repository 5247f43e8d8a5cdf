// Optimized graphs on disk give the same picture, whatever state the folder is in.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { chmodSync, existsSync } from "node:fs";
import { join } from "node:path";
import { assertSamePicture, draw, graphsIn, withFolder } from "./graph_cache_pictures.ts";

const MODEL = "flux/tiny-dev";

describe("GraphCache", () => {
  it("gives a model's picture bit for bit, while storing and from the store", () => assertSamePicture(MODEL));

  it("makes a damaged file again", () =>
    withFolder(async (folder) => {
      const plain = await draw(MODEL, folder);
      for (const name of graphsIn(folder)) Deno.writeTextFileSync(join(folder, name), "no graph");
      assert.deepEqual(await draw(MODEL, folder), plain);
      for (const name of graphsIn(folder)) assert.ok(Deno.statSync(join(folder, name)).size > 1000, name);
    }));

  it("does not mind a file that another process discards meanwhile", () =>
    withFolder(async (folder) => {
      Deno.mkdirSync(folder);
      // A dangling link is listed, but cannot be read.
      Deno.symlinkSync(join(folder, "gone"), join(folder, "old.onnx"));
      assert.deepEqual(await draw(MODEL, folder), await draw(MODEL));
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
      assert.deepEqual(await draw(MODEL, folder), await draw(MODEL));
      assert.ok(existsSync(folder) && Deno.statSync(folder).isFile);
    }));
});
