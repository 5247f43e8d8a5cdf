// Qwen-Image-2.1's denoiser: diffusers' QwenImage21Transformer2DModel.
import type { DenoiserOptions } from "../../graph/denoiser_options.ts";
import type { GraphBuilder, Value } from "../../graph/graph_builder.ts";
import { pictureTokenCount, pictureTokens } from "../../graph/layers/attention/picture_tokens.ts";
import { activation } from "../../graph/layers/dense/activation.ts";
import { linear } from "../../graph/layers/dense/linear.ts";
import { timestepEmbedding } from "../../graph/layers/dense/timestep_embedding.ts";
import { repeatForBranches } from "../../graph/layers/head/repeat_for_branches.ts";
import { scaledLayerNorm } from "../../graph/layers/norm/scaled_layer_norm.ts";
import {
  type LastNorm,
  type TransformerGraphs,
  transformerGraphs,
  type TransformerParts,
} from "../../graph/transformer_graphs.ts";
import { type ConditionMask, qwenImage21Block, type Stream, type Tokens } from "./qwen_image21_block.ts";
import { parseQwenImage21Config, type QwenImage21Config } from "./qwen_image21_config.ts";
import { CONDITION_PARTS } from "./qwen_image21_layout.ts";

/** Channels of the timestep's sines, and the factor that the pipeline divides timesteps by. */
const TIME_CHANNELS = 256;
const TIME_FACTOR = 1000;

/** Score added to a token that another must not see. Its exponential is 0, and float16 can represent it. */
const UNSEEN = -6e4;

/**
 * Builds the graphs. The output is [batch, image_tokens, in_channels].
 * Inputs of the trunk: timestep [batch], 0..1; hidden_states [batch, sequence_tokens, in_channels], the
 * image's tokens and then the references'; picture_tokens [image_tokens] (`pictureTokens`);
 * encoder_hidden_states [batch, text_tokens, context]; rotary_image_cos and rotary_image_sin [image_tokens,
 * head_dim / 2] float32. The condition is the references and then the text: rotary_condition_cos and
 * rotary_condition_sin [condition_tokens, head_dim / 2]; condition_places
 * [condition_tokens] and condition_ends [padded_tokens], of which each token sees the places before its end
 * (`qwenImage21Layout`).
 * Inputs of the modulation: timestep [steps]; branches [batch], whose values are ignored.
 * @throws {CheckpointError} if the config asks for something unsupported, or if
 * the weights do not fit the config.
 */
export function qwenImage21TransformerGraphs(options: DenoiserOptions): TransformerGraphs {
  const config = parseQwenImage21Config(options.config);
  const { innerDim, inChannels, eps } = config;
  return transformerGraphs(options, {
    axes: ["image_tokens"],
    conditioning: (graph) => {
      const timestep = graph.input("timestep", ["steps"], "float32");
      return repeatForBranches(graph, conditioningOf(graph, timestep, config), [innerDim]);
    },
    blocks: (graph) => blocks(graph, config),
    norm: lastNorm(config),
    eps,
    projection: { name: "proj_out", inFeatures: innerDim, outFeatures: inChannels, bias: false },
    emitLatents: (graph, { tokens }, rows) =>
      graph.output("output", graph.cast(tokens, "float32"), [rows, "image_tokens", inChannels]),
  });
}

/**
 * Emits SiLU of the timesteps' embedding, [rows, innerDim]. diffusers rounds timesteps to the compute type.
 */
function conditioningOf(
  graph: GraphBuilder,
  timestep: Value,
  { innerDim: features }: QwenImage21Config,
): Value {
  const rounded = graph.cast(graph.cast(timestep), "float32");
  const scaled = graph.node("Mul", [rounded, graph.scalar(TIME_FACTOR, "float32")]);
  const embedding = graph.scope("timestep_embedder", () =>
    timestepEmbedding(graph, scaled, {
      name: "time_text_embed.timestep_embedder",
      channels: TIME_CHANNELS,
      features,
      bias: false,
    }));
  return activation(graph, embedding, "silu");
}

function blocks(graph: GraphBuilder, config: QwenImage21Config): ReturnType<TransformerParts["blocks"]> {
  const { inChannels, innerDim, contextInDim } = config;
  const latents = graph.cast(
    graph.input("hidden_states", ["batch", "sequence_tokens", inChannels], "float32"),
  );
  const states = graph.input("encoder_hidden_states", ["batch", "text_tokens", contextInDim], "float32");
  const timestep = graph.input("timestep", ["batch"], "float32");
  const conditioning = conditioningOf(graph, timestep, config);
  const ofImage = modulationOf(graph, conditioning, config);
  const ofCondition = config.causalCondition
    ? modulationOf(graph, conditioningOf(graph, graph.constant([0], [1], "float32"), config), config)
    : ofImage;
  const streams = {
    condition: { modulation: ofCondition, ...tablesOf(graph, "condition", config) },
    image: { modulation: ofImage, ...tablesOf(graph, "image", config) },
  };
  const text = graph.scope("txt_in", () => projectText(graph, states, config));
  const pictures = linear(graph, latents, {
    name: "img_in",
    inFeatures: inChannels,
    outFeatures: innerDim,
    bias: false,
    asStored: true,
  });
  let tokens = graph.scope("references", () => withReferences(graph, { text, pictures }));
  const mask = graph.scope("condition", () => conditionMask(graph));
  for (let i = 0; i < config.numLayers; i++) {
    const name = `transformer_blocks.${i}`;
    tokens = graph.scope(name, () => qwenImage21Block(graph, tokens, { name, config, streams, mask }));
  }
  return { tokens: tokens.image, conditioning };
}

/**
 * Separates the image from the references. The text is joined to both before, so that no tensor is empty
 * without references: not every device takes an empty one.
 */
function withReferences(graph: GraphBuilder, { text, pictures }: Record<"text" | "pictures", Value>): Tokens {
  const count = pictureTokenCount(graph);
  const all = graph.node("Concat", [pictures, text], { attributes: { axis: 1 } });
  const condition = [all, count, graph.ints(Number.MAX_SAFE_INTEGER), graph.ints(1)];
  return { condition: graph.node("Slice", condition), image: pictureTokens(graph, pictures, count) };
}

/** Declares the condition's places and ends and emits its mask. */
function conditionMask(graph: GraphBuilder): ConditionMask {
  const places = graph.input("condition_places", ["condition_tokens"], "float32");
  const ends = graph.input("condition_ends", ["padded_tokens"], "float32");
  const keys = graph.node("Unsqueeze", [places, graph.ints(0)]);
  const parts = graph.nodes("Split", [graph.node("Unsqueeze", [ends, graph.ints(1)])], {
    attributes: { axis: 0, num_outputs: CONDITION_PARTS },
    outputs: CONDITION_PARTS,
  });
  const [tokens, padded] = [places, ends].map((x) => graph.node("Shape", [x], { dtype: "int64" }));
  const end = graph.node("Squeeze", [padded!, graph.ints(0)]);
  const range = graph.node("Range", [graph.scalar(0, "int64"), end, graph.scalar(1, "int64")]);
  return {
    biases: parts.map((part) => {
      const isHidden = graph.node("GreaterOrEqual", [keys, part], { dtype: "bool" });
      const bias = graph.node("Where", [isHidden, graph.scalar(UNSEEN), graph.scalar(0)], {
        dtype: graph.dtype,
      });
      return graph.node("Unsqueeze", [bias, graph.ints(0, 1)]);
    }),
    tokens: tokens!,
    queries: graph.node("Min", [range, graph.node("Sub", [tokens!, graph.ints(1)])]),
  };
}

/** Emits the modulation of all blocks. */
function modulationOf(
  graph: GraphBuilder,
  conditioning: Value,
  { innerDim: features }: QwenImage21Config,
): Stream["modulation"] {
  const all = linear(graph, conditioning, {
    name: "modulation.1",
    inFeatures: features,
    outFeatures: 4 * features,
    bias: false,
  });
  const [scale, gate, mlpScale, mlpGate] = graph.nodes(
    "Split",
    [graph.node("Reshape", [all, graph.ints(0, 4, features)])],
    { attributes: { axis: 1, num_outputs: 4 }, outputs: 4 },
  ) as [Value, Value, Value, Value];
  return { scale, gate: graph.node("Tanh", [gate]), mlpScale, mlpGate: graph.node("Tanh", [mlpGate]) };
}

function tablesOf(
  graph: GraphBuilder,
  stream: keyof Tokens,
  { attentionHeadDim }: QwenImage21Config,
): Pick<Stream, "cos" | "sin"> {
  const table = (wave: string) =>
    graph.input(`rotary_${stream}_${wave}`, [`${stream}_tokens`, attentionHeadDim / 2], "float32");
  return { cos: table("cos"), sin: table("sin") };
}

/** Emits QwenImage21TextProjection. The norm's scale is stored less 1. */
function projectText(
  graph: GraphBuilder,
  states: Value,
  { contextInDim, innerDim, eps }: QwenImage21Config,
): Value {
  const scale = graph.node("Add", [
    graph.weight("txt_in.text_norm.weight", [contextInDim], "float32"),
    graph.scalar(1, "float32"),
  ]);
  const normed = graph.node("SimplifiedLayerNormalization", [states, scale], {
    attributes: { axis: -1, epsilon: { float: eps } },
  });
  const hidden = linear(graph, normed, {
    name: "txt_in.in_layer",
    inFeatures: contextInDim,
    outFeatures: innerDim,
    bias: false,
    asStored: true,
  });
  return linear(graph, activation(graph, hidden, "gelu_pytorch_tanh"), {
    name: "txt_in.out_layer",
    inFeatures: innerDim,
    outFeatures: innerDim,
    bias: false,
    asStored: true,
  });
}

/** norm_out, which has a scale and no shift. */
function lastNorm({ innerDim: features, eps }: QwenImage21Config): LastNorm {
  const scaleOf = (graph: GraphBuilder, conditioning: Value) => {
    const layer = {
      name: "norm_out.linear",
      inFeatures: features,
      outFeatures: features,
      bias: false,
      asStored: true,
    };
    return graph.node("Unsqueeze", [linear(graph, conditioning, layer), graph.ints(1)]);
  };
  return {
    apply: (graph, tokens, conditioning) =>
      scaledLayerNorm(graph, tokens, { scale: scaleOf(graph, conditioning), features, eps }),
    emitModulation(graph, conditioning) {
      const scale = scaleOf(graph, conditioning);
      graph.output("scale", graph.node("Add", [scale, graph.scalar(1)]), ["rows", 1, features]);
      const size = graph.node("Shape", [conditioning], { dtype: "int64" });
      graph.output("shift", graph.node("Expand", [graph.scalar(0), size]), ["rows", features]);
    },
  };
}
