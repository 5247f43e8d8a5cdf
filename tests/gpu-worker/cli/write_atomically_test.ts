// Writes files whole or not at all, and leaves no empty folders.
import { afterEach, beforeEach, describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { join } from "node:path";
import { assertWritable, writeAll, writeAtomically } from "../../../gpu-worker/cli/write_atomically.ts";

const bytes = new Uint8Array([1]);
let folder: string;
beforeEach(() => folder = Deno.makeTempDirSync());
afterEach(() => Deno.removeSync(folder, { recursive: true }));
const names = () => [...Deno.readDirSync(folder)].map(({ name }) => name).sort();

describe("write_atomically", () => {
  it("assertWritable() leaves neither file nor folder", async () => {
    await assertWritable(join(folder, "a/b/x.png"));
    assert.deepEqual(names(), []);
  });

  it("assertWritable() leaves folders alone that were there", async () => {
    Deno.mkdirSync(join(folder, "a"));
    await assertWritable(join(folder, "a/b/x.png"));
    assert.deepEqual(names(), ["a"]);
  });

  it("writeAtomically() makes the folder, and takes it back where it fails", async () => {
    await writeAtomically(join(folder, "a/b/x"), bytes);
    assert.deepEqual(Deno.readFileSync(join(folder, "a/b/x")), bytes);
    // A folder cannot be replaced by a file.
    Deno.mkdirSync(join(folder, "c"));
    await assert.rejects(writeAtomically(join(folder, "c"), bytes), /Cannot write .*c: /);
    await assert.rejects(writeAtomically(join(folder, "a/b/x/y/z"), bytes), /Cannot write .*z: /);
    assert.deepEqual(names(), ["a", "c"]);
  });

  it("writeAll() writes none where one fails", async () => {
    Deno.mkdirSync(join(folder, "taken"));
    const files = ["new/a", "new/deep/b", "taken"].map((name) => ({ path: join(folder, name), bytes }));
    await assert.rejects(writeAll(files), /Cannot write .*taken: /);
    assert.deepEqual(names(), ["taken"]);
  });
});
