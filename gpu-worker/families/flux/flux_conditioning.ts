// What every adaptive norm of FLUX sees: timestep, guidance and pooled text (CombinedTimestep[Guidance]TextProjEmbeddings).
import type { FluxTransformerConfig } from "./flux_config.ts";
import type { GraphBuilder, Value } from "../../graph/graph_builder.ts";
import { combinedEmbedding, thousandfold } from "../../graph/layers/dense/combined_embedding.ts";

export interface FluxConditioningOptions {
  config: FluxTransformerConfig;
  /** Pairs every timestep with every row of the other inputs. @default row with row */
  everyStep?: boolean;
}

const NAME = "time_text_embed";

/**
 * Declares the inputs timestep [batch] float32 (0..1), [steps] with `everyStep`, pooled_projections
 * [batch, pooled_projection_dim] and, where the config asks for it, guidance [batch] float32; emits SiLU of their embedding,
 * [batch, innerDim] or [steps * batch, innerDim], step-major.
 */
export function fluxConditioning(
  graph: GraphBuilder,
  { config, everyStep = false }: FluxConditioningOptions,
): Value {
  const { innerDim: features, pooledProjectionDim: pooledDim, guidanceEmbeds } = config;
  const pooled = graph.cast(graph.input("pooled_projections", ["batch", pooledDim], "float32"));
  const timestep = graph.input("timestep", [everyStep ? "steps" : "batch"], "float32");
  const guidance = guidanceEmbeds ? graph.input("guidance", ["batch"], "float32") : undefined;
  const inputs = {
    timestep: thousandfold(graph, timestep),
    guidance: guidance && thousandfold(graph, guidance),
    pooled,
  };
  const options = { name: NAME, pooledDim, features, everyStep };
  return graph.scope(NAME, () => combinedEmbedding(graph, inputs, options));
}
