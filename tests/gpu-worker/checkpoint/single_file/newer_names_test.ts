// The tensor names of published files of FLUX.2 klein, Qwen-Image-2.1 and Wan2.2, as patterns: each must have
// a place, and the sizes must be the published configs'.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import type { Weights } from "../../../../gpu-worker/checkpoint/weights.ts";
import { foldScales } from "../../../../gpu-worker/checkpoint/fold_scales.ts";
import { placeTensors } from "../../../../gpu-worker/checkpoint/single_file/place_tensors.ts";
import {
  recognisePart,
  recogniseTensors,
} from "../../../../gpu-worker/checkpoint/single_file/recognise_file.ts";
import { ARCHITECTURES } from "../../../../gpu-worker/model/architectures.ts";
import { join } from "node:path";
import { BOTH, entryOf, expand, ROWS } from "./published_patterns.ts";
import { type FileTensor, writeSafetensors } from "./twin.ts";

const KLEIN = (double: number, single: number, more = "") =>
  expand(`
    {img_in,txt_in,time_in.in_layer,time_in.out_layer}.weight
    {final_layer.linear,final_layer.adaLN_modulation.1}.weight ${more}
    {double_stream_modulation_img,double_stream_modulation_txt,single_stream_modulation}.lin.weight
    double_blocks.{0..${double - 1}}.{img,txt}_{attn.qkv,attn.proj,mlp.0,mlp.2}.weight
    double_blocks.{0..${double - 1}}.{img,txt}_attn.norm.{query,key}_norm.scale
    single_blocks.{0..${single - 1}}.{linear1,linear2}.weight
    single_blocks.{0..${single - 1}}.norm.{query,key}_norm.scale`);
const kleinShapes = (width: number, text: number) => ({
  "img_in.weight": [width, 128],
  "txt_in.weight": [width, text],
  "time_in.in_layer.weight": [width, 256],
  "double_blocks.0.img_attn.norm.query_norm.scale": [128],
  "double_blocks.0.img_mlp.2.weight": [width, 3 * width],
});
const WAN = (layers: number) =>
  expand(`
    patch_embedding.${BOTH} {text,time}_embedding.{0,2}.${BOTH} time_projection.1.${BOTH} head.head.${BOTH}
    head.modulation
    blocks.{0..${layers - 1}}.modulation blocks.{0..${layers - 1}}.{self,cross}_attn.{q,k,v,o}.${BOTH}
    blocks.{0..${layers - 1}}.{self,cross}_attn.norm_{q,k}.weight
    blocks.{0..${layers - 1}}.{ffn.0,ffn.2,norm3}.${BOTH}`);
const WAN_IMAGE = (layers: number) =>
  expand(`
    img_emb.proj.{0,1,3,4}.${BOTH} blocks.{0..${layers - 1}}.cross_attn.{k_img,v_img}.${BOTH}
    blocks.{0..${layers - 1}}.cross_attn.norm_k_img.weight`);
const wanShapes = (
  width: number,
  { ffn, channels, beside = 0 }: { ffn: number; channels: number; beside?: number },
) => ({
  "patch_embedding.weight": [width, channels + beside, 1, 2, 2],
  "head.head.weight": [4 * channels, width],
  "text_embedding.0.weight": [width, 4096],
  "time_embedding.0.weight": [width, 256],
  "blocks.0.ffn.0.weight": [ffn, width],
});

interface Published {
  names: readonly string[];
  count: number;
  shapes: Record<string, readonly number[]>;
  title: string;
  sizes: Record<string, unknown>;
  given?: readonly string[];
}

const FILES: Record<string, Published> = {
  "flux-2-klein-4b": {
    names: KLEIN(5, 20),
    count: 149,
    shapes: kleinShapes(3072, 7680),
    title: "FLUX.2 klein 4B",
    sizes: {
      in_channels: 128,
      num_layers: 5,
      num_single_layers: 20,
      attention_head_dim: 128,
      num_attention_heads: 24,
      joint_attention_dim: 7680,
      mlp_ratio: 3,
      timestep_guidance_channels: 256,
      guidance_embeds: false,
    },
  },
  "flux-2-klein-9b": {
    names: KLEIN(8, 24),
    count: 201,
    shapes: kleinShapes(4096, 12288),
    title: "FLUX.2 klein 9B",
    sizes: { num_layers: 8, num_single_layers: 24, num_attention_heads: 32, joint_attention_dim: 12288 },
  },
  "qwen_image_2.1": {
    names: expand(`
      {img_in,proj_out,norm_out.linear,modulation.1}.weight txt_in.{text_norm,in_layer,out_layer}.weight
      time_text_embed.timestep_embedder.linear_{1,2}.weight
      transformer_blocks.{0..31}.attn.{to_q,to_k,to_v,to_out.0,norm_q,norm_k}.weight
      transformer_blocks.{0..31}.img_mlp.{gate_up,out}.weight`),
    count: 265,
    shapes: {
      "img_in.weight": [4096, 64],
      "proj_out.weight": [64, 4096],
      "txt_in.in_layer.weight": [4096, 4096],
      "transformer_blocks.0.attn.norm_q.weight": [128],
      "transformer_blocks.0.img_mlp.out.weight": [4096, 12288],
    },
    title: "Qwen-Image-2.1",
    sizes: {
      in_channels: 64,
      out_channels: 64,
      num_layers: 32,
      num_attention_heads: 32,
      context_in_dim: 4096,
      mlp_ratio: 3,
    },
  },
  "wan2.2_ti2v_5B": {
    names: WAN(30),
    count: 825,
    shapes: wanShapes(3072, { ffn: 14336, channels: 48 }),
    title: "Wan2.2 TI2V 5B",
    sizes: {
      in_channels: 48,
      out_channels: 48,
      num_attention_heads: 24,
      ffn_dim: 14336,
      num_layers: 30,
    },
  },
  "wan2.2_t2v_high_noise_14B beside its other expert": {
    names: WAN(40),
    count: 1095,
    shapes: wanShapes(5120, { ffn: 13824, channels: 16 }),
    title: "Wan2.2 T2V A14B",
    sizes: { num_attention_heads: 40, ffn_dim: 13824, num_layers: 40 },
    given: ["transformer_2"],
  },
  "wan2.2_i2v_high_noise_14B beside its other expert": {
    names: WAN(40),
    count: 1095,
    shapes: wanShapes(5120, { ffn: 13824, channels: 16, beside: 20 }),
    title: "Wan2.2 I2V A14B",
    sizes: { in_channels: 36, out_channels: 16, num_attention_heads: 40, num_layers: 40 },
    given: ["transformer_2"],
  },
  "wan2.1_i2v_480p_14B": {
    names: [...WAN(40), ...WAN_IMAGE(40)],
    count: 1303,
    shapes: {
      ...wanShapes(5120, { ffn: 13824, channels: 16, beside: 20 }),
      "img_emb.proj.0.weight": [1280],
    },
    title: "Wan2.1 I2V 14B",
    sizes: { in_channels: 36, image_dim: 1280, added_kv_proj_dim: 5120, pos_embed_seq_len: null },
  },
  "wan2.1_flf2v_720p_14B": {
    names: [...WAN(40), ...WAN_IMAGE(40), "img_emb.emb_pos"],
    count: 1304,
    shapes: {
      ...wanShapes(5120, { ffn: 13824, channels: 16, beside: 20 }),
      "img_emb.proj.0.weight": [1280],
      "img_emb.emb_pos": [1, 514, 1280],
    },
    title: "Wan2.1 FLF2V 14B 720P",
    sizes: { in_channels: 36, image_dim: 1280, pos_embed_seq_len: 514 },
  },
};

const path = "model.safetensors";
const tensorsOf = ({ names, shapes }: Pick<Published, "names" | "shapes">): Weights =>
  new Map(names.map((name) => [name, entryOf(shapes[name] ?? [ROWS])]));

describe("recogniseTensors() of newer models", () => {
  for (const [file, published] of Object.entries(FILES)) {
    it(`places every tensor of ${file}`, () => {
      const { names, count, title, sizes, given = [] } = published;
      assert.equal(names.length, count);
      const found = recogniseTensors(tensorsOf(published), { path, architectures: ARCHITECTURES, given });
      assert.equal(found.variant.title, title);
      assert.deepEqual([...found.networks.keys()], ["transformer"]);
      const derived = found.architecture.denoiser.sizes(found.networks.get("transformer")!);
      assert.deepEqual(Object.fromEntries(Object.keys(sizes).map((key) => [key, derived[key]])), sizes);
    });
  }

  // As the headers of FLUX.2-klein-4b-fp8 and qwen_image_2.1_int8_convrot have them.
  const KLEIN_FP8 = expand(`
    double_blocks.{0..4}.{img,txt}_{attn.qkv,attn.proj,mlp.0,mlp.2} single_blocks.{0..19}.{linear1,linear2}`);

  it("places every tensor of flux-2-klein-4b-fp8, a fused matrix's scale with each of its parts", () => {
    const scale = Deno.makeTempFileSync();
    try {
      Deno.writeFileSync(scale, new Uint8Array(Float32Array.of(0.5).buffer));
      const number = { ...entryOf([]), dtype: "float32" as const, byteLength: 4, path: scale };
      const tensors = new Map(tensorsOf(FILES["flux-2-klein-4b"]!));
      for (const module of KLEIN_FP8) {
        const { shape } = tensors.get(`${module}.weight`)!;
        tensors.set(`${module}.weight`, { ...entryOf(shape), dtype: "float8_e4m3fn" });
        tensors.set(`${module}.weight_scale`, number).set(`${module}.input_scale`, number);
      }
      assert.equal(tensors.size, 149 + 2 * KLEIN_FP8.length);
      const found = recogniseTensors(foldScales(path, tensors), { path, architectures: ARCHITECTURES });
      const network = found.networks.get("transformer")!;
      const scales = [...network].flatMap(([name, { scale }]) => scale === undefined ? [] : [name]);
      // Each of the ten fused matrices of attention becomes three.
      assert.equal(scales.length, KLEIN_FP8.length + 2 * 10);
      for (const name of ["to_q", "to_k", "to_v", "add_q_proj", "add_k_proj", "add_v_proj"]) {
        assert.equal(network.get(`transformer_blocks.0.attn.${name}.weight`)!.scale, 0.5, name);
      }
    } finally {
      Deno.removeSync(scale);
    }
  });

  it("places every tensor of qwen_image_2.1_int8_convrot, whose scales are of rows", () => {
    const beside = Deno.makeTempFileSync();
    try {
      const json = new TextEncoder().encode(
        JSON.stringify({ format: "int8_tensorwise", convrot: true, convrot_groupsize: 256 }),
      );
      const floats = new Uint8Array(new Float32Array(ROWS).fill(0.5).buffer);
      Deno.writeFileSync(beside, Uint8Array.of(...floats, ...json));
      const file = { path: beside, byteLength: floats.length };
      const scales = { ...entryOf([ROWS, 1]), ...file, dtype: "float32" as const, offset: 0 };
      const mark = { ...scales, dtype: "uint8" as const, shape: [json.length], offset: floats.length };
      const published = FILES["qwen_image_2.1"]!;
      const tensors = new Map(tensorsOf(published));
      const modules = expand(`
        transformer_blocks.{0..31}.{attn.to_q,attn.to_k,attn.to_v,attn.to_out.0,img_mlp.gate_up,img_mlp.out}`);
      for (const module of modules) {
        tensors.set(`${module}.weight`, { ...entryOf([ROWS, 512]), dtype: "int8" })
          .set(`${module}.weight_scale`, scales)
          .set(`${module}.comfy_quant`, { ...mark, byteLength: json.length });
      }
      const found = recogniseTensors(foldScales(path, tensors), { path, architectures: ARCHITECTURES });
      assert.equal(found.variant.title, published.title);
      const network = found.networks.get("transformer")!;
      const rotated = [...network.values()].filter(({ blocks }) => blocks === "INT8_CONVROT");
      // The fused matrix of each block's MLP becomes two.
      assert.equal(rotated.length, modules.length + 32);
      assert.ok(rotated.every(({ rotation, scales }) => rotation === 256 && scales!.tensor.path === beside));
      const halves = ["proj", "gate_layer"].map((name) =>
        network.get(`transformer_blocks.0.img_mlp.${name}.weight`)!.scales!.firstRow
      );
      assert.deepEqual(halves.sort((a, b) => a - b), [0, ROWS / 2]);
    } finally {
      Deno.removeSync(beside);
    }
  });

  it("refuses FLUX.2 [dev] by its guidance", () => {
    const names = KLEIN(8, 48, "guidance_in.{in,out}_layer.weight");
    const tensors = tensorsOf({ names, shapes: kleinShapes(6144, 15360) });
    assert.throws(
      () => recogniseTensors(tensors, { path, architectures: ARCHITECTURES }),
      /it is FLUX\.2 \[dev\], which is not supported: only FLUX\.2 klein is/,
    );
  });
});

const WAN22_SIDE = (side: string) => `
  ${side}.{conv1,head.2}.${BOTH} ${side}.head.0.gamma ${side}.middle.{0,2}.residual.{0,3}.gamma
  ${side}.middle.{0,2}.residual.{2,6}.${BOTH} ${side}.middle.1.norm.gamma
  ${side}.middle.1.{to_qkv,proj}.${BOTH}`;
const WAN22_VAE = expand(`
  {conv1,conv2}.${BOTH} ${WAN22_SIDE("encoder")} ${WAN22_SIDE("decoder")}
  encoder.downsamples.{0..3}.downsamples.{0,1}.residual.{0,3}.gamma
  encoder.downsamples.{0..3}.downsamples.{0,1}.residual.{2,6}.${BOTH}
  encoder.downsamples.{1,2}.downsamples.0.shortcut.${BOTH}
  encoder.downsamples.{0..2}.downsamples.2.resample.1.${BOTH}
  encoder.downsamples.{1,2}.downsamples.2.time_conv.${BOTH}
  decoder.upsamples.{0..3}.upsamples.{0..2}.residual.{0,3}.gamma
  decoder.upsamples.{0..3}.upsamples.{0..2}.residual.{2,6}.${BOTH}
  decoder.upsamples.{2,3}.upsamples.0.shortcut.${BOTH} decoder.upsamples.{0..2}.upsamples.3.resample.1.${BOTH}
  decoder.upsamples.{0,1}.upsamples.3.time_conv.${BOTH}`);

describe("placeTensors() of newer autoencoders", () => {
  for (const className of ["AutoencoderKLWan", "AutoencoderKLQwenImage21"]) {
    it(`places every tensor of Wan2.2's names for ${className}`, () => {
      assert.equal(WAN22_VAE.length, 196);
      const tensors = tensorsOf({
        names: WAN22_VAE,
        shapes: {
          "decoder.conv1.weight": [8, 4, 1, 3, 3],
          "decoder.upsamples.0.upsamples.3.resample.1.weight": [8, 8, 3, 3],
        },
      });
      const part = ARCHITECTURES.flatMap(({ parts }) => parts).find((part) => part.className === className)!;
      const layout = part.layouts.find((layout) => layout.matches(tensors))!;
      const { weights, unknown } = placeTensors(tensors, layout);
      assert.deepEqual([weights.size, unknown], [196, []]);
      // Qwen-Image-2.1 draws pictures, whose convolutions lack the frames.
      const isPicture = className === "AutoencoderKLQwenImage21";
      const shape = (name: string) => weights.get(name)!.shape;
      assert.deepEqual(shape("decoder.conv_in.weight"), isPicture ? [8, 4, 3, 3] : [8, 4, 1, 3, 3]);
      assert.deepEqual(shape("decoder.up_blocks.0.upsampler.resample.1.weight"), [8, 8, 3, 3]);
    });
  }
});

const QWEN_LAYER = (layers: number, { bias }: { bias: boolean }) => `
  model.{embed_tokens,norm}.weight model.layers.{0..${layers - 1}}.{input,post_attention}_layernorm.weight
  model.layers.{0..${layers - 1}}.self_attn.{q,k,v,o}_proj.weight
  model.layers.{0..${layers - 1}}.mlp.{gate,up,down}_proj.weight
  model.layers.{0..${layers - 1}}.self_attn.${bias ? "{q,k,v}_proj.bias" : "{q,k}_norm.weight"}`;
const QWEN_MATRICES = (layers: number) =>
  expand(`
    model.layers.{0..${layers - 1}}.self_attn.{q,k,v,o}_proj model.layers.{0..${
    layers - 1
  }}.mlp.{gate,up,down}_proj`);
const QWEN_VISION = `
  visual.patch_embed.proj.weight visual.merger.ln_q.weight visual.merger.mlp.{0,2}.${BOTH}
  visual.blocks.{0..31}.{norm1,norm2}.weight visual.blocks.{0..31}.attn.{qkv,proj}.${BOTH}
  visual.blocks.{0..31}.mlp.{gate,up,down}_proj.${BOTH}`;
const UMT5_LAYER = `encoder.block.{0..23}.layer`;
const UMT5 = expand(`
  shared.weight encoder.final_layer_norm.weight ${UMT5_LAYER}.{0,1}.layer_norm.weight
  ${UMT5_LAYER}.0.SelfAttention.{q,k,v,o,relative_attention_bias}.weight
  ${UMT5_LAYER}.1.DenseReluDense.{wi_0,wi_1,wo}.weight`);
const UMT5_MATRICES = expand(
  `${UMT5_LAYER}.0.SelfAttention.{q,k,v,o} ${UMT5_LAYER}.1.DenseReluDense.{wi_0,wi_1,wo}`,
);

describe("recognisePart() of ComfyUI's text encoders", () => {
  const ENCODERS: Record<
    string,
    { className: string; names: string[]; matrices?: string[]; placed: number }
  > = {
    "qwen_3_4b": {
      className: "Qwen3ForCausalLM",
      names: expand(QWEN_LAYER(36, { bias: false })),
      placed: 398,
    },
    "qwen_3_8b_fp8mixed": {
      className: "Qwen3ForCausalLM",
      names: [...expand(QWEN_LAYER(36, { bias: false })), "lm_head.weight"],
      matrices: QWEN_MATRICES(36),
      placed: 398,
    },
    "qwen_2.5_vl_7b_fp8_scaled": {
      className: "Qwen2_5_VLForConditionalGeneration",
      names: [
        ...expand(`${QWEN_LAYER(28, { bias: true })} ${QWEN_VISION} lm_head.weight`),
        "scaled_fp8",
      ],
      matrices: QWEN_MATRICES(28),
      placed: 728,
    },
    "umt5_xxl_fp8_e4m3fn_scaled": {
      className: "UMT5EncoderModel",
      names: [...UMT5, "spiece_model", "scaled_fp8"],
      matrices: UMT5_MATRICES,
      placed: 242,
    },
  };
  for (const [file, { className, names, matrices = [], placed }] of Object.entries(ENCODERS)) {
    it(`places every tensor of ${file}`, () => {
      const folder = Deno.makeTempDirSync();
      try {
        const path = join(folder, "part.safetensors");
        const tensors = new Map<string, FileTensor>(
          names.map((name) => [name, { dtype: "F16", shape: [4, 4], data: new Uint8Array(32) }]),
        );
        const one = { dtype: "F32", shape: [], data: new Uint8Array(Float32Array.of(0.5).buffer) };
        for (const module of matrices) {
          tensors.set(`${module}.weight`, { dtype: "F8_E4M3", shape: [4, 4], data: new Uint8Array(16) });
          if (names.includes("scaled_fp8")) {
            tensors.set(`${module}.scale_weight`, one).set(`${module}.scale_input`, one);
          } else {
            const data = new TextEncoder().encode(JSON.stringify({ format: "float8_e4m3fn" }));
            tensors.set(`${module}.weight_scale`, one)
              .set(`${module}.comfy_quant`, { dtype: "U8", shape: [data.length], data });
          }
        }
        writeSafetensors(path, tensors);
        const part = ARCHITECTURES.flatMap(({ parts }) => parts).find((part) =>
          part.className === className
        )!;
        const found = recognisePart(path, part);
        assert.equal(found.size, placed);
        assert.equal([...found.values()].filter(({ scale }) => scale === 0.5).length, matrices.length);
      } finally {
        Deno.removeSync(folder, { recursive: true });
      }
    });
  }
});
