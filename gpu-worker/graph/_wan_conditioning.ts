// What every norm of Wan hears of the timestep (WanTimeTextImageEmbedding's time half).
import type { GraphBuilder, Value } from "./graph_builder.ts";
import { activation } from "./layers/activation.ts";
import { linear } from "./layers/linear.ts";
import { timestepEmbedding } from "./layers/timestep_embedding.ts";
import type { WanTransformerConfig } from "./wan_config.ts";

export interface WanConditioningOptions {
  config: WanTransformerConfig;
  /** Name of the leading dimension of the input. */
  rows: string;
}

/** Declares the input timestep [rows] float32 (0..1000); emits its embedding, [rows, innerDim] in the compute type. */
export function wanConditioning(graph: GraphBuilder, { config, rows }: WanConditioningOptions): Value {
  const timestep = graph.input("timestep", [rows], "float32");
  // diffusers keeps these two layers in float32 whatever the rest is in.
  const embedding = graph.scope("time_embedder", () =>
    timestepEmbedding(graph, timestep, {
      name: "condition_embedder.time_embedder",
      channels: config.freqDim,
      features: config.innerDim,
      dtype: "float32",
    }));
  return graph.cast(embedding);
}

/** Emits what blocks add to their tables, [rows, 6, innerDim] float32. */
export function wanTimeProjection(
  graph: GraphBuilder,
  embedding: Value,
  { innerDim: features }: WanTransformerConfig,
): Value {
  const projected = linear(graph, activation(graph, embedding, "silu"), {
    name: "condition_embedder.time_proj",
    inFeatures: features,
    outFeatures: 6 * features,
  });
  return graph.cast(graph.node("Reshape", [projected, graph.ints(0, 6, features)]), "float32");
}

export interface TableModulationOptions {
  /** Name of the table, [1, parts, features]. */
  name: string;
  parts: number;
  features: number;
}

/**
 * Emits table + time, cut into `parts` vectors [rows, 1, features] float32.
 * @param time [rows, parts or 1, features] float32
 */
export function tableModulation(
  graph: GraphBuilder,
  time: Value,
  { name, parts, features }: TableModulationOptions,
): Value[] {
  const sum = graph.node("Add", [graph.weight(name, [1, parts, features], "float32"), time]);
  return graph.nodes("Split", [sum], { attributes: { axis: 1, num_outputs: parts }, outputs: parts });
}
