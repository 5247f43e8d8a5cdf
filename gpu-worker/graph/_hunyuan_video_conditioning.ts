// What every adaptive norm of HunyuanVideo sees: timestep, guidance and pooled text (HunyuanVideoConditionEmbedding).
import type { GraphBuilder, Value } from "./graph_builder.ts";
import type { HunyuanVideoTransformerConfig } from "./hunyuan_video_config.ts";
import { activation } from "./layers/activation.ts";
import { embeddingMlp } from "./layers/embedding_mlp.ts";
import { timestepEmbedding } from "./layers/timestep_embedding.ts";

export interface HunyuanVideoConditioningOptions {
  config: HunyuanVideoTransformerConfig;
  /** Name of the leading dimension of the inputs. */
  rows: string;
}

export interface HunyuanVideoConditioning {
  /** SiLU of the embedding, [rows, innerDim]. */
  conditioning: Value;
  /** The input, [rows] float32. */
  timestep: Value;
}

/**
 * Declares the inputs timestep [rows] float32 (0..1000), pooled_projections [rows, pooled_projection_dim] and, where the
 * config asks for it, guidance [rows] float32; emits their embedding.
 */
export function hunyuanVideoConditioning(
  graph: GraphBuilder,
  { config, rows }: HunyuanVideoConditioningOptions,
): HunyuanVideoConditioning {
  const { innerDim, pooledProjectionDim, guidanceEmbeds } = config;
  const pooled = graph.cast(graph.input("pooled_projections", [rows, pooledProjectionDim], "float32"));
  const timestep = graph.input("timestep", [rows], "float32");
  const guidance = guidanceEmbeds ? graph.input("guidance", [rows], "float32") : undefined;
  const conditioning = graph.scope("time_text_embed", () => {
    let sum = timeAndText(graph, { timestep, pooled }, {
      name: "time_text_embed",
      pooledDim: pooledProjectionDim,
      features: innerDim,
    });
    if (guidance) {
      // The pipeline multiplies in the compute type; its rounding there is part of what a seed gives.
      const thousandths = graph.node("Mul", [graph.cast(guidance), graph.scalar(1000)]);
      const embedded = timestepEmbedding(graph, graph.cast(thousandths, "float32"), {
        name: "time_text_embed.guidance_embedder",
        channels: 256,
        features: innerDim,
      });
      sum = graph.node("Add", [sum, embedded]);
    }
    // Each adaptive norm of diffusers applies its own SiLU to the same vector; here it is done once.
    return activation(graph, sum, "silu");
  });
  return { conditioning, timestep };
}

export interface TimeAndTextOptions {
  /** Name of the module, with timestep_embedder and text_embedder. */
  name: string;
  /** Features of the pooled text. */
  pooledDim: number;
  features: number;
}

/** Emits the sum of both embeddings, [rows, features] (diffusers' CombinedTimestepTextProjEmbeddings). */
export function timeAndText(
  graph: GraphBuilder,
  { timestep, pooled }: { timestep: Value; pooled: Value },
  { name, pooledDim, features }: TimeAndTextOptions,
): Value {
  const time = timestepEmbedding(graph, timestep, {
    name: `${name}.timestep_embedder`,
    channels: 256,
    features,
  });
  const text = embeddingMlp(graph, pooled, {
    name: `${name}.text_embedder`,
    inFeatures: pooledDim,
    features,
  });
  return graph.node("Add", [time, text]);
}
