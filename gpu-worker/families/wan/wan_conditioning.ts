// The timestep conditioning of every norm in Wan (the time half of WanTimeTextImageEmbedding).
import type { GraphBuilder, Value } from "../../graph/graph_builder.ts";
import { activation } from "../../graph/layers/dense/activation.ts";
import { linear } from "../../graph/layers/dense/linear.ts";
import { repeatForBranches } from "../../graph/layers/head/repeat_for_branches.ts";
import { timestepEmbedding } from "../../graph/layers/dense/timestep_embedding.ts";
import type { WanTransformerConfig } from "./wan_config.ts";

export interface WanConditioningOptions {
  config: WanTransformerConfig;
  /**
   * Also declares the input branches [branches]. Its length says how often each
   * timestep is repeated. @default false
   */
  everyStep?: boolean;
  /** Frames of the latents, [1] int64, if each has a timestep of its own. @default one timestep for all */
  frames?: Value | undefined;
}

/**
 * Declares the input timestep [batch] float32 (0..1000), [batch, frames] with `frames`, or [steps] with
 * `everyStep`. Emits its embedding in the compute type: [batch, innerDim], [batch, frames, innerDim], or
 * [steps * branches, innerDim], step-major.
 */
export function wanConditioning(
  graph: GraphBuilder,
  { config, everyStep = false, frames }: WanConditioningOptions,
): Value {
  const dims = frames ? ["batch", "frames"] : [everyStep ? "steps" : "batch"];
  const given = graph.input("timestep", dims, "float32");
  const timestep = frames ? graph.node("Reshape", [given, graph.ints(-1)]) : given;
  // diffusers keeps these two layers in float32, whatever the compute type.
  const embedding = graph.scope("time_embedder", () =>
    timestepEmbedding(graph, timestep, {
      name: "condition_embedder.time_embedder",
      channels: config.freqDim,
      features: config.innerDim,
      dtype: "float32",
    }));
  if (frames) {
    return graph.cast(graph.node("Reshape", [embedding, perFrame(graph, frames, [config.innerDim])]));
  }
  if (!everyStep) return graph.cast(embedding);
  return graph.cast(repeatForBranches(graph, embedding, [config.innerDim]));
}

/** Emits the shape [-1, frames, ...dims]. */
function perFrame(graph: GraphBuilder, frames: Value, dims: readonly number[]): Value {
  return graph.node("Concat", [graph.ints(-1), frames, graph.ints(...dims)], { attributes: { axis: 0 } });
}

/**
 * Emits the vectors that blocks add to their tables, [rows, 6, innerDim] float32, or [rows, frames, 6,
 * innerDim].
 */
export function wanTimeProjection(
  graph: GraphBuilder,
  embedding: Value,
  { config: { innerDim: features }, frames }: Pick<WanConditioningOptions, "config" | "frames">,
): Value {
  const projected = linear(graph, activation(graph, embedding, "silu"), {
    name: "condition_embedder.time_proj",
    inFeatures: features,
    outFeatures: 6 * features,
  });
  const shape = frames ? perFrame(graph, frames, [6, features]) : graph.ints(0, 6, features);
  return graph.cast(graph.node("Reshape", [projected, shape]), "float32");
}

export interface TableModulationOptions {
  /** Name of the table, [1, parts, features]. */
  name: string;
  parts: number;
  features: number;
}

/**
 * Emits table + time, split into `parts` vectors [rows, ..., 1, features] float32.
 * @param time [rows, ..., parts or 1, features] float32
 */
export function tableModulation(
  graph: GraphBuilder,
  time: Value,
  { name, parts, features }: TableModulationOptions,
): Value[] {
  const sum = graph.node("Add", [graph.weight(name, [1, parts, features], "float32"), time]);
  return graph.nodes("Split", [sum], { attributes: { axis: -2, num_outputs: parts }, outputs: parts });
}
