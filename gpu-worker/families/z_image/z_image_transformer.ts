// Z-Image's denoiser: diffusers' ZImageTransformer2DModel.
import type { DenoiserOptions } from "../../graph/denoiser_options.ts";
import type { GraphBuilder, Value } from "../../graph/graph_builder.ts";
import { rotary } from "../../graph/layers/attention/rotary.ts";
import { latentPatches, unpatchify } from "../../graph/layers/convolution/patch_tokens.ts";
import { activation } from "../../graph/layers/dense/activation.ts";
import { linear } from "../../graph/layers/dense/linear.ts";
import { sinusoidalEmbedding } from "../../graph/layers/dense/sinusoidal_embedding.ts";
import { repeatForBranches } from "../../graph/layers/head/repeat_for_branches.ts";
import { rmsNorm } from "../../graph/layers/norm/rms_norm.ts";
import {
  type LastNorm,
  type TransformerGraphs,
  transformerGraphs,
  type TransformerParts,
} from "../../graph/transformer_graphs.ts";
import { zImageBlock } from "./z_image_block.ts";
import {
  parseZImageTransformerConfig,
  PATCH,
  TOKEN_MULTIPLE,
  type ZImageTransformerConfig,
} from "./z_image_config.ts";

/** The layers for the pipeline's patches of 2x2 pixels and one frame. */
const EMBEDDER = "all_x_embedder.2-1";
const FINAL = "all_final_layer.2-1";
/** Epsilon of the last norm, a constant of diffusers. */
const FINAL_EPS = 1e-6;

/**
 * Builds the graphs. The output is the negative of diffusers', as ZImagePipeline uses it: [batch,
 * in_channels, height, width].
 * Inputs of the trunk: timestep [batch], 0..1, rising; hidden_states [batch, in_channels, height, width],
 * even sides; encoder_hidden_states [batch, text_tokens, cap_feat_dim]; rotary_cos and rotary_sin [padded
 * image tokens + padded text tokens, head_dim / 2] (`zImageRotaryTables`).
 * Inputs of the modulation: timestep [steps]; branches [batch], whose values are ignored.
 * @throws {CheckpointError} if the config asks for something unsupported, or if
 * the weights do not fit the config.
 */
export function zImageTransformerGraphs(options: DenoiserOptions): TransformerGraphs {
  const config = parseZImageTransformerConfig(options.config);
  const { dim, inChannels: channels } = config;
  return transformerGraphs(options, {
    axes: ["grid_rows", "grid_columns"],
    conditioning: (graph, { everyStep }) => conditioningOf(graph, { config, everyStep }),
    blocks: (graph) => blocks(graph, config),
    norm: lastNorm(config),
    eps: FINAL_EPS,
    projection: { name: `${FINAL}.linear`, inFeatures: dim, outFeatures: PATCH ** 2 * channels },
    emitLatents(graph, { tokens, grid }, rows) {
      const output = unpatchify(graph, { tokens, grid: grid! }, { patchSize: PATCH, channels });
      graph.output("output", graph.node("Neg", [output]), [rows, channels, "height", "width"]);
    },
  });
}

/**
 * Declares the timestep and emits its embedding, [batch, conditioningDim], or a row for each step and branch.
 */
function conditioningOf(
  graph: GraphBuilder,
  { config: { conditioningDim, tScale }, everyStep }: { config: ZImageTransformerConfig; everyStep: boolean },
): Value {
  const timestep = graph.input("timestep", [everyStep ? "steps" : "batch"], "float32");
  const embedding = graph.scope("t_embedder", () => {
    const scaled = graph.node("Mul", [timestep, graph.scalar(tScale, "float32")]);
    const waves = sinusoidalEmbedding(graph, scaled, { channels: 256 });
    const hidden = linear(graph, waves, {
      name: "t_embedder.mlp.0",
      inFeatures: 256,
      outFeatures: 1024,
      asStored: true,
    });
    return linear(graph, activation(graph, hidden, "silu"), {
      asStored: true,
      name: "t_embedder.mlp.2",
      inFeatures: 1024,
      outFeatures: conditioningDim,
    });
  });
  return everyStep ? repeatForBranches(graph, embedding, [conditioningDim]) : embedding;
}

/** The last norm, which is scaled by the timestep and not shifted. */
function lastNorm({ dim, conditioningDim }: ZImageTransformerConfig): LastNorm {
  const factor = (graph: GraphBuilder, conditioning: Value) => {
    const scale = linear(graph, activation(graph, conditioning, "silu"), {
      asStored: true,
      name: `${FINAL}.adaLN_modulation.1`,
      inFeatures: conditioningDim,
      outFeatures: dim,
    });
    return graph.node("Add", [scale, graph.scalar(1)]);
  };
  return {
    apply(graph, tokens, conditioning) {
      const ones = graph.constant(new Array(dim).fill(1));
      const normed = graph.node("LayerNormalization", [tokens, ones], {
        attributes: { axis: -1, epsilon: { float: FINAL_EPS } },
      });
      return graph.node("Mul", [
        normed,
        graph.node("Unsqueeze", [factor(graph, conditioning), graph.ints(1)]),
      ]);
    },
    emitModulation(graph, conditioning) {
      const scale = factor(graph, conditioning);
      graph.output("scale", graph.node("Unsqueeze", [scale, graph.ints(1)]), ["rows", 1, dim]);
      graph.output("shift", graph.node("Mul", [scale, graph.scalar(0)]), ["rows", dim]);
    },
  };
}

function blocks(
  graph: GraphBuilder,
  config: ZImageTransformerConfig,
): ReturnType<TransformerParts["blocks"]> {
  const { inChannels, headDim, heads, capFeatDim, numRefinerLayers } = config;
  const latents = graph.input("hidden_states", ["batch", inChannels, "height", "width"], "float32");
  const states = graph.cast(
    graph.input("encoder_hidden_states", ["batch", "text_tokens", capFeatDim], "float32"),
  );
  const cos = graph.input("rotary_cos", ["tokens", headDim / 2], "float32");
  const sin = graph.input("rotary_sin", ["tokens", headDim / 2], "float32");
  const conditioning = conditioningOf(graph, { config, everyStep: false });

  const image = embedImage(graph, latents, config);
  const text = embedText(graph, states, config);

  const counts = graph.node("Concat", [image.padded, text.padded], { attributes: { axis: 0 } });
  const tables = [cos, sin].map((table) =>
    graph.nodes("Split", [table, counts], { attributes: { axis: 0 }, outputs: 2 })
  );
  const rotateBy = (part: 0 | 1) => (tokens: Value) =>
    rotary(graph, tokens, { cos: tables[0]![part]!, sin: tables[1]![part]!, heads });
  const stack = (
    tokens: Value,
    { list, count, ...options }: {
      list: string;
      count: number;
      rotate: (tokens: Value) => Value;
      conditioning?: Value;
    },
  ) => {
    for (let i = 0; i < count; i++) {
      const name = `${list}.${i}`;
      tokens = graph.scope(name, () => zImageBlock(graph, tokens, { name, config, ...options }));
    }
    return tokens;
  };
  const refined = stack(image.tokens, {
    list: "noise_refiner",
    count: numRefinerLayers,
    rotate: rotateBy(0),
    conditioning,
  });
  const refinedText = stack(text.tokens, {
    list: "context_refiner",
    count: numRefinerLayers,
    rotate: rotateBy(1),
  });
  const joined = graph.node("Concat", [refined, refinedText], { attributes: { axis: 1 } });
  const last = stack(joined, {
    list: "layers",
    count: config.numLayers,
    rotate: (tokens) => rotary(graph, tokens, { cos, sin, heads }),
    conditioning,
  });
  // The last layer reads only the picture's own tokens, which come first.
  const tokens = graph.node("Slice", [last, graph.ints(0), image.count, graph.ints(1)]);
  return { tokens, grid: image.grid, conditioning };
}

interface PaddedTokens {
  tokens: Value;
  /** Number of tokens before they are padded, [1] int64. */
  count: Value;
  /** Number of tokens with padding, [1] int64. */
  padded: Value;
}

function embedImage(
  graph: GraphBuilder,
  latents: Value,
  { inChannels, dim }: ZImageTransformerConfig,
): PaddedTokens & { grid: Value } {
  const patches = latentPatches(graph, latents, { patchSize: PATCH, channels: inChannels });
  const embedded = linear(graph, patches.tokens, {
    asStored: true,
    name: EMBEDDER,
    inFeatures: PATCH ** 2 * inChannels,
    outFeatures: dim,
  });
  return { ...padTokens(graph, embedded, { name: "x_pad_token", features: dim }), grid: patches.grid };
}

function embedText(
  graph: GraphBuilder,
  states: Value,
  { dim, capFeatDim, normEps: eps }: ZImageTransformerConfig,
): PaddedTokens {
  const normed = rmsNorm(graph, states, { name: "cap_embedder.0", features: capFeatDim, eps });
  const caption = linear(graph, normed, {
    asStored: true,
    name: "cap_embedder.1",
    inFeatures: capFeatDim,
    outFeatures: dim,
  });
  return padTokens(graph, caption, { name: "cap_pad_token", features: dim });
}

/** Emits the tokens with copies of the learnt token `name` after them, up to a multiple of TOKEN_MULTIPLE. */
function padTokens(
  graph: GraphBuilder,
  tokens: Value,
  { name, features }: { name: string; features: number },
): PaddedTokens {
  const sizes = graph.node("Shape", [tokens], { attributes: { start: 0, end: 2 }, dtype: "int64" });
  const [batch, count] = graph.nodes("Split", [sizes], {
    attributes: { axis: 0, num_outputs: 2 },
    outputs: 2,
  }) as [Value, Value];
  const multiple = graph.ints(TOKEN_MULTIPLE);
  const rest = graph.node("Add", [count, graph.ints(TOKEN_MULTIPLE - 1)]);
  const padded = graph.node("Mul", [graph.node("Div", [rest, multiple]), multiple]);
  // As many as can be needed, so that no tensor is ever empty.
  const shape = graph.node("Concat", [batch, graph.ints(TOKEN_MULTIPLE - 1, features)], {
    attributes: { axis: 0 },
  });
  const padding = graph.node("Expand", [graph.weight(name, [1, features]), shape]);
  const long = graph.node("Concat", [tokens, padding], { attributes: { axis: 1 } });
  return { tokens: graph.node("Slice", [long, graph.ints(0), padded, graph.ints(1)]), count, padded };
}
