// A decoder as a text encoder: the states between the layers of LLaMA or of a Qwen
// (transformers' LlamaModel, Qwen3Model, Qwen2_5_VLTextModel, Qwen3VLTextModel).
import type { Weights } from "../../checkpoint/weights.ts";
import type { DType } from "../../runtime/dtype.ts";
import { GraphBuilder, type OnnxModel, type Value } from "../graph_builder.ts";
import { attention } from "../layers/attention/attention.ts";
import { normHeads } from "../layers/attention/norm_heads.ts";
import { rotary } from "../layers/attention/rotary.ts";
import { activation } from "../layers/dense/activation.ts";
import { embedding } from "../layers/dense/embedding.ts";
import { linear } from "../layers/dense/linear.ts";
import { rmsNorm } from "../layers/norm/rms_norm.ts";
import type { CausalEncoderConfig } from "./causal_encoder_config.ts";

export interface CausalEncoderGraphOptions {
  config: CausalEncoderConfig;
  weights: Weights;
  /** Compute type; the output is float32. */
  dtype: DType;
  /** Component folder, for names and errors. */
  name: string;
  /**
   * The states to return, each as a number of layers: 0 is the embedding, n the output of the nth
   * layer. That is transformers' index into hidden_states. A token's states are joined in this order.
   * Later layers are left out.
   */
  states: readonly number[];
  /** Whether the model's last norm is applied to the output of its last layer. @default false */
  finalNorm?: boolean;
  /**
   * Declares attention_mask, 0 for padding after the text. Needed only if the states of padding are used: no
   * token of the text attends to it. @default false
   */
  masksPadding?: boolean;
  /** Declares the inputs of pictures in the text. @default the text is text alone */
  images?: EncoderImages;
}

/** How a model of text and pictures reads pictures. */
export interface EncoderImages {
  /**
   * Axis of each pair of a head's channels: 0 is time, 1 the row, 2 the column.
   * @default positions count the tokens of text and pictures alike
   */
  rotaryAxes?: readonly number[];
  /** Number of the first layers after which the pictures' further features are added. */
  deepstackLayers: number;
}

/** Names of the layers in a text model, in a text model with a head, and in models of text and pictures. */
const ROOTS = ["", "model.", "model.language_model.", "language_model.", "language_model.model."];

/**
 * Builds the graph input_ids [batch, tokens] int64, and attention_mask [batch, tokens] int64 if padding is
 * masked -> hidden_state [batch, tokens, states * hidden_size].
 * With pictures also image_features [features, (1 + deepstackLayers) * hidden_size] float32; feature_indices
 * [tokens] int64, which is 0 for a token of the text and counts from 1 for a picture's; and with `rotaryAxes`
 * positions [3, tokens] int64, each token's time, row and column. The batch then holds one text.
 * Attention is causal, so tokens after the text change nothing before them.
 * @throws {CheckpointError} if the config contradicts the weights.
 */
export function causalEncoderGraph(options: CausalEncoderGraphOptions): OnnxModel {
  const { config, weights, dtype, name, states, finalNorm = false, masksPadding = false, images } = options;
  const graph = new GraphBuilder({ name, weights, dtype });
  const root = ROOTS.find((root) => graph.has(`${root}embed_tokens.weight`)) ?? "";
  const { hiddenSize: features, vocabSize: count, numHiddenLayers } = config;

  const inputIds = graph.input("input_ids", ["batch", "tokens"], "int64");
  // The sums of all layers leave float16's range in published models.
  let hidden = graph.cast(
    embedding(graph, inputIds, { name: `${root}embed_tokens`, count, features }),
    dtype === "float16" ? "float32" : dtype,
  );
  const axes = images?.rotaryAxes;
  const positions = axes ? undefined : graph.scope("rotary", () => tokenPositions(graph, inputIds));
  const pictures = images && graph.scope("images", () => declareImages(graph, images, features));
  if (pictures) {
    const features = graph.cast(pictures.rows[0]!, hidden.dtype);
    hidden = graph.node("Where", [pictures.isImage, features, hidden], { dtype: hidden.dtype });
  }
  const context: Context = {
    config,
    tables: graph.scope(
      "rotary",
      () => positions ? rotaryTables(graph, positions, config) : axisTables(graph, axes!, config),
    ),
    ...masksPadding && positions && { bias: graph.scope("mask", () => causalMask(graph, positions)) },
  };
  const wanted = new Map<number, Value>([[0, hidden]]);
  for (let i = 0; i < Math.max(...states); i++) {
    const layer = `${root}layers.${i}`;
    hidden = graph.scope(`layer_${i}`, () => {
      const attended = selfAttention(graph, hidden, { name: layer, context });
      const out = feedForward(graph, attended, { name: layer, context });
      const added = pictures?.rows[i + 1];
      return added ? graph.node("Add", [out, graph.cast(added, out.dtype)]) : out;
    });
    wanted.set(i + 1, hidden);
  }
  if (finalNorm) {
    const norm = { name: `${root}norm`, features, eps: config.rmsNormEps };
    const last = wanted.get(numHiddenLayers);
    if (last) wanted.set(numHiddenLayers, rmsNorm(graph, last, norm));
  }
  const outputs = states.map((state) => graph.cast(wanted.get(state)!, "float32"));
  const joined = outputs.length === 1
    ? outputs[0]!
    : graph.node("Concat", outputs, { attributes: { axis: -1 } });
  graph.output("hidden_state", joined, ["batch", "tokens", states.length * features]);
  return graph.build();
}

interface Context {
  config: CausalEncoderConfig;
  tables: RotaryTables;
  /** Added to the scores of attention, which is then not causal by itself. */
  bias?: Value;
}

interface RotaryTables {
  /** [tokens, headDim / 2] float32 */
  cos: Value;
  sin: Value;
}

/** Emits 0, 1, 2 ... for the tokens, int64. */
function tokenPositions(graph: GraphBuilder, inputIds: Value): Value {
  const tokens = graph.node("Shape", [inputIds], { attributes: { start: 1 }, dtype: "int64" });
  return graph.node("Range", [
    graph.scalar(0, "int64"),
    graph.node("Squeeze", [tokens]),
    graph.scalar(1, "int64"),
  ]);
}

/** Emits the angles of all positions in float32, as transformers computes them. */
function rotaryTables(
  graph: GraphBuilder,
  positions: Value,
  { inverseFrequencies }: CausalEncoderConfig,
): RotaryTables {
  const column = graph.node("Unsqueeze", [graph.cast(positions, "float32"), graph.ints(1)]);
  const angles = graph.node("Mul", [
    column,
    graph.constant(inverseFrequencies, [1, inverseFrequencies.length], "float32"),
  ]);
  return { cos: graph.node("Cos", [angles]), sin: graph.node("Sin", [angles]) };
}

/** Emits the angles of positions on three axes. Each pair of channels turns with one of them. */
function axisTables(
  graph: GraphBuilder,
  rotaryAxes: readonly number[],
  { inverseFrequencies }: CausalEncoderConfig,
): RotaryTables {
  const positions = graph.cast(graph.input("positions", [3, "tokens"], "int64"), "float32");
  const ofPairs = graph.node("Gather", [positions, graph.ints(...rotaryAxes)], { attributes: { axis: 0 } });
  const angles = graph.node("Mul", [
    graph.node("Transpose", [ofPairs], { attributes: { perm: [1, 0] } }),
    graph.constant(inverseFrequencies, [1, inverseFrequencies.length], "float32"),
  ]);
  return { cos: graph.node("Cos", [angles]), sin: graph.node("Sin", [angles]) };
}

interface Pictures {
  /** Whether a token is a picture's, [1, tokens, 1]. */
  isImage: Value;
  /**
   * The features of each token, 0 for text, [1, tokens, features]: of the embedding, then of each deepstack
   * layer.
   */
  rows: readonly Value[];
}

function declareImages(graph: GraphBuilder, { deepstackLayers }: EncoderImages, features: number): Pictures {
  const parts = 1 + deepstackLayers;
  const given = graph.input("image_features", ["features", parts * features], "float32");
  const indices = graph.input("feature_indices", ["tokens"], "int64");
  const none = graph.constant(new Array<number>(parts * features).fill(0), [1, parts * features], "float32");
  const all = graph.node("Concat", [none, given], { attributes: { axis: 0 } });
  const rows = graph.node("Unsqueeze", [
    graph.node("Gather", [all, indices], { attributes: { axis: 0 } }),
    graph.ints(0),
  ]);
  const isImage = graph.node("GreaterOrEqual", [graph.cast(indices, "float32"), graph.scalar(1, "float32")], {
    dtype: "bool",
  });
  return {
    isImage: graph.node("Unsqueeze", [isImage, graph.ints(0, 2)], { dtype: "bool" }),
    rows: parts === 1
      ? [rows]
      : graph.nodes("Split", [rows], { attributes: { axis: -1, num_outputs: parts }, outputs: parts }),
  };
}

/**
 * Score added to a key that a token must not see. Its exponential is 0 in every type, and float16 can
 * represent it.
 */
const MASKED = -6e4;

/**
 * Declares attention_mask and emits the scores to add, [batch, 1, tokens, tokens]:
 * earlier tokens, no padding.
 */
function causalMask(graph: GraphBuilder, positions: Value): Value {
  const mask = graph.input("attention_mask", ["batch", "tokens"], "int64");
  const isToken = graph.cast(graph.node("Unsqueeze", [mask, graph.ints(1, 2)]), "bool");
  const places = graph.cast(positions, "float32");
  const earlier = graph.node("GreaterOrEqual", [
    graph.node("Unsqueeze", [places, graph.ints(1)]),
    graph.node("Unsqueeze", [places, graph.ints(0)]),
  ], { dtype: "bool" });
  const seen = graph.node("And", [isToken, earlier]);
  return graph.node("Where", [seen, graph.scalar(0), graph.scalar(MASKED)], { dtype: graph.dtype });
}

interface LayerOptions {
  name: string;
  context: Context;
}

function selfAttention(graph: GraphBuilder, x: Value, { name, context }: LayerOptions): Value {
  const { config, tables, bias } = context;
  const { hiddenSize, numAttentionHeads: heads, numKeyValueHeads: keyHeads, headDim, rmsNormEps: eps } =
    config;
  const normed = graph.cast(
    rmsNorm(graph, x, { name: `${name}.input_layernorm`, features: hiddenSize, eps }),
  );
  const project = (part: string, count: number) =>
    linear(graph, normed, {
      name: `${name}.self_attn.${part}_proj`,
      inFeatures: hiddenSize,
      outFeatures: count * headDim,
      bias: config.attentionBias.inputs,
    });
  const rotated = (part: string, count: number) => {
    const projected = normHeads(graph, project(part, count), {
      name: `${name}.self_attn.${part}_norm`,
      kind: config.queryKeyNorm ? "rms_norm" : null,
      heads: count,
      headDim,
      eps,
    });
    return rotary(graph, projected, { ...tables, heads: count, interleaved: false });
  };
  const shared = (keys: Value) => repeatHeads(graph, keys, { heads, keyHeads, headDim });
  const attended = attention(graph, {
    query: rotated("q", heads),
    key: shared(rotated("k", keyHeads)),
    value: shared(project("v", keyHeads)),
  }, { heads, ...bias ? { bias } : { causal: true } });
  const out = linear(graph, attended, {
    name: `${name}.self_attn.o_proj`,
    inFeatures: heads * headDim,
    outFeatures: hiddenSize,
    bias: config.attentionBias.output,
  });
  return graph.node("Add", [x, graph.cast(out, x.dtype)]);
}

/**
 * Repeats heads for grouped-query attention: each head of keys or values serves heads /
 * keyHeads neighbouring heads of queries.
 */
function repeatHeads(
  graph: GraphBuilder,
  x: Value,
  { heads, keyHeads, headDim }: { heads: number; keyHeads: number; headDim: number },
): Value {
  if (heads === keyHeads) return x;
  const single = graph.node("Reshape", [x, graph.ints(0, 0, keyHeads, 1, headDim)]);
  const repeated = graph.node("Expand", [single, graph.ints(1, 1, 1, heads / keyHeads, 1)]);
  return graph.node("Reshape", [repeated, graph.ints(0, 0, heads * headDim)]);
}

function feedForward(graph: GraphBuilder, x: Value, { name, context: { config } }: LayerOptions): Value {
  const { hiddenSize, intermediateSize, mlpBias: bias, rmsNormEps: eps } = config;
  const normed = graph.cast(
    rmsNorm(graph, x, { name: `${name}.post_attention_layernorm`, features: hiddenSize, eps }),
  );
  const widen = (part: string) =>
    linear(graph, normed, {
      name: `${name}.mlp.${part}`,
      inFeatures: hiddenSize,
      outFeatures: intermediateSize,
      bias,
    });
  const gated = graph.node("Mul", [
    activation(graph, widen("gate_proj"), config.hiddenAct),
    widen("up_proj"),
  ]);
  const out = linear(graph, gated, {
    name: `${name}.mlp.down_proj`,
    inFeatures: intermediateSize,
    outFeatures: hiddenSize,
    bias,
    dtype: x.dtype,
  });
  return graph.node("Add", [x, out]);
}
