// FLUX.2 klein in single files: the names of black-forest-labs/flux2.
import { CheckpointError } from "../../checkpoint/checkpoint_error.ts";
import type { Architecture, Variant } from "../../checkpoint/single_file/architecture.ts";
import { type Layout, ownNames } from "../../checkpoint/single_file/layout.ts";
import { findInTable } from "../../checkpoint/single_file/name_table.ts";
import { autoencoderKLFlux2Part } from "../../checkpoint/single_file/parts/autoencoder_kl_part.ts";
import { causalPart } from "../../checkpoint/single_file/parts/causal_part.ts";
import { countOf, sizeOf } from "../../checkpoint/single_file/shapes.ts";
import type { Weights } from "../../checkpoint/weights.ts";

const PREFIXES = ["model.diffusion_model.", ""];
const MODULATIONS = [
  "double_stream_modulation_img",
  "double_stream_modulation_txt",
  "single_stream_modulation",
];

interface Stream {
  qkv: readonly string[];
  out: string;
  norms: readonly [query: string, key: string];
  ff: string;
}

/** @param file the stream's name: img or txt @param ours diffusers' names */
const stream = (file: string, ours: Stream) => ({
  modules: {
    [`double_blocks.*.${file}_attn.qkv`]: ours.qkv.map((name) => `transformer_blocks.*.attn.${name}`),
    [`double_blocks.*.${file}_attn.proj`]: `transformer_blocks.*.attn.${ours.out}`,
    [`double_blocks.*.${file}_mlp.0`]: `transformer_blocks.*.${ours.ff}.linear_in`,
    [`double_blocks.*.${file}_mlp.2`]: `transformer_blocks.*.${ours.ff}.linear_out`,
  },
  tensors: norms(`double_blocks.*.${file}_attn.norm`, "transformer_blocks.*.attn", ours.norms),
});

const norms = (file: string, ours: string, [query, key]: Stream["norms"]) => ({
  [`${file}.query_norm.scale`]: `${ours}.${query}.weight`,
  [`${file}.key_norm.scale`]: `${ours}.${key}.weight`,
});

const IMAGE = stream("img", {
  qkv: ["to_q", "to_k", "to_v"],
  out: "to_out.0",
  norms: ["norm_q", "norm_k"],
  ff: "ff",
});
const TEXT = stream("txt", {
  qkv: ["add_q_proj", "add_k_proj", "add_v_proj"],
  out: "to_add_out",
  norms: ["norm_added_q", "norm_added_k"],
  ff: "ff_context",
});

const ORIGINAL: Layout = {
  prefixes: PREFIXES,
  matches: (tensors) =>
    tensors.has("single_stream_modulation.lin.weight") && tensors.has("double_blocks.0.img_attn.qkv.weight"),
  place: () =>
    findInTable({
      modules: {
        "img_in": "x_embedder",
        "txt_in": "context_embedder",
        ...Object.fromEntries(
          ["time", "guidance"].flatMap((name) => {
            const ours = `time_guidance_embed.${name === "time" ? "timestep" : name}_embedder`;
            return [[`${name}_in.in_layer`, `${ours}.linear_1`], [
              `${name}_in.out_layer`,
              `${ours}.linear_2`,
            ]];
          }),
        ),
        ...Object.fromEntries(MODULATIONS.map((name) => [`${name}.lin`, `${name}.linear`])),
        ...IMAGE.modules,
        ...TEXT.modules,
        "single_blocks.*.linear1": "single_transformer_blocks.*.attn.to_qkv_mlp_proj",
        "single_blocks.*.linear2": "single_transformer_blocks.*.attn.to_out",
        "final_layer.linear": "proj_out",
        "final_layer.adaLN_modulation.1": { to: ["norm_out.linear"], order: "swapped" },
      },
      tensors: {
        ...IMAGE.tensors,
        ...TEXT.tensors,
        ...norms("single_blocks.*.norm", "single_transformer_blocks.*.attn", ["norm_q", "norm_k"]),
      },
    }),
};

export const flux2SingleFile: Architecture = {
  pipelineClass: "Flux2KleinPipeline",
  denoiser: {
    component: "transformer",
    className: "Flux2Transformer2DModel",
    layouts: [
      ORIGINAL,
      ownNames({
        prefixes: PREFIXES,
        markers: ["x_embedder.weight", "single_stream_modulation.linear.weight"],
      }),
    ],
    sizes(weights: Weights) {
      const width = sizeOf(weights, "x_embedder.weight", 0);
      const head = sizeOf(weights, "transformer_blocks.0.attn.norm_q.weight", 0);
      return {
        in_channels: sizeOf(weights, "x_embedder.weight", 1),
        num_layers: countOf(weights, "transformer_blocks."),
        num_single_layers: countOf(weights, "single_transformer_blocks."),
        attention_head_dim: head,
        num_attention_heads: width / head,
        joint_attention_dim: sizeOf(weights, "context_embedder.weight", 1),
        mlp_ratio: sizeOf(weights, "transformer_blocks.0.ff.linear_out.weight", 1) / width,
        timestep_guidance_channels: sizeOf(
          weights,
          "time_guidance_embed.timestep_embedder.linear_1.weight",
          1,
        ),
        guidance_embeds: hasGuidance(weights),
      };
    },
  },
  parts: [autoencoderKLFlux2Part, causalPart("text_encoder", "Qwen3ForCausalLM")],
  tokenizers: { tokenizer: "Qwen2Tokenizer" },
  variant(weights: Weights): Variant {
    if (hasGuidance(weights)) {
      const { path } = weights.values().next().value!;
      throw new CheckpointError(
        `Cannot use ${path} as it is FLUX.2 [dev], which is not supported: only FLUX.2 klein is`,
      );
    }
    const size = sizeOf(weights, "x_embedder.weight", 0) === 4096 ? "9B" : "4B";
    return {
      title: `FLUX.2 klein ${size}`,
      // The distilled model, which most files are, and the base model have equal names and shapes.
      repositories: [
        `black-forest-labs/FLUX.2-klein-${size}`,
        `black-forest-labs/FLUX.2-klein-base-${size}`,
      ],
      scheduler: {
        _class_name: "FlowMatchEulerDiscreteScheduler",
        num_train_timesteps: 1000,
        shift: 3,
        use_dynamic_shifting: true,
        time_shift_type: "exponential",
      },
    };
  },
};

function hasGuidance(weights: Weights): boolean {
  return weights.has("time_guidance_embed.guidance_embedder.linear_1.weight");
}
