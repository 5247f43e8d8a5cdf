// Every layer of gpu-worker/graph/layers as a small graph, for comparisons between devices. Longer than other
// files, as it is one table. More than 32 tokens take the fused kernel of attention, odd sizes its borders.
import type { Value } from "../../../gpu-worker/graph/graph_builder.ts";
import { attention } from "../../../gpu-worker/graph/layers/attention/attention.ts";
import { frameCausalAttention } from "../../../gpu-worker/graph/layers/attention/frame_causal_attention.ts";
import { countTokens, jointBlock } from "../../../gpu-worker/graph/layers/attention/joint_block.ts";
import { normHeads } from "../../../gpu-worker/graph/layers/attention/norm_heads.ts";
import { pictureTokens } from "../../../gpu-worker/graph/layers/attention/picture_tokens.ts";
import { relativePositionBias } from "../../../gpu-worker/graph/layers/attention/relative_position_bias.ts";
import { rotary } from "../../../gpu-worker/graph/layers/attention/rotary.ts";
import { fluxSingleBlocks } from "../../../gpu-worker/graph/layers/attention/single_blocks.ts";
import { spatialAttention } from "../../../gpu-worker/graph/layers/attention/spatial_attention.ts";
import { conv2d } from "../../../gpu-worker/graph/layers/convolution/conv2d.ts";
import { patchTokens, unpatchify } from "../../../gpu-worker/graph/layers/convolution/patch_tokens.ts";
import { replicateConv3d } from "../../../gpu-worker/graph/layers/convolution/replicate_conv3d.ts";
import { resnetStage } from "../../../gpu-worker/graph/layers/convolution/resnet_stage.ts";
import { resnetBlock } from "../../../gpu-worker/graph/layers/convolution/resnet_block.ts";
import { tiledConv2d } from "../../../gpu-worker/graph/layers/convolution/tiled_conv2d.ts";
import { tileMatrices } from "../../../gpu-worker/graph/layers/convolution/tile_matrices.ts";
import { upsample2d } from "../../../gpu-worker/graph/layers/convolution/upsample2d.ts";
import {
  joinVideoPatches,
  videoPatches,
} from "../../../gpu-worker/graph/layers/convolution/video_patches.ts";
import { activation, type ActivationName } from "../../../gpu-worker/graph/layers/dense/activation.ts";
import { clampFloat16 } from "../../../gpu-worker/graph/layers/dense/clamp_float16.ts";
import { combinedConditioning } from "../../../gpu-worker/graph/layers/dense/combined_conditioning.ts";
import { embedding } from "../../../gpu-worker/graph/layers/dense/embedding.ts";
import { feedForward } from "../../../gpu-worker/graph/layers/dense/feed_forward.ts";
import { gatedFeedForward } from "../../../gpu-worker/graph/layers/dense/gated_feed_forward.ts";
import { linear } from "../../../gpu-worker/graph/layers/dense/linear.ts";
import { sinusoidalEmbedding } from "../../../gpu-worker/graph/layers/dense/sinusoidal_embedding.ts";
import { featureOutput } from "../../../gpu-worker/graph/layers/head/feature_output.ts";
import { forecastInputs } from "../../../gpu-worker/graph/layers/head/forecast.ts";
import { forecastOutput } from "../../../gpu-worker/graph/layers/head/forecast_output.ts";
import { gridFeatureOutput } from "../../../gpu-worker/graph/layers/head/grid_tokens.ts";
import { modulationOutputs } from "../../../gpu-worker/graph/layers/head/modulation_outputs.ts";
import { repeatForBranches } from "../../../gpu-worker/graph/layers/head/repeat_for_branches.ts";
import { channelRmsNorm } from "../../../gpu-worker/graph/layers/norm/channel_rms_norm.ts";
import { continuousLayerNorm } from "../../../gpu-worker/graph/layers/norm/continuous_layer_norm.ts";
import {
  float32LayerNorm,
  modulatedLayerNorm,
} from "../../../gpu-worker/graph/layers/norm/float32_layer_norm.ts";
import { groupNorm } from "../../../gpu-worker/graph/layers/norm/group_norm.ts";
import { layerNorm } from "../../../gpu-worker/graph/layers/norm/layer_norm.ts";
import { rmsNorm } from "../../../gpu-worker/graph/layers/norm/rms_norm.ts";
import { scaledLayerNorm } from "../../../gpu-worker/graph/layers/norm/scaled_layer_norm.ts";
import type { RandomGraph } from "./random_graph.ts";

export interface LayerCase {
  /** File of the layer, or files, below gpu-worker/graph/layers/, and what the case is about. */
  name: string;
  emit(graph: RandomGraph): void;
}

const ROWS = 2;
/**
 * Sizes are multiples of 4 where a case is not about odd ones: each other size takes seconds of compilation.
 */
const TOKENS = 36;
const ODD_TOKENS = 35;
const FEATURES = 16;
const JOINT = { heads: 2, headDim: 8, qkNorm: "rms_norm" } as const;

export const LAYER_CASES: readonly LayerCase[] = [
  ...([
    ["", {}],
    ["scaled", { scale: 1 }],
    ["causal", { causal: true }],
  ] as const).map(([kind, options]) =>
    layer(`attention/attention ${kind}`, (graph) => {
      const [query, key, value] = projected(graph);
      graph.give("y", attention(graph, { query, key, value }, { heads: 2, ...options }), 3);
    })
  ),
  layer("attention/attention biased", (graph) => {
    const [query, key, value] = projected(graph);
    const bias = graph.feed("bias", [1, 2, ODD_TOKENS, ODD_TOKENS]);
    graph.give("y", attention(graph, { query, key, value }, { heads: 2, bias, scale: 1 }), 3);
  }),
  layer("attention/picture_tokens", (graph) => {
    const count = graph.node("Shape", [graph.feed("picture", [TOKENS - 8])], { dtype: "int64" });
    graph.give("y", pictureTokens(graph, tokensOf(graph), count), 3);
  }),
  layer("attention/frame_causal_attention", (graph) => {
    const x = graph.feed("x", [1, 8, 3, 6, 6]);
    const options = { name: "a", channels: 8, groups: 2, eps: 1e-6, maxFrames: 4 };
    graph.give("y", frameCausalAttention(graph, x, options), 5);
  }),
  layer("attention/joint_block, joint_attention, dense/gated_residual, norm/modulation", (graph) => {
    const streams = { text: graph.feed("text", [ROWS, 8, FEATURES]), image: tokensOf(graph) };
    const context = {
      ...JOINT,
      conditioning: graph.feed("conditioning", [ROWS, FEATURES]),
      tokenCounts: countTokens(graph, streams),
    };
    const first = jointBlock(graph, streams, { name: "0", context, dualAttention: true });
    const last = jointBlock(graph, first, { name: "1", context, contextPreOnly: true });
    graph.give("text_out", first.text, 3);
    graph.give("image_out", last.image, 3);
  }),
  ...(["rms_norm", "layer_norm", "fp32_layer_norm"] as const).map((kind) =>
    layer(`attention/norm_heads ${kind}`, (graph) => {
      const options = { name: "n", kind, heads: 2, headDim: 8, eps: 1e-6 };
      graph.give("y", normHeads(graph, tokensOf(graph), options), 3);
    })
  ),
  layer("attention/relative_position_bias", (graph) => {
    const options = { name: "b", heads: 2, buckets: 8, maxDistance: 16 };
    graph.give("y", relativePositionBias(graph, tokensOf(graph), options), 4);
  }),
  ...[true, false].map((interleaved) =>
    layer(`attention/rotary ${interleaved ? "pairs" : "halves"}`, (graph) => {
      const [cos, sin] = [graph.feed("cos", [TOKENS, 4]), graph.feed("sin", [TOKENS, 4])];
      graph.give("y", rotary(graph, tokensOf(graph), { cos, sin, heads: 2, interleaved }), 3);
    })
  ),
  layer("attention/single_blocks", (graph) => {
    const streams = { text: graph.feed("text", [ROWS, 8, FEATURES]), image: tokensOf(graph) };
    const conditioning = graph.feed("conditioning", [ROWS, FEATURES]);
    const context = { ...JOINT, conditioning, tokenCounts: countTokens(graph, streams) };
    graph.give("y", fluxSingleBlocks(graph, streams, { count: 2, context }), 3);
  }),
  layer("attention/token_parts", (graph) => {
    const streams = { text: graph.feed("text", [ROWS, 8, FEATURES]), image: tokensOf(graph) };
    const firstTokens = {
      conditioning: graph.feed("conditioning_at_zero", [ROWS, FEATURES]),
      counts: graph.ints(12, TOKENS - 12),
    };
    const conditioning = graph.feed("conditioning", [ROWS, FEATURES]);
    const context = { ...JOINT, conditioning, tokenCounts: countTokens(graph, streams), firstTokens };
    const joined = jointBlock(graph, streams, { name: "0", context });
    graph.give("y", fluxSingleBlocks(graph, joined, { count: 1, context }), 3);
  }),
  layer("attention/spatial_attention", (graph) => {
    const options = { name: "a", channels: 8, groups: 2, eps: 1e-6 };
    graph.give("y", spatialAttention(graph, graph.feed("x", [1, 8, 6, 6]), options), 4);
  }),
  ...[
    { kernelSize: 1 },
    { kernelSize: 3 },
    { kernelSize: 3, stride: 2, padding: [0, 0, 1, 1] as const },
  ].map((options) =>
    layer(`convolution/conv2d ${Object.values(options).join(" ")}`, (graph) => {
      const x = graph.feed("x", [ROWS, 3, 9, 10]);
      graph.give("y", conv2d(graph, x, { name: "c", inChannels: 3, outChannels: 8, ...options }), 4);
    })
  ),
  ...[6, 9].map((inChannels) =>
    layer(`convolution/conv2d of ${inChannels} channels`, (graph) => {
      const x = graph.feed("x", [ROWS, inChannels, 4, 4]);
      graph.give("y", conv2d(graph, x, { name: "c", inChannels, outChannels: 4, kernelSize: 3 }), 4);
    })
  ),
  layer("convolution/patch_tokens", (graph) => {
    const latents = graph.feed("x", [ROWS, 4, 6, 8]);
    const options = { name: "p", channels: 4, patchSize: 2, features: 16 };
    const { tokens, grid } = patchTokens(graph, latents, options);
    graph.give("tokens", tokens, 3);
    graph.give("y", unpatchify(graph, { tokens, grid }, options), 4);
  }),
  ...([1, 3] as const).map((kernelSize) =>
    layer(`convolution/replicate_conv3d ${kernelSize}`, (graph) => {
      const options = { name: "c", inChannels: 4, outChannels: 6, kernelSize };
      graph.give("y", replicateConv3d(graph, graph.feed("x", [1, 4, 3, 5, 6]), options), 5);
    })
  ),
  ...(["default", "scale_shift"] as const).map((scaleShift) =>
    layer(`convolution/resnet_block ${scaleShift}`, (graph) => {
      const time = { embedding: graph.feed("time", [ROWS, 12]), features: 12, scaleShift };
      const options = { name: "r", inChannels: 4, outChannels: 8, groups: 2, eps: 1e-5 };
      const x = graph.feed("x", [ROWS, 4, 5, 6]);
      graph.give("y", resnetBlock(graph, x, { ...options, act: "silu", time, outputScaleFactor: 2 }), 4);
    })
  ),
  layer("convolution/resnet_stage", (graph) => {
    const sizes = { inChannels: 4, outChannels: 4, resnets: 2, attentions: 1, groups: 2, eps: 1e-6 };
    const x = graph.feed("x", [1, 4, 6, 6]);
    graph.give("y", resnetStage(graph, x, { name: "s", ...sizes, act: "silu" }), 4);
  }),
  layer("convolution/tiled_conv2d, convolution/tile_matrices", (graph) => {
    const x = graph.feed("x", [ROWS, 4, 5, 8]);
    const options = { name: "c", inChannels: 4, outChannels: 8, matrices: tileMatrices(graph, x) };
    graph.give("y", tiledConv2d(graph, x, options), 4);
  }),
  layer("convolution/upsample2d", (graph) => {
    const x = graph.feed("x", [1, 4, 5, 6]);
    graph.give("doubled", upsample2d(graph, x, { name: "u", channels: 4 }), 4);
    const sizeOf = graph.feed("like", [1, 2, 9, 11]);
    graph.give("odd", upsample2d(graph, x, { name: "v", channels: 4, outChannels: 2, sizeOf }), 4);
  }),
  ...(["first", "last"] as const).map((channel) =>
    layer(`convolution/video_patches ${channel}`, (graph) => {
      const patch = { time: 1, height: 2, width: 2 };
      const options = { name: "p", channels: 4, patch, features: 16 };
      const made = videoPatches(graph, graph.feed("x", [ROWS, 4, 3, 4, 6]), options);
      graph.give("tokens", made.tokens, 3);
      graph.give("y", joinVideoPatches(graph, made, { ...options, channel }), 5);
    })
  ),
  layer("dense/activation", (graph) => {
    const x = graph.feed("x", [ROWS, TOKENS], 5);
    const names: ActivationName[] = ["gelu", "gelu_new", "quick_gelu", "silu", "relu", "mish"];
    for (const name of names) graph.give(name, activation(graph, x, name), 2);
  }),
  layer("dense/clamp_float16", (graph) => {
    graph.give("y", clampFloat16(graph, graph.feed("x", [ROWS, 3], 1e5)), 2);
  }),
  layer("dense/combined_conditioning, combined_embedding, embedding_mlp, timestep_embedding", (graph) => {
    const config = { innerDim: FEATURES, pooledProjectionDim: 6, guidanceEmbeds: true };
    const { conditioning } = combinedConditioning(graph, { config, scaledTimestep: true, everyStep: true });
    graph.fill("pooled_projections", [ROWS, 6]);
    graph.inputs["timestep"] = { shape: [3], data: Float32Array.of(1, 0.6, 0.001) };
    graph.inputs["guidance"] = { shape: [ROWS], data: Float32Array.of(3.5, 30) };
    graph.give("y", conditioning, 2);
  }),
  layer("dense/embedding", (graph) => {
    const ids = graph.declare("ids", { shape: [ROWS, 3], data: BigInt64Array.of(0n, 4n, 2n, 1n, 1n, 4n) });
    graph.give("y", embedding(graph, ids, { name: "e", count: 5, features: 6 }), 3);
  }),
  layer("dense/feed_forward", (graph) => {
    graph.give("y", feedForward(graph, tokensOf(graph), { name: "f", features: FEATURES }), 3);
  }),
  layer("dense/gated_feed_forward", (graph) => {
    graph.give("y", gatedFeedForward(graph, tokensOf(graph), { name: "f", features: FEATURES }), 3);
  }),
  layer("dense/linear", (graph) => {
    const options = { name: "l", inFeatures: FEATURES, outFeatures: 11 };
    graph.give("y", linear(graph, tokensOf(graph), options), 3);
    graph.give("rows", linear(graph, graph.feed("rows_in", [3, FEATURES]), { ...options, bias: false }), 2);
  }),
  layer("dense/sinusoidal_embedding", (graph) => {
    const data = Float32Array.of(0, 0.001, 1, 3.25, 499.7, 999, 1000, 7000, 30000);
    const x = graph.declare("x", { shape: [data.length], data });
    graph.give("y", sinusoidalEmbedding(graph, x, { channels: 64 }), 2);
  }),
  layer("head/feature_output, forecast, weighted_sum", (graph) => {
    featureOutput(graph, graph.node("Identity", [tokensOf(graph)]), ["tokens", FEATURES]);
    graph.fill("forecast_weights", [1, 3]);
    graph.fill("history", [3, ROWS, TOKENS, FEATURES]);
  }),
  layer("head/grid_tokens", (graph) => {
    const grid = graph.ints(6, 6);
    const options = { axes: ["rows", "columns"], features: FEATURES };
    gridFeatureOutput(graph, { tokens: tokensOf(graph), grid }, options);
    graph.fill("forecast_weights", [1, 3]);
    graph.fill("history", [3, ROWS, 6, 6, FEATURES]);
  }),
  layer("head/forecast_output, summed_linear", (graph) => {
    const { feature } = forecastInputs(graph, ["tokens", FEATURES]);
    const projection = { name: "p", inFeatures: FEATURES, outFeatures: 8 };
    graph.give("y", forecastOutput(graph, feature, { projection, eps: 1e-6 }), 3);
    graph.fill("forecast_weights", [2, 3]);
    graph.fill("history", [3, ROWS, TOKENS, FEATURES]);
    graph.fill("output_weights", [1, 2 * ROWS]);
    graph.fill("scale", [2 * ROWS, 1, FEATURES]);
    graph.fill("shift", [2 * ROWS, FEATURES]);
  }),
  layer("head/modulation_outputs", (graph) => {
    const conditioning = graph.feed("conditioning", [ROWS, FEATURES]);
    modulationOutputs(graph, conditioning, { name: "n", features: FEATURES });
  }),
  layer("head/repeat_for_branches", (graph) => {
    graph.give("y", repeatForBranches(graph, graph.feed("x", [3, FEATURES]), [FEATURES]), 2);
    graph.fill("branches", [ROWS]);
  }),
  layer("norm/channel_rms_norm", (graph) => {
    const x = graph.feed("x", [3, 4, 5, 6]);
    graph.give("y", channelRmsNorm(graph, x, { name: "n", channels: 4, trailing: 3 }), 4);
  }),
  layer("norm/continuous_layer_norm, adaptive_layer_norm", (graph) => {
    const conditioning = graph.feed("conditioning", [ROWS, FEATURES]);
    const options = { name: "n", conditioning, features: FEATURES, eps: 1e-6 };
    graph.give("y", continuousLayerNorm(graph, tokensOf(graph), options), 3);
  }),
  layer("norm/float32_layer_norm", (graph) => {
    const x = tokensOf(graph);
    const [scale, shift] = ["scale", "shift"].map((name) => graph.feed(name, [ROWS, 1, FEATURES]));
    const options = { features: FEATURES, eps: 1e-6 };
    graph.give("modulated", modulatedLayerNorm(graph, x, { ...options, scale: scale!, shift: shift! }), 3);
    graph.give("learnt", float32LayerNorm(graph, x, { ...options, name: "n" }), 3);
  }),
  layer("norm/group_norm", (graph) => {
    const options = { channels: 8, groups: 2, eps: 1e-5 };
    graph.give(
      "picture",
      groupNorm(graph, graph.feed("x", [ROWS, 8, 5, 6], 3), { ...options, name: "a" }),
      4,
    );
    const video = graph.feed("v", [1, 8, 3, 4, 5], 3);
    graph.give("video", groupNorm(graph, video, { ...options, name: "b", axes: 3 }), 5);
  }),
  layer("norm/layer_norm", (graph) => {
    graph.give("y", layerNorm(graph, tokensOf(graph), { name: "n", features: FEATURES, eps: 1e-5 }), 3);
  }),
  layer("norm/rms_norm", (graph) => {
    graph.give("y", rmsNorm(graph, tokensOf(graph), { name: "n", features: FEATURES, eps: 1e-6 }), 3);
  }),
  layer("norm/scaled_layer_norm", (graph) => {
    const scale = graph.feed("scale", [ROWS, 1, FEATURES]);
    graph.give("y", scaledLayerNorm(graph, tokensOf(graph), { scale, features: FEATURES, eps: 1e-6 }), 3);
  }),
];

function layer(name: string, emit: LayerCase["emit"]): LayerCase {
  return { name: name.trim(), emit };
}

function tokensOf(graph: RandomGraph): Value {
  return graph.feed("tokens", [ROWS, TOKENS, FEATURES], 2);
}

/** Queries, keys and values. */
function projected(graph: RandomGraph): [Value, Value, Value] {
  return ["query", "key", "value"].map((name) => graph.feed(name, [ROWS, ODD_TOKENS, FEATURES], 2)) as [
    Value,
    Value,
    Value,
  ];
}
