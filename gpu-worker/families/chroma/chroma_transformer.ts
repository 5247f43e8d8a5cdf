// Chroma's denoiser: diffusers' ChromaTransformer2DModel, FLUX's blocks with an approximator in
// place of their modulations.
import type { DenoiserOptions } from "../../graph/denoiser_options.ts";
import { fluxBlocks, type FluxBlocksContext } from "../../graph/flux_blocks.ts";
import type { GraphBuilder, Value } from "../../graph/graph_builder.ts";
import { JOINT_EPS } from "../../graph/layers/attention/joint_attention.ts";
import { normModulationOutputs } from "../../graph/layers/head/modulation_outputs.ts";
import { repeatForBranches } from "../../graph/layers/head/repeat_for_branches.ts";
import { adaptiveLayerNorm } from "../../graph/layers/norm/adaptive_layer_norm.ts";
import { type LastNorm, type TransformerGraphs, transformerGraphs } from "../../graph/transformer_graphs.ts";
import { chromaApproximator, firstVector, LAST_VECTORS } from "./chroma_approximator.ts";
import { type ChromaTransformerConfig, parseChromaTransformerConfig } from "./chroma_config.ts";

/**
 * Builds the graphs. The output is [batch, image_tokens, out_channels].
 * Inputs of the trunk: those of `fluxBlocks`; timestep [batch], 0..1 as ChromaPipeline passes it; text_mask
 * [batch, text_tokens] float32.
 * Inputs of the modulation: timestep [steps]; branches [batch], whose values are ignored.
 * @throws {CheckpointError} if the config asks for something unsupported, or if
 * the weights do not fit the config.
 */
export function chromaTransformerGraphs(options: DenoiserOptions): TransformerGraphs {
  const config = parseChromaTransformerConfig(options.config);
  const { innerDim, outChannels } = config;
  return transformerGraphs(options, {
    axes: ["image_tokens"],
    conditioning: (graph) => {
      const timestep = graph.input("timestep", ["steps"], "float32");
      const vectors = chromaApproximator(graph, timestep, { config, only: "last" });
      return repeatForBranches(graph, vectors, [LAST_VECTORS, innerDim]);
    },
    blocks: (graph) => fluxBlocks(graph, config, ({ image }) => contextOf(graph, config, image)),
    norm: lastNorm(innerDim),
    eps: JOINT_EPS,
    projection: { name: "proj_out", inFeatures: innerDim, outFeatures: outChannels },
    emitLatents: (graph, { tokens }, rows) =>
      graph.output("output", graph.cast(tokens, "float32"), [rows, "image_tokens", outChannels]),
  });
}

function contextOf(graph: GraphBuilder, config: ChromaTransformerConfig, image: Value): FluxBlocksContext {
  const timestep = graph.input("timestep", ["batch"], "float32");
  const vectors = graph.scope("approximator", () => chromaApproximator(graph, timestep, { config }));
  return {
    conditioning: vectors,
    modulate: ({ name, parts }) => slice(graph, vectors, { first: firstVector(name, config), count: parts }),
    bias: graph.scope("text_mask", () => maskBias(graph, image)),
  };
}

/**
 * Emits what diffusers adds to the scores, [batch, 1, tokens, tokens]: 1 where both tokens count, else 0.
 * Its mask is of numbers, so it weakens tokens that do not count instead of hiding them.
 */
function maskBias(graph: GraphBuilder, image: Value): Value {
  const text = graph.cast(graph.input("text_mask", ["batch", "text_tokens"], "float32"));
  const size = graph.node("Shape", [image], { attributes: { start: 0, end: 2 }, dtype: "int64" });
  const ones = graph.node("Expand", [graph.scalar(1), size]);
  const all = graph.node("Concat", [text, ones], { attributes: { axis: 1 } });
  const [rows, columns] = [graph.ints(1, 3), graph.ints(1, 2)].map((axes) =>
    graph.node("Unsqueeze", [all, axes])
  ) as [Value, Value];
  return graph.node("Mul", [rows, columns]);
}

/** norm_out, whose shift comes before the scale. */
function lastNorm(features: number): LastNorm {
  const lastVectors = (graph: GraphBuilder, vectors: Value) => {
    const [shift, scale] = slice(graph, vectors, { first: -LAST_VECTORS, count: LAST_VECTORS });
    return { shift: shift!, scale: scale! };
  };
  return {
    apply: (graph, tokens, vectors) =>
      adaptiveLayerNorm(graph, tokens, { ...lastVectors(graph, vectors), features, eps: JOINT_EPS }),
    emitModulation: (graph, vectors) => normModulationOutputs(graph, lastVectors(graph, vectors), features),
  };
}

/** Emits `count` of the vectors [rows, vectors, features], each [rows, 1, features]. */
function slice(
  graph: GraphBuilder,
  vectors: Value,
  { first, count }: { first: number; count: number },
): Value[] {
  const end = first < 0 ? Number.MAX_SAFE_INTEGER : first + count;
  const part = graph.node("Slice", [vectors, graph.ints(first), graph.ints(end), graph.ints(1)]);
  return graph.nodes("Split", [part], { attributes: { axis: 1, num_outputs: count }, outputs: count });
}
