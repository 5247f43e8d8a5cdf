import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { NO_SOFTWARE_GPU } from "../../software_gpu.ts";
import { LAYER_CASES } from "./layer_cases.ts";
import { onBoth } from "./on_both.ts";
import { RandomGraph } from "./random_graph.ts";

/** Both sides compute in float32 and sum in another order. */
const TOLERANCE = 1e-4;

describe("layers on WebGPU give the CPU's numbers", { skip: NO_SOFTWARE_GPU !== false }, () => {
  for (const { name, emit } of LAYER_CASES) {
    it(name, async () => {
      const graph = new RandomGraph(name);
      emit(graph);
      const { errors, left } = await onBoth(graph.build(), graph.inputs);
      assert(Object.keys(errors).length > 0);
      for (const [output, error] of Object.entries(errors)) {
        assert(error <= TOLERANCE, `${output} is off by ${error}`);
      }
      assert.deepEqual(left, []);
    });
  }
});
