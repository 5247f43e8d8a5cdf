// diffusers' StableDiffusionPipeline and StableDiffusionXLPipeline, from text or from an image: Stable Diffusion 1.x, 2.x and SDXL.
import { createSolver, type Solver, type TorchGenerator } from "../../../sampler/mod.ts";
import type { Checkpoint } from "../../checkpoint/checkpoint.ts";
import { UnetPromptEncoder, zeroPrompt } from "./unet_prompt_encoder.ts";
import type { EncodedPrompt, EncodePromptOptions } from "../../text/encoded_prompt.ts";
import { guidanceFactors, guideBranches } from "../../denoiser/guide_branches.ts";
import { ImageEncoder } from "../../vae/image_encoder.ts";
import { ImagePipeline, type ImageRun, type ImageSessions } from "../../pipeline/image_pipeline.ts";
import type { DenoiserSessions, GuideRows } from "../../denoiser/denoiser_shape.ts";
import type { OpenOptions } from "../../pipeline/pipeline.ts";
import type { GenerateRequest } from "../../request/generate_request.ts";
import { rescaleGuidance } from "../../denoiser/rescale_guidance.ts";
import { readSdCheckpoint } from "./sd_checkpoint.ts";
import { readSdxlCheckpoint } from "./sdxl_checkpoint.ts";
import type { MakeDenoiser } from "../../denoiser/run_denoiser.ts";
import { SessionLoader } from "../../session/session_loader.ts";
import { tiledDecoder } from "../../vae/tiled_decoder.ts";
import { openTokenizer } from "../../text/tokenizer/tokenizer.ts";
import type { UNetCheckpoint } from "./unet_checkpoint.ts";
import { unetFeeds } from "./unet_feeds.ts";

interface Loaded extends ImageSessions {
  prompts: UnetPromptEncoder;
  denoiser: DenoiserSessions;
}

/** A loaded checkpoint of either class; they differ in what their readers find. */
export class UNetPipeline extends ImagePipeline<UNetCheckpoint> {
  readonly #prompts: UnetPromptEncoder;
  readonly #sessions: DenoiserSessions;

  private constructor(options: OpenOptions, checkpoint: UNetCheckpoint, loaded: Loaded) {
    super(options, checkpoint, loaded);
    this.#prompts = loaded.prompts;
    this.#sessions = loaded.denoiser;
  }

  /** Loads every component of a Stable Diffusion checkpoint. @throws {CheckpointError} if that is not possible. */
  static openSd(checkpoint: Checkpoint, options: OpenOptions): Promise<UNetPipeline> {
    return UNetPipeline.#open(readSdCheckpoint(checkpoint, options.dtype), options);
  }

  /** Loads every component of an SDXL checkpoint. @throws {CheckpointError} if that is not possible. */
  static openSdxl(checkpoint: Checkpoint, options: OpenOptions): Promise<UNetPipeline> {
    return UNetPipeline.#open(readSdxlCheckpoint(checkpoint, options.dtype), options);
  }

  static async #open(read: UNetCheckpoint, options: OpenOptions): Promise<UNetPipeline> {
    using stack = new DisposableStack();
    const sessions = stack.use(new SessionLoader(options.runtime, options));
    const encoders = [];
    const { trunk, head, vae, vaeEncoder, ...text } = read.buildGraphs();
    for (const { name, tokenizer, states } of read.textEncoders) {
      encoders.push({
        session: await sessions.load(text[name]!),
        tokenizer: openTokenizer(tokenizer),
        states,
      });
    }
    return new UNetPipeline(options, read, {
      prompts: new UnetPromptEncoder(options.runtime, encoders),
      denoiser: await sessions.loadTogether({ trunk, head }),
      vae: tiledDecoder(await sessions.load(vae), { ...options, config: read.vaeConfig }),
      images: stack.use(new ImageEncoder(options.runtime, vaeEncoder)),
      stack: stack.move(),
    });
  }

  protected get latentChannels(): number {
    return this.reading.config.inChannels;
  }

  protected encodePrompt(text: string, { signal }: EncodePromptOptions): Promise<EncodedPrompt> {
    return this.#prompts.encode(text, signal);
  }

  protected override async encodeNegative(
    request: GenerateRequest,
    positive: EncodedPrompt,
    options: EncodePromptOptions,
  ): Promise<EncodedPrompt> {
    // An empty negative prompt is one that is not given; diffusers tells None from "".
    const absent = request.negativePrompt === "" && this.reading.zeroNegative;
    return absent ? zeroPrompt(positive) : await super.encodeNegative(request, positive, options);
  }

  protected solver({ steps }: GenerateRequest, { generator }: { generator: TorchGenerator }): Solver {
    return createSolver(this.reading.scheduler, { steps, noise: (count) => generator.randn(count) });
  }

  protected prepare(runs: readonly ImageRun[], owned: DisposableStack): MakeDenoiser {
    const { config, unetType } = this.reading;
    const { request, branches: { length: branches }, size } = runs[0]!;
    const { height, width } = request;
    const prompts = runs.flatMap(({ branches }) => branches);
    const feeds = owned.use(unetFeeds(this.runtime, { config, branches: prompts, size, height, width }));
    return (slots, timesteps) =>
      this.denoisers.take(this.#sessions, {
        pictures: runs.length,
        branches,
        slots,
        steps: timesteps.length,
        featureDims: [config.channels, size.height, size.width],
        featureType: unetType,
        trunkFeeds: (latents, timestep) => feeds.trunk(latents, timestep),
        outputDims: this.packedDims(size),
        guide: guidance(branches, request),
      });
  }
}

/** As factors of the branches' outputs, or under guidance rescale as more than that. */
function guidance(
  branches: number,
  { guidanceScale, guidanceRescale: rescale }: GenerateRequest,
): readonly number[] | GuideRows {
  if (branches === 1 || rescale === 0) return guidanceFactors(branches, guidanceScale);
  return (output) => {
    const guided = guideBranches(output, guidanceScale);
    return rescaleGuidance(guided, { conditional: output.subarray(0, guided.length), rescale });
  };
}
