// The conditioning of a transformer's adaptive norms: timestep, guidance and pooled text.
import type { GraphBuilder, Value } from "../../graph_builder.ts";
import { combinedEmbedding, thousandfold } from "./combined_embedding.ts";

export interface CombinedConditioningOptions {
  config: {
    innerDim: number;
    pooledProjectionDim: number;
    /** @default false */
    guidanceEmbeds?: boolean;
  };
  /** Whether the pipeline divides timesteps by 1000, which the network undoes. @default false */
  scaledTimestep?: boolean;
  /**
   * Whether every timestep is paired with every row of the other inputs.
   * Otherwise inputs are paired row by row.
   */
  everyStep: boolean;
}

const NAME = "time_text_embed";

/**
 * Declares the inputs timestep [batch] float32, or [steps] with `everyStep`; pooled_projections [batch,
 * pooled_projection_dim]; and guidance [batch] float32, unscaled, if the config asks for it.
 * @returns SiLU of their embedding, [batch, innerDim], or [steps * batch, innerDim], step-major; that of
 * timestep 0 without guidance; and the input timestep
 */
export function combinedConditioning(
  graph: GraphBuilder,
  { config, scaledTimestep = false, everyStep }: CombinedConditioningOptions,
): { conditioning: Value; atZero: () => Value; timestep: Value } {
  const { innerDim: features, pooledProjectionDim: pooledDim, guidanceEmbeds = false } = config;
  const pooled = graph.cast(graph.input("pooled_projections", ["batch", pooledDim], "float32"));
  const timestep = graph.input("timestep", [everyStep ? "steps" : "batch"], "float32");
  const guidance = guidanceEmbeds ? graph.input("guidance", ["batch"], "float32") : undefined;
  const inputs = {
    timestep: scaledTimestep ? thousandfold(graph, timestep) : timestep,
    guidance: guidance && thousandfold(graph, guidance),
    pooled,
  };
  const options = { name: NAME, pooledDim, features, everyStep };
  const zero = () => ({ pooled, timestep: graph.constant([0], [1], "float32") });
  return {
    conditioning: graph.scope(NAME, () => combinedEmbedding(graph, inputs, options)),
    atZero: () => graph.scope("at_zero", () => combinedEmbedding(graph, zero(), options)),
    timestep,
  };
}
