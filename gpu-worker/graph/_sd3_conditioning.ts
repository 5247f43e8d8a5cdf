// What every adaptive norm of Stable Diffusion 3 sees: timestep and pooled text (CombinedTimestepTextProjEmbeddings).
import type { GraphBuilder, Value } from "./graph_builder.ts";
import { activation } from "./layers/activation.ts";
import { embeddingMlp } from "./layers/embedding_mlp.ts";
import { timestepEmbedding } from "./layers/timestep_embedding.ts";
import type { Sd3TransformerConfig } from "./sd3_config.ts";

export interface Sd3ConditioningOptions {
  config: Sd3TransformerConfig;
  /** Name of the leading dimension of the inputs. */
  rows: string;
}

/**
 * Declares the inputs timestep [rows] float32 (0..1000) and pooled_projections [rows, pooled_projection_dim] float32;
 * emits SiLU of their embedding, [rows, innerDim].
 */
export function sd3Conditioning(graph: GraphBuilder, { config, rows }: Sd3ConditioningOptions): Value {
  const { innerDim: features, pooledProjectionDim } = config;
  const timestep = graph.input("timestep", [rows], "float32");
  const pooled = graph.cast(graph.input("pooled_projections", [rows, pooledProjectionDim], "float32"));
  return graph.scope("time_text_embed", () => {
    const time = timestepEmbedding(graph, timestep, {
      name: "time_text_embed.timestep_embedder",
      channels: 256,
      features,
    });
    const text = embeddingMlp(graph, pooled, {
      name: "time_text_embed.text_embedder",
      inFeatures: pooledProjectionDim,
      features,
    });
    // Each adaptive norm of diffusers applies its own SiLU to the same vector; here it is done once.
    return activation(graph, graph.node("Add", [time, text]), "silu");
  });
}
