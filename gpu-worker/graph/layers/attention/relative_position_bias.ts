// T5's relative position bias (Raffel et al. 2020, section 2.1): one learnt number per head
// and bucket of distances.
import type { GraphBuilder, Value } from "../../graph_builder.ts";

export interface RelativePositionBiasOptions {
  /** Name of the module: `<name>.weight` [buckets, heads]. */
  name: string;
  heads: number;
  /** Number of buckets. One half is for keys before the query, the other for keys after it. */
  buckets: number;
  /** Distance from which all keys share the last bucket. */
  maxDistance: number;
}

/**
 * Emits the bias [1, heads, tokens, tokens] for the tokens of `sequence` [batch, tokens, ...]. Rows for
 * distances up to `maxDistance` are selected at load; a run only looks them up.
 */
export function relativePositionBias(
  graph: GraphBuilder,
  sequence: Value,
  { name, heads, buckets, maxDistance }: RelativePositionBiasOptions,
): Value {
  const distances = Array.from({ length: 2 * maxDistance + 1 }, (_, i) => i - maxDistance);
  const rows = graph.ints(...distances.map((d) => relativePositionBucket(d, { buckets, maxDistance })));
  const byBucket = graph.node("Transpose", [graph.weight(`${name}.weight`, [buckets, heads])]);
  const byDistance = graph.node("Gather", [byBucket, rows], { attributes: { axis: 1 } });

  const int64 = { dtype: "int64" } as const;
  const tokens = graph.node("Shape", [sequence], { ...int64, attributes: { start: 1, end: 2 } });
  const positions = graph.node(
    "Range",
    [graph.scalar(0, "int64"), graph.node("Squeeze", [tokens]), graph.scalar(1, "int64")],
  );
  const keyMinusQuery = graph.node("Sub", [positions, graph.node("Unsqueeze", [positions, graph.ints(1)])]);
  const clipped = graph.node("Clip", [
    keyMinusQuery,
    graph.scalar(-maxDistance, "int64"),
    graph.scalar(maxDistance, "int64"),
  ]);
  const index = graph.node("Add", [clipped, graph.scalar(maxDistance, "int64")]);
  const bias = graph.node("Gather", [byDistance, index], { attributes: { axis: 1 } });
  return graph.node("Unsqueeze", [bias, graph.ints(0)]);
}

/**
 * Returns the bucket of a key `distance` tokens after the query (before it if negative):
 * exact up to a quarter of the buckets, logarithmic beyond. Rounds to float32 where PyTorch
 * does, as bucket borders depend on it.
 */
export function relativePositionBucket(
  distance: number,
  { buckets, maxDistance }: { buckets: number; maxDistance: number },
): number {
  const half = Math.floor(buckets / 2);
  const exact = Math.floor(half / 2);
  const side = distance > 0 ? half : 0;
  const magnitude = Math.abs(distance);
  if (magnitude < exact) return side + magnitude;
  const { fround, log } = Math;
  const octaves = fround(fround(log(fround(magnitude / exact))) / fround(log(maxDistance / exact)));
  return side + Math.min(half - 1, exact + Math.trunc(fround(octaves * (half - exact))));
}
