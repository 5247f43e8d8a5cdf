// What every adaptive norm of HunyuanVideo sees: timestep, guidance and pooled text (HunyuanVideoConditionEmbedding).
import type { GraphBuilder, Value } from "./graph_builder.ts";
import type { HunyuanVideoTransformerConfig } from "./hunyuan_video_config.ts";
import { embeddingMlp } from "./layers/embedding_mlp.ts";
import { timeAndPrompt } from "./layers/time_and_prompt.ts";
import { timestepEmbedding } from "./layers/timestep_embedding.ts";

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
  const { innerDim: features, pooledProjectionDim, guidanceEmbeds } = config;
  const pooled = graph.cast(graph.input("pooled_projections", ["batch", pooledProjectionDim], "float32"));
  const timestep = graph.input("timestep", [everyStep ? "steps" : "batch"], "float32");
  const guidance = guidanceEmbeds ? graph.input("guidance", ["batch"], "float32") : undefined;
  const conditioning = graph.scope(NAME, () => {
    const time = embedNumber(graph, timestep, { name: `${NAME}.timestep_embedder`, features });
    let prompt = embedText(graph, pooled, { name: NAME, pooledDim: pooledProjectionDim, features });
    if (guidance) {
      // The pipeline multiplies in the compute type; its rounding there is part of what a seed gives.
      const thousandths = graph.node("Mul", [graph.cast(guidance), graph.scalar(1000)]);
      const strength = embedNumber(graph, graph.cast(thousandths, "float32"), {
        name: `${NAME}.guidance_embedder`,
        features,
      });
      prompt = graph.node("Add", [strength, prompt]);
    }
    return timeAndPrompt(graph, { time, prompt }, { features, everyStep });
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

/** Emits SiLU of the sum of both embeddings, [batch, features] (diffusers' CombinedTimestepTextProjEmbeddings). */
export function timeAndText(
  graph: GraphBuilder,
  { timestep, pooled }: { timestep: Value; pooled: Value },
  options: TimeAndTextOptions,
): Value {
  const { name, features } = options;
  const time = embedNumber(graph, timestep, { name: `${name}.timestep_embedder`, features });
  return timeAndPrompt(graph, { time, prompt: embedText(graph, pooled, options) }, { features });
}

function embedNumber(
  graph: GraphBuilder,
  x: Value,
  { name, features }: { name: string; features: number },
): Value {
  return timestepEmbedding(graph, x, { name, channels: 256, features });
}

function embedText(
  graph: GraphBuilder,
  pooled: Value,
  { name, pooledDim: inFeatures, features }: TimeAndTextOptions,
): Value {
  return embeddingMlp(graph, pooled, { name: `${name}.text_embedder`, inFeatures, features });
}
