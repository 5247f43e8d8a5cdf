// diffusers' StableDiffusion3Pipeline: Stable Diffusion 3, 3.5-Medium, 3.5-Large and its turbo, from text or from an image.
import { createSolver, planSteps, type Solver, type TorchGenerator } from "../../../sampler/mod.ts";
import type { OnnxModel } from "../../graph/graph_builder.ts";
import type { BranchFeeds } from "../../denoiser/branch_feeds.ts";
import type { Checkpoint } from "../../checkpoint/checkpoint.ts";
import type { EncodedPrompt, EncodePromptOptions } from "../../text/encoded_prompt.ts";
import { guidanceFactors } from "../../denoiser/guide_branches.ts";
import { ImageEncoder } from "../../vae/image_encoder.ts";
import { ImagePipeline, type ImageRun, type ImageSessions } from "../../pipeline/image_pipeline.ts";
import type { LatentSize } from "../../vae/latent_size.ts";
import type { DenoiserSessions, DenoiserShape } from "../../denoiser/denoiser_shape.ts";
import type { LentDenoiser } from "../../denoiser/idle_denoisers.ts";
import type { OpenOptions } from "../../pipeline/pipeline.ts";
import type { GenerateRequest } from "../../request/generate_request.ts";
import { readSd3Checkpoint, type Sd3Checkpoint } from "./sd3_checkpoint.ts";
import { sd3Feeds } from "./sd3_feeds.ts";
import { Sd3PromptEncoder } from "./sd3_prompt_encoder.ts";
import type { MakeDenoiser } from "../../denoiser/run_denoiser.ts";
import { SessionLoader } from "../../session/session_loader.ts";
import { countSkippingSlots, SkipLayerDenoiser } from "./skip_layer_denoiser.ts";
import { tiledDecoder } from "../../vae/tiled_decoder.ts";
import { openTokenizer } from "../../text/tokenizer/tokenizer.ts";

interface Loaded extends ImageSessions {
  prompts: Sd3PromptEncoder;
  denoiser: DenoiserSessions;
}

export class Sd3Pipeline extends ImagePipeline<Sd3Checkpoint> {
  readonly #prompts: Sd3PromptEncoder;
  readonly #sessions: DenoiserSessions;

  private constructor(options: OpenOptions, checkpoint: Sd3Checkpoint, loaded: Loaded) {
    super(options, checkpoint, loaded);
    this.#prompts = loaded.prompts;
    this.#sessions = loaded.denoiser;
  }

  /** Loads every component. @throws {CheckpointError} if one is missing, damaged or not supported. */
  static async open(checkpoint: Checkpoint, options: OpenOptions): Promise<Sd3Pipeline> {
    const { runtime, dtype } = options;
    const sd3 = readSd3Checkpoint(checkpoint, dtype);
    const { clip, clip2, t5, trunk, head, modulation, vae, vaeEncoder } = sd3.buildGraphs();
    using stack = new DisposableStack();
    const sessions = stack.use(new SessionLoader(runtime, options));
    const encoder = async (model: OnnxModel, tokenizer: string) => ({
      session: await sessions.load(model),
      tokenizer: openTokenizer(checkpoint.path(tokenizer)),
    });
    const encoders = {
      clip: await encoder(clip, "tokenizer"),
      clip2: await encoder(clip2, "tokenizer_2"),
      t5: t5 && await encoder(t5, "tokenizer_3"),
    };
    return new Sd3Pipeline(options, sd3, {
      prompts: new Sd3PromptEncoder(runtime, { encoders, width: sd3.config.jointAttentionDim }),
      denoiser: await sessions.loadTogether({ trunk, head, modulation }),
      vae: tiledDecoder(await sessions.load(vae), { ...options, config: sd3.vaeConfig }),
      images: stack.use(new ImageEncoder(runtime, vaeEncoder)),
      stack: stack.move(),
    });
  }

  protected get latentChannels(): number {
    return this.reading.config.inChannels;
  }

  #tokens({ height, width }: LatentSize): number {
    return height * width / this.reading.config.patchSize ** 2;
  }

  protected encodePrompt(text: string, options: EncodePromptOptions): Promise<EncodedPrompt> {
    return this.#prompts.encode(text, options);
  }

  protected solver(
    { steps }: GenerateRequest,
    { size, generator }: { size: LatentSize; generator: TorchGenerator },
  ): Solver {
    return createSolver(this.reading.scheduler, {
      steps,
      imageSeqLen: this.#tokens(size),
      noise: (count) => generator.randn(count),
    });
  }

  /** One network call a step for both branches; under skip-layer guidance a second one for the prompt. */
  protected prepare(runs: readonly ImageRun[], owned: DisposableStack): MakeDenoiser {
    const { config } = this.reading;
    const { request, branches, size } = runs[0]!;
    const { guidanceScale, skipLayerGuidance: skip, steps, sampler } = request;
    const prompts = runs.flatMap(({ branches }) => branches);
    const feeds = owned.use(sd3Feeds(this.runtime, { config, branches: prompts, size }));
    const shape = { pictures: runs.length, branches: branches.length, size };
    if (skip === undefined) {
      const guide = guidanceFactors(branches.length, guidanceScale);
      return (slots, timesteps) => this.#rows(feeds, { ...shape, slots, timesteps, guide });
    }
    const prompt = branches.slice(0, 1);
    const skipping = owned.use(
      sd3Feeds(this.runtime, { config, branches: prompt, size, skippedLayers: skip.layers }),
    );
    const skippingSlots = countSkippingSlots(planSteps(steps, sampler), skip);
    const asItIs = (output: Float32Array) => output;
    return (slots, timesteps) => {
      using stack = new DisposableStack();
      const denoiser = new SkipLayerDenoiser({
        branches: stack.use(this.#rows(feeds, { ...shape, slots, timesteps, guide: asItIs })),
        skipping: stack.use(
          this.#rows(skipping, { ...shape, branches: 1, slots: skippingSlots, timesteps, guide: asItIs }),
        ),
        slots: skippingSlots,
        steps,
        guidanceScale,
        guidance: skip,
      });
      stack.move();
      return denoiser;
    };
  }

  #rows(
    feeds: BranchFeeds,
    { size, timesteps, ...options }:
      & Pick<DenoiserShape, "pictures" | "branches" | "slots" | "guide">
      & {
        size: LatentSize;
        timesteps: Float64Array;
      },
  ): LentDenoiser {
    const { patchSize, innerDim } = this.reading.config;
    return this.denoisers.take(this.#sessions, {
      featureDims: [size.height / patchSize, size.width / patchSize, innerDim],
      featureType: this.dtype,
      trunkFeeds: (latents, timestep) => feeds.trunk(latents, timestep),
      modulationFeeds: () => feeds.modulation(timesteps),
      outputDims: this.packedDims(size),
      steps: timesteps.length,
      ...options,
    });
  }
}
