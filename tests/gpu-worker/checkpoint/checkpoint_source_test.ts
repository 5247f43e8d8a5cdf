// Folders of checkpoints as caches and people leave them.
import { afterEach, beforeEach, describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { join } from "node:path";
import { filesIn } from "../../../gpu-worker/checkpoint/checkpoint_source.ts";

describe("filesIn()", () => {
  let folder: string;
  beforeEach(() => {
    folder = Deno.makeTempDirSync();
    Deno.mkdirSync(join(folder, "vae"));
    for (const name of ["model_index.json", "vae/config.json", "vae/notes.png"]) {
      Deno.writeTextFileSync(join(folder, name), "{}");
    }
  });
  afterEach(() => Deno.removeSync(folder, { recursive: true }));
  const names = () => filesIn(folder).map(({ name }) => name);

  it("passes over links to files that are gone", () => {
    Deno.symlinkSync("../../blobs/gone", join(folder, "vae", "gone.json"));
    Deno.symlinkSync("itself.json", join(folder, "itself.json"));
    assert.deepEqual(names(), ["model_index.json", "vae/config.json"]);
  });

  it("passes over links back to a folder that holds them, and follows others", () => {
    Deno.symlinkSync(".", join(folder, "loop"), { type: "dir" });
    Deno.symlinkSync("..", join(folder, "vae", "up"), { type: "dir" });
    Deno.symlinkSync("vae", join(folder, "vae_1"), { type: "dir" });
    assert.deepEqual(names(), ["model_index.json", "vae/config.json", "vae_1/config.json"]);
  });
});
