// ONNX node attributes from plain values.
import onnxProto from "onnx-proto";

const { onnx } = onnxProto;

/** A FLOAT attribute whose value may be whole: `{ float: 1 }`. */
export interface FloatAttribute {
  float: number;
}

/** Whole numbers become INT, others FLOAT; arrays become INTS; use {@link FloatAttribute} where a FLOAT may be whole. */
export type AttributeValue = number | string | readonly number[] | FloatAttribute;

/** Makes the AttributeProto `name` = `value`. */
export function attribute(name: string, value: AttributeValue) {
  const { AttributeType } = onnx.AttributeProto;
  if (typeof value === "string") {
    return new onnx.AttributeProto({ name, type: AttributeType.STRING, s: new TextEncoder().encode(value) });
  }
  if (typeof value === "number") {
    return Number.isInteger(value)
      ? new onnx.AttributeProto({ name, type: AttributeType.INT, i: value })
      : new onnx.AttributeProto({ name, type: AttributeType.FLOAT, f: value });
  }
  if ("float" in value) return new onnx.AttributeProto({ name, type: AttributeType.FLOAT, f: value.float });
  return new onnx.AttributeProto({ name, type: AttributeType.INTS, ints: [...value] });
}
