// The latents of a video, and the channels beside them in networks that begin from given frames.
import type { GraphBuilder, Value } from "./graph_builder.ts";

/** Channels that a network reads, and those that it writes: its latents. */
interface Channels {
  inChannels: number;
  outChannels: number;
}

/**
 * Declares hidden_states [batch, outChannels, frames, height, width] float32 and, where the network reads
 * more, `condition` with the other channels.
 * @returns `own` are hidden_states, `all` have the other channels behind them
 */
export function conditionedLatents(
  graph: GraphBuilder,
  { inChannels, outChannels }: Channels,
): { own: Value; all: Value } {
  const planes = (name: string, channels: number) =>
    graph.input(name, ["batch", channels, "frames", "height", "width"], "float32");
  const own = planes("hidden_states", outChannels);
  if (inChannels === outChannels) return { own, all: own };
  const condition = planes("condition", inChannels - outChannels);
  return { own, all: graph.node("Concat", [own, condition], { attributes: { axis: 1 } }) };
}
