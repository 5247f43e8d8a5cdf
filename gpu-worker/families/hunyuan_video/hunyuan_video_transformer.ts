// HunyuanVideo's denoiser: diffusers' HunyuanVideoTransformer3DModel.
import { conditionedLatents } from "../../graph/conditioned_latents.ts";
import type { DenoiserOptions } from "../../graph/denoiser_options.ts";
import type { GraphBuilder, Value } from "../../graph/graph_builder.ts";
import { JOINT_EPS, type JointContext } from "../../graph/layers/attention/joint_attention.ts";
import { countTokens, jointBlock } from "../../graph/layers/attention/joint_block.ts";
import { rotary } from "../../graph/layers/attention/rotary.ts";
import { fluxSingleBlocks } from "../../graph/layers/attention/single_blocks.ts";
import {
  joinVideoPatches,
  type PatchShape,
  videoPatches,
} from "../../graph/layers/convolution/video_patches.ts";
import type { GridTokens } from "../../graph/layers/head/grid_tokens.ts";
import { combinedConditioning } from "../../graph/layers/dense/combined_conditioning.ts";
import {
  type TransformerGraphs,
  transformerGraphs,
  type TransformerParts,
} from "../../graph/transformer_graphs.ts";
import {
  type HunyuanVideoTransformerConfig,
  parseHunyuanVideoTransformerConfig,
} from "./hunyuan_video_config.ts";
import { hunyuanVideoRefiner } from "./hunyuan_video_refiner.ts";

/**
 * Builds the graphs. The feature's axes are patches in time, down and across.
 * The output has the latents' shape.
 * Inputs of trunk and modulation: timestep, 0..1000; pooled_projections [batch, pooled]; guidance [batch],
 * unscaled, if the config has guidance_embeds.
 * Further inputs of the trunk: hidden_states [batch, out_channels, frames, height, width]; condition [batch,
 * in_channels - out_channels, frames, height, width] if the network sees an image beside them;
 * encoder_hidden_states [batch, text_tokens, text_embed_dim] of equal lengths, without padding; rotary_cos
 * and rotary_sin [text_tokens + patches, head_dim / 2] float32 (`hunyuanVideoRotaryTables`).
 * @throws {CheckpointError} if the config asks for something unsupported, or if
 * the weights do not fit the config.
 */
export function hunyuanVideoTransformerGraphs(options: DenoiserOptions): TransformerGraphs {
  const config = parseHunyuanVideoTransformerConfig(options.config);
  const { innerDim, outChannels: channels, patchSize, patchSizeT } = config;
  return transformerGraphs(options, {
    axes: ["grid_frames", "grid_rows", "grid_columns"],
    conditioning: (graph, { everyStep }) => combinedConditioning(graph, { config, everyStep }).conditioning,
    blocks: (graph) => blocks(graph, config),
    eps: JOINT_EPS,
    projection: {
      name: "proj_out",
      inFeatures: innerDim,
      outFeatures: patchSizeT * patchSize ** 2 * channels,
    },
    emitLatents(graph, { tokens, grid }, rows) {
      const patches = { channels, patch: patchOf(config), channel: "first" } as const;
      const output = joinVideoPatches(graph, { tokens, grid: grid! }, patches);
      graph.output("output", output, [rows, channels, "frames", "height", "width"]);
    },
  });
}

function blocks(
  graph: GraphBuilder,
  config: HunyuanVideoTransformerConfig,
): ReturnType<TransformerParts["blocks"]> {
  const { inChannels, innerDim, textEmbedDim, attentionHeadDim, numAttentionHeads: heads } = config;
  const { all: latents } = conditionedLatents(graph, config);
  const states = graph.cast(
    graph.input("encoder_hidden_states", ["batch", "text_tokens", textEmbedDim], "float32"),
  );
  const { conditioning, atZero, timestep } = combinedConditioning(graph, { config, everyStep: false });
  const cos = graph.input("rotary_cos", ["tokens", attentionHeadDim / 2], "float32");
  const sin = graph.input("rotary_sin", ["tokens", attentionHeadDim / 2], "float32");

  const { tokens, grid } = graph.scope("x_embedder", () =>
    videoPatches(graph, latents, {
      name: "x_embedder.proj",
      channels: inChannels,
      patch: patchOf(config),
      features: innerDim,
    }));
  const text = graph.scope(
    "context_embedder",
    () => hunyuanVideoRefiner(graph, states, { config, timestep }),
  );
  let streams = { image: tokens, text };
  const context: JointContext = {
    heads,
    headDim: attentionHeadDim,
    qkNorm: config.qkNorm,
    mlpFeatures: config.mlpFeatures,
    conditioning,
    rotate: (tokens) => rotary(graph, tokens, { cos, sin, heads }),
    tokenCounts: countTokens(graph, streams),
    ...config.imageCondition === "token_replace" &&
      { firstTokens: { conditioning: atZero(), counts: firstCounts(graph, { tokens, grid }) } },
  };
  for (let i = 0; i < config.numLayers; i++) {
    const name = `transformer_blocks.${i}`;
    streams = graph.scope(name, () => jointBlock(graph, streams, { name, context }));
  }
  const video = fluxSingleBlocks(graph, streams, { count: config.numSingleLayers, context });
  return { tokens: video, grid, conditioning };
}

/** Emits the numbers of the first frame's tokens and of all others, [2]. */
function firstCounts(graph: GraphBuilder, { tokens, grid }: GridTokens): Value {
  const [, rows, columns] = graph.nodes("Split", [grid], {
    attributes: { axis: 0, num_outputs: 3 },
    outputs: 3,
  });
  const first = graph.node("Mul", [rows!, columns!]);
  const all = graph.node("Shape", [tokens], { attributes: { start: 1, end: 2 }, dtype: "int64" });
  return graph.node("Concat", [first, graph.node("Sub", [all, first])], { attributes: { axis: 0 } });
}

function patchOf({ patchSize, patchSizeT }: HunyuanVideoTransformerConfig): PatchShape {
  return { time: patchSizeT, height: patchSize, width: patchSize };
}
