// A family of models is data and plain functions. Its folder exports one record of this
// type for each of diffusers' pipeline classes, and model/families.ts lists the
// records. loaded_pipeline.ts holds the code that all families share.
import type { SchedulerConfig, Solver } from "../../sampler/mod.ts";
import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import type { LoraRules } from "../checkpoint/lora/lora_rules.ts";
import type { Architecture } from "../checkpoint/single_file/architecture.ts";
import type { BranchFeeds } from "../denoiser/branch_feeds.ts";
import type { DenoiserShape, GuideRows } from "../denoiser/denoiser_shape.ts";
import type { OnnxDenoiser } from "../denoiser/onnx_denoiser.ts";
import type { MakeDenoiser } from "../denoiser/run_denoiser.ts";
import type { BuildGraphsOptions } from "../graph/build_graphs_options.ts";
import type { OnnxModel } from "../graph/graph_builder.ts";
import type { GenerateRequest } from "../request/generate_request.ts";
import type { ReferenceImage } from "../request/references.ts";
import type { DType } from "../runtime/dtype.ts";
import type { Runtime } from "../runtime/mod.ts";
import type { GraphSession } from "../session/session_loader.ts";
import type { LoadedEncoder } from "../text/encode_text.ts";
import type { EncodedPrompt, EncodePromptOptions } from "../text/encoded_prompt.ts";
import type { LatentScale } from "../vae/latent_scale.ts";
import type { VideoSize } from "../vae/video_size.ts";
import type { DecodedImage } from "../media/decoded_image.ts";
import type { ControlNet, FamilyControls, PreparedControl } from "./control_net.ts";
import type { FrameCondition, PrepareFrames } from "./frame_condition.ts";
import type { LatentDecoder } from "./latent_decoder.ts";
import type { CheckpointReading, OpenOptions } from "./pipeline.ts";

/** A checkpoint as its family has read it: the public reading, and the parts that only the pipeline uses. */
export interface FamilyReading extends CheckpointReading {
  /** The denoiser's config. */
  config: unknown;
  scheduler: SchedulerConfig;
  latentScale: LatentScale;
  /** Name of each text encoder's graph -> folder of its tokenizer. Encoders are loaded in this order. */
  tokenizers: Readonly<Record<string, string>>;
  /**
   * Whether the denoiser has inputs for a mask and for the latents of the image without the masked places, as
   * inpainting checkpoints do.
   * @default false
   */
  maskInputs?: boolean;
  /** The checkpoint's ControlNets. The trunk then has inputs for their residuals. @default none */
  controlNets?: readonly ControlNet[];
  /** Compute type of the denoiser, its feature and its history. @default the text encoders' type */
  denoiserType?: DType;
  /**
   * Builds the graphs: text encoders by name, trunk, head,
   * vae; modulation if the head has one; vaeEncoder for edits; visionEncoder for prompts that see images;
   * trunk2, head2 and modulation2 for a second network.
   */
  buildGraphs(options?: BuildGraphsOptions): Graphs;
}

export type Graphs =
  & Readonly<Record<string, OnnxModel>>
  & Readonly<Record<"trunk" | "head" | "vae", OnnxModel>>
  & { readonly modulation?: OnnxModel; readonly vaeEncoder?: OnnxModel; readonly visionEncoder?: OnnxModel }
  & Partial<Readonly<Record<"trunk2" | "head2" | "modulation2", OnnxModel>>>;

/** The steps that one network takes: from `start` to the next stage. */
export interface Stage {
  start: number;
  /** 0 is the network of trunk, 1 that of trunk2. */
  network: 0 | 1;
}

/** A run without a second network. */
export const ONE_STAGE: readonly Stage[] = [{ start: 0, network: 0 }];

/** The loaded text encoders of a reading, by name. */
export type EncodersOf<Reading extends FamilyReading> = {
  readonly [Name in keyof Reading["tokenizers"]]: LoadedEncoder;
};

/** The loaded networks that encode frames. */
export interface LoadedFrames<Reading extends FamilyReading> {
  runtime: Runtime;
  reading: Reading;
  graphs: ReturnType<Reading["buildGraphs"]>;
  /** Returns a graph that is loaded when it first runs. */
  later(graph: OnnxModel): GraphSession;
}

export interface LoadedText<Reading extends FamilyReading> {
  runtime: Runtime;
  encoders: EncodersOf<Reading>;
  /** The graph visionEncoder. @default the family has none */
  vision?: GraphSession | undefined;
  reading: Reading;
}

export interface PromptToEncode extends EncodePromptOptions {
  text: string;
}

/** Options of `Family.solver`. */
export interface SolverOptions {
  size: VideoSize;
  /** Draws standard normal values, for solvers that add noise between steps. */
  noise: (count: number) => Float32Array<ArrayBuffer>;
}

/** A reference as tokens, which the denoiser reads behind the picture's. */
export interface ReferenceTokens {
  /** Size of its latents. */
  size: VideoSize;
  /** [tokens, channels] */
  tokens: Float32Array;
}

/** Mask and masked image, which a denoiser with `maskInputs` takes beside the latents. */
export interface MaskedParts {
  /** [height, width] in pixels: from 128 on a place is drawn anew. */
  mask: Uint8Array;
  /** Latents of the image without the masked places, [channels, height, width]. */
  image: Float32Array;
  size: VideoSize;
}

/** How a denoiser with `maskInputs` takes a mask. */
export interface MaskInput {
  /** Returns one row of the input. */
  arrange(parts: MaskedParts): Float32Array<ArrayBuffer>;
  /**
   * Whether the pipeline class encodes the image even where noise replaces all of it, and so draws for it.
   */
  encodesAlways: boolean;
}

/** Options of `Family.feeds`. */
export interface FeedsOptions<Config> {
  config: Config;
  /** The encoded prompts of all rows. They have equal lengths unless the family sets `separateBranches`. */
  branches: readonly EncodedPrompt[];
  /** Size of the latents. A picture has one frame. */
  size: VideoSize;
  guidanceScale: number;
  /** Pixels. */
  width: number;
  /** Pixels. */
  height: number;
  /**
   * The mask and the masked image's latents of all rows, as `maskInput` arranges them. Set with
   * `maskInputs`.
   */
  masked?: readonly Float32Array[];
  /** Inputs that the given frames add, of all rows. Set with `prepareFrames`. */
  conditions?: readonly FrameCondition[];
  /** The references of all rows. Each row has as many, of equal sizes. @default none */
  references?: readonly (readonly ReferenceTokens[])[];
}

/** A loaded VAE. */
export interface LoadedVae<Reading extends FamilyReading> extends Pick<OpenOptions, "runtime" | "vaeTiling"> {
  reading: Reading;
  graphs: ReturnType<Reading["buildGraphs"]>;
  session: GraphSession;
}

/** One picture or video whose prompts are encoded. */
export interface PreparedRun {
  request: GenerateRequest;
  /** The prompt and, under classifier-free guidance, the negative prompt after it. */
  branches: readonly EncodedPrompt[];
  size: VideoSize;
  /** The mask and the masked image's latents, for denoisers that see them. */
  masked?: Float32Array | undefined;
  /** The ControlNet and what it sees. */
  control?: PreparedControl | undefined;
  /** Inputs that the given frames add, for denoisers that see them. */
  condition?: FrameCondition | undefined;
  /** @default none */
  references?: readonly ReferenceTokens[] | undefined;
}

export interface DenoiserRows extends Pick<DenoiserShape, "branches" | "slots" | "guide"> {
  /** @default 1 */
  pictures?: number;
  /** The solver's timesteps, one for each step. */
  timesteps: Float64Array;
}

/** Options of `Family.customDenoiser`. */
export interface CustomDenoiserOptions<Reading extends FamilyReading> extends PreparedRun {
  reading: Reading;
  runtime: Runtime;
  /** Owns the tensors that the denoiser is fed. */
  owned: DisposableStack;
  /** Calls the family's `feeds` for these prompts. */
  feeds(branches: readonly EncodedPrompt[]): BranchFeeds;
  /** Opens the network for `rows`. The caller disposes of it. */
  open(feeds: BranchFeeds, rows: DenoiserRows): OnnxDenoiser;
}

/** Converts between the autoencoder's latents and the form that the denoiser works on. */
export interface LatentPacking {
  pack(latents: Float32Array, size: VideoSize): Float32Array<ArrayBuffer>;
  /** Undoes `pack`. */
  unpack(packed: Float32Array, size: VideoSize): Float32Array<ArrayBuffer>;
  /** Returns the shape of one picture's packed latents. */
  dims(size: VideoSize): number[];
}

// These are methods, so that the registry can hold records for different readings in one list.
export interface Family<Reading extends FamilyReading = FamilyReading> {
  /**
   * Reads and checks a checkpoint's configs.
   * @throws {CheckpointError} if a config asks for something unsupported.
   */
  read(checkpoint: Checkpoint, dtype: DType): Reading;
  /**
   * Layout of the family's models in single files.
   * @default the family has none
   */
  singleFile?: Architecture | readonly Architecture[];
  /** How the denoiser's LoRAs are read. @default by diffusers' names alone */
  loras?: LoraRules;
  /** Encodes one prompt. Like diffusers, it cuts prompts that are too long. */
  encodePrompt(prompt: PromptToEncode, loaded: LoadedText<Reading>): Promise<EncodedPrompt>;
  /**
   * Returns the encoding of an empty negative prompt.
   * @returns undefined to encode it like any other
   * @default undefined
   */
  emptyNegative?(positive: EncodedPrompt, reading: Reading): EncodedPrompt | undefined;
  /** Creates the solver of the whole schedule. */
  solver(request: GenerateRequest, options: SolverOptions & { reading: Reading }): Solver;
  /**
   * Returns the stages of a run, ascending from step 0, for networks that take turns.
   * @param timesteps the solver's timesteps, one for each step
   * @default the first network takes all steps
   */
  stages?(timesteps: Float64Array, reading: Reading): readonly Stage[];
  /** @default no packing */
  packing?: LatentPacking;
  /** Needed by readings with `maskInputs`. */
  maskInput?: MaskInput;
  /**
   * Decodes a reference, resized and cropped as the pipeline class does, for the VAE. Needed with
   * `rules.references`.
   */
  referencePicture?(reference: ReferenceImage, reading: Reading): Promise<DecodedImage>;
  /** Whether `encodePrompt` reads the references, as encoders with a vision tower do. @default false */
  promptsSeeReferences?: true;
  /** Whether `encodePrompt` sees the first frame of a prompt, though not of a negative one. @default false */
  promptsSeeFirstFrame?: true;
  /** Creates the inputs of trunk, head and modulation. */
  feeds(runtime: Runtime, options: FeedsOptions<Reading["config"]>): BranchFeeds;
  /** Returns the shape of one row's feature, channels last unless `channelsFirst` is set. */
  featureDims(config: Reading["config"], size: VideoSize): number[];
  /**
   * Creates guidance that is more than a weighted sum of the two branches' outputs.
   * Called only under guidance.
   * @returns undefined for classifier-free guidance @default classifier-free guidance
   */
  guide?(request: GenerateRequest, config: Reading["config"]): GuideRows | undefined;
  /** How ControlNets steer the denoiser. @default the family has none */
  controls?: FamilyControls;
  /** Whether a feature's channels come before height and width. @default false */
  channelsFirst?: true;
  /** Whether prompts differ in length, so that each branch of guidance needs its own call. @default false */
  separateBranches?: true;
  /**
   * Returns whether the step at a timestep of the solver is guided. Once a step is not, no later step is.
   * Needs `separateBranches`.
   * @default true
   */
  guidesStep?(request: GenerateRequest, timestep: number): boolean;
  /**
   * Creates a denoiser that needs more than one network with guidance.
   * @returns undefined if the request needs none
   */
  customDenoiser?(options: CustomDenoiserOptions<Reading>): MakeDenoiser | undefined;
  decoder(vae: LoadedVae<Reading>): LatentDecoder;
  /**
   * Returns the encoder of frames that a video begins or ends with.
   * @returns undefined if the checkpoint takes none @default videos begin from text alone
   */
  prepareFrames?(loaded: LoadedFrames<Reading>): PrepareFrames | undefined;
}
