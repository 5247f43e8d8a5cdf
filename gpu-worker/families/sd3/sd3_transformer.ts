// Stable Diffusion 3's denoiser: diffusers' SD3Transformer2DModel.
import { sd3Positions } from "./sd3_positions.ts";
import type { DenoiserOptions } from "../../graph/denoiser_options.ts";
import type { GraphBuilder, Value } from "../../graph/graph_builder.ts";
import { JOINT_EPS, type JointContext } from "../../graph/layers/attention/joint_attention.ts";
import { countTokens, jointBlock } from "../../graph/layers/attention/joint_block.ts";
import { patchTokens, unpatchify } from "../../graph/layers/convolution/patch_tokens.ts";
import { combinedConditioning } from "../../graph/layers/dense/combined_conditioning.ts";
import { linear } from "../../graph/layers/dense/linear.ts";
import {
  type TransformerGraphs,
  transformerGraphs,
  type TransformerParts,
} from "../../graph/transformer_graphs.ts";
import { parseSd3TransformerConfig, type Sd3TransformerConfig } from "./sd3_config.ts";

/**
 * Builds the graphs. The output is [batch, out_channels, height, width].
 * Inputs of trunk and modulation: timestep, 0..1000; pooled_projections [batch, pooled].
 * Further inputs of the trunk: hidden_states [batch, in_channels, height, width], multiples of patch_size up
 * to patch_size * pos_embed_max_size; encoder_hidden_states [batch, text_tokens, joint]; layer_mask [batch,
 * num_layers], where 1 runs a block and 0 skips it in that row (skip-layer guidance).
 * @throws {CheckpointError} if the config asks for something unsupported, or if
 * the weights do not fit the config.
 */
export function sd3TransformerGraphs(options: DenoiserOptions): TransformerGraphs {
  const config = parseSd3TransformerConfig(options.config);
  const { innerDim, outChannels: channels, patchSize } = config;
  return transformerGraphs(options, {
    axes: ["grid_rows", "grid_columns"],
    conditioning: (graph, { everyStep }) => combinedConditioning(graph, { config, everyStep }).conditioning,
    blocks: (graph) => blocks(graph, config),
    eps: JOINT_EPS,
    projection: { name: "proj_out", inFeatures: innerDim, outFeatures: patchSize ** 2 * channels },
    emitLatents(graph, { tokens, grid }, rows) {
      const output = unpatchify(graph, { tokens, grid: grid! }, { patchSize, channels });
      graph.output("output", output, [rows, channels, "height", "width"]);
    },
  });
}

function blocks(graph: GraphBuilder, config: Sd3TransformerConfig): ReturnType<TransformerParts["blocks"]> {
  const { inChannels, innerDim, jointAttentionDim, numLayers } = config;
  const latents = graph.input("hidden_states", ["batch", inChannels, "height", "width"], "float32");
  const text = graph.cast(
    graph.input("encoder_hidden_states", ["batch", "text_tokens", jointAttentionDim], "float32"),
  );
  const layerMask = graph.cast(graph.input("layer_mask", ["batch", numLayers], "float32"));
  const { conditioning } = combinedConditioning(graph, { config, everyStep: false });

  const { tokens, grid } = graph.scope("pos_embed", () => embedLatents(graph, latents, config));
  let streams = {
    image: tokens,
    text: linear(graph, text, {
      name: "context_embedder",
      inFeatures: jointAttentionDim,
      outFeatures: innerDim,
      asStored: true,
    }),
  };
  const context: JointContext = {
    heads: config.numAttentionHeads,
    headDim: config.attentionHeadDim,
    qkNorm: config.qkNorm,
    conditioning,
    tokenCounts: countTokens(graph, streams),
  };
  const keep = graph.nodes("Split", [graph.node("Unsqueeze", [layerMask, graph.ints(2)])], {
    attributes: { axis: 1, num_outputs: numLayers },
    outputs: numLayers,
  });
  for (let i = 0; i < numLayers; i++) {
    const name = `transformer_blocks.${i}`;
    const options = {
      name,
      context,
      contextPreOnly: i === numLayers - 1,
      dualAttention: config.dualAttentionLayers.has(i),
      keep: keep[i],
    };
    streams = graph.scope(name, () => jointBlock(graph, streams, options));
  }
  return { tokens: streams.image, grid, conditioning };
}

/** Emits the patches as tokens and adds their positions. */
function embedLatents(graph: GraphBuilder, latents: Value, config: Sd3TransformerConfig) {
  const { tokens, grid } = patchTokens(graph, latents, {
    name: "pos_embed.proj",
    channels: config.inChannels,
    patchSize: config.patchSize,
    features: config.innerDim,
  });
  return { tokens: graph.node("Add", [tokens, sd3Positions(graph, { config, grid })]), grid };
}
