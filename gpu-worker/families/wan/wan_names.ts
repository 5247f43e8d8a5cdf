// The names of Wan-Video/Wan2.1 for the layers of Wan, in single files and in LoRAs.
import { type FindOriginalNames, originalNames } from "../../checkpoint/lora/original_names.ts";
import type { NameTable } from "../../checkpoint/single_file/name_table.ts";

const attention = (file: string, ours: string) => ({
  [`blocks.*.${file}.q`]: `blocks.*.${ours}.to_q`,
  [`blocks.*.${file}.k`]: `blocks.*.${ours}.to_k`,
  [`blocks.*.${file}.v`]: `blocks.*.${ours}.to_v`,
  [`blocks.*.${file}.o`]: `blocks.*.${ours}.to_out.0`,
  [`blocks.*.${file}.norm_q`]: `blocks.*.${ours}.norm_q`,
  [`blocks.*.${file}.norm_k`]: `blocks.*.${ours}.norm_k`,
});

export const WAN_NAMES: NameTable = {
  modules: {
    "patch_embedding": "patch_embedding",
    "time_embedding.0": "condition_embedder.time_embedder.linear_1",
    "time_embedding.2": "condition_embedder.time_embedder.linear_2",
    "text_embedding.0": "condition_embedder.text_embedder.linear_1",
    "text_embedding.2": "condition_embedder.text_embedder.linear_2",
    "time_projection.1": "condition_embedder.time_proj",
    ...attention("self_attn", "attn1"),
    ...attention("cross_attn", "attn2"),
    // Models that start from frames.
    "blocks.*.cross_attn.k_img": "blocks.*.attn2.add_k_proj",
    "blocks.*.cross_attn.v_img": "blocks.*.attn2.add_v_proj",
    "blocks.*.cross_attn.norm_k_img": "blocks.*.attn2.norm_added_k",
    "img_emb.proj.0": "condition_embedder.image_embedder.norm1",
    "img_emb.proj.1": "condition_embedder.image_embedder.ff.net.0.proj",
    "img_emb.proj.3": "condition_embedder.image_embedder.ff.net.2",
    "img_emb.proj.4": "condition_embedder.image_embedder.norm2",
    "blocks.*.ffn.0": "blocks.*.ffn.net.0.proj",
    "blocks.*.ffn.2": "blocks.*.ffn.net.2",
    // diffusers numbers the norms in the order of computation. The others have no tensors.
    "blocks.*.norm3": "blocks.*.norm2",
    "head.head": "proj_out",
  },
  tensors: {
    "blocks.*.modulation": "blocks.*.scale_shift_table",
    "head.modulation": "scale_shift_table",
    "img_emb.emb_pos": "condition_embedder.image_embedder.pos_embed",
  },
};

export const wanOriginalNames: FindOriginalNames = originalNames(WAN_NAMES);
