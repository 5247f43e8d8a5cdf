// What every adaptive norm of a transformer sees of timestep, guidance and pooled text.
import type { GraphBuilder, Value } from "../../graph_builder.ts";
import { combinedEmbedding, thousandfold } from "./combined_embedding.ts";

export interface CombinedConditioningOptions {
  config: {
    innerDim: number;
    pooledProjectionDim: number;
    /** @default false */
    guidanceEmbeds?: boolean;
  };
  /** Whether the pipeline divides timesteps by 1000, which the network takes back. @default false */
  scaledTimestep?: boolean;
  /** Pairs every timestep with every row of the other inputs. @default row with row */
  everyStep: boolean;
}

const NAME = "time_text_embed";

/**
 * Declares the inputs timestep [batch] float32, [steps] with `everyStep`, pooled_projections [batch, pooled_projection_dim]
 * and, where the config asks for it, guidance [batch] float32 as the pipeline is given it.
 * @returns SiLU of their embedding, [batch, innerDim] or [steps * batch, innerDim], step-major; and the input timestep
 */
export function combinedConditioning(
  graph: GraphBuilder,
  { config, scaledTimestep = false, everyStep }: CombinedConditioningOptions,
): { conditioning: Value; timestep: Value } {
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
  return { conditioning: graph.scope(NAME, () => combinedEmbedding(graph, inputs, options)), timestep };
}
