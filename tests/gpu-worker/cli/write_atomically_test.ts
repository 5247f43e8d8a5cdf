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

  it("writeAll() keeps the old file where another of the new ones fails", async () => {
    Deno.writeFileSync(join(folder, "old"), new Uint8Array([7]));
    Deno.mkdirSync(join(folder, "taken"));
    const files = ["old", "taken"].map((name) => ({ path: join(folder, name), bytes }));
    await assert.rejects(writeAll(files), /Cannot write .*taken: /);
    assert.deepEqual(Deno.readFileSync(join(folder, "old")), new Uint8Array([7]));
    assert.deepEqual(names(), ["old", "taken"]);
  });

  for (const target of ["gone/away", "link"]) {
    it(`leaves a link to a missing folder alone: ${target}`, async () => {
      const link = join(folder, "link");
      Deno.symlinkSync(join(folder, target), link);
      for (const path of [join(link, "x.png"), join(link, "deep/x.png")]) {
        await assert.rejects(assertWritable(path), /Cannot write /);
        await assert.rejects(writeAtomically(path, bytes), /Cannot write /);
        await assert.rejects(
          writeAll([{ path: join(folder, "a"), bytes }, { path, bytes }]),
          /Cannot write /,
        );
      }
      assert.equal(Deno.readLinkSync(link), join(folder, target));
      assert.deepEqual(names(), ["link"]);
    });
  }
});
