// Every layer has a case that WebGPU's slow tests compare with the CPU.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { LAYER_CASES } from "./layer_cases.ts";

describe("LAYER_CASES", () => {
  it("names every layer of gpu-worker/graph/layers", () => {
    const root = new URL("../../../gpu-worker/graph/layers/", import.meta.url);
    const names = LAYER_CASES.map(({ name }) => name).join(", ");
    for (const { name: folder } of Deno.readDirSync(root)) {
      for (const { name: file } of Deno.readDirSync(new URL(`${folder}/`, root))) {
        // Quantized weights need a checkpoint; those with one scale a row are the CPU's alone.
        if (file === "block_product.ts" || file === "whole_row_product.ts") continue;
        // Tables that the host computes emit nothing.
        if (!Deno.readTextFileSync(new URL(`${folder}/${file}`, root)).includes("GraphBuilder")) continue;
        assert.match(
          names,
          new RegExp(`\\b${file.replace(/\.ts$/, "")}\\b`),
          `${folder}/${file} has no case`,
        );
      }
    }
  });
});
