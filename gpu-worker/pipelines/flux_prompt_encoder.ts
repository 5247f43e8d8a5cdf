// Prompts for FLUX: CLIP's pooled output and T5's states (FluxPipeline.encode_prompt).
import { clipTextEncoderGraph } from "../graph/clip_text_encoder.ts";
import { t5EncoderGraph } from "../graph/t5_encoder.ts";
import type { Runtime, Session } from "../runtime/mod.ts";
import type { Checkpoint } from "./checkpoint.ts";
import type { OpenOptions } from "./flux_pipeline.ts";
import { loadSession } from "./load_session.ts";
import { openTokenizer, type Tokenizer } from "./tokenizer.ts";

/** An encoded prompt, on the host. */
export interface FluxPrompt {
  /** T5 tokens, padding included. */
  tokens: number;
  /** T5 states, [tokens, joint_attention_dim]. */
  embeds: Float32Array;
  /** CLIP's pooled output, [pooled_projection_dim]. */
  pooled: Float32Array;
}

export interface EncodeOptions {
  /** T5 tokens that the prompt is padded or cut to. */
  maxSequenceLength: number;
  signal?: AbortSignal;
}

/** Prompts remembered, so that pictures of one prompt (and the empty negative prompt) are encoded once. */
const REMEMBERED = 32;

export class FluxPromptEncoder implements Disposable {
  readonly #runtime: Runtime;
  readonly #clip: Session;
  readonly #t5: Session;
  readonly #clipTokenizer: Tokenizer;
  readonly #t5Tokenizer: Tokenizer;
  readonly #remembered = new Map<string, FluxPrompt>();

  private constructor(runtime: Runtime, clip: Session, t5: Session, tokenizers: [Tokenizer, Tokenizer]) {
    this.#runtime = runtime;
    this.#clip = clip;
    this.#t5 = t5;
    [this.#clipTokenizer, this.#t5Tokenizer] = tokenizers;
  }

  static async open(checkpoint: Checkpoint, { runtime, dtype }: OpenOptions): Promise<FluxPromptEncoder> {
    checkpoint.requireClass("text_encoder", "CLIPTextModel");
    checkpoint.requireClass("text_encoder_2", "T5EncoderModel");
    const tokenizers: [Tokenizer, Tokenizer] = [
      openTokenizer(checkpoint.path("tokenizer")),
      openTokenizer(checkpoint.path("tokenizer_2")),
    ];
    using stack = new DisposableStack();
    const component = (name: string) => ({
      config: checkpoint.json(name, "config.json"),
      weights: checkpoint.weights(name, "model"),
      dtype,
      name,
    });
    const clip = clipTextEncoderGraph({ ...component("text_encoder"), outputs: ["pooled_output"] });
    const clipSession = stack.use(await loadSession(runtime, clip));
    const t5Session = await loadSession(runtime, t5EncoderGraph(component("text_encoder_2")));
    stack.move();
    return new FluxPromptEncoder(runtime, clipSession, t5Session, tokenizers);
  }

  /** Encodes one prompt; too long ones are cut as diffusers does. */
  async encode(text: string, { maxSequenceLength, signal }: EncodeOptions): Promise<FluxPrompt> {
    const key = `${maxSequenceLength} ${text}`;
    const known = this.#remembered.get(key);
    if (known !== undefined) return known;
    const clipIds = this.#clipTokenizer.encode(text, { maxLength: this.#clipTokenizer.modelMaxLength });
    const t5Ids = this.#t5Tokenizer.encode(text, { maxLength: maxSequenceLength });
    const pooled = await this.#run(this.#clip, { ids: clipIds.ids, output: "pooled_output" }, signal);
    const embeds = await this.#run(this.#t5, { ids: t5Ids.ids, output: "last_hidden_state" }, signal);
    const encoded = { tokens: maxSequenceLength, embeds, pooled };
    if (this.#remembered.size >= REMEMBERED) this.#remembered.delete(this.#remembered.keys().next().value!);
    this.#remembered.set(key, encoded);
    return encoded;
  }

  [Symbol.dispose](): void {
    this.#clip.dispose();
    this.#t5.dispose();
  }

  async #run(
    session: Session,
    { ids, output }: { ids: readonly number[]; output: string },
    signal: AbortSignal | undefined,
  ): Promise<Float32Array> {
    using input = this.#runtime.tensor("int64", [1, ids.length], BigInt64Array.from(ids, BigInt));
    const results = await session.run({ input_ids: input }, { fetch: [output], ...signal && { signal } });
    using result = results[output]!;
    return (result.data() as Float32Array).slice();
  }
}
