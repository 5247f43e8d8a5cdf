// A tiny FLUX in original names whose layers take turns in ComfyUI's formats, against diffusers with the same
// numbers (tests/goldens/comfy/make_goldens.py).
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { quantizationOf } from "../../../../gpu-worker/checkpoint/blocks/quantization_of.ts";
import { recogniseFile } from "../../../../gpu-worker/checkpoint/single_file/recognise_file.ts";
import { ARCHITECTURES } from "../../../../gpu-worker/model/architectures.ts";
import { goldenPath } from "../../../goldens/golden.ts";
import { goldenTensor, relativeError, runTinyFlux } from "./run_tiny_flux.ts";

describe("a FLUX in ComfyUI's formats", () => {
  const { architecture, networks } = recogniseFile(goldenPath("comfy/flux.safetensors"), ARCHITECTURES);
  const weights = networks.get("transformer")!;
  const expected = goldenTensor("comfy/flux_output.safetensors", "output").data;

  it("is known by its names, and has every format, also in parts of fused layers", () => {
    assert.equal(architecture.pipelineClass, "FluxPipeline");
    const parts = [...weights].filter(([name]) => /attn\.(?:add_)?(?:to_)?[qkv]/.test(name));
    const types = new Set(parts.map(([, { blocks, dtype }]) => blocks ?? dtype));
    assert.ok(types.size >= 3, [...types].join());
    const all = new Set(
      [...weights.values()].map(({ blocks, dtype, scales }) => `${blocks ?? dtype}${scales ? " rows" : ""}`),
    );
    for (const type of ["NVFP4 rows", "MXFP8 rows", "INT8", "INT8 rows", "INT8_CONVROT rows"]) {
      assert.ok(all.has(type), type);
    }
  });

  it("computes diffusers' output", async () => {
    assert.ok(relativeError(await runTinyFlux(weights), expected) < 1e-5);
  });

  for (const held of ["as-stored", "int8"] as const) {
    it(`computes it with rounded activations where layers are in blocks: ${held}`, async () => {
      const inBlocks = new Map([...weights].map(([name, entry]) => {
        const quantization = quantizationOf(entry, held, { wholeRows: true });
        return [name, { ...entry, ...quantization && { quantization } }];
      }));
      const error = relativeError(await runTinyFlux(inBlocks), expected);
      assert.ok(error > 1e-4 && error < 0.03, `${error}`);
    });
  }
});
