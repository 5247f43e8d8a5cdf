// What every adaptive norm of FLUX sees: timestep, guidance and pooled text (CombinedTimestep[Guidance]TextProjEmbeddings).
import type { FluxTransformerConfig } from "./flux_config.ts";
import type { GraphBuilder, Value } from "./graph_builder.ts";
import { activation } from "./layers/activation.ts";
import { embeddingMlp } from "./layers/embedding_mlp.ts";
import { timestepEmbedding } from "./layers/timestep_embedding.ts";

export interface FluxConditioningOptions {
  config: FluxTransformerConfig;
  /** Name of the leading dimension of the inputs. */
  rows: string;
}

/**
 * Declares the inputs timestep [rows] float32 (0..1), pooled_projections [rows, pooled_projection_dim] and, where the
 * config asks for it, guidance [rows] float32; emits SiLU of their embedding, [rows, innerDim].
 */
export function fluxConditioning(graph: GraphBuilder, { config, rows }: FluxConditioningOptions): Value {
  const { innerDim, pooledProjectionDim, guidanceEmbeds } = config;
  const pooled = graph.cast(graph.input("pooled_projections", [rows, pooledProjectionDim], "float32"));
  const timestep = graph.input("timestep", [rows], "float32");
  const guidance = guidanceEmbeds ? graph.input("guidance", [rows], "float32") : undefined;
  return graph.scope("time_text_embed", () => {
    let sum = embedNumber(graph, timestep, { name: "timestep_embedder", features: innerDim });
    if (guidance) {
      sum = graph.node("Add", [
        sum,
        embedNumber(graph, guidance, { name: "guidance_embedder", features: innerDim }),
      ]);
    }
    const text = embeddingMlp(graph, pooled, {
      name: "time_text_embed.text_embedder",
      inFeatures: pooledProjectionDim,
      features: innerDim,
    });
    sum = graph.node("Add", [sum, text]);
    // Each adaptive norm of diffusers applies its own SiLU to the same vector; here it is done once.
    return activation(graph, sum, "silu");
  });
}

function embedNumber(
  graph: GraphBuilder,
  x: Value,
  { name, features }: { name: string; features: number },
): Value {
  // diffusers multiplies in the compute type; its rounding there is part of what a seed gives.
  const thousandths = graph.node("Mul", [graph.cast(x), graph.scalar(1000)]);
  return timestepEmbedding(graph, graph.cast(thousandths, "float32"), {
    name: `time_text_embed.${name}`,
    channels: 256,
    features,
  });
}
