// What every adaptive norm of HunyuanVideo sees: timestep, guidance and pooled text (HunyuanVideoConditionEmbedding).
import type { GraphBuilder, Value } from "../../graph/graph_builder.ts";
import type { HunyuanVideoTransformerConfig } from "./hunyuan_video_config.ts";
import { combinedEmbedding, thousandfold } from "../../graph/layers/dense/combined_embedding.ts";

export interface HunyuanVideoConditioningOptions {
  config: HunyuanVideoTransformerConfig;
  /** Pairs every timestep with every row of the other inputs. @default row with row */
  everyStep?: boolean;
}

export interface HunyuanVideoConditioning {
  /** SiLU of the embedding, [batch, innerDim] or [steps * batch, innerDim], step-major. */
  conditioning: Value;
  /** The input, [batch] or [steps] float32. */
  timestep: Value;
}

const NAME = "time_text_embed";

/**
 * Declares the inputs timestep [batch] float32 (0..1000), [steps] with `everyStep`, pooled_projections
 * [batch, pooled_projection_dim] and, where the config asks for it, guidance [batch] float32; emits their embedding.
 */
export function hunyuanVideoConditioning(
  graph: GraphBuilder,
  { config, everyStep = false }: HunyuanVideoConditioningOptions,
): HunyuanVideoConditioning {
  const { innerDim: features, pooledProjectionDim: pooledDim, guidanceEmbeds } = config;
  const pooled = graph.cast(graph.input("pooled_projections", ["batch", pooledDim], "float32"));
  const timestep = graph.input("timestep", [everyStep ? "steps" : "batch"], "float32");
  const guidance = guidanceEmbeds ? graph.input("guidance", ["batch"], "float32") : undefined;
  // Of the two numbers the pipeline multiplies this one alone.
  const inputs = { timestep, guidance: guidance && thousandfold(graph, guidance), pooled };
  const options = { name: NAME, pooledDim, features, everyStep };
  const conditioning = graph.scope(NAME, () => combinedEmbedding(graph, inputs, options));
  return { conditioning, timestep };
}
