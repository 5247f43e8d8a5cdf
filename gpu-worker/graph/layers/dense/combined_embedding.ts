// The embedding of timestep, guidance and pooled text for adaptive norms (diffusers'
// CombinedTimestepTextProjEmbeddings and CombinedTimestepGuidanceTextProjEmbeddings).
import type { GraphBuilder, Value } from "../../graph_builder.ts";
import { activation } from "./activation.ts";
import { embeddingMlp } from "./embedding_mlp.ts";
import { timestepEmbedding } from "./timestep_embedding.ts";

export interface CombinedEmbeddingInputs {
  /** [batch] float32, or [steps] with `everyStep` */
  timestep: Value;
  /** [batch] float32, for networks with a guidance embedding */
  guidance?: Value | undefined;
  /** [batch, pooledDim] in the compute type */
  pooled: Value;
}

export interface CombinedEmbeddingOptions {
  /** Name of the module, with timestep_embedder, text_embedder and, for guidance, guidance_embedder. */
  name: string;
  pooledDim: number;
  features: number;
  /**
   * Whether every timestep is paired with every row of the other inputs,
   * step-major. @default false: row by row
   */
  everyStep?: boolean;
}

/** Emits SiLU of the sum of the embeddings: [batch, features], or [steps * batch, features]. */
export function combinedEmbedding(
  graph: GraphBuilder,
  { timestep, guidance, pooled }: CombinedEmbeddingInputs,
  { name, pooledDim, features, everyStep = false }: CombinedEmbeddingOptions,
): Value {
  const embedNumber = (x: Value, embedder: string) =>
    timestepEmbedding(graph, x, { name: `${name}.${embedder}`, channels: 256, features });
  const time = embedNumber(timestep, "timestep_embedder");
  const text = embeddingMlp(graph, pooled, {
    name: `${name}.text_embedder`,
    inFeatures: pooledDim,
    features,
  });
  const prompt = guidance === undefined
    ? text
    : graph.node("Add", [embedNumber(guidance, "guidance_embedder"), text]);
  // In diffusers each adaptive norm applies SiLU to the same vector. Here that happens once.
  if (!everyStep) return activation(graph, graph.node("Add", [time, prompt]), "silu");
  const sums = graph.node("Add", [graph.node("Unsqueeze", [time, graph.ints(1)]), prompt]);
  return activation(graph, graph.node("Reshape", [sums, graph.ints(-1, features)]), "silu");
}

/**
 * Emits 1000 x, [batch] float32. diffusers multiplies in the compute type, and
 * its rounding affects the picture.
 */
export function thousandfold(graph: GraphBuilder, x: Value): Value {
  return graph.cast(graph.node("Mul", [graph.cast(x), graph.scalar(1000)]), "float32");
}
