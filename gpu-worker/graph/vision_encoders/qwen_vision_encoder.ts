// The vision towers of Qwen2.5-VL and Qwen3-VL for one picture (transformers'
// Qwen2_5_VisionTransformerPretrainedModel and Qwen3VLVisionModel).
import type { Weights } from "../../checkpoint/weights.ts";
import type { DType } from "../../runtime/dtype.ts";
import { GraphBuilder, type OnnxModel, type Value } from "../graph_builder.ts";
import { attention } from "../layers/attention/attention.ts";
import { rotary } from "../layers/attention/rotary.ts";
import { activation } from "../layers/dense/activation.ts";
import { linear } from "../layers/dense/linear.ts";
import { float32LayerNorm } from "../layers/norm/float32_layer_norm.ts";
import { rmsNorm } from "../layers/norm/rms_norm.ts";
import type { QwenVisionConfig } from "./qwen_vision_config.ts";

export interface QwenVisionEncoderOptions {
  config: QwenVisionConfig;
  /** The text encoder's tensors, which include the tower's. */
  weights: Weights;
  /** Compute type; the output is float32. */
  dtype: DType;
  /** @default "vision_encoder" */
  name?: string;
}

const EPS = 1e-6;
/** Names of the tower in models of text and pictures of transformers 4.x and 5.x, and alone. */
const ROOTS = ["visual.", "model.visual.", ""];

/**
 * Builds the graph. Patches stand in the order of the text encoder's tokens: each token's patches are
 * neighbours. Inputs: pixel_values [patches, 3 * temporal * patch^2]; rotary_cos and rotary_sin [patches,
 * head_dim / 2]. With windows also window_patches [windows, places] int64, the patch in each place;
 * window_scores [windows, places], what is added to the scores of a place: 0, or a large negative number
 * where there is no patch; patch_places [patches] int64, the place of each patch.
 * With learnt positions also position_indices [patches, 4] int64 and position_weights [patches, 4].
 * Output: image_features [tokens, (1 + deepstack blocks) * out_hidden_size].
 * @throws {CheckpointError} if the config contradicts the weights.
 */
export function qwenVisionEncoderGraph(options: QwenVisionEncoderOptions): OnnxModel {
  const { config, weights, dtype, name = "vision_encoder" } = options;
  const graph = new GraphBuilder({ name, weights, dtype });
  const root = ROOTS.find((root) => graph.has(`${root}patch_embed.proj.weight`)) ?? ROOTS[0]!;
  const { headDim, depth, windows, deepstack } = config;
  const table = (wave: string) => graph.input(`rotary_${wave}`, ["patches", headDim / 2], "float32");
  const tables = { cos: table("cos"), sin: table("sin") };
  let hidden = graph.scope("patch_embed", () => patchEmbed(graph, root, config));
  const windowed = windows && declareWindows(graph, windows.side * config.mergeSize);
  const features = new Map<number, Value>();
  for (let i = 0; i < depth; i++) {
    const block = `${root}blocks.${i}`;
    const local = windows && !windows.fullBlocks.has(i) ? windowed : undefined;
    hidden = graph.scope(`block_${i}`, () => {
      const attended = selfAttention(graph, hidden, { name: `${block}.attn`, block, config, tables, local });
      return feedForward(graph, attended, { block, config });
    });
    const at = deepstack?.blocks.indexOf(i) ?? -1;
    if (at !== -1) {
      features.set(
        at,
        merged(graph, hidden, { name: `${root}deepstack_merger_list.${at}`, config, kind: "inner" }),
      );
    }
  }
  const kind = deepstack ? "last" : "rms";
  const all = [
    merged(graph, hidden, { name: `${root}merger`, config, kind }),
    ...(deepstack?.blocks ?? []).map((_, at) => features.get(at)!),
  ];
  const joined = all.length === 1 ? all[0]! : graph.node("Concat", all, { attributes: { axis: -1 } });
  graph.output("image_features", graph.cast(joined, "float32"), [
    "tokens",
    all.length * config.outHiddenSize,
  ]);
  return graph.build();
}

/** Emits the patches' features, [1, patches, hiddenSize]. The sums of all blocks leave float16's range. */
function patchEmbed(graph: GraphBuilder, root: string, config: QwenVisionConfig): Value {
  const { hiddenSize, patchSize, temporalPatchSize, deepstack } = config;
  const pixels = 3 * temporalPatchSize * patchSize ** 2;
  const patches = graph.input("pixel_values", ["patches", pixels], "float32");
  const kernel = graph.weight(
    `${root}patch_embed.proj.weight`,
    [hiddenSize, 3, temporalPatchSize, patchSize, patchSize],
    "float32",
  );
  // The convolution's stride is its kernel, so it is a matrix product.
  let embedded = graph.node(
    "FusedMatMul",
    [patches, graph.node("Reshape", [kernel, graph.ints(hiddenSize, pixels)])],
    { domain: "com.microsoft", attributes: { transB: 1 } },
  );
  if (deepstack) {
    const bias = graph.weight(`${root}patch_embed.proj.bias`, [hiddenSize], "float32");
    embedded = graph.node("Add", [graph.node("Add", [embedded, bias]), positionsOf(graph, root, config)]);
  }
  const stream = graph.dtype === "float16" ? "float32" : graph.dtype;
  return graph.cast(graph.node("Unsqueeze", [embedded, graph.ints(0)]), stream);
}

/**
 * Emits the learnt positions, each a weighted sum of four neighbours in their grid: [patches, hiddenSize].
 */
function positionsOf(graph: GraphBuilder, root: string, { hiddenSize, deepstack }: QwenVisionConfig): Value {
  const grid = graph.weight(`${root}pos_embed.weight`, [deepstack!.gridSide ** 2, hiddenSize], "float32");
  const indices = graph.input("position_indices", ["patches", 4], "int64");
  const weights = graph.input("position_weights", ["patches", 4], "float32");
  const rows = graph.node("Gather", [grid, indices], { attributes: { axis: 0 } });
  const weighted = graph.node("Mul", [rows, graph.node("Unsqueeze", [weights, graph.ints(2)])]);
  return graph.node("ReduceSum", [weighted, graph.ints(1)], { attributes: { keepdims: 0 } });
}

interface Windows {
  patches: Value;
  places: Value;
  /** Added to the scores, [windows, 1, places, places]. */
  bias: Value;
  count: number;
}

function declareWindows(graph: GraphBuilder, patchesPerSide: number): Windows {
  const count = patchesPerSide ** 2;
  const scores = graph.input("window_scores", ["windows", count], "float32");
  const column = graph.constant(new Array<number>(count).fill(0), [1, 1, count, 1], "float32");
  const spread = graph.node("Add", [graph.node("Unsqueeze", [scores, graph.ints(1, 2)]), column]);
  return {
    patches: graph.input("window_patches", ["windows", count], "int64"),
    places: graph.input("patch_places", ["patches"], "int64"),
    bias: graph.cast(spread),
    count,
  };
}

interface BlockOptions {
  /** Name of the block. */
  block: string;
  config: QwenVisionConfig;
}

interface AttentionOptions extends BlockOptions {
  name: string;
  tables: { cos: Value; sin: Value };
  /** Attends inside windows. @default to the whole picture */
  local: Windows | undefined;
}

function selfAttention(
  graph: GraphBuilder,
  x: Value,
  { name, block, config, tables, local }: AttentionOptions,
): Value {
  const { heads, hiddenSize: features } = config;
  const normed = blockNorm(graph, x, { name: `${block}.norm1`, config });
  const all = linear(graph, normed, { name: `${name}.qkv`, inFeatures: features, outFeatures: 3 * features });
  const [q, k, v] = graph.nodes("Split", [all], {
    attributes: { axis: -1, num_outputs: 3 },
    outputs: 3,
  }) as [Value, Value, Value];
  const turned = (tokens: Value) => rotary(graph, tokens, { ...tables, heads, interleaved: false });
  const inputs = { query: turned(q), key: turned(k), value: v };
  const attended = local
    ? windowAttention(graph, inputs, { windows: local, heads, features })
    : attention(graph, inputs, { heads });
  const out = linear(graph, attended, { name: `${name}.proj`, inFeatures: features, outFeatures: features });
  return graph.node("Add", [x, graph.cast(out, x.dtype)]);
}

/** Emits attention inside each window: [1, patches, features] -> the same. */
function windowAttention(
  graph: GraphBuilder,
  inputs: Record<"query" | "key" | "value", Value>,
  { windows: { patches, places, bias }, heads, features }: {
    windows: Windows;
    heads: number;
    features: number;
  },
): Value {
  const cut = (tokens: Value) => {
    const rows = graph.node("Squeeze", [tokens, graph.ints(0)]);
    return graph.node("Gather", [rows, patches], { attributes: { axis: 0 } });
  };
  const attended = attention(
    graph,
    { query: cut(inputs.query), key: cut(inputs.key), value: cut(inputs.value) },
    { heads, bias },
  );
  const rows = graph.node("Reshape", [attended, graph.ints(-1, features)]);
  const ordered = graph.node("Gather", [rows, places], { attributes: { axis: 0 } });
  return graph.node("Unsqueeze", [ordered, graph.ints(0)]);
}

/** Qwen2.5-VL gates its MLPs, Qwen3-VL does not. */
function feedForward(graph: GraphBuilder, x: Value, { block, config }: BlockOptions): Value {
  const { hiddenSize, intermediateSize, hiddenAct, windows } = config;
  const normed = blockNorm(graph, x, { name: `${block}.norm2`, config });
  const widen = (layer: string) =>
    linear(graph, normed, {
      name: `${block}.mlp.${layer}`,
      inFeatures: hiddenSize,
      outFeatures: intermediateSize,
    });
  const hidden = windows
    ? graph.node("Mul", [activation(graph, widen("gate_proj"), hiddenAct), widen("up_proj")])
    : activation(graph, widen("linear_fc1"), hiddenAct);
  const out = linear(graph, hidden, {
    name: `${block}.mlp.${windows ? "down_proj" : "linear_fc2"}`,
    inFeatures: intermediateSize,
    outFeatures: hiddenSize,
    dtype: x.dtype,
  });
  return graph.node("Add", [x, out]);
}

function blockNorm(
  graph: GraphBuilder,
  x: Value,
  { name, config }: { name: string; config: QwenVisionConfig },
): Value {
  const norm = { name, features: config.hiddenSize, eps: EPS };
  return graph.cast(config.windows ? rmsNorm(graph, x, norm) : float32LayerNorm(graph, x, norm));
}

interface MergerOptions {
  name: string;
  config: QwenVisionConfig;
  /**
   * The norm: RMS of each patch, LayerNorm of each patch ("last"), or of each token's joined patches
   * ("inner").
   */
  kind: "rms" | "last" | "inner";
}

/** Emits the text encoder's tokens: [1, patches, hiddenSize] -> [tokens, outHiddenSize]. */
function merged(graph: GraphBuilder, x: Value, { name, config, kind }: MergerOptions): Value {
  const { hiddenSize, mergeSize, outHiddenSize } = config;
  const wide = hiddenSize * mergeSize ** 2;
  const join = (patches: Value) => graph.node("Reshape", [patches, graph.ints(-1, wide)]);
  const norm = (tokens: Value, layer: string, features: number) =>
    (kind === "rms" ? rmsNorm : float32LayerNorm)(graph, tokens, {
      name: `${name}.${layer}`,
      features,
      eps: EPS,
    });
  return graph.scope(name, () => {
    const normed = kind === "inner"
      ? norm(join(x), "norm", wide)
      : join(norm(x, kind === "rms" ? "ln_q" : "norm", hiddenSize));
    const [first, second] = kind === "rms" ? ["mlp.0", "mlp.2"] : ["linear_fc1", "linear_fc2"];
    const hidden = linear(graph, graph.cast(normed), {
      name: `${name}.${first}`,
      inFeatures: wide,
      outFeatures: wide,
    });
    return linear(graph, activation(graph, hidden, "gelu"), {
      name: `${name}.${second}`,
      inFeatures: wide,
      outFeatures: outHiddenSize,
    });
  });
}
