// Runs float16 trunks and heads on the CPU. The feature stays in float16 in between, as in OnnxDenoiser.
import type { OnnxModel } from "../../../gpu-worker/graph/graph_builder.ts";
import { Runtime, type Session, type Tensor } from "../../../gpu-worker/runtime/mod.ts";
import { type FloatArrays, matrix } from "./float_array.ts";
import { type HeadGraphs, identity, inputsFor } from "./run_head.ts";

export class HalfGraphs implements Disposable {
  readonly #graphs: HeadGraphs;
  readonly #runtime: Runtime;
  readonly #trunk: Session;
  readonly #owned: DisposableStack;

  private constructor(
    graphs: HeadGraphs,
    opened: { runtime: Runtime; trunk: Session; owned: DisposableStack },
  ) {
    this.#graphs = graphs;
    this.#runtime = opened.runtime;
    this.#trunk = opened.trunk;
    this.#owned = opened.owned;
  }

  static async open(graphs: HeadGraphs & { trunk: OnnxModel }): Promise<HalfGraphs> {
    using stack = new DisposableStack();
    const runtime = stack.use(Runtime.open());
    const trunk = stack.use(await runtime.createSession(graphs.trunk));
    return new HalfGraphs(graphs, { runtime, trunk, owned: stack.move() });
  }

  /** Runs a full pass that measures no forecast error. */
  async trunk(inputs: FloatArrays): Promise<{ feature: Tensor; output: Float32Array }> {
    const rank = this.#trunk.inputs.find(({ name }) => name === "history")!.dims.length;
    const { feature, output } = await this.#trunk.run({
      ...this.#feed(inputs),
      forecast_weights: this.#runtime.tensor("float32", [1, 1], new Float32Array(1)),
      history: this.#runtime.allocate("float16", Array(rank).fill(1)),
    });
    return { feature: feature!, output: output!.as("float32").data().slice() };
  }

  /** Runs the modulation for `conditioning`, then the head on one unchanged feature. */
  async head(feature: Tensor, conditioning: FloatArrays): Promise<Float32Array> {
    using head = await this.#runtime.createSession(this.#graphs.head);
    using modulation = await this.#runtime.createSession(this.#graphs.modulation!);
    const { output } = await head.run({
      ...await modulation.run(this.#feed(inputsFor(this.#graphs.modulation!, conditioning))),
      ...this.#feed({ forecast_weights: matrix([1]), output_weights: identity(feature.dims[0]!) }),
      history: feature.view(0, [1, ...feature.dims]),
    });
    return output!.as("float32").data().slice();
  }

  [Symbol.dispose](): void {
    this.#owned.dispose();
  }

  #feed(arrays: FloatArrays): Record<string, Tensor> {
    return Object.fromEntries(
      Object.entries(arrays).map((
        [key, { shape, data }],
      ) => [key, this.#runtime.tensor("float32", shape, data)]),
    );
  }
}
