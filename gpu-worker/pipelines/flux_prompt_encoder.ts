// Prompts for FLUX: CLIP's pooled output and T5's states (FluxPipeline.encode_prompt).
import type { Runtime, Session } from "../runtime/mod.ts";
import type { Tokenizer } from "./tokenizer.ts";

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

/** One for each text encoder. */
interface Both<T> {
  clip: T;
  t5: T;
}

/** Prompts remembered, so that pictures of one prompt (and the empty negative prompt) are encoded once. */
const REMEMBERED = 32;

/** The sessions stay the caller's. */
export class FluxPromptEncoder {
  readonly #runtime: Runtime;
  readonly #sessions: Both<Session>;
  readonly #tokenizers: Both<Tokenizer>;
  readonly #remembered = new Map<string, FluxPrompt>();

  constructor(
    runtime: Runtime,
    { sessions, tokenizers }: { sessions: Both<Session>; tokenizers: Both<Tokenizer> },
  ) {
    this.#runtime = runtime;
    this.#sessions = sessions;
    this.#tokenizers = tokenizers;
  }

  /** Encodes one prompt; too long ones are cut as diffusers does. */
  async encode(text: string, { maxSequenceLength, signal }: EncodeOptions): Promise<FluxPrompt> {
    const key = `${maxSequenceLength} ${text}`;
    const known = this.#remembered.get(key);
    if (known !== undefined) return known;
    const { clip, t5 } = this.#tokenizers;
    const clipIds = clip.encode(text, { maxLength: clip.modelMaxLength });
    const t5Ids = t5.encode(text, { maxLength: maxSequenceLength });
    const pooled = await this.#run(
      this.#sessions.clip,
      { ids: clipIds.ids, output: "pooled_output" },
      signal,
    );
    const embeds = await this.#run(
      this.#sessions.t5,
      { ids: t5Ids.ids, output: "last_hidden_state" },
      signal,
    );
    const encoded = { tokens: maxSequenceLength, embeds, pooled };
    if (this.#remembered.size >= REMEMBERED) this.#remembered.delete(this.#remembered.keys().next().value!);
    this.#remembered.set(key, encoded);
    return encoded;
  }

  async #run(
    session: Session,
    { ids, output }: { ids: readonly number[]; output: string },
    signal: AbortSignal | undefined,
  ): Promise<Float32Array> {
    using input = this.#runtime.tensor("int64", [1, ids.length], BigInt64Array.from(ids, BigInt));
    const results = await session.run({ input_ids: input }, { fetch: [output], ...signal && { signal } });
    using result = results[output]!;
    return await result.as("float32").toArray();
  }
}
