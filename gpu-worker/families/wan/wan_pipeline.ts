// diffusers' WanPipeline: Wan2.1 from text, and every checkpoint of that architecture, to a video.
import { createSolver, type Solver, type TorchGenerator } from "../../../sampler/mod.ts";
import type { DecodedImage } from "../../media/decoded_image.ts";
import type { Checkpoint } from "../../checkpoint/checkpoint.ts";
import { CLIP_TILING } from "../../vae/video_tiling.ts";
import { decodeWan, type WanDecoder } from "./decode_wan.ts";
import type { EncodedPrompt, EncodePromptOptions } from "../../text/encoded_prompt.ts";
import { guidanceFactors } from "../../denoiser/guide_branches.ts";
import type { DenoiserSessions } from "../../denoiser/denoiser_shape.ts";
import type { OpenOptions } from "../../pipeline/pipeline.ts";
import type { GenerateRequest } from "../../request/generate_request.ts";
import type { MakeDenoiser } from "../../denoiser/run_denoiser.ts";
import { SessionLoader } from "../../session/session_loader.ts";
import { openTokenizer } from "../../text/tokenizer/tokenizer.ts";
import {
  type LatentScale,
  VideoPipeline,
  type VideoRun,
  type VideoToDecode,
} from "../../pipeline/video_pipeline.ts";
import { readWanCheckpoint, type WanCheckpoint } from "./wan_checkpoint.ts";
import { wanFeeds, wanGrid } from "./wan_feeds.ts";
import { WanPromptEncoder } from "./wan_prompt_encoder.ts";

interface Loaded {
  prompts: WanPromptEncoder;
  denoiser: DenoiserSessions;
  decoder: WanDecoder;
  /** Owns them. */
  stack: DisposableStack;
}

export class WanPipeline extends VideoPipeline<WanCheckpoint> {
  readonly #prompts: WanPromptEncoder;
  readonly #sessions: DenoiserSessions;
  readonly #decoder: WanDecoder;

  private constructor(options: OpenOptions, checkpoint: WanCheckpoint, loaded: Loaded) {
    super(options, checkpoint, loaded.stack);
    this.#prompts = loaded.prompts;
    this.#sessions = loaded.denoiser;
    this.#decoder = loaded.decoder;
  }

  /** Loads every component. @throws {CheckpointError} if one is missing, damaged or not supported. */
  static async open(checkpoint: Checkpoint, options: OpenOptions): Promise<WanPipeline> {
    const { runtime, dtype } = options;
    const reading = readWanCheckpoint(checkpoint, dtype);
    const { t5, trunk, head, modulation, vae } = reading.buildGraphs();
    using stack = new DisposableStack();
    const sessions = stack.use(new SessionLoader(runtime, options));
    return new WanPipeline(options, reading, {
      prompts: new WanPromptEncoder(runtime, {
        session: await sessions.load(t5),
        tokenizer: openTokenizer(checkpoint.path("tokenizer")),
        width: reading.config.textDim,
      }),
      denoiser: await sessions.loadTogether({ trunk, head, modulation }),
      decoder: {
        runtime,
        vae: await sessions.load(vae),
        caches: vae.caches,
        scale: reading.vaeConfig.spatialScale,
        tiling: options.vaeTiling ? CLIP_TILING : undefined,
      },
      stack: stack.move(),
    });
  }

  protected get latentScale(): LatentScale {
    const { config: { inChannels }, vaeConfig: { spatialScale, temporalScale } } = this.reading;
    return { channels: inChannels, spatial: spatialScale, temporal: temporalScale };
  }

  protected encodePrompt(text: string, options: EncodePromptOptions): Promise<EncodedPrompt> {
    return this.#prompts.encode(text, options);
  }

  protected solver({ steps }: GenerateRequest, { generator }: { generator: TorchGenerator }): Solver {
    return createSolver(this.reading.scheduler, { steps, noise: (count) => generator.randn(count) });
  }

  /** diffusers runs the network once for each branch; here the branches are rows of one run, each with its own history. */
  protected prepare({ request, branches, size }: VideoRun, owned: DisposableStack): MakeDenoiser {
    const { config } = this.reading;
    const feeds = owned.use(wanFeeds(this.runtime, { config, branches, size }));
    const outputDims = [size.channels, size.frames, size.height, size.width];
    return (slots, timesteps) =>
      this.denoisers.take(this.#sessions, {
        branches: branches.length,
        outputDims,
        slots,
        steps: timesteps.length,
        featureDims: [...wanGrid(config, size), config.innerDim],
        featureType: this.dtype,
        trunkFeeds: (latents, timestep) => feeds.trunk(latents, timestep),
        modulationFeeds: () => feeds.modulation(timesteps),
        guide: guidanceFactors(branches.length, request.guidanceScale),
      });
  }

  protected decode(video: VideoToDecode): AsyncGenerator<DecodedImage> {
    return decodeWan(this.#decoder, video);
  }
}
