// A family of models is data and plain functions: its folder exports one record of this type for each of diffusers' pipeline
// classes, and model/families.ts lists it. What all families do alike is in load_pipeline.ts.
import type { SchedulerConfig, Solver } from "../../sampler/mod.ts";
import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import type { BranchFeeds } from "../denoiser/branch_feeds.ts";
import type { DenoiserShape } from "../denoiser/denoiser_shape.ts";
import type { OnnxDenoiser } from "../denoiser/onnx_denoiser.ts";
import type { MakeDenoiser } from "../denoiser/run_denoiser.ts";
import type { OnnxModel } from "../graph/graph_builder.ts";
import type { GenerateRequest } from "../request/generate_request.ts";
import { guidanceBranches } from "../request/guidance_branches.ts";
import type { RequestDefaults } from "../request/request_defaults.ts";
import type { DType } from "../runtime/dtype.ts";
import type { Runtime } from "../runtime/mod.ts";
import type { GraphSession } from "../session/session_loader.ts";
import type { LoadedEncoder } from "../text/encode_text.ts";
import type { EncodedPrompt, EncodePromptOptions } from "../text/encoded_prompt.ts";
import type { LatentScale } from "../vae/latent_scale.ts";
import { latentsOf, type VideoSize } from "../vae/video_size.ts";
import type { LatentDecoder } from "./latent_decoder.ts";
import type { CheckpointReading, OpenOptions } from "./pipeline.ts";

/** What a family reads of a checkpoint, beside what the outside sees of it. */
export interface FamilyReading extends CheckpointReading {
  /** The denoiser's. */
  config: unknown;
  scheduler: SchedulerConfig;
  latentScale: LatentScale;
  /** Name of each text encoder's graph -> folder of its tokenizer. Encoders are loaded in this order. */
  tokenizers: Readonly<Record<string, string>>;
  /** Compute type of the denoiser, its feature and history. @default that of the text encoders */
  denoiserType?: DType;
  /** Graphs: the text encoders by their names, trunk, head, modulation (if the head has one), vae, vaeEncoder (for edits). */
  buildGraphs(): Graphs;
}

export type Graphs =
  & Readonly<Record<string, OnnxModel>>
  & Readonly<Record<"trunk" | "head" | "vae", OnnxModel>>
  & { readonly modulation?: OnnxModel; readonly vaeEncoder?: OnnxModel };

/** The text encoders of a reading, loaded. */
export type EncodersOf<Reading extends FamilyReading> = {
  readonly [Name in keyof Reading["tokenizers"]]: LoadedEncoder;
};

export interface LoadedText<Reading extends FamilyReading> {
  runtime: Runtime;
  encoders: EncodersOf<Reading>;
  reading: Reading;
}

export interface PromptToEncode extends EncodePromptOptions {
  text: string;
}

/** What a solver is made for. */
export interface SolverOptions {
  size: VideoSize;
  /** Draws standard normal values, for solvers that add noise on the way. */
  noise: (count: number) => Float32Array<ArrayBuffer>;
}

/** What the inputs of a denoiser are made from. */
export interface FeedsOptions<Config> {
  config: Config;
  /** The prompts of all rows, of equal length unless `separateBranches`. */
  branches: readonly EncodedPrompt[];
  /** A picture's has one frame. */
  size: VideoSize;
  guidanceScale: number;
  /** Pixels. */
  width: number;
  /** Pixels. */
  height: number;
}

/** The VAE as it is loaded. */
export interface LoadedVae<Reading extends FamilyReading> extends Pick<OpenOptions, "runtime" | "vaeTiling"> {
  reading: Reading;
  graphs: ReturnType<Reading["buildGraphs"]>;
  session: GraphSession;
}

/** One picture or video, its prompts encoded. */
export interface PreparedRun {
  request: GenerateRequest;
  /** The prompt, then under classifier-free guidance the negative prompt. */
  branches: readonly EncodedPrompt[];
  size: VideoSize;
}

export interface DenoiserRows extends Pick<DenoiserShape, "branches" | "slots" | "guide"> {
  /** @default 1 */
  pictures?: number;
  /** The solver's, by step. */
  timesteps: Float64Array;
}

/** What a family makes a denoiser of its own from. */
export interface CustomDenoiserOptions<Reading extends FamilyReading> extends PreparedRun {
  reading: Reading;
  runtime: Runtime;
  /** Owns what the denoiser is fed. */
  owned: DisposableStack;
  /** What `feeds` of the family makes of these prompts. */
  feeds(branches: readonly EncodedPrompt[]): BranchFeeds;
  /** Makes the network for those rows; the caller disposes of it. */
  open(feeds: BranchFeeds, rows: DenoiserRows): OnnxDenoiser;
}

/** From the autoencoder's latents to what the denoiser works on. */
export interface LatentPacking {
  pack(latents: Float32Array, size: VideoSize): Float32Array<ArrayBuffer>;
  /** The inverse of `pack`. */
  unpack(packed: Float32Array, size: VideoSize): Float32Array<ArrayBuffer>;
  /** Shape of one picture's packed latents. */
  dims(size: VideoSize): number[];
}

// Methods, so that a record for one reading is one for any: the registry holds them all.
export interface Family<Reading extends FamilyReading = FamilyReading> {
  /** Reads and checks a checkpoint's configs. @throws {CheckpointError} if it asks for what is not supported. */
  read(checkpoint: Checkpoint, dtype: DType): Reading;
  /** Encodes one prompt as diffusers does, which cuts those that are too long. */
  encodePrompt(prompt: PromptToEncode, loaded: LoadedText<Reading>): Promise<EncodedPrompt>;
  /** Stands in for an empty negative prompt. @returns undefined to encode it like any other. @default undefined */
  emptyNegative?(positive: EncodedPrompt, reading: Reading): EncodedPrompt | undefined;
  /** Makes the solver of the whole schedule. */
  solver(request: GenerateRequest, options: SolverOptions & { reading: Reading }): Solver;
  /** @default the autoencoder's latents as they are */
  packing?: LatentPacking;
  /** Makes the inputs of trunk, head and modulation. */
  feeds(runtime: Runtime, options: FeedsOptions<Reading["config"]>): BranchFeeds;
  /** Shape of the last-block feature of one row. */
  featureDims(config: Reading["config"], size: VideoSize): number[];
  /** Whether prompts differ in length, so that each branch of guidance is a run of its own. @default false */
  separateBranches?: true;
  /** Makes a denoiser that is more than one network with guidance. @returns undefined where a request needs none */
  customDenoiser?(options: CustomDenoiserOptions<Reading>): MakeDenoiser | undefined;
  decoder(vae: LoadedVae<Reading>): LatentDecoder;
}

/** Returns the shape of the latents that the denoiser works on. */
export function denoisedDims(
  { family: { packing }, reading: { rules } }: { family: Family; reading: FamilyReading },
  size: VideoSize,
): number[] {
  const { channels, frames, height, width } = size;
  if (packing) return packing.dims(size);
  return rules.video ? [channels, frames, height, width] : [channels, height, width];
}

/** Counts the elements of the last-block feature of one picture or video, all branches. */
export function featureElements(
  { family, reading: { config, latentScale, rules } }: { family: Family; reading: FamilyReading },
  request: Omit<RequestDefaults, "sampler">,
): number {
  const dims = family.featureDims(config, latentsOf(latentScale, request));
  return dims.reduce((product, dim) => product * dim, guidanceBranches(request, rules));
}
