// Reads the reference data that the make_goldens.py scripts beside it have written, and
// measures the error of a result.
import { readSafetensorsHeader } from "../../gpu-worker/checkpoint/safetensors.ts";

/** One reference tensor. Ids and flags are int32, everything else is float32. */
export interface GoldenTensor {
  readonly dtype: "float32" | "int32";
  readonly shape: readonly number[];
  readonly data: Float32Array<ArrayBuffer> | Int32Array<ArrayBuffer>;
}

/** Tensors by name, "case.tensor". `goldens.json` in the same folder says which call produced each case. */
export class Goldens extends Map<string, GoldenTensor> {
  /** Returns the float32 values of `name`. @throws {RangeError} if there is no such float32 tensor. */
  floats(name: string): Float32Array<ArrayBuffer> {
    const data = this.get(name)?.data;
    if (data instanceof Float32Array) return data;
    throw new RangeError(`Cannot find float32 golden '${name}'`);
  }

  /** Returns the int32 values of `name`. @throws {RangeError} if there is no such int32 tensor. */
  ints(name: string): Int32Array<ArrayBuffer> {
    const data = this.get(name)?.data;
    if (data instanceof Int32Array) return data;
    throw new RangeError(`Cannot find int32 golden '${name}'`);
  }

  /** Returns the shape of `name`. @throws {RangeError} if there is no such tensor. */
  shape(name: string): readonly number[] {
    const tensor = this.get(name);
    if (tensor) return tensor.shape;
    throw new RangeError(`Cannot find golden '${name}'`);
  }
}

/**
 * Reads goldens.safetensors of a folder under tests/goldens/, such as "flux/tiny-dev".
 * Works from any working directory.
 * @throws {TypeError} if a tensor is neither float32 nor int32.
 */
export function loadGoldens(folder: string): Goldens {
  const path = goldenPath(`${folder}/goldens.safetensors`);
  const bytes = Deno.readFileSync(path);
  const goldens = new Goldens();
  for (const [name, { dtype, shape, offset, byteLength }] of readSafetensorsHeader(path)) {
    const { buffer } = bytes.slice(offset, offset + byteLength);
    if (dtype === "float32") goldens.set(name, { dtype, shape, data: new Float32Array(buffer) });
    else if (dtype === "int32") goldens.set(name, { dtype, shape, data: new Int32Array(buffer) });
    else throw new TypeError(`Cannot read golden '${name}' as its dtype is ${dtype}`);
  }
  return goldens;
}

/** Returns the path of `relative` under tests/goldens/, for example of the checkpoint "flux/tiny-dev". */
export function goldenPath(relative: string): string {
  return decodeURIComponent(new URL(relative, import.meta.url).pathname);
}

/**
 * Returns the largest absolute error, relative to the largest absolute expected
 * value; NaN if any value is NaN.
 * @throws {RangeError} if the lengths differ.
 */
export function maxError(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (actual.length !== expected.length) {
    throw new RangeError(`Cannot compare ${actual.length} values with ${expected.length} expected ones`);
  }
  let error = 0;
  let scale = 0;
  for (let i = 0; i < expected.length; i++) {
    error = Math.max(error, Math.abs(actual[i]! - expected[i]!));
    scale = Math.max(scale, Math.abs(expected[i]!));
  }
  return scale === 0 ? error : error / scale;
}
