// Chroma's approximator: one small network that computes the shifts, scales and gates of every norm
// from the timestep and the vector's number (diffusers' ChromaCombinedTimestepTextProjEmbeddings
// and ChromaApproximator).
import type { GraphBuilder, Value } from "../../graph/graph_builder.ts";
import { thousandfold } from "../../graph/layers/dense/combined_embedding.ts";
import { embeddingMlp } from "../../graph/layers/dense/embedding_mlp.ts";
import { linear } from "../../graph/layers/dense/linear.ts";
import { sinusoidalEmbedding, sinusoids } from "../../graph/layers/dense/sinusoidal_embedding.ts";
import { rmsNorm } from "../../graph/layers/norm/rms_norm.ts";
import type { ChromaTransformerConfig } from "./chroma_config.ts";

const NAME = "distilled_guidance_layer";
/** torch's nn.RMSNorm without an epsilon uses float32's, whatever the type. */
const EPS = 2 ** -23;
/** Vectors of the last norm: shift and scale. They are the last of all. */
export const LAST_VECTORS = 2;

/**
 * Returns the number of vectors: 3 for each single block, 6 for each stream of a
 * two-stream block, 2 for the last norm.
 */
function vectorCount({ numLayers, numSingleLayers }: ChromaTransformerConfig): number {
  return 3 * numSingleLayers + 12 * numLayers + LAST_VECTORS;
}

/** Returns the place of a norm's first vector. @param name the module that FLUX has in this place */
export function firstVector(name: string, { numLayers, numSingleLayers }: ChromaTransformerConfig): number {
  const [, single, block, norm] =
    /^(?:single_transformer_blocks\.(\d+)\.norm|transformer_blocks\.(\d+)\.(norm1|norm1_context))\.linear$/
      .exec(name)!;
  if (single !== undefined) return 3 * Number(single);
  const ofText = norm === "norm1_context" ? 6 * numLayers : 0;
  return 3 * numSingleLayers + ofText + 6 * Number(block);
}

/**
 * Emits the vectors [rows, vectors, innerDim].
 * @param timestep [rows] float32, 0..1
 * @param options.only which vectors. @default all of them
 */
export function chromaApproximator(
  graph: GraphBuilder,
  timestep: Value,
  { config, only = "all" }: { config: ChromaTransformerConfig; only?: "all" | "last" },
): Value {
  const { approximatorNumChannels: inFeatures, approximatorHiddenDim: features, innerDim } = config;
  let x = linear(graph, inputs(graph, timestep, { config, only }), {
    asStored: true,
    name: `${NAME}.in_proj`,
    inFeatures,
    outFeatures: features,
  });
  for (let i = 0; i < config.approximatorLayers; i++) {
    const normed = rmsNorm(graph, x, { name: `${NAME}.norms.${i}`, features, eps: EPS });
    const change = embeddingMlp(graph, normed, {
      name: `${NAME}.layers.${i}`,
      inFeatures: features,
      features,
    });
    x = graph.node("Add", [x, change]);
  }
  return linear(graph, x, {
    name: `${NAME}.out_proj`,
    inFeatures: features,
    outFeatures: innerDim,
    asStored: true,
  });
}

/** Emits the embeddings of timestep, guidance (always 0) and vector number: [rows, vectors, channels]. */
function inputs(
  graph: GraphBuilder,
  timestep: Value,
  { config, only }: { config: ChromaTransformerConfig; only: "all" | "last" },
): Value {
  const channels = config.approximatorNumChannels / 4;
  const count = vectorCount(config);
  const from = only === "last" ? count - LAST_VECTORS : 0;
  const numbers = Array.from({ length: count - from }, (_, i) => 1000 * (from + i));
  const vectors = graph.constant(
    numbers.flatMap((number) => sinusoids(number, 2 * channels)),
    [1, numbers.length, 2 * channels],
  );
  const time = graph.node("Unsqueeze", [
    sinusoidalEmbedding(graph, thousandfold(graph, timestep), { channels }),
    graph.ints(1),
  ]);
  const like = (x: Value, of: Value) =>
    graph.node("Expand", [x, graph.node("Shape", [of], { dtype: "int64" })]);
  const join = (parts: Value[]) => graph.node("Concat", parts, { attributes: { axis: -1 } });
  const guidance = like(graph.constant(sinusoids(0, channels), [1, 1, channels]), time);
  const shared = graph.node("Expand", [join([time, guidance]), graph.ints(1, numbers.length, 1)]);
  return join([shared, like(vectors, shared)]);
}
