// What every adaptive norm of Stable Diffusion 3 sees: timestep and pooled text (CombinedTimestepTextProjEmbeddings).
import type { GraphBuilder, Value } from "../../graph/graph_builder.ts";
import { combinedEmbedding } from "../../graph/layers/dense/combined_embedding.ts";
import type { Sd3TransformerConfig } from "./sd3_config.ts";

export interface Sd3ConditioningOptions {
  config: Sd3TransformerConfig;
  /** Pairs every timestep with every row of the other input. @default row with row */
  everyStep?: boolean;
}

const NAME = "time_text_embed";

/**
 * Declares the inputs timestep [batch] float32 (0..1000), [steps] with `everyStep`, and pooled_projections
 * [batch, pooled_projection_dim] float32; emits SiLU of their embedding, [batch, innerDim] or [steps * batch, innerDim],
 * step-major.
 */
export function sd3Conditioning(
  graph: GraphBuilder,
  { config, everyStep = false }: Sd3ConditioningOptions,
): Value {
  const { innerDim: features, pooledProjectionDim: pooledDim } = config;
  const timestep = graph.input("timestep", [everyStep ? "steps" : "batch"], "float32");
  const pooled = graph.cast(graph.input("pooled_projections", ["batch", pooledDim], "float32"));
  const options = { name: NAME, pooledDim, features, everyStep };
  return graph.scope(NAME, () => combinedEmbedding(graph, { timestep, pooled }, options));
}
