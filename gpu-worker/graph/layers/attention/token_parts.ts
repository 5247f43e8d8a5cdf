// The tokens of a stream whose parts have modulations of their own. Each part has one vector for all of its
// tokens: a vector for each token would take gigabytes in a video.
import type { GraphBuilder, Value } from "../../graph_builder.ts";
import { modulation, type ModulationOptions } from "../norm/modulation.ts";
import { blockModulation, type JointContext } from "./joint_attention.ts";

export interface TokenParts {
  /** The shifts, scales and gates of each part. */
  modulations: readonly (readonly Value[])[];
  /** Number of tokens of each part, [parts] int64. @default all tokens are one part */
  counts?: Value;
}

/** Emits the modulation of a stream: the text, the image's tokens, or the text's before the image's. */
export function tokenParts(
  graph: GraphBuilder,
  context: JointContext,
  { stream, ...norm }: Omit<ModulationOptions, "features"> & { stream: "text" | "image" | "joined" },
): TokenParts {
  const { firstTokens, heads, headDim, tokenCounts } = context;
  const common = blockModulation(graph, context, norm);
  if (firstTokens === undefined || stream === "text") return { modulations: [common] };
  const first = modulation(graph, firstTokens.conditioning, { ...norm, features: heads * headDim });
  if (stream === "image") return { modulations: [first, common], counts: firstTokens.counts };
  const text = graph.node("Slice", [tokenCounts, graph.ints(0), graph.ints(1)]);
  const counts = graph.node("Concat", [text, firstTokens.counts], { attributes: { axis: 0 } });
  return { modulations: [common, first, common], counts };
}

/**
 * Emits `emit` for each part of `streams` [batch, tokens, features], which have the same tokens, with the
 * part's modulation.
 */
export function byPart(
  graph: GraphBuilder,
  streams: readonly Value[],
  { modulations, counts, emit }: TokenParts & {
    emit: (streams: readonly Value[], modulation: readonly Value[]) => Value;
  },
): Value {
  if (counts === undefined) return emit(streams, modulations[0]!);
  const split = streams.map((stream) =>
    graph.nodes("Split", [stream, counts], { attributes: { axis: 1 }, outputs: modulations.length })
  );
  const parts = modulations.map((modulation, i) => emit(split.map((parts) => parts[i]!), modulation));
  return graph.node("Concat", parts, { attributes: { axis: 1 } });
}
