// Maps the layer names of the networks' own repositories, which kohya's LoRAs use, to diffusers' names.
// Source: diffusers' lora_conversion_utils.py and single_file_utils.py, in reverse.

/** Original name -> diffusers' modules in that layer, in the order of their rows (q, k, v). */
export type OriginalNames = ReadonlyMap<string, readonly string[]>;

/**
 * A pattern of diffusers' names, and the original name. Rules of one original are in the order of its rows.
 */
type Rule = readonly [diffusers: RegExp, original: string];

/** A layer whose halves, shift and scale, are in reverse order in diffusers. */
export const SWAPPED_ORIGINAL = "final_layer.adaLN_modulation.1";

const FLUX: readonly Rule[] = [
  ...fused(
    "transformer_blocks",
    ["attn.to_q", "attn.to_k", "attn.to_v"],
    "double_blocks.$1.processor.qkv_lora1",
  ),
  ...fused(
    "transformer_blocks",
    ["attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj"],
    "double_blocks.$1.processor.qkv_lora2",
  ),
  ...fused("transformer_blocks", ["attn.to_out.0"], "double_blocks.$1.processor.proj_lora1"),
  ...fused("transformer_blocks", ["attn.to_add_out"], "double_blocks.$1.processor.proj_lora2"),
  ...fused(
    "single_transformer_blocks",
    ["attn.to_q", "attn.to_k", "attn.to_v"],
    "single_blocks.$1.processor.qkv_lora",
  ),
  ...fused("single_transformer_blocks", ["proj_out"], "single_blocks.$1.processor.proj_lora"),
  ...fused("transformer_blocks", ["attn.to_q", "attn.to_k", "attn.to_v"], "double_blocks.$1.img_attn.qkv"),
  ...fused(
    "transformer_blocks",
    ["attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj"],
    "double_blocks.$1.txt_attn.qkv",
  ),
  ...fused("transformer_blocks", ["attn.to_out.0"], "double_blocks.$1.img_attn.proj"),
  ...fused("transformer_blocks", ["attn.to_add_out"], "double_blocks.$1.txt_attn.proj"),
  ...fused("transformer_blocks", ["ff.net.0.proj"], "double_blocks.$1.img_mlp.0"),
  ...fused("transformer_blocks", ["ff.net.2"], "double_blocks.$1.img_mlp.2"),
  ...fused("transformer_blocks", ["ff_context.net.0.proj"], "double_blocks.$1.txt_mlp.0"),
  ...fused("transformer_blocks", ["ff_context.net.2"], "double_blocks.$1.txt_mlp.2"),
  ...fused("transformer_blocks", ["norm1.linear"], "double_blocks.$1.img_mod.lin"),
  ...fused("transformer_blocks", ["norm1_context.linear"], "double_blocks.$1.txt_mod.lin"),
  ...fused(
    "single_transformer_blocks",
    ["attn.to_q", "attn.to_k", "attn.to_v", "proj_mlp"],
    "single_blocks.$1.linear1",
  ),
  ...fused("single_transformer_blocks", ["proj_out"], "single_blocks.$1.linear2"),
  ...fused("single_transformer_blocks", ["norm.linear"], "single_blocks.$1.modulation.lin"),
  [/^x_embedder$/, "img_in"],
  [/^context_embedder$/, "txt_in"],
  [/^time_text_embed\.timestep_embedder\.linear_1$/, "time_in.in_layer"],
  [/^time_text_embed\.timestep_embedder\.linear_2$/, "time_in.out_layer"],
  [/^time_text_embed\.text_embedder\.linear_1$/, "vector_in.in_layer"],
  [/^time_text_embed\.text_embedder\.linear_2$/, "vector_in.out_layer"],
  [/^time_text_embed\.guidance_embedder\.linear_1$/, "guidance_in.in_layer"],
  [/^time_text_embed\.guidance_embedder\.linear_2$/, "guidance_in.out_layer"],
  [/^norm_out\.linear$/, SWAPPED_ORIGINAL],
  [/^proj_out$/, "final_layer.linear"],
];

/** Chroma's approximator. Its other layers have FLUX's names. */
const CHROMA: readonly Rule[] = [
  [/^(distilled_guidance_layer\.layers\.\d+)\.linear_1$/, "$1.in_layer"],
  [/^(distilled_guidance_layer\.layers\.\d+)\.linear_2$/, "$1.out_layer"],
];

const HUNYUAN_VIDEO: readonly Rule[] = [
  ...fused("transformer_blocks", ["attn.to_q", "attn.to_k", "attn.to_v"], "double_blocks.$1.img_attn_qkv"),
  ...fused(
    "transformer_blocks",
    ["attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj"],
    "double_blocks.$1.txt_attn_qkv",
  ),
  ...fused("transformer_blocks", ["attn.to_out.0"], "double_blocks.$1.img_attn_proj"),
  ...fused("transformer_blocks", ["attn.to_add_out"], "double_blocks.$1.txt_attn_proj"),
  ...fused("transformer_blocks", ["ff.net.0.proj"], "double_blocks.$1.img_mlp.fc1"),
  ...fused("transformer_blocks", ["ff.net.2"], "double_blocks.$1.img_mlp.fc2"),
  ...fused("transformer_blocks", ["ff_context.net.0.proj"], "double_blocks.$1.txt_mlp.fc1"),
  ...fused("transformer_blocks", ["ff_context.net.2"], "double_blocks.$1.txt_mlp.fc2"),
  ...fused("transformer_blocks", ["norm1.linear"], "double_blocks.$1.img_mod.linear"),
  ...fused("transformer_blocks", ["norm1_context.linear"], "double_blocks.$1.txt_mod.linear"),
  ...fused(
    "single_transformer_blocks",
    ["attn.to_q", "attn.to_k", "attn.to_v", "proj_mlp"],
    "single_blocks.$1.linear1",
  ),
  ...fused("single_transformer_blocks", ["proj_out"], "single_blocks.$1.linear2"),
  ...fused("single_transformer_blocks", ["norm.linear"], "single_blocks.$1.modulation.linear"),
  ...refiner(["attn.to_q", "attn.to_k", "attn.to_v"], "self_attn_qkv"),
  ...refiner(["attn.to_out.0"], "self_attn_proj"),
  ...refiner(["ff.net.0.proj"], "mlp.fc1"),
  ...refiner(["ff.net.2"], "mlp.fc2"),
  ...refiner(["norm_out.linear"], "adaLN_modulation.1"),
  [/^x_embedder\.proj$/, "img_in.proj"],
  [/^context_embedder\.proj_in$/, "txt_in.input_embedder"],
  [/^context_embedder\.time_text_embed\.timestep_embedder\.linear_1$/, "txt_in.t_embedder.mlp.0"],
  [/^context_embedder\.time_text_embed\.timestep_embedder\.linear_2$/, "txt_in.t_embedder.mlp.2"],
  [/^context_embedder\.time_text_embed\.text_embedder\.linear_(\d)$/, "txt_in.c_embedder.linear_$1"],
  [/^time_text_embed\.timestep_embedder\.linear_1$/, "time_in.mlp.0"],
  [/^time_text_embed\.timestep_embedder\.linear_2$/, "time_in.mlp.2"],
  [/^time_text_embed\.text_embedder\.linear_1$/, "vector_in.in_layer"],
  [/^time_text_embed\.text_embedder\.linear_2$/, "vector_in.out_layer"],
  [/^time_text_embed\.guidance_embedder\.linear_1$/, "guidance_in.mlp.0"],
  [/^time_text_embed\.guidance_embedder\.linear_2$/, "guidance_in.mlp.2"],
  [/^norm_out\.linear$/, SWAPPED_ORIGINAL],
  [/^proj_out$/, "final_layer.linear"],
];

// context_block.adaLN_modulation is missing, as the last block has its halves in reverse order too.
const SD3: readonly Rule[] = [
  ...fused("transformer_blocks", ["attn.to_q", "attn.to_k", "attn.to_v"], "joint_blocks.$1.x_block.attn.qkv"),
  ...fused(
    "transformer_blocks",
    ["attn2.to_q", "attn2.to_k", "attn2.to_v"],
    "joint_blocks.$1.x_block.attn2.qkv",
  ),
  ...fused(
    "transformer_blocks",
    ["attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj"],
    "joint_blocks.$1.context_block.attn.qkv",
  ),
  ...fused("transformer_blocks", ["attn.to_out.0"], "joint_blocks.$1.x_block.attn.proj"),
  ...fused("transformer_blocks", ["attn2.to_out.0"], "joint_blocks.$1.x_block.attn2.proj"),
  ...fused("transformer_blocks", ["attn.to_add_out"], "joint_blocks.$1.context_block.attn.proj"),
  ...fused("transformer_blocks", ["ff.net.0.proj"], "joint_blocks.$1.x_block.mlp.fc1"),
  ...fused("transformer_blocks", ["ff.net.2"], "joint_blocks.$1.x_block.mlp.fc2"),
  ...fused("transformer_blocks", ["ff_context.net.0.proj"], "joint_blocks.$1.context_block.mlp.fc1"),
  ...fused("transformer_blocks", ["ff_context.net.2"], "joint_blocks.$1.context_block.mlp.fc2"),
  ...fused("transformer_blocks", ["norm1.linear"], "joint_blocks.$1.x_block.adaLN_modulation.1"),
  [/^pos_embed\.proj$/, "x_embedder.proj"],
  [/^time_text_embed\.timestep_embedder\.linear_1$/, "t_embedder.mlp.0"],
  [/^time_text_embed\.timestep_embedder\.linear_2$/, "t_embedder.mlp.2"],
  [/^time_text_embed\.text_embedder\.linear_1$/, "y_embedder.mlp.0"],
  [/^time_text_embed\.text_embedder\.linear_2$/, "y_embedder.mlp.2"],
  [/^proj_out$/, "final_layer.linear"],
];

const WAN: readonly Rule[] = [
  ...attention("attn1", "self_attn"),
  ...attention("attn2", "cross_attn"),
  ...fused("blocks", ["attn2.add_k_proj"], "blocks.$1.cross_attn.k_img"),
  ...fused("blocks", ["attn2.add_v_proj"], "blocks.$1.cross_attn.v_img"),
  ...fused("blocks", ["ffn.net.0.proj"], "blocks.$1.ffn.0"),
  ...fused("blocks", ["ffn.net.2"], "blocks.$1.ffn.2"),
  [/^condition_embedder\.time_proj$/, "time_projection.1"],
  [/^condition_embedder\.(text|time)_embedder\.linear_1$/, "$1_embedding.0"],
  [/^condition_embedder\.(text|time)_embedder\.linear_2$/, "$1_embedding.2"],
  [/^proj_out$/, "head.head"],
];

const FLUX2: readonly Rule[] = [
  ...fused("transformer_blocks", ["attn.to_q", "attn.to_k", "attn.to_v"], "double_blocks.$1.img_attn.qkv"),
  ...fused(
    "transformer_blocks",
    ["attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj"],
    "double_blocks.$1.txt_attn.qkv",
  ),
  ...fused("transformer_blocks", ["attn.to_out.0"], "double_blocks.$1.img_attn.proj"),
  ...fused("transformer_blocks", ["attn.to_add_out"], "double_blocks.$1.txt_attn.proj"),
  ...fused("transformer_blocks", ["ff.linear_in"], "double_blocks.$1.img_mlp.0"),
  ...fused("transformer_blocks", ["ff.linear_out"], "double_blocks.$1.img_mlp.2"),
  ...fused("transformer_blocks", ["ff_context.linear_in"], "double_blocks.$1.txt_mlp.0"),
  ...fused("transformer_blocks", ["ff_context.linear_out"], "double_blocks.$1.txt_mlp.2"),
  ...fused("single_transformer_blocks", ["attn.to_qkv_mlp_proj"], "single_blocks.$1.linear1"),
  ...fused("single_transformer_blocks", ["attn.to_out"], "single_blocks.$1.linear2"),
  // Some exports cut the beginning off diffusers' own names.
  [/^transformer_blocks\.(.+)$/, "sformer_blocks.$1"],
  [/^x_embedder$/, "img_in"],
  [/^context_embedder$/, "txt_in"],
  [/^time_guidance_embed\.timestep_embedder\.linear_1$/, "time_in.in_layer"],
  [/^time_guidance_embed\.timestep_embedder\.linear_2$/, "time_in.out_layer"],
  [
    /^(double_stream_modulation_img|double_stream_modulation_txt|single_stream_modulation)\.linear$/,
    "$1.lin",
  ],
  [/^norm_out\.linear$/, SWAPPED_ORIGINAL],
  [/^proj_out$/, "final_layer.linear"],
];

const Z_IMAGE: readonly Rule[] = [
  ...["layers", "noise_refiner", "context_refiner"].flatMap((list) => [
    ...fused(list, ["attention.to_q", "attention.to_k", "attention.to_v"], `${list}.$1.attention.qkv`),
    ...fused(list, ["attention.to_out.0"], `${list}.$1.attention.out`),
  ]),
  [/^all_x_embedder\.2-1$/, "x_embedder"],
  [/^all_final_layer\.2-1\.(.+)$/, "final_layer.$1"],
  // All other names are diffusers' own.
  [/^.+$/s, "$&"],
];

/**
 * Returns the original names of FLUX.2 (black-forest-labs/flux2) for the modules of a Flux2Transformer2DModel.
 */
export function flux2OriginalNames(modules: readonly string[]): OriginalNames {
  return rename(modules, FLUX2);
}

/** Returns the original names of Z-Image (Tongyi-MAI/Z-Image) for the modules of a ZImageTransformer2DModel. */
export function zImageOriginalNames(modules: readonly string[]): OriginalNames {
  return rename(modules, Z_IMAGE);
}

/** Returns the original names of Wan (Wan-Video/Wan2.1) for the modules of a WanTransformer3DModel. */
export function wanOriginalNames(modules: readonly string[]): OriginalNames {
  return rename(modules, WAN);
}

/**
 * Returns the original names of FLUX (black-forest-labs/flux) for the modules of a FluxTransformer2DModel.
 */
export function fluxOriginalNames(modules: readonly string[]): OriginalNames {
  return rename(modules, FLUX);
}

/** Returns the original names of Chroma (lodestone-rock/flow) for the modules of a ChromaTransformer2DModel. */
export function chromaOriginalNames(modules: readonly string[]): OriginalNames {
  return rename(modules, [...FLUX, ...CHROMA]);
}

/**
 * Returns the original names of HunyuanVideo (Tencent/HunyuanVideo) for the modules of a
 * HunyuanVideoTransformer3DModel.
 */
export function hunyuanVideoOriginalNames(modules: readonly string[]): OriginalNames {
  return rename(modules, HUNYUAN_VIDEO);
}

/** Returns Qwen-Image's own names, which are diffusers'. Its few-step LoRAs have no prefix before them. */
export function qwenImageOriginalNames(modules: readonly string[]): OriginalNames {
  return new Map(modules.map((module) => [module, [module]]));
}

/**
 * Returns the original names of Stable Diffusion 3 (Stability-AI/sd3.5) for the modules of an
 * SD3Transformer2DModel.
 */
export function sd3OriginalNames(modules: readonly string[]): OriginalNames {
  return rename(modules, SD3);
}

function fused(blocks: string, modules: readonly string[], original: string): Rule[] {
  return modules.map((module) => [
    new RegExp(`^${blocks}\\.(\\d+)\\.${module.replaceAll(".", "\\.")}$`),
    original,
  ]);
}

function attention(ours: string, original: string): Rule[] {
  const projections = { to_q: "q", to_k: "k", to_v: "v", "to_out.0": "o" };
  return Object.entries(projections).flatMap(([projection, name]) =>
    fused("blocks", [`${ours}.${projection}`], `blocks.$1.${original}.${name}`)
  );
}

function refiner(modules: readonly string[], original: string): Rule[] {
  return fused(
    "context_embedder\\.token_refiner\\.refiner_blocks",
    modules,
    `txt_in.individual_token_refiner.blocks.$1.${original}`,
  );
}

function rename(modules: readonly string[], rules: readonly Rule[]): OriginalNames {
  const names = new Map<string, string[]>();
  for (const [pattern, original] of rules) {
    for (const module of modules) {
      if (!pattern.test(module)) continue;
      const name = module.replace(pattern, original);
      names.set(name, [...names.get(name) ?? [], module]);
    }
  }
  return names;
}
