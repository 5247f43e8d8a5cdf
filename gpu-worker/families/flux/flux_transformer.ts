// FLUX's denoiser (diffusers' FluxTransformer2DModel) as graphs that share weights: trunk, head behind
// a forecast, and the modulation of its norm.
import { fluxConditioning } from "./flux_conditioning.ts";
import { type FluxTransformerConfig, parseFluxTransformerConfig } from "./flux_config.ts";
import { fluxSingleBlocks } from "../../graph/layers/attention/single_blocks.ts";
import type { DenoiserOptions } from "../../graph/denoiser_options.ts";
import { GraphBuilder, type OnnxModel } from "../../graph/graph_builder.ts";
import { clampFloat16 } from "../../graph/layers/dense/clamp_float16.ts";
import { featureOutput } from "../../graph/layers/head/feature_output.ts";
import { forecastInputs } from "../../graph/layers/head/forecast.ts";
import { forecastOutput } from "../../graph/layers/head/forecast_output.ts";
import { JOINT_EPS, type JointContext } from "../../graph/layers/attention/joint_attention.ts";
import { countTokens, jointBlock } from "../../graph/layers/attention/joint_block.ts";
import { linear, type LinearOptions } from "../../graph/layers/dense/linear.ts";
import { modulationOutputs } from "../../graph/layers/head/modulation_outputs.ts";
import { outputLayers } from "../../graph/layers/head/output_layers.ts";
import { rotary } from "../../graph/layers/attention/rotary.ts";

/**
 * Inputs of trunk and modulation: timestep [batch], 0..1 as FluxPipeline passes it; pooled_projections [batch, pooled];
 * guidance [batch], only where the config has guidance_embeds.
 */
export interface FluxTransformerGraphs {
  /**
   * Further inputs: hidden_states [batch, image_tokens, in_channels], encoder_hidden_states
   * [batch, text_tokens, joint], rotary_cos and rotary_sin [text_tokens + image_tokens, head_dim / 2] float32
   * (`fluxRotaryTables`). Outputs: feature [batch, image_tokens, inner], the image tokens after the last block, and
   * output [batch, image_tokens, out_channels].
   */
  trunk: OnnxModel;
  /**
   * rows = steps * batch, step-major. Inputs: forecast_weights [steps, anchors] float32, history
   * [anchors, batch, image_tokens, inner], scale and shift from modulation, output_weights [outputs, rows] float32. Output:
   * output [outputs, image_tokens, out_channels], sums over the rows.
   */
  head: OnnxModel;
  /** Here timestep is [steps]. Outputs: scale [rows, 1, inner] and shift [rows, inner] of the last norm. */
  modulation: OnnxModel;
}

/**
 * Builds the graphs; sizes come from the config, the numbers of tokens and pictures are free.
 * @throws {CheckpointError} if the config asks for what is not supported, or the weights do not fit it.
 */
export function fluxTransformerGraphs(options: DenoiserOptions): FluxTransformerGraphs {
  const config = parseFluxTransformerConfig(options.config);
  const { weights, dtype } = options;
  return {
    trunk: trunk(new GraphBuilder({ name: "transformer_trunk", weights, dtype }), config),
    head: head(new GraphBuilder({ name: "transformer_head", weights, dtype }), config),
    modulation: modulation(new GraphBuilder({ name: "transformer_modulation", weights, dtype }), config),
  };
}

function trunk(graph: GraphBuilder, config: FluxTransformerConfig): OnnxModel {
  const { inChannels, innerDim, jointAttentionDim, attentionHeadDim, numAttentionHeads: heads } = config;
  const hiddenStates = graph.cast(
    graph.input("hidden_states", ["batch", "image_tokens", inChannels], "float32"),
  );
  const encoderHiddenStates = graph.cast(
    graph.input("encoder_hidden_states", ["batch", "text_tokens", jointAttentionDim], "float32"),
  );
  const conditioning = fluxConditioning(graph, { config });
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
  const feature = fluxSingleBlocks(graph, streams, { count: config.numSingleLayers, context });
  featureOutput(graph, feature, ["image_tokens", innerDim]);
  const output = outputLayers(graph, feature, {
    conditioning,
    projection: projection(config),
    eps: JOINT_EPS,
  });
  graph.output("output", graph.cast(output, "float32"), ["batch", "image_tokens", config.outChannels]);
  graph.refuseUnusedWeights();
  return graph.build();
}

function head(graph: GraphBuilder, config: FluxTransformerConfig): OnnxModel {
  const { feature } = forecastInputs(graph, ["image_tokens", config.innerDim]);
  const output = forecastOutput(graph, feature, { projection: projection(config), eps: JOINT_EPS });
  graph.output("output", graph.cast(output, "float32"), ["outputs", "image_tokens", config.outChannels]);
  return graph.build();
}

function modulation(graph: GraphBuilder, config: FluxTransformerConfig): OnnxModel {
  const conditioning = fluxConditioning(graph, { config, everyStep: true });
  modulationOutputs(graph, conditioning, { name: "norm_out", features: config.innerDim });
  return graph.build();
}

function projection({ innerDim, outChannels }: FluxTransformerConfig): LinearOptions {
  return { name: "proj_out", inFeatures: innerDim, outFeatures: outChannels };
}
