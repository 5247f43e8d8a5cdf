import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { featureSum } from "../../../../gpu-worker/graph/feature_sum.ts";
import { GraphBuilder } from "../../../../gpu-worker/graph/graph_builder.ts";
import { readModel } from "../../../../gpu-worker/model/read_model.ts";
import { goldenPath } from "../../../goldens/golden.ts";
import { ortVersion } from "../../../../gpu-worker/runtime/mod.ts";
import { FAMILY_CHECKPOINTS } from "../family_checkpoints.ts";
import { addsToScores, TABLE_VERSION, withoutCudaKernel } from "./cuda_kernels.ts";

/** Nodes that stay on the CPU. The reasons are why that costs nothing. */
const LEFT_TO_CPU: Readonly<Record<string, string>> = {
  "Equal(int64)": "finds the end of a prompt, one number for each token",
  "Mish(float16)": "ONNX Runtime replaces it by Softplus, Tanh and Mul",
  "Mish(float32)": "ONNX Runtime replaces it by Softplus, Tanh and Mul",
};

/**
 * diffusers adds Chroma's mask, a number for each token, to the scores. Qwen-Image-2.1's text and references,
 * of which each sees what is before it, have a mask; the picture's tokens have none.
 */
const WITHOUT_FLASH = ["chroma/tiny-hd", "qwen_image21/tiny-21", "qwen_image21/tiny-plain"];

const DTYPES = ["float32", "float16", "bfloat16"] as const;

describe("graphs for CUDA", () => {
  for (const dtype of DTYPES) {
    it(`have a kernel for each node in ${dtype}, and no mask on the scores of their trunks`, () => {
      const withoutFlash: string[] = [];
      for (const folder of FAMILY_CHECKPOINTS) {
        const { graphs } = readModel(goldenPath(folder), { provider: "cuda", dtype });
        if (addsToScores(graphs["trunk"]!.bytes)) withoutFlash.push(folder);
        for (const [name, model] of Object.entries({ ...graphs, featureSum: featureSum(dtype) })) {
          assertPlaced(model.bytes, `${folder}, ${name}`);
        }
      }
      assert.deepEqual(withoutFlash, WITHOUT_FLASH);
    });
  }

  for (const weights of ["int8", "int4"] as const) {
    it(`have a kernel for each node with weights in ${weights}`, () => {
      const { graphs } = readModel("models/emoji", { provider: "cuda", dtype: "bfloat16", weights });
      for (const [name, model] of Object.entries(graphs)) assertPlaced(model.bytes, name);
    });
  }

  it("are compared with the table of the version in use", () => {
    assert.equal(TABLE_VERSION, ortVersion(), "check cuda_kernels.json against the new version's table");
  });
});

function assertPlaced(model: Uint8Array, label: string): void {
  assert.deepEqual(withoutCudaKernel(model).filter((node) => !(node in LEFT_TO_CPU)), [], label);
}

describe("withoutCudaKernel()", () => {
  it("finds types and operators without a kernel, but not in constants", () => {
    const graph = new GraphBuilder({ name: "g", weights: new Map(), dtype: "bfloat16" });
    const x = graph.input("x", ["n"]);
    graph.output("sine", graph.node("Sin", [x]), ["n"]);
    graph.output("mish", graph.node("Mish", [graph.cast(x, "float32")]), ["n"]);
    const folded = graph.node("Sin", [graph.constant([1])]);
    graph.output("sum", graph.node("Add", [x, folded]), ["n"]);
    assert.deepEqual(withoutCudaKernel(graph.build().bytes), ["Mish(float32)", "Sin(bfloat16)"]);
  });
});
