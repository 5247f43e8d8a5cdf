// Text encoders in the names that llama.cpp's converter gives them (gguf-py's constants.py).
// They come in GGUF files.
import type { Layout } from "../layout.ts";
import { findInTable } from "../name_table.ts";

/** T5 and UMT5. */
export const LLAMA_CPP_T5: Layout = {
  prefixes: [""],
  matches: (tensors) => tensors.has("enc.blk.0.attn_q.weight"),
  place(tensors) {
    const isGated = tensors.has("enc.blk.0.ffn_gate.weight");
    const attention = "encoder.block.*.layer.0";
    const mlp = "encoder.block.*.layer.1";
    return findInTable({
      modules: {
        "token_embd": "shared",
        "enc.output_norm": "encoder.final_layer_norm",
        "enc.blk.*.attn_norm": `${attention}.layer_norm`,
        "enc.blk.*.attn_q": `${attention}.SelfAttention.q`,
        "enc.blk.*.attn_k": `${attention}.SelfAttention.k`,
        "enc.blk.*.attn_v": `${attention}.SelfAttention.v`,
        "enc.blk.*.attn_o": `${attention}.SelfAttention.o`,
        "enc.blk.*.attn_rel_b": `${attention}.SelfAttention.relative_attention_bias`,
        "enc.blk.*.ffn_norm": `${mlp}.layer_norm`,
        "enc.blk.*.ffn_gate": `${mlp}.DenseReluDense.wi_0`,
        "enc.blk.*.ffn_up": `${mlp}.DenseReluDense.${isGated ? "wi_1" : "wi"}`,
        "enc.blk.*.ffn_down": `${mlp}.DenseReluDense.wo`,
      },
      unused: /^dec\.|^output\.weight$/,
    });
  },
};

/**
 * Returns the layout of LLaMA and Qwen.
 * @param paired whether the converter has put the rows of queries and keys in another order. Without a known
 * head they are unknown tensors, as their rows would be in a wrong order.
 */
export function llamaCppCausal({ paired }: { paired: boolean }): Layout {
  const find = findInTable({
    modules: {
      "token_embd": "embed_tokens",
      "output_norm": "norm",
      "blk.*.attn_norm": "layers.*.input_layernorm",
      "blk.*.attn_q": "layers.*.self_attn.q_proj",
      "blk.*.attn_k": "layers.*.self_attn.k_proj",
      "blk.*.attn_v": "layers.*.self_attn.v_proj",
      "blk.*.attn_output": "layers.*.self_attn.o_proj",
      "blk.*.attn_q_norm": "layers.*.self_attn.q_norm",
      "blk.*.attn_k_norm": "layers.*.self_attn.k_norm",
      "blk.*.ffn_norm": "layers.*.post_attention_layernorm",
      "blk.*.ffn_gate": "layers.*.mlp.gate_proj",
      "blk.*.ffn_up": "layers.*.mlp.up_proj",
      "blk.*.ffn_down": "layers.*.mlp.down_proj",
    },
    // The projection to words, and factors of rotary positions.
    unused: /^(?:output|rope_freqs)\.weight$/,
  });
  return {
    prefixes: [""],
    matches: (tensors) => tensors.has("blk.0.attn_q.weight") && tensors.has("token_embd.weight"),
    place: (tensors) => (name) =>
      paired && /\.attn_[qk]\.weight$/.test(name) && tensors.get(name)?.order !== "paired"
        ? undefined
        : find(name),
  };
}

/** CLIP's text model, as clip.cpp names it: the two layers of its MLP are the other way round. */
export const LLAMA_CPP_CLIP: Layout = {
  prefixes: [""],
  matches: (tensors) => tensors.has("t.blk.0.attn_q.weight"),
  place: () => {
    const layer = "text_model.encoder.layers.*";
    return findInTable({
      modules: {
        "t.token_embd": "text_model.embeddings.token_embedding",
        "t.position_embd": "text_model.embeddings.position_embedding",
        "t.post_ln": "text_model.final_layer_norm",
        "t.blk.*.ln1": `${layer}.layer_norm1`,
        "t.blk.*.ln2": `${layer}.layer_norm2`,
        "t.blk.*.attn_q": `${layer}.self_attn.q_proj`,
        "t.blk.*.attn_k": `${layer}.self_attn.k_proj`,
        "t.blk.*.attn_v": `${layer}.self_attn.v_proj`,
        "t.blk.*.attn_out": `${layer}.self_attn.out_proj`,
        "t.blk.*.ffn_down": `${layer}.mlp.fc1`,
        "t.blk.*.ffn_up": `${layer}.mlp.fc2`,
        "text_projection": "text_projection",
      },
      unused: /^(?:v|mm)\.|^visual_projection\./,
    });
  },
};
