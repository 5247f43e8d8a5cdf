// Prompts for Stable Diffusion and SDXL: CLIP states of one encoder or two (encode_prompt of their pipelines).
import type { Runtime } from "../../runtime/mod.ts";
import { encodeText, type LoadedEncoder } from "../../text/encode_text.ts";
import type { EncodedPrompt, EncodePromptOptions } from "../../text/encoded_prompt.ts";
import { joinFeatures } from "../../text/join_features.ts";
import { RememberedPrompts } from "../../text/remembered_prompts.ts";

/** A text encoder of a UNet, loaded. */
export interface ClipEncoder extends LoadedEncoder {
  /** The output that becomes part of the prompt's states; the last encoder may have text_embeds beside it. */
  states: "last_hidden_state" | "penultimate_hidden_state";
}

/** The encoders stay the caller's. */
export class UnetPromptEncoder {
  readonly #runtime: Runtime;
  readonly #encoders: readonly ClipEncoder[];
  readonly #remembered = new RememberedPrompts((text, options) => this.#encode(text, options));

  /** @param encoders in the order in which their states stand beside each other */
  constructor(runtime: Runtime, encoders: readonly ClipEncoder[]) {
    this.#runtime = runtime;
    this.#encoders = encoders;
  }

  /** Encodes one prompt; too long ones are cut as diffusers does. The pooled vector is empty where no encoder projects. */
  encode(text: string, signal?: AbortSignal): Promise<EncodedPrompt> {
    // Both encoders' states stand side by side, so the first one's length holds for all.
    const maxSequenceLength = this.#encoders[0]!.tokenizer.modelMaxLength;
    return this.#remembered.encode(text, { maxSequenceLength, ...signal && { signal } });
  }

  async #encode(
    text: string,
    { maxSequenceLength: tokens, signal }: EncodePromptOptions,
  ): Promise<EncodedPrompt> {
    const states: Float32Array[] = [];
    let pooled: Float32Array = new Float32Array(0);
    for (const encoder of this.#encoders) {
      const outputs = await encodeText(encoder, { runtime: this.#runtime, text, maxLength: tokens, signal });
      states.push(outputs[encoder.states]!);
      pooled = outputs["text_embeds"] ?? pooled;
    }
    return { tokens, embeds: joinFeatures(states, { tokens }), pooled };
  }
}

/** What SDXL takes for a negative prompt that is not given. */
export function zeroPrompt({ tokens, embeds, pooled }: EncodedPrompt): EncodedPrompt {
  return { tokens, embeds: embeds.map(() => 0), pooled: pooled.map(() => 0) };
}
