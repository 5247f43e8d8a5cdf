// What every adaptive norm of FLUX sees: timestep, guidance and pooled text (CombinedTimestep[Guidance]TextProjEmbeddings).
import type { FluxTransformerConfig } from "./flux_config.ts";
import type { GraphBuilder, Value } from "./graph_builder.ts";
import { embeddingMlp } from "./layers/embedding_mlp.ts";
import { timeAndPrompt } from "./layers/time_and_prompt.ts";
import { timestepEmbedding } from "./layers/timestep_embedding.ts";

export interface FluxConditioningOptions {
  config: FluxTransformerConfig;
  /** Pairs every timestep with every row of the other inputs. @default row with row */
  everyStep?: boolean;
}

/**
 * Declares the inputs timestep [batch] float32 (0..1), [steps] with `everyStep`, pooled_projections
 * [batch, pooled_projection_dim] and, where the config asks for it, guidance [batch] float32; emits SiLU of their embedding,
 * [batch, innerDim] or [steps * batch, innerDim], step-major.
 */
export function fluxConditioning(
  graph: GraphBuilder,
  { config, everyStep = false }: FluxConditioningOptions,
): Value {
  const { innerDim: features, pooledProjectionDim, guidanceEmbeds } = config;
  const pooled = graph.cast(graph.input("pooled_projections", ["batch", pooledProjectionDim], "float32"));
  const timestep = graph.input("timestep", [everyStep ? "steps" : "batch"], "float32");
  const guidance = guidanceEmbeds ? graph.input("guidance", ["batch"], "float32") : undefined;
  return graph.scope("time_text_embed", () => {
    const time = embedNumber(graph, timestep, { name: "timestep_embedder", features });
    let prompt = embeddingMlp(graph, pooled, {
      name: "time_text_embed.text_embedder",
      inFeatures: pooledProjectionDim,
      features,
    });
    if (guidance) {
      const strength = embedNumber(graph, guidance, { name: "guidance_embedder", features });
      prompt = graph.node("Add", [strength, prompt]);
    }
    return timeAndPrompt(graph, { time, prompt }, { features, everyStep });
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
