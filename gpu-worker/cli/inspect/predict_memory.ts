// Predicts the peak memory of a run from a checkpoint's headers. The factors are measurements of ONNX Runtime
// 1.30 on the CPU. They cover FLUX, SD 3 and SDXL configs of 1 to 450 MiB and pictures of 16 to 512 pixels a
// side. No formula says how much of a graph's intermediate results the arena reuses.
import type { StepKind } from "../../../sampler/mod.ts";
import { CONTROL_NET_PREFIX } from "../../checkpoint/control_net_files.ts";
import type { Weights } from "../../checkpoint/weights.ts";
import { FORECAST_BYTES } from "../../denoiser/onnx_denoiser.ts";
import type { DecodingSize } from "../../vae/decoding_size.ts";
import { DTYPE_BYTES } from "../../runtime/dtype.ts";
import type { DType, ProviderName } from "../../runtime/mod.ts";
import { type WeightMemory, weightMemory } from "./weight_memory.ts";

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

/** What a component adds to the peak, in bytes. */
interface Part extends WeightMemory {
  /** The component that it is in memory with under offloading. */
  turn: string | undefined;
  activationBytes: number;
  historyBytes: number;
}

/** Predicts the peak memory of a run. */
export function predictMemory(query: MemoryQuery): MemoryPrediction {
  const parts = partsOf(query);
  const historyBytes = query.slots * bytesOfFeature(query);
  const [bytes, loraBytes, activationBytes] = [
    sumOf(parts, "bytes"),
    sumOf(parts, "loraBytes"),
    sumOf(parts, "activationBytes"),
  ];
  const together = bytes + Math.max(largestReordering(parts), loraBytes + historyBytes + activationBytes);
  const inTurn = [...Map.groupBy(parts, ({ turn }) => turn).values()].map((own) =>
    sumOf(own, "bytes") +
    Math.max(
      sumOf(own, "loraBytes"),
      largestReordering(own),
      sumOf(own, "activationBytes") + sumOf(own, "historyBytes"),
    )
  );
  return {
    weightBytes: Math.round(bytes),
    loraBytes: Math.round(loraBytes),
    historyBytes,
    activationBytes,
    modelBytes: Math.round(query.offload ? Math.max(...inTurn) : together),
  };
}

function partsOf(query: MemoryQuery): Part[] {
  const { components, dtype, provider = "cpu", references } = query;
  const activations = activationsOf(query);
  const historyBytes = query.slots * bytesOfFeature(query);
  // A ControlNet stays in memory beside the network that it steers.
  const steered = components.find(({ name }) => isDenoiser(name))?.name;
  return components.map(({ name, weights, tables }) => {
    const isControlNet = name.startsWith(CONTROL_NET_PREFIX);
    const isEncoder = name.startsWith("text_encoder");
    return {
      turn: isControlNet ? steered : name,
      ...weightMemory(weights, {
        dtype,
        provider,
        tables,
        encodes: references !== undefined,
        sees: (references?.towerElements ?? 0) > 0,
        isRare: isEncoder,
      }),
      activationBytes: name === "vae"
        ? activations.vae
        : isEncoder
        ? activations.textEncoder(weights)
        : isControlNet
        ? CONTROL_SHARE * activations.denoiser
        : activations.denoiser,
      historyBytes: isDenoiser(name) ? historyBytes : 0,
    };
  });
}

/** Returns the bytes of the intermediate results of each kind of network. */
function activationsOf(query: MemoryQuery) {
  const { dtype, plan, featureElements, conditioningElements = 0, decoding, references } = query;
  const size = DTYPE_BYTES[dtype];
  const featureBytes = bytesOfFeature(query);
  const tokenBytes = (featureElements + conditioningElements + (references?.elements ?? 0)) * size;
  const latentBytes = decoding.latents * DTYPE_BYTES.float32;
  const textTokens = { maxSequenceLength: query.maxSequenceLength + (references?.textTokens ?? 0) };
  const towerElements = references?.towerElements ?? 0;
  return {
    denoiser: FEATURES_AT_PEAK * tokenBytes + (references?.scores ?? 0) * size +
      forecastsAtOnce(plan, featureBytes) *
        (FEATURES_A_FORECAST * featureBytes + LATENTS_A_FORECAST * latentBytes),
    textEncoder: (weights: Weights) =>
      STATES_AT_PEAK * (stateElements(weights, textTokens) + towerElements) * size,
    // The VAE's encoder keeps its memory beside the decoder's.
    vae: DECODER_ACTIVATIONS_AT_PEAK * (decoding.activation + (references?.encoding ?? 0)) *
      DTYPE_BYTES.float32,
  };
}

function bytesOfFeature({ featureElements, dtype }: MemoryQuery): number {
  return featureElements * DTYPE_BYTES[dtype];
}

function sumOf(
  parts: readonly Part[],
  key: "bytes" | "loraBytes" | "activationBytes" | "historyBytes",
): number {
  return parts.reduce((total, { [key]: n }) => total + n, 0);
}

function largestReordering(parts: readonly Part[]): number {
  return Math.max(0, ...parts.map(({ reorderedBytes }) => reorderedBytes));
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
