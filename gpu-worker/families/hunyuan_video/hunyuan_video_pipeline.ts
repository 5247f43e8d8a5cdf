// diffusers' HunyuanVideoPipeline: HunyuanVideo and every checkpoint of that architecture, from text to a video.
import { createSolver, linspace, type Solver, type TorchGenerator } from "../../../sampler/mod.ts";
import type { OnnxModel } from "../../graph/graph_builder.ts";
import type { DecodedImage } from "../../media/decoded_image.ts";
import type { Checkpoint } from "../../checkpoint/checkpoint.ts";
import { CLIP_TILING } from "../../vae/video_tiling.ts";
import type { EncodedPrompt, EncodePromptOptions } from "../../text/encoded_prompt.ts";
import { guideBranches } from "../../denoiser/guide_branches.ts";
import { type HunyuanVideoCheckpoint, readHunyuanVideoCheckpoint } from "./hunyuan_video_checkpoint.ts";
import { decodeHunyuanVideo, type HunyuanVideoDecoderOptions } from "./decode_hunyuan_video.ts";
import { hunyuanVideoFeeds, patchGrid } from "./hunyuan_video_feeds.ts";
import { HunyuanVideoPromptEncoder } from "./hunyuan_video_prompt_encoder.ts";
import type { DenoiserSessions } from "../../denoiser/denoiser_shape.ts";
import type { OpenOptions } from "../../pipeline/pipeline.ts";
import type { GenerateRequest } from "../../request/generate_request.ts";
import type { MakeDenoiser } from "../../denoiser/run_denoiser.ts";
import { SeparateBranches } from "../../denoiser/separate_branches.ts";
import { SessionLoader } from "../../session/session_loader.ts";
import { openTokenizer } from "../../text/tokenizer/tokenizer.ts";
import {
  type LatentScale,
  VideoPipeline,
  type VideoRun,
  type VideoToDecode,
} from "../../pipeline/video_pipeline.ts";

interface Loaded {
  prompts: HunyuanVideoPromptEncoder;
  denoiser: DenoiserSessions;
  decoder: HunyuanVideoDecoderOptions;
  /** Owns them. */
  stack: DisposableStack;
}

export class HunyuanVideoPipeline extends VideoPipeline<HunyuanVideoCheckpoint> {
  readonly #prompts: HunyuanVideoPromptEncoder;
  readonly #sessions: DenoiserSessions;
  readonly #decoder: HunyuanVideoDecoderOptions;

  private constructor(options: OpenOptions, checkpoint: HunyuanVideoCheckpoint, loaded: Loaded) {
    super(options, checkpoint, loaded.stack);
    this.#prompts = loaded.prompts;
    this.#sessions = loaded.denoiser;
    this.#decoder = loaded.decoder;
  }

  /** Loads every component. @throws {CheckpointError} if one is missing, damaged or not supported. */
  static async open(checkpoint: Checkpoint, options: OpenOptions): Promise<HunyuanVideoPipeline> {
    const { runtime, dtype, vaeTiling } = options;
    const reading = readHunyuanVideoCheckpoint(checkpoint, dtype);
    const { llama, clip, trunk, head, modulation, vae } = reading.buildGraphs();
    using stack = new DisposableStack();
    const sessions = stack.use(new SessionLoader(runtime, options));
    const encoder = async (model: OnnxModel, tokenizer: string) => ({
      session: await sessions.load(model),
      tokenizer: openTokenizer(checkpoint.path(tokenizer)),
    });
    const prompts = new HunyuanVideoPromptEncoder(runtime, {
      llama: await encoder(llama, "tokenizer"),
      clip: await encoder(clip, "tokenizer_2"),
      features: reading.config.textEmbedDim,
    });
    return new HunyuanVideoPipeline(options, reading, {
      prompts,
      denoiser: await sessions.loadTogether({ trunk, head, modulation }),
      decoder: {
        runtime,
        vae: await sessions.load(vae),
        scale: reading.vaeConfig.spatial_compression_ratio,
        tiling: vaeTiling ? CLIP_TILING : undefined,
      },
      stack: stack.move(),
    });
  }

  protected get latentScale(): LatentScale {
    const { config, vaeConfig } = this.reading;
    return {
      channels: config.inChannels,
      spatial: vaeConfig.spatial_compression_ratio,
      temporal: vaeConfig.temporal_compression_ratio,
    };
  }

  protected encodePrompt(text: string, options: EncodePromptOptions): Promise<EncodedPrompt> {
    return this.#prompts.encode(text, options);
  }

  protected solver({ steps }: GenerateRequest, { generator }: { generator: TorchGenerator }): Solver {
    // As HunyuanVideoPipeline passes them.
    const sigmas = [...linspace(1, 0, steps + 1)].slice(0, -1);
    return createSolver(this.reading.scheduler, { steps, sigmas, noise: (count) => generator.randn(count) });
  }

  /** Prompts have as many tokens as they need, so each branch is a call of its own, as in diffusers. */
  protected prepare({ request, branches, size }: VideoRun, owned: DisposableStack): MakeDenoiser {
    const { config } = this.reading;
    const { guidanceScale, trueCfgScale } = request;
    const feeds = branches.map((prompt) =>
      owned.use(hunyuanVideoFeeds(this.runtime, { config, prompt, size, guidanceScale }))
    );
    const outputDims = [size.channels, size.frames, size.height, size.width];
    return (slots, timesteps) => {
      using stack = new DisposableStack();
      const denoisers = feeds.map((branch) =>
        stack.use(
          this.denoisers.take(this.#sessions, {
            branches: 1,
            outputDims,
            slots,
            steps: timesteps.length,
            featureDims: [...patchGrid(config, size), config.innerDim],
            featureType: this.dtype,
            trunkFeeds: (latents, timestep) => branch.trunk(latents, timestep),
            modulationFeeds: () => branch.modulation(timesteps),
            guide: [1],
          }),
        )
      );
      stack.move();
      return new SeparateBranches(denoisers, {
        slots,
        guide: (outputs) => guideBranches(outputs, trueCfgScale),
      });
    };
  }

  protected decode(video: VideoToDecode): AsyncGenerator<DecodedImage> {
    return decodeHunyuanVideo(video, this.#decoder);
  }
}
