import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { outputPaths, stillFree } from "../../../../gpu-worker/cli/generate/output_paths.ts";
import { TempFolder } from "../../../temp_folder.ts";

const pictures = (...seeds: number[]) =>
  seeds.map((seed) => ({ prompt: "A red: heart?", seed, model: "models/emoji", method: "spectrum" }));

describe("outputPaths()", () => {
  const paths = (out: string, seeds: number[], existing: string[] = [], overwrite = false) =>
    outputPaths(out, pictures(...seeds), { overwrite, exists: (path) => existing.includes(path) });

  it("fills in braces and puts the seed into a name once", () => {
    assert.deepEqual(paths("{seed}-{prompt}.png", [4, 5]), ["4-a-red-heart.png", "5-a-red-heart.png"]);
    assert.deepEqual(paths("{model}/{method}/{number}.png", [4, 5]), [
      "models-emoji/spectrum/1.png",
      "models-emoji/spectrum/2.png",
    ]);
    assert.deepEqual(paths("x.png", [4]), ["x.png"]);
    assert.deepEqual(paths("x.png", [4, 5]), ["x-4.png", "x-5.png"]);
    assert.deepEqual(paths("frames/", [4, 5]), ["frames-4/", "frames-5/"]);
    assert.deepEqual(paths("{unknown}.png", [4]), ["{unknown}.png"]);
  });

  it("keeps letters with their marks, and names that Windows has no device of", () => {
    const named = (prompt: string) =>
      outputPaths("{prompt}.png", [{ ...pictures(1)[0]!, prompt }], { overwrite: true })[0];
    assert.equal(named("हिन्दी चित्र"), "हिन्दी-चित्र.png");
    assert.equal(named("ภาพน้ำ"), "ภาพน้ำ.png");
    assert.deepEqual(["con", "Aux!", "lpt1", "contour"].map(named), [
      "con_.png",
      "aux_.png",
      "lpt1_.png",
      "contour.png",
    ]);
  });

  it("counts on where a file exists, unless it may be overwritten", () => {
    assert.deepEqual(paths("x.png", [4], ["x.png", "x-2.png"]), ["x-3.png"]);
    assert.deepEqual(paths("x.png", [4], ["x.png"], true), ["x.png"]);
    assert.deepEqual(paths("f/%04d.png", [4], ["f/0001.png"]), ["f-2/%04d.png"]);
  });

  it("keeps the pictures of one command apart even if files may be overwritten", () => {
    assert.deepEqual(paths("x.png", [4, 4], [], true), ["x-4.png", "x-4-2.png"]);
    const twice = [{ ...pictures(1)[0]!, prompt: "Red" }, { ...pictures(1)[0]!, prompt: "red" }];
    assert.deepEqual(outputPaths("{prompt}.png", twice, { overwrite: true, exists: () => false }), [
      "red-1.png",
      "red-1-2.png",
    ]);
  });
});

describe("stillFree()", () => {
  it("takes the next name that is neither taken nor chosen for another picture", () => {
    const free = (taken: string[], overwrite = false) =>
      stillFree("x.png", ["x.png", "x-2.png"], { overwrite, exists: (path) => taken.includes(path) });
    assert.equal(free([]), "x.png");
    assert.equal(free(["x.png"]), "x-3.png");
    assert.equal(free(["x.png", "x-3.png"]), "x-4.png");
    assert.equal(free(["x.png"], true), "x.png");
  });

  it("does not replace a link whose target is away", () => {
    using folder = new TempFolder();
    const path = folder.join("x.png");
    Deno.symlinkSync(folder.join("gone.png"), path);
    assert.equal(stillFree(path, [path], { overwrite: false }), folder.join("x-2.png"));
  });
});
