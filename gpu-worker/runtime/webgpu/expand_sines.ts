// Sines and cosines as polynomials. WGSL bounds the error of sin() and cos() by 2^-11, and only for angles in
// -pi..pi. Embeddings of timesteps have angles up to 30,000, and the error shows in the picture.
import type { NodeProto } from "../messages/onnx_pb.ts";
import type { NodeEmitter } from "./model_editor.ts";

/**
 * Pi as a sum of float32 numbers, of which the first ones have few bits: products with
 * whole numbers are exact.
 */
const PI_PARTS = [3.140625, 9.67502593994140625e-4, 1.509957990978376432e-7];
/** Taylor's series of sin(r) / r in r^2. Its error on -pi/2..pi/2 is 6e-8, one bit of float32. */
const SERIES = [-1 / 6, 1 / 120, -1 / 5040, 1 / 362880, -1 / 39916800];

/** Replaces a Sin or Cos node of float32 values; its error is then below 3e-7 for angles up to 30,000. */
export function expandSines({ opType, input, output }: NodeProto, emit: NodeEmitter): boolean {
  if (opType !== "Sin" && opType !== "Cos") return false;
  const angle = input[0]!;
  const multiply = (a: string, b: string) => emit.node("Mul", [a, b]);
  const add = (a: string, b: string) => emit.node("Add", [a, b]);
  const turns = multiply(angle, emit.float(1 / Math.PI));
  // sin(x) = (-1)^k sin(x - k pi), and cos(x) = -(-1)^k sin(x - (k + 1/2) pi).
  const half = emit.float(0.5);
  const k = emit.node("Floor", [opType === "Sin" ? add(turns, half) : turns]);
  const multiple = opType === "Sin" ? k : add(k, half);
  const rest = PI_PARTS.reduce(
    (rest, part) => emit.node("Sub", [rest, multiply(multiple, emit.float(part))]),
    angle,
  );
  const square = multiply(rest, rest);
  const series = SERIES.reduceRight<string | undefined>(
    (sum, factor) => sum === undefined ? emit.float(factor) : add(multiply(sum, square), emit.float(factor)),
    undefined,
  )!;
  const sine = add(rest, multiply(multiply(series, square), rest));
  // 0 for even k, 1 for odd k.
  const two = emit.float(2);
  const odd = emit.node("Sub", [k, multiply(emit.node("Floor", [multiply(k, half)]), two)]);
  const sign = opType === "Sin"
    ? emit.node("Sub", [emit.float(1), multiply(odd, two)])
    : emit.node("Sub", [multiply(odd, two), emit.float(1)]);
  emit.node("Mul", [sine, sign], { as: output[0]! });
  return true;
}
