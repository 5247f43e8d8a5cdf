// The memory of causal convolutions between pieces of a video (feat_cache of diffusers' video autoencoders):
// their last two frames, as inputs and outputs of the graph.
import type { GraphBuilder, Value } from "../graph_builder.ts";

/** The memory of one convolution. It is zeros before the first frame, like padding. */
export interface FrameCacheSlot {
  /** Name of the input. The output that replaces it has the prefix NEXT. */
  name: string;
  channels: number;
  /** Height and width in latent pixels. */
  scale: number;
}

/** Past frames that a kernel of three frames needs. */
export const CACHED_FRAMES = 2;
/** Prefix of the output that replaces an input in the next call. */
export const NEXT = "next_";

const TO_THE_END = Number.MAX_SAFE_INTEGER;

/** Declares a graph's memories while its convolutions are emitted. */
export class FrameCache {
  readonly slots: FrameCacheSlot[] = [];
  readonly #graph: GraphBuilder;

  constructor(graph: GraphBuilder) {
    this.#graph = graph;
  }

  /**
   * Emits the memory's frames followed by `x` [frames, channels, h, w]: [frames + 2, channels, h, w].
   * @param keep changes the memory before it is stored. @default no change
   */
  prepend(
    x: Value,
    { channels, scale }: Pick<FrameCacheSlot, "channels" | "scale">,
    keep: (last: Value) => Value = (last) => last,
  ): Value {
    const graph = this.#graph;
    const name = `cache_${this.slots.length}`;
    this.slots.push({ name, channels, scale });
    const dims = [CACHED_FRAMES, channels, `height_${scale}`, `width_${scale}`];
    const both = graph.node("Concat", [graph.input(name, dims), x], { attributes: { axis: 0 } });
    const last = graph.node("Slice", [
      both,
      graph.ints(-CACHED_FRAMES),
      graph.ints(TO_THE_END),
      graph.ints(0),
    ]);
    graph.output(`${NEXT}${name}`, keep(last), dims);
    return both;
  }
}
