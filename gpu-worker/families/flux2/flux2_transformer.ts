// FLUX.2's denoiser: diffusers' Flux2Transformer2DModel.
import type { DenoiserOptions } from "../../graph/denoiser_options.ts";
import type { GraphBuilder, Value } from "../../graph/graph_builder.ts";
import { countTokens } from "../../graph/layers/attention/joint_block.ts";
import { pictureTokens } from "../../graph/layers/attention/picture_tokens.ts";
import { rotary } from "../../graph/layers/attention/rotary.ts";
import { activation } from "../../graph/layers/dense/activation.ts";
import { thousandfold } from "../../graph/layers/dense/combined_embedding.ts";
import { linear } from "../../graph/layers/dense/linear.ts";
import { timestepEmbedding } from "../../graph/layers/dense/timestep_embedding.ts";
import { modulationOutputs } from "../../graph/layers/head/modulation_outputs.ts";
import { repeatForBranches } from "../../graph/layers/head/repeat_for_branches.ts";
import { continuousLayerNorm } from "../../graph/layers/norm/continuous_layer_norm.ts";
import { modulation } from "../../graph/layers/norm/modulation.ts";
import {
  type LastNorm,
  type TransformerGraphs,
  transformerGraphs,
  type TransformerParts,
} from "../../graph/transformer_graphs.ts";
import {
  type Flux2Context,
  flux2DoubleBlock,
  flux2SingleBlock,
  type Flux2Streams,
  type Modulation,
} from "./flux2_blocks.ts";
import { type Flux2TransformerConfig, parseFlux2TransformerConfig } from "./flux2_config.ts";

/**
 * Builds the graphs. The output is [batch, image_tokens, out_channels].
 * Inputs of the trunk: timestep [batch], 0..1 as Flux2KleinPipeline passes it; hidden_states [batch,
 * sequence_tokens, in_channels], the picture's tokens, then the references'; picture_tokens [image_tokens]
 * (`pictureTokens`); encoder_hidden_states [batch, text_tokens, joint]; rotary_cos and rotary_sin
 * [text_tokens + sequence_tokens, head_dim / 2] float32 (`flux2RotaryTables`). Inputs of the modulation:
 * timestep [steps]; branches [batch], whose values are ignored.
 * @throws {CheckpointError} if the config asks for something unsupported, or if
 * the weights do not fit the config.
 */
export function flux2TransformerGraphs(options: DenoiserOptions): TransformerGraphs {
  const config = parseFlux2TransformerConfig(options.config);
  const { innerDim, outChannels, eps } = config;
  return transformerGraphs(options, {
    axes: ["image_tokens"],
    conditioning: (graph, { everyStep }) => conditioningOf(graph, { config, everyStep }),
    blocks: (graph) => blocks(graph, config),
    norm: lastNorm(config),
    eps,
    projection: { name: "proj_out", inFeatures: innerDim, outFeatures: outChannels, bias: false },
    emitLatents: (graph, { tokens }, rows) =>
      graph.output("output", graph.cast(tokens, "float32"), [rows, "image_tokens", outChannels]),
  });
}

/**
 * Declares the timestep and emits SiLU of its embedding, [batch, innerDim], or a row
 * for each step and branch.
 */
function conditioningOf(
  graph: GraphBuilder,
  { config: { timestepChannels, innerDim: features }, everyStep }: {
    config: Flux2TransformerConfig;
    everyStep: boolean;
  },
): Value {
  const timestep = graph.input("timestep", [everyStep ? "steps" : "batch"], "float32");
  const name = "time_guidance_embed";
  const embedding = graph.scope(name, () =>
    timestepEmbedding(graph, thousandfold(graph, timestep), {
      name: `${name}.timestep_embedder`,
      channels: timestepChannels,
      features,
      bias: false,
    }));
  // In diffusers each modulation applies SiLU to the same vector. Here that happens once.
  const activated = activation(graph, embedding, "silu");
  return everyStep ? repeatForBranches(graph, activated, [features]) : activated;
}

/** AdaLayerNormContinuous without biases. */
function lastNorm({ innerDim: features, eps }: Flux2TransformerConfig): LastNorm {
  const norm = { name: "norm_out", features, bias: false };
  return {
    apply: (graph, tokens, conditioning) =>
      continuousLayerNorm(graph, tokens, { ...norm, conditioning, eps }),
    emitModulation: (graph, conditioning) => modulationOutputs(graph, conditioning, norm),
  };
}

function blocks(graph: GraphBuilder, config: Flux2TransformerConfig): ReturnType<TransformerParts["blocks"]> {
  const { inChannels, innerDim, jointAttentionDim, attentionHeadDim, numAttentionHeads: heads } = config;
  const latents = graph.cast(
    graph.input("hidden_states", ["batch", "sequence_tokens", inChannels], "float32"),
  );
  const states = graph.cast(
    graph.input("encoder_hidden_states", ["batch", "text_tokens", jointAttentionDim], "float32"),
  );
  const cos = graph.input("rotary_cos", ["tokens", attentionHeadDim / 2], "float32");
  const sin = graph.input("rotary_sin", ["tokens", attentionHeadDim / 2], "float32");
  const conditioning = conditioningOf(graph, { config, everyStep: false });
  const embed = (x: Value, name: string, inFeatures: number) =>
    linear(graph, x, { name, inFeatures, outFeatures: innerDim, bias: false, asStored: true });
  let streams: Flux2Streams = {
    image: embed(latents, "x_embedder", inChannels),
    text: embed(states, "context_embedder", jointAttentionDim),
  };
  const sets = (name: string, count: number): Modulation[] => {
    const parts = modulation(graph, conditioning, {
      name: `${name}.linear`,
      features: innerDim,
      parts: 3 * count,
      bias: false,
    });
    return Array.from({ length: count }, (_, i) => {
      const [shift, scale, gate] = parts.slice(3 * i) as [Value, Value, Value, ...Value[]];
      return { shift, scale, gate };
    });
  };
  const context: Flux2Context = {
    config,
    image: sets("double_stream_modulation_img", 2) as [Modulation, Modulation],
    text: sets("double_stream_modulation_txt", 2) as [Modulation, Modulation],
    single: sets("single_stream_modulation", 1)[0]!,
    rotate: (tokens) => rotary(graph, tokens, { cos, sin, heads }),
    tokenCounts: countTokens(graph, streams),
  };
  for (let i = 0; i < config.numLayers; i++) {
    const name = `transformer_blocks.${i}`;
    streams = graph.scope(name, () => flux2DoubleBlock(graph, streams, { name, context }));
  }
  let joint = graph.node("Concat", [streams.text, streams.image], { attributes: { axis: 1 } });
  for (let i = 0; i < config.numSingleLayers; i++) {
    const name = `single_transformer_blocks.${i}`;
    joint = graph.scope(name, () => flux2SingleBlock(graph, joint, { name, context }));
  }
  const [, tokens] = graph.nodes("Split", [joint, context.tokenCounts], {
    attributes: { axis: 1 },
    outputs: 2,
  });
  return { tokens: pictureTokens(graph, tokens!), conditioning };
}
