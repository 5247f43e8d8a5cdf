// Files of command lines that are no plain, readable files.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { readImageBytes } from "../../../gpu-worker/flags/image_file.ts";
import { ImageError } from "../../../gpu-worker/media/image_error.ts";
import { TempFolder } from "../../temp_folder.ts";

const isWindows = Deno.build.os === "windows";

describe("readImageBytes()", () => {
  it("reads a whole file", async () => {
    using folder = new TempFolder();
    const path = folder.join("a.png");
    const bytes = Uint8Array.from({ length: 2 ** 20 + 7 }, (_, i) => i);
    Deno.writeFileSync(path, bytes);
    assert.deepEqual(await readImageBytes(path, "image"), bytes);
  });

  it("names the field and the path of what cannot be read", async () => {
    using folder = new TempFolder();
    const path = (name: string) => folder.join(name);
    Deno.writeFileSync(path("file"), new Uint8Array(1));
    const cases: [string, RegExp][] = [
      ["", /'mask' as its path is empty/],
      [folder.path, /is a folder/],
      [path("none"), /none does not exist/],
      [path("file/x"), /x is not readable/],
    ];
    if (!isWindows) {
      Deno.symlinkSync(path("loop"), path("loop"));
      cases.push([path("loop"), /loop is not readable/]);
    }
    for (const [given, message] of cases) {
      await assert.rejects(readImageBytes(given, "mask"), (error) => {
        assert.ok(error instanceof ImageError);
        assert.match(error.message, message);
        return true;
      });
    }
  });

  it("stops reading a file without an end", { skip: isWindows }, async () => {
    await assert.rejects(readImageBytes("/dev/zero", "image"), /at most 67108864 bytes/);
  });
});
