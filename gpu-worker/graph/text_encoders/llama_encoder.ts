// LLaMA as a text encoder (transformers' LlamaModel). Returns the states between two
// layers, which HunyuanVideo uses.
import type { DType } from "../../runtime/dtype.ts";
import { GraphBuilder, type OnnxModel, type Value } from "../graph_builder.ts";
import { activation } from "../layers/dense/activation.ts";
import { attention } from "../layers/attention/attention.ts";
import { embedding } from "../layers/dense/embedding.ts";
import { linear } from "../layers/dense/linear.ts";
import { rmsNorm } from "../layers/norm/rms_norm.ts";
import { rotary } from "../layers/attention/rotary.ts";
import { type LlamaConfig, parseLlamaConfig } from "./llama_config.ts";
import type { Weights } from "../../checkpoint/weights.ts";

export interface LlamaEncoderOptions {
  /** The component's parsed config.json. */
  config: unknown;
  weights: Weights;
  /** Compute type; the output is float32. */
  dtype: DType;
  /** Component folder, for names and errors. @default "text_encoder" */
  name?: string;
  /**
   * Number of layers at the end to leave out with their weights. At least 1, as the
   * last layer's output is normed.
   */
  skippedLayers: number;
}

/**
 * Builds the graph input_ids [batch, tokens] int64 -> hidden_state [batch, tokens, hidden_size],
 * transformers' hidden_states[-(skippedLayers + 1)].
 * Attention is causal, so tokens after the text change nothing before them: leave the padding out.
 * @throws {CheckpointError} if the config asks for something unsupported, or contradicts the weights.
 */
export function llamaEncoderGraph(options: LlamaEncoderOptions): OnnxModel {
  const { weights, dtype, name = "text_encoder", skippedLayers } = options;
  const config = parseLlamaConfig(options.config, { name, skippedLayers });
  const graph = new GraphBuilder({ name, weights, dtype });
  // LlamaForCausalLM has the same layers with a prefix.
  const root = graph.has("model.embed_tokens.weight") ? "model." : "";
  const { hiddenSize: features, vocabSize: count } = config;

  const inputIds = graph.input("input_ids", ["batch", "tokens"], "int64");
  let hidden = embedding(graph, inputIds, { name: `${root}embed_tokens`, count, features });
  const tables = graph.scope("rotary", () => rotaryTables(graph, inputIds, config));
  for (let i = 0; i < config.numHiddenLayers - skippedLayers; i++) {
    const layer = { name: `${root}layers.${i}`, config };
    hidden = graph.scope(`layer_${i}`, () => {
      const attended = selfAttention(graph, hidden, { ...layer, tables });
      return feedForward(graph, attended, layer);
    });
  }
  graph.output("hidden_state", graph.cast(hidden, "float32"), ["batch", "tokens", features]);
  return graph.build();
}

interface RotaryTables {
  /** [tokens, headDim / 2] float32 */
  cos: Value;
  sin: Value;
}

/** Emits the angles of positions 0, 1, 2 ... in float32, as transformers computes them. */
function rotaryTables(
  graph: GraphBuilder,
  inputIds: Value,
  { inverseFrequencies }: LlamaConfig,
): RotaryTables {
  const tokens = graph.node("Shape", [inputIds], { attributes: { start: 1 }, dtype: "int64" });
  const positions = graph.node("Range", [
    graph.scalar(0, "int64"),
    graph.node("Squeeze", [tokens]),
    graph.scalar(1, "int64"),
  ]);
  const column = graph.node("Unsqueeze", [graph.cast(positions, "float32"), graph.ints(1)]);
  const angles = graph.node("Mul", [
    column,
    graph.constant(inverseFrequencies, [1, inverseFrequencies.length], "float32"),
  ]);
  return { cos: graph.node("Cos", [angles]), sin: graph.node("Sin", [angles]) };
}

interface LayerOptions {
  name: string;
  config: LlamaConfig;
}

function selfAttention(
  graph: GraphBuilder,
  x: Value,
  { name, config, tables }: LayerOptions & { tables: RotaryTables },
): Value {
  const { hiddenSize, numAttentionHeads: heads, numKeyValueHeads: keyHeads, headDim, attentionBias } = config;
  const normed = rmsNorm(graph, x, {
    name: `${name}.input_layernorm`,
    features: hiddenSize,
    eps: config.rmsNormEps,
  });
  const project = (part: string, count: number) =>
    linear(graph, normed, {
      name: `${name}.self_attn.${part}`,
      inFeatures: hiddenSize,
      outFeatures: count * headDim,
      bias: attentionBias,
    });
  const rotate = (projected: Value, count: number) =>
    rotary(graph, projected, { ...tables, heads: count, interleaved: false });
  const shared = (keys: Value) => repeatHeads(graph, keys, { heads, keyHeads, headDim });
  const attended = attention(graph, {
    query: rotate(project("q_proj", heads), heads),
    key: shared(rotate(project("k_proj", keyHeads), keyHeads)),
    value: shared(project("v_proj", keyHeads)),
  }, { heads, causal: true });
  const out = linear(graph, attended, {
    name: `${name}.self_attn.o_proj`,
    inFeatures: heads * headDim,
    outFeatures: hiddenSize,
    bias: attentionBias,
  });
  return graph.node("Add", [x, out]);
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

function feedForward(graph: GraphBuilder, x: Value, { name, config }: LayerOptions): Value {
  const { hiddenSize, intermediateSize, mlpBias: bias } = config;
  const normed = rmsNorm(graph, x, {
    name: `${name}.post_attention_layernorm`,
    features: hiddenSize,
    eps: config.rmsNormEps,
  });
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
  });
  return graph.node("Add", [x, out]);
}
