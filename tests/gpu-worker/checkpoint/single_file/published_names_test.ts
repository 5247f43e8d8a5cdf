// The tensor names of published files, as patterns: each must have a place, and the sizes must be
// the published configs'. Shapes are given where a size is read off them. Past 400 lines, as the
// lists of names are its cases.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import {
  recognisePart,
  recogniseTensors,
} from "../../../../gpu-worker/checkpoint/single_file/recognise_file.ts";
import { readTensors } from "../../../../gpu-worker/checkpoint/read_tensors.ts";
import { ARCHITECTURES } from "../../../../gpu-worker/model/architectures.ts";
import { join } from "node:path";
import { BOTH, entryOf, expand, prefixed, ROWS } from "./published_patterns.ts";
import { writeSafetensors } from "./twin.ts";

const FLUX = (guidance: boolean) =>
  expand(`
    {img_in,txt_in}.${BOTH} {time_in,vector_in${guidance ? ",guidance_in" : ""}}.{in_layer,out_layer}.${BOTH}
    double_blocks.{0..18}.{img,txt}_{mod.lin,attn.qkv,attn.proj,mlp.0,mlp.2}.${BOTH}
    double_blocks.{0..18}.{img,txt}_attn.norm.{query,key}_norm.scale
    single_blocks.{0..37}.{linear1,linear2,modulation.lin}.${BOTH}
    single_blocks.{0..37}.norm.{query,key}_norm.scale
    final_layer.{linear,adaLN_modulation.1}.${BOTH}`);
const FLUX_SHAPES = {
  "img_in.weight": [3072, 64],
  "txt_in.weight": [3072, 4096],
  "vector_in.in_layer.weight": [3072, 768],
  "double_blocks.0.img_attn.norm.query_norm.scale": [128],
  "final_layer.linear.weight": [64, 3072],
};
const FLUX_SIZES = {
  in_channels: 64,
  num_layers: 19,
  num_single_layers: 38,
  attention_head_dim: 128,
  num_attention_heads: 24,
  joint_attention_dim: 4096,
  pooled_projection_dim: 768,
};

const VAE_SIDE = (side: string) => `
  ${side}.{conv_in,norm_out,conv_out}.${BOTH} ${side}.mid.block_{1,2}.{norm1,conv1,norm2,conv2}.${BOTH}
  ${side}.mid.attn_1.{norm,q,k,v,proj_out}.${BOTH}`;
const VAE = expand(`
  ${VAE_SIDE("encoder")} encoder.down.{0..3}.block.{0,1}.{norm1,conv1,norm2,conv2}.${BOTH}
  encoder.down.{1,2}.block.0.nin_shortcut.${BOTH} encoder.down.{0..2}.downsample.conv.${BOTH}
  ${VAE_SIDE("decoder")} decoder.up.{0..3}.block.{0..2}.{norm1,conv1,norm2,conv2}.${BOTH}
  decoder.up.{0,1}.block.0.nin_shortcut.${BOTH} decoder.up.{1..3}.upsample.conv.${BOTH}`);
const QUANT = expand(`{quant_conv,post_quant_conv}.${BOTH}`);

const RESNET = (name: string) =>
  `${name}.{in_layers.0,in_layers.2,emb_layers.1,out_layers.0,out_layers.3}.${BOTH}`;
const TRANSFORMER = (name: string, depth: number) => `
  ${name}.{norm,proj_in,proj_out}.${BOTH} ${name}.transformer_blocks.{0..${
  depth - 1
}}.attn{1,2}.{to_q,to_k,to_v}.weight
  ${name}.transformer_blocks.{0..${depth - 1}}.{attn1.to_out.0,attn2.to_out.0}.${BOTH}
  ${name}.transformer_blocks.{0..${depth - 1}}.{ff.net.0.proj,ff.net.2,norm1,norm2,norm3}.${BOTH}`;
const MIDDLE = (depth: number) => `${RESNET("middle_block.{0,2}")} ${TRANSFORMER("middle_block.1", depth)}`;
const SD_UNET = expand(`
  time_embed.{0,2}.${BOTH} input_blocks.0.0.${BOTH} out.{0,2}.${BOTH}
  ${RESNET("input_blocks.{1,2,4,5,7,8,10,11}.0")} input_blocks.{4,7}.0.skip_connection.${BOTH}
  ${TRANSFORMER("input_blocks.{1,2,4,5,7,8}.1", 1)} input_blocks.{3,6,9}.0.op.${BOTH} ${MIDDLE(1)}
  ${RESNET("output_blocks.{0..11}.0")} output_blocks.{0..11}.0.skip_connection.${BOTH}
  ${TRANSFORMER("output_blocks.{3..11}.1", 1)} output_blocks.{2.1,5.2,8.2}.conv.${BOTH}`);
const SDXL_UNET = expand(`
  time_embed.{0,2}.${BOTH} label_emb.0.{0,2}.${BOTH} input_blocks.0.0.${BOTH} out.{0,2}.${BOTH}
  ${RESNET("input_blocks.{1,2,4,5,7,8}.0")} input_blocks.{4,7}.0.skip_connection.${BOTH}
  ${TRANSFORMER("input_blocks.{4,5}.1", 2)} ${
  TRANSFORMER("input_blocks.{7,8}.1", 10)
} input_blocks.{3,6}.0.op.${BOTH}
  ${MIDDLE(10)} ${RESNET("output_blocks.{0..8}.0")} output_blocks.{0..8}.0.skip_connection.${BOTH}
  ${TRANSFORMER("output_blocks.{0..2}.1", 10)} ${TRANSFORMER("output_blocks.{3..5}.1", 2)}
  output_blocks.{2,5}.2.conv.${BOTH}`);
interface UnetShape {
  /** Width and first module of each block. */
  blocks: readonly (readonly [width: number, first: number])[];
  /** Modules with a transformer. */
  transformers: readonly number[];
  text: number;
  linear: boolean;
}
const unetShapes = ({ blocks, transformers, text, linear }: UnetShape) => {
  const module = "model.diffusion_model.input_blocks";
  return {
    [`${module}.0.0.weight`]: [320, 4, 3, 3],
    "model.diffusion_model.out.2.weight": [4, 320, 3, 3],
    ...Object.fromEntries(
      blocks.map(([width, first]) => [`${module}.${first}.0.in_layers.2.weight`, [width, 320, 3, 3]]),
    ),
    ...Object.fromEntries(
      transformers.flatMap((i) => [
        [`${module}.${i}.1.transformer_blocks.0.attn2.to_k.weight`, [320, text]],
        [`${module}.${i}.1.proj_in.weight`, linear ? [320, 320] : [320, 320, 1, 1]],
      ]),
    ),
  };
};
const SD_BLOCKS = {
  blocks: [[320, 1], [640, 4], [1280, 7], [1280, 10]] as const,
  transformers: [1, 2, 4, 5, 7, 8],
};

const CLIP_L = expand(`
  text_model.embeddings.{position_ids,token_embedding.weight,position_embedding.weight}
  text_model.final_layer_norm.${BOTH} text_model.encoder.layers.{0..11}.{layer_norm1,layer_norm2}.${BOTH}
  text_model.encoder.layers.{0..11}.self_attn.{q_proj,k_proj,v_proj,out_proj}.${BOTH}
  text_model.encoder.layers.{0..11}.mlp.{fc1,fc2}.${BOTH}`);
const OPEN_CLIP = (layers: number) =>
  expand(`
    positional_embedding token_embedding.weight ln_final.${BOTH} text_projection logit_scale
    transformer.resblocks.{0..${layers - 1}}.attn.{in_proj_weight,in_proj_bias,out_proj.weight,out_proj.bias}
    transformer.resblocks.{0..${layers - 1}}.{ln_1,ln_2,mlp.c_fc,mlp.c_proj}.${BOTH}`);
const T5 = expand(`
  shared.weight encoder.embed_tokens.weight encoder.final_layer_norm.weight
  encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight
  encoder.block.{0..23}.layer.0.SelfAttention.{q,k,v,o}.weight
  encoder.block.{0..23}.layer.{0,1}.layer_norm.weight
  encoder.block.{0..23}.layer.1.DenseReluDense.{wi_0,wi_1,wo}.weight`);

const SD3 = (layers: number, { normed, dual = -1 }: { normed: boolean; dual?: number }) =>
  expand(`
    pos_embed x_embedder.proj.${BOTH} context_embedder.${BOTH} {t,y}_embedder.mlp.{0,2}.${BOTH}
    final_layer.{linear,adaLN_modulation.1}.${BOTH}
    joint_blocks.{0..${layers - 1}}.{x,context}_block.{attn.qkv,adaLN_modulation.1}.${BOTH}
    joint_blocks.{0..${layers - 1}}.x_block.{attn.proj,mlp.fc1,mlp.fc2}.${BOTH}
    joint_blocks.{0..${layers - 2}}.context_block.{attn.proj,mlp.fc1,mlp.fc2}.${BOTH}
    ${normed ? `joint_blocks.{0..${layers - 1}}.{x,context}_block.attn.{ln_q,ln_k}.weight` : ""}
    ${
    dual < 0 ? "" : `joint_blocks.{0..${dual}}.x_block.attn2.{qkv,proj}.${BOTH}
      joint_blocks.{0..${dual}}.x_block.attn2.{ln_q,ln_k}.weight`
  }`);
const sd3Shapes = (width: number, positions: number) => ({
  "model.diffusion_model.x_embedder.proj.weight": [width, 16, 2, 2],
  "model.diffusion_model.pos_embed": [1, positions ** 2, width],
  "model.diffusion_model.context_embedder.weight": [width, 4096],
  "model.diffusion_model.y_embedder.mlp.0.weight": [width, 2048],
  "model.diffusion_model.joint_blocks.0.x_block.attn.ln_q.weight": [64],
});

const WAN = (layers: number) =>
  expand(`
    patch_embedding.${BOTH} {text,time}_embedding.{0,2}.${BOTH} time_projection.1.${BOTH} head.head.${BOTH}
    head.modulation
    blocks.{0..${layers - 1}}.modulation blocks.{0..${layers - 1}}.{self,cross}_attn.{q,k,v,o}.${BOTH}
    blocks.{0..${layers - 1}}.{self,cross}_attn.norm_{q,k}.weight blocks.{0..${
    layers - 1
  }}.{ffn.0,ffn.2,norm3}.${BOTH}`);
const wanShapes = (width: number, ffn: number) => ({
  "patch_embedding.weight": [width, 16, 1, 2, 2],
  "head.head.weight": [64, width],
  "text_embedding.0.weight": [width, 4096],
  "time_embedding.0.weight": [width, 256],
  "blocks.0.ffn.0.weight": [ffn, width],
});
const WAN_VAE_SIDE = (side: string) => `
  ${side}.{conv1,head.2}.${BOTH} ${side}.head.0.gamma ${side}.middle.{0,2}.residual.{0,3}.gamma
  ${side}.middle.{0,2}.residual.{2,6}.${BOTH} ${side}.middle.1.norm.gamma
  ${side}.middle.1.{to_qkv,proj}.${BOTH}`;
const WAN_VAE = expand(`
  {conv1,conv2}.${BOTH} ${WAN_VAE_SIDE("encoder")} ${WAN_VAE_SIDE("decoder")}
  encoder.downsamples.{0,1,3,4,6,7,9,10}.residual.{0,3}.gamma
  encoder.downsamples.{0,1,3,4,6,7,9,10}.residual.{2,6}.${BOTH} encoder.downsamples.{3,6}.shortcut.${BOTH}
  encoder.downsamples.{2,5,8}.resample.1.${BOTH} encoder.downsamples.{5,8}.time_conv.${BOTH}
  decoder.upsamples.{0,1,2,4,5,6,8,9,10,12,13,14}.residual.{0,3}.gamma
  decoder.upsamples.{0,1,2,4,5,6,8,9,10,12,13,14}.residual.{2,6}.${BOTH} decoder.upsamples.4.shortcut.${BOTH}
  decoder.upsamples.{3,7,11}.resample.1.${BOTH} decoder.upsamples.{3,7}.time_conv.${BOTH}`);
const WAN_UMT5 = expand(`
  token_embedding.weight norm.weight blocks.{0..23}.attn.{q,k,v,o}.weight blocks.{0..23}.{norm1,norm2}.weight
  blocks.{0..23}.pos_embedding.embedding.weight blocks.{0..23}.ffn.{gate.0,fc1,fc2}.weight`);

const HUNYUAN_VIDEO = expand(`
  img_in.proj.${BOTH} {time_in,guidance_in}.mlp.{0,2}.${BOTH} vector_in.{in_layer,out_layer}.${BOTH}
  txt_in.input_embedder.${BOTH} txt_in.t_embedder.mlp.{0,2}.${BOTH} txt_in.c_embedder.linear_{1,2}.${BOTH}
  txt_in.individual_token_refiner.blocks.{0,1}.{norm1,norm2,self_attn_qkv,self_attn_proj}.${BOTH}
  txt_in.individual_token_refiner.blocks.{0,1}.{mlp.fc1,mlp.fc2,adaLN_modulation.1}.${BOTH}
  double_blocks.{0..19}.{img,txt}_{mod.linear,attn_qkv,attn_proj,mlp.fc1,mlp.fc2}.${BOTH}
  double_blocks.{0..19}.{img,txt}_attn_{q,k}_norm.weight
  single_blocks.{0..39}.{linear1,linear2,modulation.linear}.${BOTH} single_blocks.{0..39}.{q,k}_norm.weight
  final_layer.{linear,adaLN_modulation.1}.${BOTH}`);

interface Published {
  names: readonly string[];
  /** Number of tensors in the published file, as far as it is known. */
  count?: number;
  shapes: Record<string, readonly number[]>;
  title: string;
  networks: readonly string[];
  sizes: Record<string, unknown>;
}

const SD_SIZES = {
  in_channels: 4,
  block_out_channels: [320, 640, 1280, 1280],
  layers_per_block: 2,
  down_block_types: [...Array(3).fill("CrossAttnDownBlock2D"), "DownBlock2D"],
  up_block_types: ["UpBlock2D", ...Array(3).fill("CrossAttnUpBlock2D")],
  addition_embed_type: null,
};
const SD_VAE = prefixed("first_stage_model.", [...VAE, ...QUANT]);
const JUNK = expand("alphas_cumprod betas sqrt_alphas_cumprod posterior_variance model_ema.num_updates");

const FILES: Record<string, Published> = {
  "flux1-dev": {
    names: FLUX(true),
    count: 780,
    shapes: FLUX_SHAPES,
    title: "FLUX.1 [dev]",
    networks: ["transformer"],
    sizes: { ...FLUX_SIZES, guidance_embeds: true },
  },
  "flux1-schnell": {
    names: FLUX(false),
    count: 776,
    shapes: FLUX_SHAPES,
    title: "FLUX.1 [schnell]",
    networks: ["transformer"],
    sizes: { ...FLUX_SIZES, guidance_embeds: false },
  },
  "flux1-dev with everything": {
    names: [
      ...prefixed("model.diffusion_model.", FLUX(true)),
      ...prefixed("vae.", VAE),
      ...prefixed("text_encoders.clip_l.transformer.", [...CLIP_L, "text_projection.weight"]),
      ...prefixed("text_encoders.t5xxl.transformer.", T5),
      "text_encoders.clip_l.logit_scale",
      "text_encoders.t5xxl.logit_scale",
    ],
    shapes: Object.fromEntries(
      Object.entries(FLUX_SHAPES).map(([name, shape]) => [`model.diffusion_model.${name}`, shape]),
    ),
    title: "FLUX.1 [dev]",
    networks: ["transformer", "vae", "text_encoder", "text_encoder_2"],
    sizes: FLUX_SIZES,
  },
  "chroma": {
    names: [
      ...FLUX(false).filter((name) => !/_mod\.|modulation|adaLN|^(?:time|vector)_in/.test(name)),
      ...expand(
        `distilled_guidance_layer.{in_proj,out_proj}.${BOTH} distilled_guidance_layer.norms.{0..4}.scale
        distilled_guidance_layer.layers.{0..4}.{in_layer,out_layer}.${BOTH}`,
      ),
    ],
    count: 643,
    shapes: {
      "img_in.weight": [3072, 64],
      "txt_in.weight": [3072, 4096],
      "double_blocks.0.img_attn.norm.query_norm.scale": [128],
      "distilled_guidance_layer.in_proj.weight": [5120, 64],
    },
    title: "Chroma1",
    networks: ["transformer"],
    sizes: {
      num_layers: 19,
      num_single_layers: 38,
      approximator_num_channels: 64,
      approximator_hidden_dim: 5120,
      approximator_layers: 5,
    },
  },
  "v1-5-pruned-emaonly": {
    names: [
      ...prefixed("model.diffusion_model.", SD_UNET),
      ...SD_VAE,
      ...prefixed("cond_stage_model.transformer.", CLIP_L),
    ],
    count: 1131,
    shapes: unetShapes({ ...SD_BLOCKS, text: 768, linear: false }),
    title: "Stable Diffusion 1.5",
    networks: ["unet", "vae", "text_encoder"],
    sizes: { ...SD_SIZES, cross_attention_dim: 768, use_linear_projection: false },
  },
  "v2-1_768-nonema-pruned": {
    names: [
      ...prefixed("model.diffusion_model.", SD_UNET),
      ...SD_VAE,
      ...prefixed("cond_stage_model.model.", OPEN_CLIP(24)),
      ...JUNK,
      "v_pred",
    ],
    shapes: unetShapes({ ...SD_BLOCKS, text: 1024, linear: true }),
    title: "Stable Diffusion 2 (v-prediction)",
    networks: ["unet", "vae", "text_encoder"],
    sizes: { ...SD_SIZES, cross_attention_dim: 1024, use_linear_projection: true },
  },
  "sd_xl_base_1.0": {
    names: [
      ...prefixed("model.diffusion_model.", SDXL_UNET),
      ...SD_VAE,
      ...prefixed("conditioner.embedders.0.transformer.", CLIP_L),
      ...prefixed("conditioner.embedders.1.model.", OPEN_CLIP(32)),
    ],
    count: 2515,
    shapes: {
      ...unetShapes({
        blocks: [[320, 1], [640, 4], [1280, 7]],
        transformers: [4, 5, 7, 8],
        text: 2048,
        linear: true,
      }),
      "model.diffusion_model.label_emb.0.0.weight": [1280, 2816],
    },
    title: "Stable Diffusion XL",
    networks: ["unet", "vae", "text_encoder", "text_encoder_2"],
    sizes: {
      block_out_channels: [320, 640, 1280],
      layers_per_block: 2,
      down_block_types: ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
      up_block_types: ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
      cross_attention_dim: 2048,
      use_linear_projection: true,
      addition_embed_type: "text_time",
      projection_class_embeddings_input_dim: 2816,
    },
  },
  "sd3_medium_incl_clips": {
    names: [
      ...prefixed("model.diffusion_model.", SD3(24, { normed: false })),
      ...prefixed("first_stage_model.", VAE),
      ...prefixed("text_encoders.clip_l.transformer.", CLIP_L),
      ...prefixed("text_encoders.clip_g.transformer.", [...CLIP_L, "text_projection.weight"]),
    ],
    shapes: sd3Shapes(1536, 192),
    title: "Stable Diffusion 3 Medium",
    networks: ["transformer", "vae", "text_encoder", "text_encoder_2"],
    sizes: {
      in_channels: 16,
      patch_size: 2,
      num_layers: 24,
      caption_projection_dim: 1536,
      joint_attention_dim: 4096,
      pooled_projection_dim: 2048,
      pos_embed_max_size: 192,
      dual_attention_layers: [],
      qk_norm: null,
    },
  },
  "sd3.5_large": {
    names: [
      ...prefixed("model.diffusion_model.", SD3(38, { normed: true })),
      ...prefixed("first_stage_model.", VAE),
    ],
    shapes: sd3Shapes(2432, 192),
    title: "Stable Diffusion 3.5 Large",
    networks: ["transformer", "vae"],
    sizes: { num_layers: 38, attention_head_dim: 64, num_attention_heads: 38, qk_norm: "rms_norm" },
  },
  "sd3.5_medium": {
    names: [
      ...prefixed("model.diffusion_model.", SD3(24, { normed: true, dual: 12 })),
      ...prefixed("first_stage_model.", VAE),
    ],
    shapes: sd3Shapes(1536, 384),
    title: "Stable Diffusion 3.5 Medium",
    networks: ["transformer", "vae"],
    sizes: { num_layers: 24, pos_embed_max_size: 384, dual_attention_layers: [...Array(13).keys()] },
  },
  "qwen_image": {
    names: expand(`
      {img_in,txt_in}.${BOTH} txt_norm.weight time_text_embed.timestep_embedder.linear_{1,2}.${BOTH}
      {norm_out.linear,proj_out}.${BOTH} transformer_blocks.{0..59}.{img,txt}_mod.1.${BOTH}
      transformer_blocks.{0..59}.{img,txt}_mlp.net.{0.proj,2}.${BOTH}
      transformer_blocks.{0..59}.attn.{to_q,to_k,to_v,to_out.0}.${BOTH}
      transformer_blocks.{0..59}.attn.{add_q_proj,add_k_proj,add_v_proj,to_add_out}.${BOTH}
      transformer_blocks.{0..59}.attn.norm_{q,k,added_q,added_k}.weight`),
    count: 1933,
    shapes: {
      "img_in.weight": [3072, 64],
      "txt_in.weight": [3072, 3584],
      "transformer_blocks.0.attn.norm_q.weight": [128],
    },
    title: "Qwen-Image",
    networks: ["transformer"],
    sizes: { in_channels: 64, num_layers: 60, num_attention_heads: 24, joint_attention_dim: 3584 },
  },
  "z_image_turbo": {
    names: expand(`
      {x_embedder,cap_embedder.1,t_embedder.mlp.0,t_embedder.mlp.2,final_layer.linear}.${BOTH}
      {x,cap}_pad_token
      cap_embedder.0.weight final_layer.adaLN_modulation.1.${BOTH}
      {layers.{0..29},noise_refiner.{0,1}}.adaLN_modulation.0.${BOTH}
      {layers.{0..29},noise_refiner.{0,1},context_refiner.{0,1}}.attention.{qkv,out,q_norm,k_norm}.weight
      {layers.{0..29},noise_refiner.{0,1},context_refiner.{0,1}}.feed_forward.{w1,w2,w3}.weight
      {layers.{0..29},noise_refiner.{0,1},context_refiner.{0,1}}.{attention,ffn}_norm{1,2}.weight`),
    count: 453,
    shapes: {
      "x_embedder.weight": [3840, 64],
      "cap_embedder.1.weight": [3840, 2560],
      "layers.0.attention.q_norm.weight": [128],
    },
    title: "Z-Image",
    networks: ["transformer"],
    sizes: {
      in_channels: 16,
      dim: 3840,
      n_layers: 30,
      n_refiner_layers: 2,
      n_heads: 30,
      cap_feat_dim: 2560,
      qk_norm: true,
    },
  },
  "wan2.1_t2v_1.3B": {
    names: WAN(30),
    count: 825,
    shapes: wanShapes(1536, 8960),
    title: "Wan2.1 T2V 1.3B",
    networks: ["transformer"],
    sizes: {
      patch_size: [1, 2, 2],
      in_channels: 16,
      out_channels: 16,
      num_attention_heads: 12,
      attention_head_dim: 128,
      text_dim: 4096,
      freq_dim: 256,
      ffn_dim: 8960,
      num_layers: 30,
    },
  },
  "wan2.1_t2v_14B": {
    names: prefixed("model.diffusion_model.", WAN(40)),
    count: 1095,
    shapes: Object.fromEntries(
      Object.entries(wanShapes(5120, 13824)).map(([name, shape]) => [`model.diffusion_model.${name}`, shape]),
    ),
    title: "Wan2.1 T2V 14B",
    networks: ["transformer"],
    sizes: { num_attention_heads: 40, ffn_dim: 13824, num_layers: 40 },
  },
  "hunyuan_video_t2v_720p": {
    names: HUNYUAN_VIDEO,
    shapes: {
      "img_in.proj.weight": [3072, 16, 1, 2, 2],
      "double_blocks.0.img_attn_q_norm.weight": [128],
      "txt_in.input_embedder.weight": [3072, 4096],
      "vector_in.in_layer.weight": [3072, 768],
    },
    title: "HunyuanVideo",
    networks: ["transformer"],
    sizes: {
      in_channels: 16,
      patch_size: 2,
      patch_size_t: 1,
      num_layers: 20,
      num_single_layers: 40,
      num_refiner_layers: 2,
      num_attention_heads: 24,
      attention_head_dim: 128,
      text_embed_dim: 4096,
      pooled_projection_dim: 768,
      guidance_embeds: true,
    },
  },
  // ComfyUI's first file of the kind.
  "hunyuan_video_image_to_video_720p": {
    names: HUNYUAN_VIDEO.filter((name) => !name.startsWith("guidance_in.")),
    shapes: {
      "img_in.proj.weight": [3072, 33, 1, 2, 2],
      "final_layer.linear.weight": [64, 3072],
      "double_blocks.0.img_attn_q_norm.weight": [128],
      "txt_in.input_embedder.weight": [3072, 4096],
      "vector_in.in_layer.weight": [3072, 768],
    },
    title: "HunyuanVideo I2V 33ch",
    networks: ["transformer"],
    sizes: {
      in_channels: 33,
      out_channels: 16,
      image_condition_type: "latent_concat",
      num_layers: 20,
      num_single_layers: 40,
      guidance_embeds: false,
    },
  },
};

describe("recogniseTensors()", () => {
  for (const [file, { names, count, shapes, title, networks, sizes }] of Object.entries(FILES)) {
    it(`places every tensor of ${file}`, () => {
      if (count !== undefined) assert.equal(names.length, count);
      assert.ok(Object.keys(shapes).every((name) => names.includes(name) || name.endsWith("ln_q.weight")));
      const tensors = new Map(names.map((name) => [name, entryOf(shapes[name] ?? [ROWS])]));
      const found = recogniseTensors(tensors, { path: "model.safetensors", architectures: ARCHITECTURES });
      assert.equal(found.variant.title, title);
      assert.deepEqual([...found.networks.keys()].sort(), [...networks].sort());
      const { denoiser } = found.architecture;
      const derived = denoiser.sizes(found.networks.get(denoiser.component)!);
      assert.deepEqual(Object.fromEntries(Object.keys(sizes).map((key) => [key, derived[key]])), sizes);
    });
  }
});

describe("recogniseTensors() of Stable Diffusion 2", () => {
  // The two parametrisations have equal names and shapes.
  const { names, shapes } = FILES["v2-1_768-nonema-pruned"]!;
  const NORM = "model.diffusion_model.output_blocks.11.1.transformer_blocks.0.norm1.bias";
  for (const [spread, title] of [[0.05, "base"], [0.12, "v-prediction"]] as const) {
    it(`takes a norm whose values spread by ${spread} for ${title}`, () => {
      const folder = Deno.makeTempDirSync();
      const path = join(folder, "norm.safetensors");
      const values = Float32Array.from({ length: 320 }, (_, i) => i % 2 === 0 ? spread : -spread);
      const data = new Uint8Array(values.buffer);
      writeSafetensors(path, new Map([["norm", { dtype: "F32", shape: [320], data }]]));
      const tensors = new Map(names.map((name) => [name, entryOf(shapes[name] ?? [ROWS])]));
      tensors.delete("v_pred");
      tensors.set(NORM, readTensors(path).get("norm")!);
      const { variant } = recogniseTensors(tensors, { path, architectures: ARCHITECTURES });
      assert.equal(variant.title, `Stable Diffusion 2 (${title})`);
      Deno.removeSync(folder, { recursive: true });
    });
  }
});

describe("recognisePart()", () => {
  const PARTS: Record<
    string,
    { names: readonly string[]; count: number; className: string; placed: number }
  > = {
    "ae.safetensors": { names: VAE, count: 244, className: "AutoencoderKL", placed: 244 },
    "sdxl_vae.safetensors": {
      names: [...VAE, ...QUANT],
      count: 248,
      className: "AutoencoderKL",
      placed: 248,
    },
    "clip_l.safetensors": { names: CLIP_L, count: 197, className: "CLIPTextModel", placed: 196 },
    "t5xxl_fp16.safetensors": { names: T5, count: 220, className: "T5EncoderModel", placed: 220 },
    "Wan2.1_VAE": { names: WAN_VAE, count: 194, className: "AutoencoderKLWan", placed: 194 },
    "Wan's UMT5": { names: WAN_UMT5, count: 242, className: "UMT5EncoderModel", placed: 242 },
  };
  for (const [file, { names, count, className, placed }] of Object.entries(PARTS)) {
    it(`places every tensor of ${file}`, () => {
      assert.equal(names.length, count);
      const folder = Deno.makeTempDirSync();
      const path = join(folder, "part.safetensors");
      const data = new Uint8Array(2 * ROWS);
      writeSafetensors(path, new Map(names.map((name) => [name, { dtype: "F16", shape: [ROWS], data }])));
      const part = ARCHITECTURES.flatMap(({ parts }) => parts).find((part) => part.className === className)!;
      assert.equal(recognisePart(path, part).size, placed);
      Deno.removeSync(folder, { recursive: true });
    });
  }
});
