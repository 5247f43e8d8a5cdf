// The sinusoidal embedding of a number, followed by an MLP (diffusers' Timesteps and TimestepEmbedding).
import type { GraphBuilder, Value } from "../../graph_builder.ts";
import { embeddingMlp, type EmbeddingMlpOptions } from "./embedding_mlp.ts";
import { sinusoidalEmbedding, type SinusoidalEmbeddingOptions } from "./sinusoidal_embedding.ts";

/** Options; `name` is the TimestepEmbedding module. */
export type TimestepEmbeddingOptions = SinusoidalEmbeddingOptions & Omit<EmbeddingMlpOptions, "inFeatures">;

/** Emits the embedding of `t` [rows] float32: [rows, features]. */
export function timestepEmbedding(graph: GraphBuilder, t: Value, options: TimestepEmbeddingOptions): Value {
  const waves = sinusoidalEmbedding(graph, t, options);
  return embeddingMlp(graph, waves, { ...options, inFeatures: options.channels });
}
