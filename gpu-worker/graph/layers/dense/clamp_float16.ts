// Keeps residual streams finite where diffusers does, in float16 only.
import type { GraphBuilder, Value } from "../../graph_builder.ts";

const FLOAT16_MAX = 65504;

/** Clamps `x` to finite float16 values. Emits nothing for values of other types. */
export function clampFloat16(graph: GraphBuilder, x: Value): Value {
  if (x.dtype !== "float16") return x;
  return graph.node("Clip", [
    x,
    graph.scalar(-FLOAT16_MAX, "float16"),
    graph.scalar(FLOAT16_MAX, "float16"),
  ]);
}
