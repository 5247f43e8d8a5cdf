// Predicts the peak memory of a run from a checkpoint's headers. The factors are measurements of ONNX Runtime
// 1.30 on the CPU. They cover FLUX, SD 3 and SDXL configs of 1 to 450 MiB and pictures of 16 to 512 pixels a
// side. No formula says how much of a graph's intermediate results the arena reuses.
import type { StepKind } from "../../../sampler/mod.ts";
import { CONTROL_NET_PREFIX } from "../../checkpoint/control_net_files.ts";
import type { Quantization, WeightEntry, Weights } from "../../checkpoint/weights.ts";
import { FORECAST_BYTES } from "../../denoiser/onnx_denoiser.ts";
import { COMPUTED_BYTES } from "../../session/load_computed.ts";
import type { DecodingSize } from "../../vae/decoding_size.ts";
import { DTYPE_BYTES } from "../../runtime/dtype.ts";
import type { DType, ProviderName } from "../../runtime/mod.ts";

export interface MemoryQuery {
  /** The loaded components, by folder. */
  components: readonly LoadedComponent[];
  /** Compute type of the denoiser. */
  dtype: DType;
  plan: readonly StepKind[];
  /** Number of features that a run with this step plan keeps. */
  slots: number;
  /** Elements of one picture's feature, over all branches. */
  featureElements: number;
  /** Elements of the other tokens that the denoiser works on, over all branches. @default 0 */
  conditioningElements?: number;
  /** Tokens of T5's prompt. */
  maxSequenceLength: number;
  decoding: DecodingSize;
  /** Whether text encoders, denoiser and VAE take turns in memory. */
  offload: boolean;
  /** The execution provider. @default "cpu" */
  provider?: ProviderName;
  /** @default none, and neither the VAE's encoder nor a vision tower is loaded */
  references?: ReferenceMemory | undefined;
}

export interface LoadedComponent {
  name: string;
  /** Only matrices that layers hold in blocks have a `quantization`. */
  weights: Weights;
  /** Weights that the graph holds in the type of their file. @default none */
  tables?: ReadonlySet<string>;
}

/** What references add, in elements. */
export interface ReferenceMemory {
  /** Their tokens in the denoiser, over all branches. */
  elements: number;
  /** Masks and scores of attention. */
  scores: number;
  /** The largest activation of the VAE's encoder. */
  encoding: number;
  /** States of a vision tower for the largest of them, 0 without a tower. */
  towerElements: number;
  /** Tokens of the text that stand for all of them. */
  textTokens: number;
}

/** A memory prediction, in bytes. */
export interface MemoryPrediction {
  /** Weights of all loaded components, as ONNX Runtime holds them. */
  weightBytes: number;
  /** Additional memory while LoRAs are folded into the weights. */
  loraBytes: number;
  historyBytes: number;
  /**
   * Intermediate results of text encoders, denoiser and
   * VAE. Each session keeps the memory that it once needed.
   */
  activationBytes: number;
  /** Everything together or, under offloading, the largest part that is in memory at a time. */
  modelBytes: number;
}

/** Intermediate results of a full pass at their peak, in features. Transformers and UNets agree in this. */
const FEATURES_AT_PEAK = 40;
/** Intermediate results of a text encoder at their peak, in states of all its tokens. */
const STATES_AT_PEAK = 36;
/** Intermediate results and residuals of a ControlNet, in those of the denoiser: it has no way up. */
const CONTROL_SHARE = 0.5;
const CLIP_TOKENS = 77;
/**
 * Memory for each forecast of a gap at the peak of the head's
 * call: features, and latents on their way to the solver.
 */
const FEATURES_A_FORECAST = 3;
const LATENTS_A_FORECAST = 6;
/** Intermediate results of the decoder at their peak, in its largest activations. */
const DECODER_ACTIVATIONS_AT_PEAK = 4.5;
/** The allocator grows by doubling, which leaves unused room where weights are cast instead of mapped. */
const CAST_OVERHEAD = 1.2;
/** The same of large weights, of which each fills a block of its own: measured on Stable Diffusion 1.5. */
const LARGE_CAST_OVERHEAD = 1.06;
const LARGE_WEIGHT_BYTES = 2 ** 20;
/** Copies of convolutions' weights while a large graph lays them out: freed ones stay (keepFreedMemory). */
const LAYOUT_COPIES = 1.5;
/** Matrices that are computed meanwhile, in those weights: measured on SDXL. */
const MATRICES_A_LAYOUT = 4;
/** A weight with a LoRA is read, added to and packed: two more copies besides the one that stays. */
const LORA_COPIES = 2;

/**
 * Predicts the peak memory of a run.
 * Weights stored in the compute type are mapped, and only the packed copy stays
 * once they are packed for multiplication. Their size counts once. Weights of
 * another type are cast at load and count in the compute type: matrices of large graphs on the CPU into
 * memory of their exact size (load_computed.ts). Tables stay in their file, in its type.
 */
export function predictMemory(query: MemoryQuery): MemoryPrediction {
  const {
    dtype,
    plan,
    slots,
    featureElements,
    conditioningElements = 0,
    decoding,
    offload,
    provider = "cpu",
    references,
  } = query;
  const size = DTYPE_BYTES[dtype];
  const [featureBytes, tokenBytes] = [
    featureElements * size,
    (featureElements + conditioningElements + (references?.elements ?? 0)) * size,
  ];
  const latentBytes = decoding.latents * DTYPE_BYTES.float32;
  // The VAE's encoder keeps its memory beside the decoder's.
  const vaeBytes = DECODER_ACTIVATIONS_AT_PEAK * (decoding.activation + (references?.encoding ?? 0)) *
    DTYPE_BYTES.float32;
  const textTokens = { maxSequenceLength: query.maxSequenceLength + (references?.textTokens ?? 0) };
  const towerElements = references?.towerElements ?? 0;
  const historyBytes = slots * featureBytes;
  const denoiserBytes = FEATURES_AT_PEAK * tokenBytes + (references?.scores ?? 0) * size +
    forecastsAtOnce(plan, featureBytes) *
      (FEATURES_A_FORECAST * featureBytes + LATENTS_A_FORECAST * latentBytes);

  // A ControlNet stays in memory beside the network that it steers.
  const steered = query.components.find(({ name }) => isDenoiser(name))?.name;
  const loaded = query.components.map(({ name, weights, tables }) => ({
    turn: name.startsWith(CONTROL_NET_PREFIX) ? steered : name,
    ...weightBytes(weights, { dtype, tables, left: leftOut(references), provider }),
    activationBytes: name === "vae"
      ? vaeBytes
      : name.startsWith("text_encoder")
      ? STATES_AT_PEAK * (stateElements(weights, textTokens) + towerElements) * size
      : name.startsWith(CONTROL_NET_PREFIX)
      ? CONTROL_SHARE * denoiserBytes
      : denoiserBytes,
    historyBytes: isDenoiser(name) ? historyBytes : 0,
  }));
  type Part = typeof loaded[number];
  const sumOf = (parts: readonly Part[], key: "bytes" | "loraBytes" | "activationBytes" | "historyBytes") =>
    parts.reduce((total, { [key]: n }) => total + n, 0);
  const largestOf = (parts: readonly Part[]) =>
    Math.max(0, ...parts.map(({ reorderedBytes }) => reorderedBytes));
  const inTurn = [...Map.groupBy(loaded, ({ turn }) => turn).values()].map((parts) =>
    sumOf(parts, "bytes") +
    Math.max(
      sumOf(parts, "loraBytes"),
      largestOf(parts),
      sumOf(parts, "activationBytes") + sumOf(parts, "historyBytes"),
    )
  );
  const sum = (key: "bytes" | "loraBytes" | "activationBytes") => sumOf(loaded, key);
  const activationBytes = sum("activationBytes");
  const reorderedBytes = largestOf(loaded);
  const together = sum("bytes") +
    Math.max(reorderedBytes, sum("loraBytes") + historyBytes + activationBytes);
  return {
    weightBytes: Math.round(sum("bytes")),
    loraBytes: Math.round(sum("loraBytes")),
    historyBytes,
    activationBytes,
    modelBytes: Math.round(offload ? Math.max(...inTurn) : together),
  };
}

function isDenoiser(name: string): boolean {
  return name !== "vae" && !name.startsWith("text_encoder") && !name.startsWith(CONTROL_NET_PREFIX);
}

/** Predicts the bytes of one picture's encoded prompts, which the host keeps in float32. */
export function predictPromptBytes(
  { components, maxSequenceLength }: Pick<MemoryQuery, "components" | "maxSequenceLength">,
  prompts: number,
): number {
  const elements = components.filter(({ name }) => name.startsWith("text_encoder"))
    .reduce((sum, { weights }) => sum + stateElements(weights, { maxSequenceLength }), 0);
  return prompts * elements * DTYPE_BYTES.float32;
}

/** The VAE's encoder, which is loaded with the first image. */
const ENCODER = /^(encoder|quant_conv)\./;
/** The text encoder's vision tower. */
const TOWER = /^(?:model\.)?visual\./;
/** The text encoder's layer for the next word. Prompts do not reach it, so no graph loads it. */
const HEAD = /^lm_head\./;

/** Returns the layers that no graph of the run loads. */
function leftOut(references: ReferenceMemory | undefined): { vae: RegExp[]; all: RegExp[] } {
  return {
    vae: references ? [] : [ENCODER],
    all: references && references.towerElements > 0 ? [HEAD] : [HEAD, TOWER],
  };
}

interface WeightBytesOptions {
  dtype: DType;
  tables: ReadonlySet<string> | undefined;
  left: ReturnType<typeof leftOut>;
  provider: ProviderName;
}

function weightBytes(
  weights: Weights,
  { dtype, tables, left, provider }: WeightBytesOptions,
): { bytes: number; loraBytes: number; reorderedBytes: number } {
  let [bytes, loraBytes, matrixBytes] = [0, 0, 0];
  const isVae = [...weights.keys()].some((name) => name.startsWith("decoder."));
  const unloaded = isVae ? [...left.vae, ...left.all] : left.all;
  const loaded = [...weights].filter(([name]) => !unloaded.some((layers) => layers.test(name)));
  const isComputed = provider === "cpu" && dtype === "float32" &&
    loaded.every(([, { quantization }]) => quantization === undefined) &&
    loaded.reduce((sum, [, { byteLength }]) => sum + byteLength, 0) > COMPUTED_BYTES;
  for (const [name, entry] of loaded) {
    const isExact = isComputed && entry.shape.length !== 4;
    const held = heldBytes(entry, { dtype: tables?.has(name) ? entry.dtype : dtype, isExact });
    bytes += held;
    if (isExact) matrixBytes += held;
    // Beside blocks, a LoRA is a branch of its own. Elsewhere it is added in memory that is used again.
    if (entry.additions && !entry.quantization && !isExact) loraBytes += LORA_COPIES * held;
  }
  const layout = provider === "cpu" ? layoutBytes(weights, dtype) : 0;
  // Matrices that are computed later have their memory when the layout has returned its own.
  const later = Math.max(0, matrixBytes - MATRICES_A_LAYOUT * layout);
  const reorderedBytes = isComputed ? Math.max(0, LAYOUT_COPIES * layout - later) : layout;
  return { bytes, loraBytes, reorderedBytes };
}

/** Returns the elements of a text encoder's state, whose width is that of its token embedding. */
function stateElements(
  weights: Weights,
  { maxSequenceLength }: Pick<MemoryQuery, "maxSequenceLength">,
): number {
  for (const [name, { shape }] of weights) {
    const width = shape[1] ?? 0;
    if (name.endsWith("token_embedding.weight")) return CLIP_TOKENS * width;
    if (/(^|\.)(shared|embed_tokens)\.weight$/.test(name)) return maxSequenceLength * width;
  }
  return 0;
}

/**
 * Counts the convolutions' weights, which the CPU provider lays out anew by blocks of channels while
 * a graph is loaded. Both layouts are in memory until the graph is ready: of Stable Diffusion 1.5's
 * UNet, 2.2 GiB beside 3.2 GiB.
 */
function layoutBytes(weights: Weights, dtype: DType): number {
  let bytes = 0;
  for (const [name, { shape }] of weights) {
    if (shape.length === 4 && !ENCODER.test(name)) {
      bytes += shape.reduce((product, n) => product * n, DTYPE_BYTES[dtype]);
    }
  }
  return bytes;
}

/** Returns the bytes of one element in blocks, each with a scale in float32. */
function bytesInBlocks({ bits, blockSize }: Quantization): number {
  return bits / 8 + DTYPE_BYTES.float32 / blockSize;
}

function heldBytes(
  { shape, dtype: stored, quantization, blocks, scale }: WeightEntry,
  { dtype, isExact }: { dtype: DType; isExact: boolean },
): number {
  const elements = shape.reduce((product, n) => product * n, 1);
  if (quantization !== undefined) return elements * bytesInBlocks(quantization);
  const bytes = elements * DTYPE_BYTES[dtype];
  if (isExact || stored === dtype && blocks === undefined && scale === undefined) return bytes;
  return bytes * (bytes < LARGE_WEIGHT_BYTES ? CAST_OVERHEAD : LARGE_CAST_OVERHEAD);
}

/**
 * Returns the largest number of forecasts in one call of
 * the head: the longest gap, bounded by FORECAST_BYTES.
 */
function forecastsAtOnce(plan: readonly StepKind[], featureBytes: number): number {
  let longest = 0;
  let length = 0;
  for (const kind of plan) {
    length = kind === "forecast" ? length + 1 : 0;
    longest = Math.max(longest, length);
  }
  return Math.min(longest, Math.max(1, Math.floor(FORECAST_BYTES / featureBytes)));
}
