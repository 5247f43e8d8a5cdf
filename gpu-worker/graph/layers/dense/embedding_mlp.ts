// The two linear layers after an embedding, among a network's first (diffusers' TimestepEmbedding,
// PixArtAlphaTextProjection).
import type { DType } from "../../../runtime/dtype.ts";
import type { GraphBuilder, Value } from "../../graph_builder.ts";
import { activation, type ActivationName } from "./activation.ts";
import { linear } from "./linear.ts";

export interface EmbeddingMlpOptions {
  /** Name of the module, with layers linear_1 and linear_2. */
  name: string;
  inFeatures: number;
  features: number;
  /** Activation between the layers. @default "silu" */
  act?: ActivationName;
  /** @default true */
  bias?: boolean;
  /** Type of computation and result. @default the graph's compute type */
  dtype?: DType;
}

/** Emits linear_2(act(linear_1(x))): [rows, inFeatures] -> [rows, features]. */
export function embeddingMlp(
  graph: GraphBuilder,
  x: Value,
  { name, inFeatures, features, act = "silu", bias = true, dtype = graph.dtype }: EmbeddingMlpOptions,
): Value {
  const asStored = true;
  const hidden = linear(graph, x, {
    name: `${name}.linear_1`,
    inFeatures,
    outFeatures: features,
    bias,
    dtype,
    asStored,
  });
  return linear(graph, activation(graph, hidden, act), {
    name: `${name}.linear_2`,
    inFeatures: features,
    outFeatures: features,
    bias,
    dtype,
    asStored,
  });
}
