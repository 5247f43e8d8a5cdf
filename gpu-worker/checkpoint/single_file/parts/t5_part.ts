// T5's and UMT5's encoders, in transformers' names and in those of Wan's own repository.
import type { Part } from "../architecture.ts";
import { type Layout, ownNames } from "../layout.ts";
import { findInTable } from "../name_table.ts";
import { LLAMA_CPP_T5 } from "./llama_cpp_layouts.ts";

export interface T5PartOptions {
  component: string;
  className: "T5EncoderModel" | "UMT5EncoderModel";
  /** Beginnings of the encoder's names in files with several networks. */
  prefixes: readonly string[];
  /** @default false */
  optional?: boolean;
}

/** The decoder, and the tokenizer that ComfyUI keeps in the same file. */
const UNUSED = /^(?:decoder\.|lm_head\.|logit_scale$|spiece_model$|scaled_fp8$)/;

const WAN: Layout = {
  prefixes: [""],
  matches: (tensors) => tensors.has("blocks.0.pos_embedding.embedding.weight"),
  place: () =>
    findInTable({
      modules: {
        "token_embedding": "shared",
        "norm": "encoder.final_layer_norm",
        "blocks.*.norm1": "encoder.block.*.layer.0.layer_norm",
        "blocks.*.attn.q": "encoder.block.*.layer.0.SelfAttention.q",
        "blocks.*.attn.k": "encoder.block.*.layer.0.SelfAttention.k",
        "blocks.*.attn.v": "encoder.block.*.layer.0.SelfAttention.v",
        "blocks.*.attn.o": "encoder.block.*.layer.0.SelfAttention.o",
        "blocks.*.pos_embedding.embedding": "encoder.block.*.layer.0.SelfAttention.relative_attention_bias",
        "blocks.*.norm2": "encoder.block.*.layer.1.layer_norm",
        "blocks.*.ffn.gate.0": "encoder.block.*.layer.1.DenseReluDense.wi_0",
        "blocks.*.ffn.fc1": "encoder.block.*.layer.1.DenseReluDense.wi_1",
        "blocks.*.ffn.fc2": "encoder.block.*.layer.1.DenseReluDense.wo",
      },
    }),
};

/** Returns a T5 encoder of a pipeline. */
export function t5Part({ component, className, prefixes, optional = false }: T5PartOptions): Part {
  const markers = ["encoder.block.0.layer.0.SelfAttention.q.weight"];
  const layouts = [ownNames({ prefixes: [...prefixes, ""], markers, unused: UNUSED }), LLAMA_CPP_T5];
  return {
    component,
    className,
    layouts: className === "UMT5EncoderModel" ? [...layouts, WAN] : layouts,
    optional,
  };
}
