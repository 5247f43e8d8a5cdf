// What a FLUX run feeds to trunk and head besides the latents; made once, reused at every step.
import type { FluxTransformerConfig } from "../graph/flux_config.ts";
import { fluxRotaryTables } from "../graph/flux_rotary.ts";
import type { Runtime, Tensor } from "../runtime/mod.ts";
import type { LatentSize } from "./flux_latents.ts";
import type { FluxPrompt } from "./flux_prompt_encoder.ts";

export interface FluxConditioningOptions {
  config: FluxTransformerConfig;
  /** The prompt, then under true classifier-free guidance the negative prompt; of equal length. */
  branches: readonly FluxPrompt[];
  size: LatentSize;
  guidanceScale: number;
}

type Feeds = Record<string, Tensor>;

const TRAIN_TIMESTEPS = 1000;

/** Owns the tensors; the feeds it returns are valid until the next call of the same method. */
export class FluxConditioning implements Disposable {
  readonly #runtime: Runtime;
  readonly #options: FluxConditioningOptions;
  readonly #stack = new DisposableStack();
  readonly #latents: Float32Array<ArrayBuffer>;
  readonly #trunk: Feeds;
  readonly #trunkRows: Rows;
  readonly #headRows = new Map<number, Rows>();

  constructor(runtime: Runtime, options: FluxConditioningOptions) {
    this.#runtime = runtime;
    this.#options = options;
    const { branches, size, config } = options;
    const [count, tokens] = [branches.length, size.height * size.width / 4];
    const textTokens = branches[0]!.tokens;
    const { cos, sin } = fluxRotaryTables({
      textTokens,
      height: size.height / 2,
      width: size.width / 2,
      axesDims: config.axesDimsRope,
    });
    const rotaryDims = [textTokens + tokens, config.attentionHeadDim / 2];
    this.#latents = new Float32Array(count * tokens * config.inChannels);
    this.#trunkRows = this.#rows(1);
    this.#trunk = {
      ...this.#trunkRows.feeds,
      hidden_states: this.#tensor([count, tokens, config.inChannels], this.#latents),
      encoder_hidden_states: this.#tensor(
        [count, textTokens, config.jointAttentionDim],
        concat(branches.map((branch) => branch.embeds)),
      ),
      rotary_cos: this.#tensor(rotaryDims, cos),
      rotary_sin: this.#tensor(rotaryDims, sin),
    };
  }

  /** @param latents one row, [tokens * inChannels], repeated for each branch @param timestep 0..1000 */
  trunkFeeds(latents: Float32Array, timestep: number): Feeds {
    for (let at = 0; at < this.#latents.length; at += latents.length) this.#latents.set(latents, at);
    this.#trunkRows.timestep.fill(timestep / TRAIN_TIMESTEPS);
    return this.#trunk;
  }

  /** @param timesteps 0..1000, one a step */
  headFeeds(timesteps: readonly number[]): Feeds {
    const steps = timesteps.length;
    let rows = this.#headRows.get(steps);
    if (rows === undefined) this.#headRows.set(steps, rows = this.#rows(steps));
    const count = this.#options.branches.length;
    for (const [i, timestep] of timesteps.entries()) {
      rows.timestep.fill(timestep / TRAIN_TIMESTEPS, i * count, (i + 1) * count);
    }
    return rows.feeds;
  }

  [Symbol.dispose](): void {
    this.#stack.dispose();
  }

  /** Conditioning of steps * branches rows. */
  #rows(steps: number): Rows {
    const { branches, config, guidanceScale } = this.#options;
    const count = steps * branches.length;
    const timestep = new Float32Array(count);
    const pooled = concat(Array.from({ length: count }, (_, row) => branches[row % branches.length]!.pooled));
    const feeds: Feeds = {
      timestep: this.#tensor([count], timestep),
      pooled_projections: this.#tensor([count, config.pooledProjectionDim], pooled),
    };
    if (config.guidanceEmbeds) {
      feeds["guidance"] = this.#tensor([count], new Float32Array(count).fill(guidanceScale));
    }
    return { timestep, feeds };
  }

  #tensor(dims: readonly number[], data: Float32Array<ArrayBuffer>): Tensor {
    return this.#stack.use(this.#runtime.tensor("float32", dims, data));
  }
}

interface Rows {
  /** The memory of the feed of that name. */
  timestep: Float32Array<ArrayBuffer>;
  feeds: Feeds;
}

function concat(arrays: readonly Float32Array[]): Float32Array<ArrayBuffer> {
  const joined = new Float32Array(arrays.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const array of arrays) {
    joined.set(array, at);
    at += array.length;
  }
  return joined;
}
