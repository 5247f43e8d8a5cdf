// The MLP that brings pooled text into the conditioning (diffusers' PixArtAlphaTextProjection, "silu").
import type { GraphBuilder, Value } from "../graph_builder.ts";
import { activation } from "./activation.ts";
import { linear } from "./linear.ts";

export interface TextProjectionOptions {
  /** Name of the module, with layers linear_1 and linear_2. */
  name: string;
  inFeatures: number;
  outFeatures: number;
}

/** Emits the MLP: [rows, inFeatures] -> [rows, outFeatures]. */
export function textProjection(
  graph: GraphBuilder,
  x: Value,
  { name, inFeatures, outFeatures }: TextProjectionOptions,
): Value {
  const hidden = linear(graph, x, { name: `${name}.linear_1`, inFeatures, outFeatures });
  return linear(graph, activation(graph, hidden, "silu"), {
    name: `${name}.linear_2`,
    inFeatures: outFeatures,
    outFeatures,
  });
}
