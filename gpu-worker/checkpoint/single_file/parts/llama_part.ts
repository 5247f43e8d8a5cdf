// LLaMA as a text encoder, in transformers' names.
import type { Part } from "../architecture.ts";
import type { Layout } from "../layout.ts";

const FIRST = "layers.0.self_attn.q_proj.weight";

const TRANSFORMERS: Layout = {
  prefixes: ["language_model.", ""],
  matches: (tensors) => tensors.has(`model.${FIRST}`) || tensors.has(FIRST),
  place: () => (name) =>
    /^(?:model\.)?(?:layers|embed_tokens|norm)\./.test(name)
      ? { to: [name] }
      // The projection to words, and the image encoder of LLaVA.
      : /^lm_head\.|^vision_tower\.|^multi_modal_projector\.|\.inv_freq$/.test(name)
      ? "unused"
      : undefined,
};

/** Returns a LLaMA of a pipeline. */
export function llamaPart(component: string): Part {
  return { component, className: "LlamaModel", layouts: [TRANSFORMERS] };
}
