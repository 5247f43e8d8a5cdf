// What causal convolutions over time remember from one piece of a video to the next (feat_cache of diffusers' video
// autoencoders): their last two frames, as inputs and outputs of the graph.
import type { GraphBuilder, Value } from "../../graph/graph_builder.ts";

/** One memory. It is zeros before the first frame, as padding is. */
export interface FrameCacheSlot {
  /** Name of the input; the output that replaces it has NEXT before it. */
  name: string;
  channels: number;
  /** Height and width in latent pixels. */
  scale: number;
}

/** Frames that a kernel of three sees besides its own. */
export const CACHED_FRAMES = 2;
/** Before the name of an input, the name of the output that takes its place in the next run. */
export const NEXT = "next_";

const TO_THE_END = Number.MAX_SAFE_INTEGER;

/** Declares the memories of a graph while its convolutions are emitted. */
export class FrameCache {
  readonly slots: FrameCacheSlot[] = [];
  readonly #graph: GraphBuilder;

  constructor(graph: GraphBuilder) {
    this.#graph = graph;
  }

  /**
   * Emits the frames of the memory before those of `x` [frames, channels, h, w]: [frames + 2, channels, h, w].
   * @param keep how the memory is changed on its way out. @default as it is
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
