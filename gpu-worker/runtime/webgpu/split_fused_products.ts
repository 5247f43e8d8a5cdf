// FusedMatMul as MatMul with transposed weights. WebGPU has no kernel for it, so that
// ONNX Runtime would run every linear layer on the CPU, without a word.
import type { NodeProto } from "../messages/onnx_pb.ts";
import type { NodeEmitter } from "./model_editor.ts";

/**
 * Replaces a FusedMatMul node of activations and a weight [out, in], as layers/dense/linear.ts emits it. ONNX
 * Runtime transposes the weight when the model is loaded.
 * @throws {TypeError} for a node with other attributes.
 */
export function splitFusedProducts(node: NodeProto, emit: NodeEmitter): boolean {
  if (node.opType !== "FusedMatMul") return false;
  const [x, weight] = node.input as [string, string];
  const attributes = node.attribute.map(({ name, i }) => `${name}=${i}`).join();
  if (attributes !== "transB=1") {
    throw new TypeError(
      `Cannot rewrite ${node.name} as FusedMatMul must have transB=1 only, but has ${attributes}`,
    );
  }
  const transposed = emit.node("Transpose", [weight], { attributes: { perm: [1, 0] } });
  emit.node("MatMul", [x, transposed], { as: node.output[0]! });
  return true;
}
