// Builds ONNX node attributes from plain values.
import { create } from "@bufbuild/protobuf";
import {
  type AttributeProto,
  AttributeProto_AttributeType as AttributeType,
  AttributeProtoSchema,
} from "./messages/onnx_pb.ts";

/** A FLOAT attribute whose value may be whole: `{ float: 1 }`. */
export interface FloatAttribute {
  float: number;
}

/**
 * Integers become INT, other numbers FLOAT, arrays INTS. Use {@link
 * FloatAttribute} for a FLOAT that may be whole.
 */
export type AttributeValue = number | string | readonly number[] | FloatAttribute;

/** Returns the AttributeProto `name` = `value`. */
export function attribute(name: string, value: AttributeValue): AttributeProto {
  return create(AttributeProtoSchema, { name, ...fields(value) });
}

function fields(value: AttributeValue) {
  if (typeof value === "string") return { type: AttributeType.STRING, s: new TextEncoder().encode(value) };
  if (typeof value === "number") {
    return Number.isInteger(value)
      ? { type: AttributeType.INT, i: BigInt(value) }
      : { type: AttributeType.FLOAT, f: value };
  }
  if ("float" in value) return { type: AttributeType.FLOAT, f: value.float };
  return { type: AttributeType.INTS, ints: value.map(BigInt) };
}
