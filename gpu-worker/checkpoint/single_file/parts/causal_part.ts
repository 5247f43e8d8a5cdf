// LLaMA and Qwen as text encoders, in transformers' names and in llama.cpp's.
import type { Part } from "../architecture.ts";
import type { Layout } from "../layout.ts";
import { llamaCppCausal } from "./llama_cpp_layouts.ts";

/** The text model, on its own, under a head that predicts words, or beside an image encoder. */
const ROOTS = ["", "model.", "model.language_model."];
const TEXT = /^(?:model\.)?(?:language_model\.)?(?:layers|embed_tokens|norm)\./;
/** The projection to words, image encoders, and tables that follow from the config. */
const UNUSED = /^lm_head\.|^(?:model\.)?(?:vision_tower|multi_modal_projector)\.|\.inv_freq$/;
/** Qwen's image encoder, which prompts with pictures need. */
const VISION = /^(?:model\.)?visual\./;

const TRANSFORMERS: Layout = {
  prefixes: ["language_model.", ""],
  matches: (tensors) => ROOTS.some((root) => tensors.has(`${root}layers.0.self_attn.q_proj.weight`)),
  place: () => (name) => {
    if (UNUSED.test(name)) return "unused";
    return TEXT.test(name) || VISION.test(name) ? { to: [name] } : undefined;
  },
};

export interface CausalPartOptions {
  component: string;
  className: string;
  /** ComfyUI's names of the encoder, in files that it saves with all networks. */
  names: readonly string[];
}

/** Returns a decoder-only language model of a pipeline. */
export function causalPart({ component, className, names }: CausalPartOptions): Part {
  const prefixes = names.flatMap((name) => [
    `text_encoders.${name}.transformer.`,
    `text_encoders.${name}.`,
  ]);
  return {
    component,
    className,
    layouts: [
      { ...TRANSFORMERS, prefixes: [...prefixes, ...TRANSFORMERS.prefixes] },
      llamaCppCausal({ paired: className === "LlamaModel" }),
    ],
  };
}
