// FLUX's denoiser: diffusers' FluxTransformer2DModel.
import { type FluxTransformerConfig, parseFluxTransformerConfig } from "./flux_config.ts";
import type { DenoiserOptions } from "../../graph/denoiser_options.ts";
import type { GraphBuilder, Value } from "../../graph/graph_builder.ts";
import { JOINT_EPS, type JointContext } from "../../graph/layers/attention/joint_attention.ts";
import { countTokens, jointBlock } from "../../graph/layers/attention/joint_block.ts";
import { rotary } from "../../graph/layers/attention/rotary.ts";
import { fluxSingleBlocks } from "../../graph/layers/attention/single_blocks.ts";
import { clampFloat16 } from "../../graph/layers/dense/clamp_float16.ts";
import { combinedConditioning } from "../../graph/layers/dense/combined_conditioning.ts";
import { linear } from "../../graph/layers/dense/linear.ts";
import {
  type TransformerGraphs,
  transformerGraphs,
  type TransformerParts,
} from "../../graph/transformer_graphs.ts";

/**
 * Builds the graphs. The output is [batch, image_tokens, out_channels].
 * Inputs of trunk and modulation: timestep, 0..1 as FluxPipeline passes it; pooled_projections [batch,
 * pooled]; guidance [batch] if the config has guidance_embeds.
 * Further inputs of the trunk: hidden_states [batch, image_tokens, in_channels];
 * encoder_hidden_states [batch, text_tokens, joint]; rotary_cos and rotary_sin [text_tokens +
 * image_tokens, head_dim / 2] float32 (`fluxRotaryTables`).
 * @throws {CheckpointError} if the config asks for something unsupported, or if
 * the weights do not fit the config.
 */
export function fluxTransformerGraphs(options: DenoiserOptions): TransformerGraphs {
  const config = parseFluxTransformerConfig(options.config);
  const { innerDim, outChannels } = config;
  return transformerGraphs(options, {
    axes: ["image_tokens"],
    conditioning: (graph, { everyStep }) => conditioningOf(graph, config, everyStep),
    blocks: (graph) => blocks(graph, config),
    eps: JOINT_EPS,
    projection: { name: "proj_out", inFeatures: innerDim, outFeatures: outChannels },
    emitLatents: (graph, { tokens }, rows) =>
      graph.output("output", graph.cast(tokens, "float32"), [rows, "image_tokens", outChannels]),
  });
}

function conditioningOf(graph: GraphBuilder, config: FluxTransformerConfig, everyStep: boolean): Value {
  return combinedConditioning(graph, { config, scaledTimestep: true, everyStep }).conditioning;
}

function blocks(graph: GraphBuilder, config: FluxTransformerConfig): ReturnType<TransformerParts["blocks"]> {
  const { inChannels, innerDim, jointAttentionDim, attentionHeadDim, numAttentionHeads: heads } = config;
  const hiddenStates = graph.cast(
    graph.input("hidden_states", ["batch", "image_tokens", inChannels], "float32"),
  );
  const encoderHiddenStates = graph.cast(
    graph.input("encoder_hidden_states", ["batch", "text_tokens", jointAttentionDim], "float32"),
  );
  const conditioning = conditioningOf(graph, config, false);
  const cos = graph.input("rotary_cos", ["tokens", attentionHeadDim / 2], "float32");
  const sin = graph.input("rotary_sin", ["tokens", attentionHeadDim / 2], "float32");
  let streams = {
    image: linear(graph, hiddenStates, { name: "x_embedder", inFeatures: inChannels, outFeatures: innerDim }),
    text: linear(graph, encoderHiddenStates, {
      name: "context_embedder",
      inFeatures: jointAttentionDim,
      outFeatures: innerDim,
    }),
  };
  const context: JointContext = {
    heads,
    headDim: attentionHeadDim,
    qkNorm: "rms_norm",
    conditioning,
    rotate: (tokens) => rotary(graph, tokens, { cos, sin, heads }),
    tokenCounts: countTokens(graph, streams),
  };
  for (let i = 0; i < config.numLayers; i++) {
    const name = `transformer_blocks.${i}`;
    const { image, text } = graph.scope(name, () => jointBlock(graph, streams, { name, context }));
    streams = { image, text: clampFloat16(graph, text) };
  }
  const tokens = fluxSingleBlocks(graph, streams, { count: config.numSingleLayers, context });
  return { tokens, conditioning };
}
