// A tiny FLUX in GGUF, in original names, against diffusers' GGUF loader
// (tests/goldens/gguf/make_goldens.py).
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { quantizationOf } from "../../../../gpu-worker/checkpoint/blocks/quantization_of.ts";
import { recogniseFile } from "../../../../gpu-worker/checkpoint/single_file/recognise_file.ts";
import { ARCHITECTURES } from "../../../../gpu-worker/model/architectures.ts";
import { goldenPath } from "../../../goldens/golden.ts";
import { goldenTensor, relativeError, runTinyFlux } from "./run_tiny_flux.ts";

const GOLDENS = "gguf/flux.safetensors";

describe("a FLUX in GGUF", () => {
  for (const type of ["Q8_0", "Q4_1"]) {
    it(`computes diffusers' output from ${type}`, async () => {
      const { architecture, networks } = recogniseFile(
        goldenPath(`gguf/flux-${type.toLowerCase()}.gguf`),
        ARCHITECTURES,
      );
      assert.equal(architecture.pipelineClass, "FluxPipeline");
      const weights = networks.get("transformer")!;
      const { data } = goldenTensor(GOLDENS, `exact ${type}`);
      const plain = await runTinyFlux(weights);
      assert.ok(relativeError(plain, data) < 1e-5);
      // diffusers' loader decodes to float16.
      assert.ok(relativeError(plain, goldenTensor(GOLDENS, `diffusers ${type}`).data) < 3e-3);
      // In blocks, activations are rounded too.
      const held = new Map([...weights].map(([name, entry]) => {
        const quantization = quantizationOf(entry, "int8");
        return [name, { ...entry, ...quantization && { quantization } }];
      }));
      const error = relativeError(await runTinyFlux(held), data);
      assert.ok(error > 1e-4 && error < 0.03, `${error}`);
    });
  }
});
