// diffusers' FluxPipeline: FLUX.1-dev, FLUX.1-schnell and every checkpoint of that architecture, from text or from an image.
import { createSolver, linspace, type Solver, type TorchGenerator } from "../../../sampler/mod.ts";
import type { OnnxModel } from "../../graph/graph_builder.ts";
import type { Checkpoint } from "../../checkpoint/checkpoint.ts";
import type { EncodedPrompt, EncodePromptOptions } from "../../text/encoded_prompt.ts";
import { type FluxCheckpoint, readFluxCheckpoint } from "./flux_checkpoint.ts";
import { fluxFeeds } from "./flux_feeds.ts";
import { packLatents, unpackLatents } from "./flux_latents.ts";
import { FluxPromptEncoder } from "./flux_prompt_encoder.ts";
import { guidanceFactors } from "../../denoiser/guide_branches.ts";
import { ImageEncoder } from "../../vae/image_encoder.ts";
import { ImagePipeline, type ImageRun, type ImageSessions } from "../../pipeline/image_pipeline.ts";
import type { LatentSize } from "../../vae/latent_size.ts";
import type { DenoiserSessions } from "../../denoiser/denoiser_shape.ts";
import type { OpenOptions } from "../../pipeline/pipeline.ts";
import type { GenerateRequest } from "../../request/generate_request.ts";
import type { MakeDenoiser } from "../../denoiser/run_denoiser.ts";
import { SessionLoader } from "../../session/session_loader.ts";
import { tiledDecoder } from "../../vae/tiled_decoder.ts";
import { openTokenizer } from "../../text/tokenizer/tokenizer.ts";

interface Loaded extends ImageSessions {
  prompts: FluxPromptEncoder;
  denoiser: DenoiserSessions;
}

/** Side of the squares of latent pixels that become tokens. */
const PATCH = 2;

export class FluxPipeline extends ImagePipeline<FluxCheckpoint> {
  readonly #prompts: FluxPromptEncoder;
  readonly #sessions: DenoiserSessions;

  private constructor(options: OpenOptions, checkpoint: FluxCheckpoint, loaded: Loaded) {
    super(options, checkpoint, loaded);
    this.#prompts = loaded.prompts;
    this.#sessions = loaded.denoiser;
  }

  /** Loads every component. @throws {CheckpointError} if one is missing, damaged or not supported. */
  static async open(checkpoint: Checkpoint, options: OpenOptions): Promise<FluxPipeline> {
    const { runtime, dtype } = options;
    const flux = readFluxCheckpoint(checkpoint, dtype);
    const { clip, t5, trunk, head, modulation, vae, vaeEncoder } = flux.buildGraphs();
    using stack = new DisposableStack();
    const sessions = stack.use(new SessionLoader(runtime, options));
    const encoder = async (model: OnnxModel, tokenizer: string) => ({
      session: await sessions.load(model),
      tokenizer: openTokenizer(checkpoint.path(tokenizer)),
    });
    const prompts = new FluxPromptEncoder(runtime, {
      clip: await encoder(clip, "tokenizer"),
      t5: await encoder(t5, "tokenizer_2"),
    });
    return new FluxPipeline(options, flux, {
      prompts,
      denoiser: await sessions.loadTogether({ trunk, head, modulation }),
      vae: tiledDecoder(await sessions.load(vae), { ...options, config: flux.vaeConfig }),
      images: stack.use(new ImageEncoder(runtime, vaeEncoder)),
      stack: stack.move(),
    });
  }

  protected get latentChannels(): number {
    return this.reading.config.inChannels / PATCH ** 2;
  }

  #tokens({ height, width }: LatentSize): number {
    return height * width / PATCH ** 2;
  }

  protected encodePrompt(text: string, options: EncodePromptOptions): Promise<EncodedPrompt> {
    return this.#prompts.encode(text, options);
  }

  protected solver(
    { steps }: GenerateRequest,
    { size, generator }: { size: LatentSize; generator: TorchGenerator },
  ): Solver {
    // As FluxPipeline passes them.
    const sigmas = [...linspace(1, 1 / steps, steps)];
    return createSolver(this.reading.scheduler, {
      steps,
      sigmas,
      imageSeqLen: this.#tokens(size),
      noise: (count) => generator.randn(count),
    });
  }

  protected prepare(runs: readonly ImageRun[], owned: DisposableStack): MakeDenoiser {
    const { config } = this.reading;
    const { request: { guidanceScale, trueCfgScale }, size, branches: { length: branches } } = runs[0]!;
    const prompts = runs.flatMap(({ branches }) => branches);
    const feeds = owned.use(fluxFeeds(this.runtime, { config, branches: prompts, size, guidanceScale }));
    return (slots, timesteps) =>
      this.denoisers.take(this.#sessions, {
        pictures: runs.length,
        branches,
        slots,
        steps: timesteps.length,
        outputDims: this.packedDims(size),
        featureDims: [this.#tokens(size), config.innerDim],
        featureType: this.dtype,
        trunkFeeds: (latents, timestep) => feeds.trunk(latents, timestep),
        modulationFeeds: () => feeds.modulation(timesteps),
        guide: guidanceFactors(branches, trueCfgScale),
      });
  }

  protected override pack(latents: Float32Array<ArrayBuffer>, size: LatentSize): Float32Array<ArrayBuffer> {
    return packLatents(latents, size);
  }

  protected override unpack(latents: Float32Array<ArrayBuffer>, size: LatentSize): Float32Array<ArrayBuffer> {
    return unpackLatents(latents, size);
  }

  protected override packedDims(size: LatentSize): number[] {
    return [this.#tokens(size), size.channels * PATCH ** 2];
  }
}
