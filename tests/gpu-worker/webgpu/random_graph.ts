// A graph whose weights are random constants of whatever shape a layer asks for.
import { type Dim, GraphBuilder, type Value } from "../../../gpu-worker/graph/graph_builder.ts";
import type { DType } from "../../../gpu-worker/runtime/mod.ts";
import type { Input, Inputs } from "./on_both.ts";

export class RandomGraph extends GraphBuilder {
  /** Values of the inputs that `feed` has declared. */
  readonly inputs: Inputs = {};
  readonly #random = randomNumbers();

  constructor(name: string, dtype: DType = "float32") {
    super({ name, weights: new Map(), dtype });
  }

  override has(): boolean {
    return false;
  }

  /**
   * Weights keep the size of what they multiply. Norms' weights are near 1 in neither case, which is harder.
   */
  override weight(_name: string, dims: readonly number[], dtype: DType | "stored" = this.dtype): Value {
    const [, ...fanIn] = dims;
    const scale = 1 / Math.sqrt(fanIn.reduce((product, dim) => product * dim, 1));
    const data = Array.from(this.#floats(dims, scale));
    return this.cast(this.constant(data, dims, "float32"), dtype === "stored" ? this.dtype : dtype);
  }

  /** No matrix is in blocks. */
  override blockMatrix(): undefined {
    return undefined;
  }

  /** Declares an input with free dimensions and random values in -scale..scale. */
  feed(name: string, shape: readonly number[], scale = 1): Value {
    return this.declare(name, { shape, data: this.#floats(shape, scale) });
  }

  /** Declares an input with free dimensions and these values. */
  declare(name: string, input: Input): Value {
    this.inputs[name] = input;
    const dims = input.shape.map((_, axis): Dim => `${name}_${axis}`);
    return this.input(name, dims, input.data instanceof Float32Array ? "float32" : "int64");
  }

  /** Gives an input that a layer declares itself its random values. */
  fill(name: string, shape: readonly number[], scale = 1): void {
    this.inputs[name] = { shape, data: this.#floats(shape, scale) };
  }

  /** Declares an output of `rank` free dimensions. */
  give(name: string, value: Value, rank: number): void {
    this.output(name, value, Array.from({ length: rank }, (_, axis) => `${name}_${axis}`));
  }

  #floats(shape: readonly number[], scale: number): Float32Array<ArrayBuffer> {
    const count = shape.reduce((product, dim) => product * dim, 1);
    return Float32Array.from({ length: count }, () => scale * this.#random());
  }
}

/** Numerical Recipes' generator: the same numbers in -1..1 on each machine. */
function randomNumbers(): () => number {
  let state = 1;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  };
}
