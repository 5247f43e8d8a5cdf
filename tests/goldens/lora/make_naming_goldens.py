"""Makes goldens of LoRA files in every naming that diffusers reads: one tiny random file per naming and
family, and what diffusers draws with it.

Names are what trainers write; shapes come from the modules that diffusers finds for them. A file may also
hold tensors that diffusers drops: they are not zero, so that using them shows.
Past 400 lines, as every naming of every family is a case.
"""

import sys
from pathlib import Path

import diffusers
import torch
from peft import LoKrConfig, get_peft_model_state_dict
from peft.tuners.lokr.layer import factorization
from safetensors.torch import save_file

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from _reference import PROMPTS, Goldens  # noqa: E402
from flux2.make_goldens import Klein  # noqa: E402
from inpaint import make_goldens as inpaint  # noqa: E402
from qwen_image21 import make_goldens as qwen_image21  # noqa: E402

RANK = 2
PEFT = ("lora_A.weight", "lora_B.weight")
KOHYA = ("lora_down.weight", "lora_up.weight")
OLD = ("lora.down.weight", "lora.up.weight")
LINEAR = ("lora_linear_layer.down.weight", "lora_linear_layer.up.weight")


def layer(name, *modules, form=PEFT, alpha=None, bias=None, columns=None):
    """A low-rank layer `name` that changes `modules` of the pipeline, one behind the other.

    `columns` are those of another checkpoint's layer.
    """
    return {"name": name, "modules": modules, "form": form, "alpha": alpha, "bias": bias, "columns": columns}


def lokr(name, *modules, parts="", alpha=None):
    """LoKr's factors in LyCORIS' names, each whole or (if `parts` names it) a product of two."""
    return {"name": name, "modules": modules, "lokr": parts, "alpha": alpha}


def processor(name, module):
    """diffusers' attention processors of 2023: X.processor.to_q_lora.down.weight."""
    return layer(name, module, form=(f"{name}.down.weight", f"{name}.up.weight"))


DOUBLE, SINGLE = "transformer.transformer_blocks.0", "transformer.single_transformer_blocks.1"
CLIP = "text_encoder.text_model.encoder.layers.0"
CLIP_SHORT = "text_encoder.encoder.layers.0"
WAN, WAN_OURS = "diffusion_model.blocks.0", "transformer.blocks.0"
DEEP = "down_blocks.2.attentions.0.transformer_blocks.0"
SHALLOW = "down_blocks.0.attentions.0.transformer_blocks.0"


def qkv(block, *names):
    return [f"{block}.attn.{name}" for name in names]


FLUX = {
    "comfy": [
        layer("diffusion_model.double_blocks.0.img_attn.qkv", *qkv(DOUBLE, "to_q", "to_k", "to_v"),
              form=KOHYA, alpha=1.0),
        layer("diffusion_model.single_blocks.1.linear2", f"{SINGLE}.proj_out", form=KOHYA, alpha=3.0),
        # diffusers tells the format of a text encoder's keys by these two.
        *(layer(f"text_encoders.clip_l.transformer.text_model.encoder.layers.0.self_attn.{name}",
                f"{CLIP_SHORT}.self_attn.{name}",
                form=KOHYA, alpha=1.0) for name in ("q_proj", "out_proj")),
        layer("text_encoders.clip_l.transformer.text_model.encoder.layers.0.mlp.fc1", f"{CLIP_SHORT}.mlp.fc1",
              form=KOHYA),
        {"text_encoders.t5xxl.transformer.encoder.block.0.layer.0.SelfAttention.q.lora_down.weight":
             (RANK, 24),
         "text_encoders.t5xxl.transformer.encoder.block.0.layer.0.SelfAttention.q.lora_up.weight": (24, RANK),
         "diffusion_model.double_blocks.0.img_attn.qkv.diff_b": (60,),
         "diffusion_model.double_blocks.0.img_attn.norm.key_norm.diff": (10,),
         "text_encoders.clip_l.transformer.text_projection.lora_down.weight": (RANK, 16),
         "text_encoders.clip_l.transformer.text_projection.lora_up.weight": (16, RANK)},
    ],
    "mixture": [
        layer("lora_transformer_transformer_blocks_0_attn_to_q", *qkv(DOUBLE, "to_q"), form=KOHYA, alpha=1.0),
        layer("lora_transformer_single_transformer_blocks_1_attn_to_v", *qkv(SINGLE, "to_v"), form=KOHYA,
              alpha=1.0),
        layer("lora_transformer_x_embedder", "transformer.x_embedder", form=KOHYA, alpha=3.0),
        *(layer(f"lora_te1_text_model_encoder_layers_0_self_attn_{name}", f"{CLIP_SHORT}.self_attn.{name}",
                form=KOHYA, alpha=1.0)
          for name in ("q_proj", "out_proj")),
        {"lora_unet_double_blocks_0_img_attn_proj.lora_down.weight": (RANK, 20),
         "lora_unet_double_blocks_0_img_attn_proj.lora_up.weight": (20, RANK)},
    ],
    "both": [
        layer(f"{DOUBLE}.attn.to_q", *qkv(DOUBLE, "to_q"), form=KOHYA),
        {"lora_unet_double_blocks_0_img_attn_proj.lora_down.weight": (RANK, 20),
         "lora_unet_double_blocks_0_img_attn_proj.lora_up.weight": (20, RANK)},
    ],
    "xlabs": [
        *(layer(None, *modules, form=(f"double_blocks.0.processor.{name}.down.weight",
                                      f"double_blocks.0.processor.{name}.up.weight"))
          for name, modules in {
              "qkv_lora1": qkv(DOUBLE, "to_q", "to_k", "to_v"),
              "qkv_lora2": qkv(DOUBLE, "add_q_proj", "add_k_proj", "add_v_proj"),
              "proj_lora1": qkv(DOUBLE, "to_out.0"), "proj_lora2": qkv(DOUBLE, "to_add_out")}.items()),
        *(layer(None, *modules, form=(f"diffusion_model.single_blocks.1.processor.{name}.down.weight",
                                      f"diffusion_model.single_blocks.1.processor.{name}.up.weight"))
          for name, modules in {"qkv_lora": qkv(SINGLE, "to_q", "to_k", "to_v"),
                                "proj_lora": [f"{SINGLE}.proj_out"]}.items()),
    ],
    "bias": [
        layer(f"{DOUBLE}.attn.to_q", *qkv(DOUBLE, "to_q"), bias="lora_B.bias"),
        layer(f"{SINGLE}.proj_mlp", f"{SINGLE}.proj_mlp", bias="lora_B.bias"),
        layer("transformer.x_embedder", "transformer.x_embedder", bias="lora_B.bias"),
    ],
    "dora": [
        layer(f"{DOUBLE}.attn.to_q", *qkv(DOUBLE, "to_q")),
        {f"{DOUBLE}.attn.to_q.dora_scale": (20, 1)},
    ],
    # peft's DoRA: the lengths of the rows.
    "magnitude": [
        layer(f"{DOUBLE}.attn.to_q", *qkv(DOUBLE, "to_q")),
        layer(f"{SINGLE}.proj_mlp", f"{SINGLE}.proj_mlp"),
        {f"{DOUBLE}.attn.to_q.lora_magnitude_vector": (20,),
         f"{SINGLE}.proj_mlp.lora_magnitude_vector": (80,)},
    ],
}

# A LoRA that was made for FLUX.1-dev.
FILL = {
    "dev": [
        layer("transformer.x_embedder", "transformer.x_embedder", columns=64),
        layer(f"{DOUBLE}.attn.to_q", *qkv(DOUBLE, "to_q")),
    ],
}

SD3 = {
    "linear-layer": [
        layer(f"{DOUBLE}.attn.to_q", *qkv(DOUBLE, "to_q"), form=OLD),
        layer(f"{CLIP}.self_attn.q_proj", f"{CLIP}.self_attn.q_proj", form=LINEAR),
        layer(f"text_encoder_2{CLIP[12:]}.mlp.fc1", f"text_encoder_2{CLIP[12:]}.mlp.fc1", form=LINEAR),
    ],
    "bias": [layer(f"{DOUBLE}.attn.to_out.0", *qkv(DOUBLE, "to_out.0"), bias="lora_B.bias")],
}

UNET_OLD = lambda block: [
    *(processor(f"unet.{block}.attn1.processor.{name}_lora", f"unet.{block}.attn1.{module}")
      for name, module in {"to_q": "to_q", "to_k": "to_k", "to_v": "to_v", "to_out": "to_out.0"}.items()),
    processor(f"unet.{block}.attn2.processor.to_k_lora", f"unet.{block}.attn2.to_k"),
]
SDXL = {
    "linear-layer": [
        layer(f"unet.{DEEP}.attn2.to_k", f"unet.{DEEP}.attn2.to_k", form=OLD),
        layer(f"{CLIP}.self_attn.q_proj", f"{CLIP_SHORT}.self_attn.q_proj", form=LINEAR),
        layer(f"{CLIP}.mlp.fc1", f"{CLIP_SHORT}.mlp.fc1", form=LINEAR),
        layer(f"text_encoder_2{CLIP[12:]}.self_attn.out_proj",
              f"text_encoder_2{CLIP[12:]}.self_attn.out_proj", form=LINEAR),
    ],
    "processors": [
        *UNET_OLD(DEEP),
        *(processor(f"{CLIP}.self_attn.{name}_lora", f"{CLIP_SHORT}.self_attn.{module}")
          for name, module in {"to_q": "q_proj", "to_k": "k_proj", "to_v": "v_proj",
                               "to_out": "out_proj"}.items()),
    ],
    "kohya-both": [
        layer(f"lora_unet_{DEEP.replace('.', '_')}_attn2_to_k", f"unet.{DEEP}.attn2.to_k", form=KOHYA,
              alpha=1.0),
        layer("lora_te2_text_model_encoder_layers_0_mlp_fc2", f"text_encoder_2{CLIP[12:]}.mlp.fc2",
              form=KOHYA, alpha=1.0),
        {"lora_unet_input_blocks_5_1_proj_in.lora_down.weight": (RANK, 16),
         "lora_unet_input_blocks_5_1_proj_in.lora_up.weight": (16, RANK)},
    ],
    "kohya-outer": [
        layer("lora_unet_label_emb_0_0", "unet.add_embedding.linear_1", form=KOHYA, alpha=1.0),
        layer("lora_unet_time_embed_2", "unet.time_embedding.linear_2", form=KOHYA, alpha=1.0),
        layer("lora_unet_input_blocks_5_1_proj_in", "unet.down_blocks.2.attentions.0.proj_in", form=KOHYA,
              alpha=1.0),
    ],
    "bias": [layer(f"unet.{DEEP}.attn2.to_out.0", f"unet.{DEEP}.attn2.to_out.0", bias="lora_B.bias")],
    "magnitude": [
        layer(f"unet.{DEEP}.attn2.to_k", f"unet.{DEEP}.attn2.to_k"),
        layer("unet.mid_block.resnets.0.conv1", "unet.mid_block.resnets.0.conv1"),
        {f"unet.{DEEP}.attn2.to_k.lora_magnitude_vector": (12,),
         "unet.mid_block.resnets.0.conv1.lora_magnitude_vector": (1, 12, 1, 1)},
    ],
    # peft gives a bias to layers that have none.
    "bias-of-its-own": [
        layer(f"unet.{DEEP}.attn2.to_k", f"unet.{DEEP}.attn2.to_k", bias="lora_B.bias"),
    ],
}
SD15 = {
    "kohya": [
        layer(f"lora_unet_{SHALLOW.replace('.', '_')}_attn1_to_q", f"unet.{SHALLOW}.attn1.to_q", form=KOHYA,
              alpha=1.0),
        layer("lora_unet_time_embedding_linear_1", "unet.time_embedding.linear_1", form=KOHYA, alpha=1.0),
        *(layer(f"lora_te_text_model_encoder_layers_0_self_attn_{name}", f"{CLIP_SHORT}.self_attn.{name}",
                form=KOHYA, alpha=1.0)
          for name in ("q_proj", "out_proj")),
    ],
    "processors": [*UNET_OLD(SHALLOW),
                   *(layer(f"{CLIP}.self_attn.{name}", f"{CLIP_SHORT}.self_attn.{name}", form=LINEAR)
                     for name in ("q_proj", "out_proj"))],
}

WAN_LAYERS = {
    **{f"self_attn.{name}": f"attn1.{module}"
       for name, module in zip("qkvo", ("to_q", "to_k", "to_v", "to_out.0"))},
    **{f"cross_attn.{name}": f"attn2.{module}"
       for name, module in zip("qkvo", ("to_q", "to_k", "to_v", "to_out.0"))},
    "ffn.0": "ffn.net.0.proj", "ffn.2": "ffn.net.2",
}
WAN_OUTER = {
    "time_projection.1": "condition_embedder.time_proj", "head.head": "proj_out",
    **{f"{text}_embedding.{i}": f"condition_embedder.{text}_embedder.linear_{1 + i // 2}"
       for text in ("text", "time") for i in (0, 2)},
}
WAN_FILES = {
    "original": [
        *(layer(f"{WAN}.{name}", f"{WAN_OURS}.{module}") for name, module in WAN_LAYERS.items()),
        *(layer(f"diffusion_model.{name}", f"transformer.{module}") for name, module in WAN_OUTER.items()),
    ],
    "original-kohya": [
        *(layer(f"{WAN}.{name}", f"{WAN_OURS}.{module}", form=KOHYA, alpha=1.0, bias="diff_b")
          for name, module in WAN_LAYERS.items()),
        {f"{WAN}.norm3.diff": (24,), f"{WAN}.norm3.diff_b": (24,), f"{WAN}.self_attn.norm_q.diff": (24,),
         "diffusion_model.time_projection.1.diff_b": (144,),
         "diffusion_model.patch_embedding.diff": (24, 16, 1, 2, 2)},
    ],
    "head-diff": [
        layer(f"{WAN}.self_attn.q", f"{WAN_OURS}.attn1.to_q", bias="diff_b"),
        {"diffusion_model.head.head.diff": (64, 24), "diffusion_model.head.head.diff_b": (64,)},
    ],
    "musubi": [
        layer(f"lora_unet_blocks_{i}_{name.replace('.', '_')}", f"transformer.blocks.{i}.{module}",
              form=KOHYA, alpha=1.0)
        for i in range(2) for name, module in WAN_LAYERS.items()
    ],
    "bias": [layer(f"{WAN_OURS}.attn1.to_q", f"{WAN_OURS}.attn1.to_q", bias="lora_B.bias")],
}

HUNYUAN = {
    f"original-{name}": [
        layer(f"{prefix}double_blocks.0.img_attn_qkv", *qkv(DOUBLE, "to_q", "to_k", "to_v")),
        layer(f"{prefix}double_blocks.0.txt_attn_proj", *qkv(DOUBLE, "to_add_out")),
        layer(f"{prefix}double_blocks.0.img_mlp.fc2", f"{DOUBLE}.ff.net.2"),
        layer(f"{prefix}single_blocks.1.linear2", f"{SINGLE}.proj_out"),
        layer(f"{prefix}txt_in.individual_token_refiner.blocks.0.mlp.fc1",
              "transformer.context_embedder.token_refiner.refiner_blocks.0.ff.net.0.proj"),
        layer(f"{prefix}img_in.proj", "transformer.x_embedder.proj"),
    ]
    for name, prefix in {"transformer": "transformer.", "comfy": "diffusion_model.", "bare": ""}.items()
}

QWEN_LAYERS = ("attn.to_q", "attn.add_k_proj", "attn.to_out.0", "img_mlp.net.0.proj", "txt_mod.1")
QWEN_IMAGE = {
    # Qwen-Image-Lightning has no prefix.
    "lightning": [
        layer(f"transformer_blocks.0.{name}", f"{DOUBLE}.{name}", form=KOHYA, alpha=1.0)
        for name in QWEN_LAYERS
    ],
    "comfy": [layer(f"diffusion_model.transformer_blocks.0.{name}", f"{DOUBLE}.{name}")
              for name in QWEN_LAYERS],
    # DiffSynth writes peft's name of the adapter.
    "default": [
        layer(f"transformer_blocks.0.{name}", f"{DOUBLE}.{name}",
              form=("lora_A.default.weight", "lora_B.default.weight"))
        for name in QWEN_LAYERS
    ],
}

Z_IMAGE_OURS, Z_IMAGE_QKV = "transformer.layers.1.attention", ("to_q", "to_k", "to_v")
# Z-Image's trainers name its own fused layers, or diffusers' with another word for the adapter.
Z_IMAGE = {
    "fused-kohya": [
        layer("lora_unet_layers_1_attention_qkv", *(f"{Z_IMAGE_OURS}.{m}" for m in Z_IMAGE_QKV), form=KOHYA,
              alpha=1.0),
        layer("lora_unet_layers_1_attention_out", f"{Z_IMAGE_OURS}.to_out.0", form=KOHYA, alpha=1.0),
        layer("lora_unet_noise_refiner_0_feed_forward_w1", "transformer.noise_refiner.0.feed_forward.w1",
              form=KOHYA, alpha=3.0),
        layer("lora_unet_layers_0_adaLN_modulation_0", "transformer.layers.0.adaLN_modulation.0", form=KOHYA,
              alpha=1.0),
    ],
    "comfy": [
        layer("diffusion_model.layers.1.attention.out", f"{Z_IMAGE_OURS}.to_out.0", form=KOHYA, alpha=1.0),
        layer("diffusion_model.layers.0.feed_forward.w3", "transformer.layers.0.feed_forward.w3", form=KOHYA,
              alpha=1.0),
    ],
    "default": [
        layer("layers.1.attention.to_k", f"{Z_IMAGE_OURS}.to_k",
              form=("lora_A.default.weight", "lora_B.default.weight")),
        layer("cap_embedder.1", "transformer.cap_embedder.1",
              form=("lora_A.default.weight", "lora_B.default.weight")),
    ],
    "dots": [
        *(layer(f"diffusion_model.layers.1.attention.to.{m}", f"{Z_IMAGE_OURS}.to_{m}", form=OLD)
          for m in "qkv"),
        layer("diffusion_model.layers.1.attention.to_out.0", f"{Z_IMAGE_OURS}.to_out.0", form=OLD),
        {"diffusion_model.layers.1.attention.qkv.lora.down.weight": (RANK, 24),
         "diffusion_model.layers.1.attention.qkv.lora.up.weight": (72, RANK),
         "diffusion_model.layers.1.attention.out.lora.down.weight": (RANK, 24),
         "diffusion_model.layers.1.attention.out.lora.up.weight": (24, RANK)},
    ],
    "lokr": [
        lokr("diffusion_model.layers.1.attention.to_q", f"{Z_IMAGE_OURS}.to_q", parts="lokr_w2", alpha=3.0),
        lokr("diffusion_model.noise_refiner.0.feed_forward.w1", "transformer.noise_refiner.0.feed_forward.w1",
             parts="lokr_w2"),
        lokr("diffusion_model.layers.0.adaLN_modulation.0", "transformer.layers.0.adaLN_modulation.0",
             parts="lokr_w2", alpha=0.5),
    ],
    "lokr-saved": ["layers.1.attention.to_k", "layers.0.feed_forward.w2"],
}

FLUX2_QKV = qkv(DOUBLE, "to_q", "to_k", "to_v")
FLUX2_TEXT_QKV = qkv(DOUBLE, "add_q_proj", "add_k_proj", "add_v_proj")
FLUX2_LAYERS = {
    "img_attn.proj": f"{DOUBLE}.attn.to_out.0",
    "txt_attn.proj": f"{DOUBLE}.attn.to_add_out",
    "img_mlp.0": f"{DOUBLE}.ff.linear_in",
    "txt_mlp.2": f"{DOUBLE}.ff_context.linear_out",
}
FLUX2_OUTER = {
    "img_in": "transformer.x_embedder",
    "txt_in": "transformer.context_embedder",
    "time_in.in_layer": "transformer.time_guidance_embed.timestep_embedder.linear_1",
    "final_layer.linear": "transformer.proj_out",
}
FLUX2_MODULATIONS = ("single_stream_modulation", "double_stream_modulation_img",
                     "double_stream_modulation_txt")
FLUX2 = {
    # ai-toolkit, and with peft's prefix.
    **{name: [
        layer(f"{prefix}double_blocks.0.img_attn.qkv", *FLUX2_QKV),
        layer(f"{prefix}double_blocks.0.txt_attn.qkv", *FLUX2_TEXT_QKV),
        *(layer(f"{prefix}double_blocks.0.{original}", ours) for original, ours in FLUX2_LAYERS.items()),
        layer(f"{prefix}single_blocks.1.linear1", f"{SINGLE}.attn.to_qkv_mlp_proj"),
        layer(f"{prefix}single_blocks.1.linear2", f"{SINGLE}.attn.to_out"),
        *(layer(prefix + original, ours) for original, ours in FLUX2_OUTER.items()),
        *(layer(f"{prefix}{name}.lin", f"transformer.{name}.linear") for name in FLUX2_MODULATIONS),
        layer(f"{prefix}final_layer.adaLN_modulation.1", "transformer.norm_out.linear"),
    ] for name, prefix in {"ai-toolkit": "diffusion_model.", "peft": "base_model.model."}.items()},
    # diffusers' own blocks behind ComfyUI's prefix, also with the beginning of their name cut off.
    "expanded": [
        layer("diffusion_model.transformer_blocks.0.attn.to_q", f"{DOUBLE}.attn.to_q"),
        layer("diffusion_model.sformer_blocks.1.ff.linear_in",
              "transformer.transformer_blocks.1.ff.linear_in"),
        layer("diffusion_model.single_transformer_blocks.1.attn.to_out", f"{SINGLE}.attn.to_out"),
    ],
    "kohya": [
        layer("lora_unet_double_blocks_0_img_attn_qkv", *FLUX2_QKV, form=KOHYA, alpha=1.0),
        layer("lora_unet_double_blocks_0_txt_attn_qkv", *FLUX2_TEXT_QKV, form=KOHYA, alpha=1.0),
        *(layer(f"lora_unet_double_blocks_0_{original.replace('.', '_')}", ours, form=KOHYA, alpha=3.0)
          for original, ours in FLUX2_LAYERS.items()),
        layer("lora_unet_single_blocks_1_linear1", f"{SINGLE}.attn.to_qkv_mlp_proj", form=KOHYA, alpha=1.0),
        layer("lora_unet_single_blocks_1_linear2", f"{SINGLE}.attn.to_out", form=KOHYA),
        *(layer(f"lora_unet_{original.replace('.', '_')}", ours, form=KOHYA, alpha=1.0)
          for original, ours in FLUX2_OUTER.items()),
    ],
    "dora": [
        layer("diffusion_model.double_blocks.0.img_attn.proj", f"{DOUBLE}.attn.to_out.0"),
        {"diffusion_model.double_blocks.0.img_attn.proj.dora_scale": (24, 1)},
    ],
    "lokr": [
        lokr("diffusion_model.double_blocks.0.img_attn.qkv", *FLUX2_QKV, parts="lokr_w2", alpha=3.0),
        lokr("diffusion_model.double_blocks.0.txt_attn.qkv", *FLUX2_TEXT_QKV, alpha=3.0),
        *(lokr(f"diffusion_model.double_blocks.0.{original}", ours)
          for original, ours in FLUX2_LAYERS.items()),
        lokr("diffusion_model.single_blocks.1.linear1", f"{SINGLE}.attn.to_qkv_mlp_proj"),
        lokr("diffusion_model.final_layer.adaLN_modulation.1", "transformer.norm_out.linear"),
    ],
    "lokr-lycoris": [
        lokr("lycoris_transformer_blocks_0_attn_to_q", FLUX2_QKV[0], parts="lokr_w1 lokr_w2", alpha=0.5),
        lokr("lycoris_transformer_blocks_1_ff_linear_in", "transformer.transformer_blocks.1.ff.linear_in",
             parts="lokr_w1 lokr_w2", alpha=0.5),
        lokr("lycoris_single_transformer_blocks_1_attn_to_out", f"{SINGLE}.attn.to_out",
             parts="lokr_w1 lokr_w2", alpha=2.0),
    ],
    # SimpleTuner's names have no prefix.
    "lokr-bare": [
        lokr("transformer_blocks.0.attn.to_q", FLUX2_QKV[0], alpha=7.0),
        lokr("x_embedder", "transformer.x_embedder"),
    ],
    "lokr-saved": ["transformer_blocks.0.attn.to_k", "single_transformer_blocks.1.attn.to_out"],
    # peft gives a bias to layers that have none.
    "bias": [
        layer(f"{DOUBLE}.attn.to_q", *qkv(DOUBLE, "to_q"), bias="lora_B.bias"),
        layer("transformer.proj_out", "transformer.proj_out", bias="lora_B.bias"),
    ],
}

# --lora FILE@2 in our names.
SECOND = {"load_into_transformer_2": True}
WAN22 = {
    "first": [layer(f"{WAN}.{name}", f"{WAN_OURS}.{module}", form=KOHYA, alpha=1.0)
              for name, module in WAN_LAYERS.items()],
    "second": [
        layer(f"{WAN}.{name}", f"transformer_2.blocks.0.{module}", form=KOHYA, alpha=1.0)
        for name, module in WAN_LAYERS.items()
    ],
}

QWEN_IMAGE_21 = {
    "lightning": [
        layer(f"transformer_blocks.0.{name}", f"{DOUBLE}.{name}", form=KOHYA, alpha=1.0)
        for name in ("attn.to_q", "attn.to_out.0", "img_mlp.gate_layer", "img_mlp.out")
    ],
    "kohya": [
        *(layer(f"lora_unet_transformer_blocks_1_attn_{name}",
                f"transformer.transformer_blocks.1.attn.{name}", form=KOHYA,
                alpha=1.0) for name in ("to_k", "to_v")),
        layer("lora_unet_img_in", "transformer.img_in", form=KOHYA, alpha=3.0),
    ],
}

FAMILIES = {
    "flux2": ("flux2/tiny-base", {"height": 32, "width": 48, "max_sequence_length": 48,
                                  "guidance_scale": 4.0}, FLUX2),
    "qwen_image21": ("qwen_image21/tiny-21",
                     {"height": 16, "width": 24, "true_cfg_scale": 1.0, "num_inference_steps": 8},
                     QWEN_IMAGE_21),
    "wan22": ("wan/tiny-a14b", {"height": 16, "width": 16, "num_frames": 5, "max_sequence_length": 14,
                                "guidance_scale": 4.0,
                                "num_inference_steps": 6}, WAN22),
    "qwen_image": ("qwen_image/tiny-image", {
        "height": 32, "width": 48, "max_sequence_length": 80, "true_cfg_scale": 4.0, "negative_prompt": " "},
                   QWEN_IMAGE),
    "flux": ("flux/tiny-dev", {"height": 16, "width": 24, "max_sequence_length": 40, "guidance_scale": 3.5},
             FLUX),
    "fill": ("references/fill", {
        "width": 24, "height": 16, "max_sequence_length": 40, "guidance_scale": 30.0, "mask": "soft"}, FILL),
    "sd3": ("sd3/tiny-large", {"height": 16, "width": 24, "max_sequence_length": 20, "guidance_scale": 4.0},
            SD3),
    "sdxl": ("sdxl/tiny-sdxl", {"height": 16, "width": 24, "guidance_scale": 5.0}, SDXL),
    "sd15": ("sdxl/tiny-sd15", {"height": 16, "width": 24, "guidance_scale": 5.0}, SD15),
    "wan": ("wan/tiny-unipc", {"height": 16, "width": 16, "num_frames": 5, "max_sequence_length": 16,
                               "guidance_scale": 5.0},
            WAN_FILES),
    "hunyuan_video": ("hunyuan_video/tiny-plain",
                      {"height": 16, "width": 16, "num_frames": 5, "max_sequence_length": 16,
                       "guidance_scale": 0.0}, HUNYUAN),
    "z_image": ("z_image/tiny-base",
                {"height": 16, "width": 24, "max_sequence_length": 48, "guidance_scale": 3.0}, Z_IMAGE),
}


def load_fill():
    """tiny-dev as FLUX.1 Fill: its first layer reads a mask and an image behind the latents."""
    wide = diffusers.FluxTransformer2DModel.from_pretrained(HERE.parent / "references/fill/transformer")
    pipe = diffusers.FluxFillPipeline.from_pretrained(
        HERE.parent / "flux/tiny-dev", dtype=torch.float32, transformer=wide)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def load(checkpoint):
    if checkpoint == "references/fill":
        return load_fill()
    if checkpoint.startswith("qwen_image21"):
        return qwen_image21.load(HERE.parent / checkpoint)
    pipeline = Klein if checkpoint.startswith("flux2") else diffusers.DiffusionPipeline
    pipe = pipeline.from_pretrained(HERE.parent / checkpoint, dtype=torch.float32)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def module_of(pipe, path):
    component, _, rest = path.partition(".")
    return getattr(pipe, component).get_submodule(rest)


def lokr_tensors(entry, shape, noise):
    (a, c), (b, d) = (factorization(size, -1) for size in shape)
    tensors = {}
    for factor, (rows, columns) in (("lokr_w1", (a, b)), ("lokr_w2", (c, d))):
        if factor in entry["lokr"]:
            tensors |= {f"{factor}_a": noise(rows, 1), f"{factor}_b": noise(1, columns)}
        else:
            tensors[factor] = noise(rows, columns)
    if entry["alpha"] is not None:
        tensors["alpha"] = torch.tensor(entry["alpha"])
    return {f"{entry['name']}.{name}": tensor for name, tensor in tensors.items()}


def save_lokr(pipe, path, modules):
    """A file of peft's own adapter, whose alpha stands in the metadata."""
    torch.manual_seed(5)
    config = LoKrConfig(r=1, alpha=3, target_modules=modules, init_weights=False, decompose_both=True)
    pipe.transformer.add_adapter(config)
    path.parent.mkdir(exist_ok=True)
    pipe.save_lora_weights(path.parent, get_peft_model_state_dict(pipe.transformer), weight_name=path.name,
                           transformer_lora_adapter_metadata=pipe.transformer.peft_config["default"].to_dict())


def tensors_of(pipe, layers, draw):
    noise = lambda *shape: (0.3 * torch.randn(shape, generator=draw)).contiguous()
    tensors = {}
    for entry in layers:
        if "name" not in entry:
            tensors.update({name: noise(*shape) for name, shape in entry.items()})
            continue
        weights = [module_of(pipe, module).weight for module in entry["modules"]]
        rows, behind = sum(len(weight) for weight in weights), weights[0].shape[1:]
        if "lokr" in entry:
            tensors.update(lokr_tensors(entry, (rows, behind[0]), noise))
            continue
        down, up = entry["form"]
        # A form of its own is the whole name.
        prefix = "" if entry["name"] is None or down.startswith(entry["name"]) else f"{entry['name']}."
        tensors[prefix + down] = noise(RANK, *([entry["columns"]] if entry["columns"] else behind))
        tensors[prefix + up] = noise(rows, RANK, *([1] * (len(behind) - 1)))
        if entry["alpha"] is not None:
            tensors[f"{prefix}alpha"] = torch.tensor(entry["alpha"])
        if entry["bias"] is not None:
            tensors[prefix + entry["bias"]] = noise(rows)
    return tensors


def draw(pipe, call):
    final = []
    call = dict(call)
    mask = call.pop("mask", None)
    if mask is not None:
        size = (call["width"], call["height"])
        call.update(image=inpaint.picture(size), mask_image=inpaint.mask_image(size, mask))
    keep = lambda pipe, step, timestep, kwargs: (final.append(kwargs["latents"]), {})[1]
    pipe(generator=torch.Generator("cpu").manual_seed(42), output_type="latent", callback_on_step_end=keep,
         **call)
    return final[-1]


def main():
    for family, (checkpoint, arguments, files) in FAMILIES.items():
        if len(sys.argv) > 1 and family not in sys.argv[1:]:
            continue
        folder = HERE / "names" / family
        folder.mkdir(parents=True, exist_ok=True)
        goldens = Goldens(checkpoint=checkpoint)
        call = {"prompt": PROMPTS["plain"], "num_inference_steps": 2, **arguments}
        plain = draw(load(checkpoint), call)
        for seed, (name, layers) in enumerate(files.items()):
            pipe = load(checkpoint)
            path = folder / f"{name}.safetensors"
            if name == "lokr-saved":
                # The metadata's order differs from run to run.
                if not path.exists():
                    save_lokr(load(checkpoint), path, layers)
            else:
                save_file(tensors_of(pipe, layers, torch.Generator().manual_seed(seed)), path)
            path.chmod(0o644)
            pipe.load_lora_weights(path, **(SECOND if name == "second" else {}))
            latents = draw(pipe, call)
            assert (latents
                    - plain).abs().max() > 1e-3 * plain.abs().max(), f"{family} {name} changes nothing"
            goldens.add(f"picture.{name}", {"seed": 42, **call}, latents=latents)
            print(family, name, float((latents - plain).abs().max()), flush=True)
        goldens.save(folder)


if __name__ == "__main__":
    main()
