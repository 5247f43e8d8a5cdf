// The sizes that a UNet's transformers state, which ONNX Runtime's plan of memory needs.
import { describe, it } from "@std/testing/bdd";
import { fromBinary } from "@bufbuild/protobuf";
import assert from "node:assert/strict";
import { readModel } from "../../../../gpu-worker/model/read_model.ts";
import { ModelProtoSchema } from "../../../../gpu-worker/runtime/messages/onnx_pb.ts";
import { goldenPath } from "../../../goldens/golden.ts";

describe("unetTransformer()", () => {
  it("names the sizes of its tokens, each transformer its own", () => {
    const { trunk } = readModel(goldenPath("sdxl/tiny-sdxl")).graphs;
    assert(trunk);
    const { valueInfo = [], node = [] } = fromBinary(ModelProtoSchema, trunk.bytes).graph ?? {};
    const sizes = valueInfo.map(({ type }) => {
      assert(type?.value.case === "tensorType");
      return type.value.value.shape?.dim.map(({ value }) => value.value);
    });
    const transformers = new Set(
      node.flatMap(({ input }) =>
        input.map((name) => /^(.+\.attentions\.\d+)\.norm\.weight$/.exec(name)?.[1])
      )
        .filter((name) => name !== undefined),
    );
    assert(transformers.size > 0);
    assert.deepEqual(
      sizes.map((dims) => dims?.slice(0, 2)).toSorted(),
      [...transformers].map((name) => ["batch", `tokens of ${name}`]).toSorted(),
    );
  });
});
