import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { fromBinary } from "@bufbuild/protobuf";
import { readModel } from "../../../gpu-worker/model/read_model.ts";
import { ModelProtoSchema } from "../../../gpu-worker/runtime/messages/onnx_pb.ts";
import { WebgpuDevice } from "../../../gpu-worker/runtime/webgpu/webgpu_device.ts";
import { goldenPath } from "../../goldens/golden.ts";
import { FAMILY_CHECKPOINTS } from "./family_checkpoints.ts";

/** maxStorageBuffersPerShaderStage that every adapter has. */
const BUFFERS = 8;

describe("graphs for WebGPU", () => {
  it("bind no more buffers to a node than every adapter allows", async () => {
    // The probe of attention fails, so that it is written out.
    const device = new WebgpuDevice({ run: () => Promise.resolve(Float32Array.of(-1)) });
    for (const folder of FAMILY_CHECKPOINTS) {
      const { graphs } = readModel(goldenPath(folder), { provider: "webgpu", dtype: "float32" });
      for (const [name, { bytes }] of Object.entries(graphs)) {
        const { node } = fromBinary(ModelProtoSchema, await device.adapt(bytes)).graph!;
        for (const { opType, input, output } of node) {
          // Its kernel takes the inputs in groups.
          if (opType === "Concat") continue;
          const bound = new Set([...input, ...output].filter((name) => name !== "")).size;
          assert(bound <= BUFFERS, `${folder}, ${name}: ${opType} binds ${bound}`);
        }
      }
    }
  });
});
