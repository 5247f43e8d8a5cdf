"""Makes goldens of LoRA: two small random adapters for one tiny checkpoint of each family, and what diffusers
draws with both set, 0.7 of the first and -0.3 of the second.

style.safetensors and detail.safetensors are written by the pipelines' own save_lora_weights;
kohya.safetensors holds the numbers of style as kohya's sd-scripts name and fuse them (original
layout of the networks).
"""

import sys
from pathlib import Path

import diffusers
import torch
from peft import LoraConfig, get_peft_model_state_dict
from safetensors.torch import load_file, save_file

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from _reference import PROMPTS, Goldens  # noqa: E402
from flux2.make_goldens import Klein  # noqa: E402

WEIGHTS = {"style": 0.7, "detail": -0.3}
RANK = 2

DOUBLE = "transformer_blocks.0"
SINGLE = "single_transformer_blocks.1"
JOINT = "transformer_blocks.0"
REFINER = "context_embedder.token_refiner.refiner_blocks.0"
DEEP = "down_blocks.2.attentions.0"
# diffusers tells the format of a text encoder's keys by these two.
TEXT = ("encoder.layers.0.self_attn.q_proj", "encoder.layers.1.self_attn.out_proj")

# Component: {adapter: modules}; alpha of style is 3, of detail the rank. In kohya: name:
# the modules fused in it.
FAMILIES = {
    "flux": {
        "checkpoint": "flux/tiny-dev",
        "call": {"height": 16, "width": 24, "max_sequence_length": 40, "guidance_scale": 3.5},
        "modules": {
            "transformer": {
                "style": [
                    *(f"{DOUBLE}.attn.{m}" for m in ("to_q", "to_k", "to_v", "to_add_out")),
                    f"{DOUBLE}.ff.net.0.proj", f"{DOUBLE}.norm1.linear", "x_embedder",
                    *(f"{SINGLE}.{m}" for m in ("attn.to_q", "attn.to_k", "attn.to_v", "proj_mlp",
                                                "proj_out")),
                ],
                "detail": [f"{DOUBLE}.attn.to_q", f"{DOUBLE}.ff_context.net.2", "proj_out"],
            },
            "text_encoder": {"style": TEXT, "detail": []},
        },
        "kohya": {
            "lora_unet_double_blocks_0_img_attn_qkv": [f"transformer.{DOUBLE}.attn.to_{m}" for m in "qkv"],
            "lora_unet_double_blocks_0_txt_attn_proj": [f"transformer.{DOUBLE}.attn.to_add_out"],
            "lora_unet_double_blocks_0_img_mlp_0": [f"transformer.{DOUBLE}.ff.net.0.proj"],
            "lora_unet_double_blocks_0_img_mod_lin": [f"transformer.{DOUBLE}.norm1.linear"],
            "lora_unet_img_in": ["transformer.x_embedder"],
            "lora_unet_single_blocks_1_linear1": [
                *(f"transformer.{SINGLE}.attn.to_{m}" for m in "qkv"), f"transformer.{SINGLE}.proj_mlp"],
            "lora_unet_single_blocks_1_linear2": [f"transformer.{SINGLE}.proj_out"],
            **{f"lora_te1_text_model_{name.replace('.', '_')}": [f"text_encoder.{name}"] for name in TEXT},
        },
    },
    "chroma": {
        "checkpoint": "chroma/tiny-hd",
        "call": {"height": 16, "width": 24, "max_sequence_length": 40, "guidance_scale": 3.0},
        "modules": {
            "transformer": {
                "style": [
                    *(f"{DOUBLE}.attn.{m}" for m in ("to_q", "to_k", "to_v", "to_add_out")),
                    f"{DOUBLE}.ff.net.0.proj", "x_embedder",
                    "distilled_guidance_layer.layers.0.linear_1", "distilled_guidance_layer.in_proj",
                    *(f"{SINGLE}.{m}" for m in ("attn.to_q", "attn.to_k", "attn.to_v", "proj_mlp",
                                                "proj_out")),
                ],
                "detail": [f"{DOUBLE}.attn.to_q", f"{DOUBLE}.ff_context.net.2", "proj_out"],
            },
        },
        "kohya": {
            "lora_unet_double_blocks_0_img_attn_qkv": [f"transformer.{DOUBLE}.attn.to_{m}" for m in "qkv"],
            "lora_unet_double_blocks_0_txt_attn_proj": [f"transformer.{DOUBLE}.attn.to_add_out"],
            "lora_unet_double_blocks_0_img_mlp_0": [f"transformer.{DOUBLE}.ff.net.0.proj"],
            "lora_unet_distilled_guidance_layer_in_proj": ["transformer.distilled_guidance_layer.in_proj"],
            "lora_unet_distilled_guidance_layer_layers_0_in_layer": [
                "transformer.distilled_guidance_layer.layers.0.linear_1"],
            "lora_unet_img_in": ["transformer.x_embedder"],
            "lora_unet_single_blocks_1_linear1": [
                *(f"transformer.{SINGLE}.attn.to_{m}" for m in "qkv"), f"transformer.{SINGLE}.proj_mlp"],
            "lora_unet_single_blocks_1_linear2": [f"transformer.{SINGLE}.proj_out"],
        },
    },
    "qwen_image": {
        "checkpoint": "qwen_image/tiny-image",
        "call": {
            "height": 32, "width": 48, "max_sequence_length": 80, "true_cfg_scale": 4.0,
            "negative_prompt": " ",
        },
        "modules": {
            "transformer": {
                "style": [
                    *(f"{DOUBLE}.attn.{m}" for m in ("to_q", "to_k", "to_v", "to_out.0", "add_q_proj",
                                                     "to_add_out")),
                    f"{DOUBLE}.img_mlp.net.0.proj", f"{DOUBLE}.txt_mlp.net.2", f"{DOUBLE}.img_mod.1",
                    f"{DOUBLE}.txt_mod.1",
                    "img_in", "txt_in", "norm_out.linear", "time_text_embed.timestep_embedder.linear_1",
                ],
                "detail": [f"{DOUBLE}.attn.to_q", f"{DOUBLE}.img_mlp.net.2", "proj_out"],
            },
        },
        "kohya": {
            f"lora_unet_{name.replace('.', '_')}": [f"transformer.{name}"] for name in (
                *(f"{DOUBLE}.attn.{m}" for m in ("to_q", "to_k", "to_v", "to_out.0", "add_q_proj",
                                                 "to_add_out")),
                f"{DOUBLE}.img_mlp.net.0.proj", f"{DOUBLE}.txt_mlp.net.2", f"{DOUBLE}.img_mod.1",
                f"{DOUBLE}.txt_mod.1",
                "img_in", "txt_in", "norm_out.linear", "time_text_embed.timestep_embedder.linear_1",
            )
        },
    },
    "sd3": {
        "checkpoint": "sd3/tiny-large",
        "call": {"height": 16, "width": 24, "max_sequence_length": 20, "guidance_scale": 4.0},
        "modules": {
            "transformer": {
                "style": [
                    *(f"{JOINT}.attn.{m}" for m in ("add_q_proj", "add_k_proj", "add_v_proj", "to_out.0")),
                    f"{JOINT}.ff.net.2", "context_embedder", "pos_embed.proj",
                ],
                "detail": [f"{JOINT}.attn.to_v", f"{JOINT}.ff_context.net.0.proj"],
            },
            "text_encoder": {"style": [], "detail": TEXT[:1]},
            "text_encoder_2": {"style": TEXT, "detail": []},
        },
        "kohya": {
            "lora_unet_joint_blocks_0_context_block_attn_qkv": [
                f"transformer.{JOINT}.attn.add_{m}_proj" for m in "qkv"],
            "lora_unet_joint_blocks_0_x_block_attn_proj": [f"transformer.{JOINT}.attn.to_out.0"],
            "lora_unet_joint_blocks_0_x_block_mlp_fc2": [f"transformer.{JOINT}.ff.net.2"],
            "lora_unet_context_embedder": ["transformer.context_embedder"],
            "lora_unet_x_embedder_proj": ["transformer.pos_embed.proj"],
            **{f"lora_te2_text_model_{name.replace('.', '_')}": [f"text_encoder_2.text_model.{name}"]
               for name in TEXT},
        },
    },
    "hunyuan_video": {
        "checkpoint": "hunyuan_video/tiny-plain",
        "call": {"height": 16, "width": 16, "num_frames": 5, "max_sequence_length": 16,
                 "guidance_scale": 0.0},
        "modules": {
            "transformer": {
                "style": [
                    *(f"{DOUBLE}.attn.{m}" for m in ("add_q_proj", "add_k_proj", "add_v_proj", "to_out.0")),
                    f"{DOUBLE}.ff_context.net.2", f"{DOUBLE}.norm1.linear", "x_embedder.proj",
                    f"{REFINER}.ff.net.0.proj",
                    *(f"{REFINER}.attn.{m}" for m in ("to_q", "to_k", "to_v")),
                    *(f"{SINGLE}.{m}" for m in ("attn.to_q", "attn.to_k", "attn.to_v", "proj_mlp",
                                                "proj_out")),
                ],
                "detail": [f"{DOUBLE}.attn.to_q", f"{REFINER}.norm_out.linear", "context_embedder.proj_in",
                           "proj_out"],
            },
        },
        "kohya": {
            "lora_unet_double_blocks_0_txt_attn_qkv": [f"transformer.{DOUBLE}.attn.add_{m}_proj"
                                                       for m in "qkv"],
            "lora_unet_double_blocks_0_img_attn_proj": [f"transformer.{DOUBLE}.attn.to_out.0"],
            "lora_unet_double_blocks_0_txt_mlp_fc2": [f"transformer.{DOUBLE}.ff_context.net.2"],
            "lora_unet_double_blocks_0_img_mod_linear": [f"transformer.{DOUBLE}.norm1.linear"],
            "lora_unet_img_in_proj": ["transformer.x_embedder.proj"],
            "lora_unet_txt_in_individual_token_refiner_blocks_0_mlp_fc1":
                [f"transformer.{REFINER}.ff.net.0.proj"],
            "lora_unet_txt_in_individual_token_refiner_blocks_0_self_attn_qkv": [
                f"transformer.{REFINER}.attn.to_{m}" for m in "qkv"],
            "lora_unet_single_blocks_1_linear1": [
                *(f"transformer.{SINGLE}.attn.to_{m}" for m in "qkv"), f"transformer.{SINGLE}.proj_mlp"],
            "lora_unet_single_blocks_1_linear2": [f"transformer.{SINGLE}.proj_out"],
        },
    },
    "z_image": {
        "checkpoint": "z_image/tiny-base",
        "call": {"height": 16, "width": 24, "max_sequence_length": 48, "guidance_scale": 3.0},
        "modules": {
            "transformer": {
                "style": [
                    *(f"layers.1.attention.{m}" for m in ("to_q", "to_k", "to_v", "to_out.0")),
                    "layers.0.feed_forward.w2", "layers.0.adaLN_modulation.0",
                    "noise_refiner.0.feed_forward.w1",
                    *(f"context_refiner.1.attention.{m}" for m in ("to_q", "to_k", "to_v")),
                    "all_x_embedder.2-1", "cap_embedder.1",
                ],
                "detail": ["layers.2.attention.to_k", "layers.2.feed_forward.w3",
                           "all_final_layer.2-1.linear"],
            },
        },
        "kohya": {
            "lora_unet_layers_1_attention_qkv": [f"transformer.layers.1.attention.to_{m}" for m in "qkv"],
            "lora_unet_layers_1_attention_out": ["transformer.layers.1.attention.to_out.0"],
            "lora_unet_layers_0_feed_forward_w2": ["transformer.layers.0.feed_forward.w2"],
            "lora_unet_layers_0_adaLN_modulation_0": ["transformer.layers.0.adaLN_modulation.0"],
            "lora_unet_noise_refiner_0_feed_forward_w1": ["transformer.noise_refiner.0.feed_forward.w1"],
            "lora_unet_context_refiner_1_attention_qkv": [
                f"transformer.context_refiner.1.attention.to_{m}" for m in "qkv"],
            "lora_unet_x_embedder": ["transformer.all_x_embedder.2-1"],
            "lora_unet_cap_embedder_1": ["transformer.cap_embedder.1"],
        },
    },
    "flux2": {
        "checkpoint": "flux2/tiny-base",
        "call": {"height": 64, "width": 96, "max_sequence_length": 48, "guidance_scale": 4.0},
        "modules": {
            "transformer": {
                "style": [
                    *(f"{DOUBLE}.attn.{m}" for m in ("to_q", "to_k", "to_v", "add_k_proj", "to_out.0",
                                                     "to_add_out")),
                    f"{DOUBLE}.ff.linear_in", f"{DOUBLE}.ff_context.linear_out", "x_embedder",
                    "context_embedder",
                    *(f"{SINGLE}.attn.{m}" for m in ("to_qkv_mlp_proj", "to_out")),
                    "time_guidance_embed.timestep_embedder.linear_1", "double_stream_modulation_img.linear",
                ],
                "detail": [
                    f"{DOUBLE}.attn.to_q", f"{DOUBLE}.ff.linear_out", "single_stream_modulation.linear",
                    "proj_out",
                ],
            },
        },
        "kohya": {
            "lora_unet_double_blocks_0_img_attn_qkv": [f"transformer.{DOUBLE}.attn.to_{m}" for m in "qkv"],
            "lora_unet_transformer_blocks_0_attn_add_k_proj": [f"transformer.{DOUBLE}.attn.add_k_proj"],
            "lora_unet_double_blocks_0_img_attn_proj": [f"transformer.{DOUBLE}.attn.to_out.0"],
            "lora_unet_double_blocks_0_txt_attn_proj": [f"transformer.{DOUBLE}.attn.to_add_out"],
            "lora_unet_double_blocks_0_img_mlp_0": [f"transformer.{DOUBLE}.ff.linear_in"],
            "lora_unet_double_blocks_0_txt_mlp_2": [f"transformer.{DOUBLE}.ff_context.linear_out"],
            "lora_unet_single_blocks_1_linear1": [f"transformer.{SINGLE}.attn.to_qkv_mlp_proj"],
            "lora_unet_single_blocks_1_linear2": [f"transformer.{SINGLE}.attn.to_out"],
            "lora_unet_img_in": ["transformer.x_embedder"],
            "lora_unet_txt_in": ["transformer.context_embedder"],
            "lora_unet_time_in_in_layer": ["transformer.time_guidance_embed.timestep_embedder.linear_1"],
            "lora_unet_double_stream_modulation_img_lin": ["transformer.double_stream_modulation_img.linear"],
        },
    },
    "sdxl": {
        "checkpoint": "sdxl/tiny-sdxl",
        "call": {"height": 16, "width": 24, "guidance_scale": 5.0},
        "modules": {
            "unet": {
                "style": [
                    f"{DEEP}.proj_in", f"{DEEP}.transformer_blocks.0.attn2.to_k",
                    "mid_block.attentions.0.transformer_blocks.0.ff.net.0.proj",
                    "up_blocks.0.attentions.1.transformer_blocks.0.attn1.to_out.0",
                    "down_blocks.0.resnets.0.conv1", "down_blocks.0.downsamplers.0.conv",
                    "up_blocks.0.resnets.0.conv_shortcut", "up_blocks.0.upsamplers.0.conv",
                    "mid_block.resnets.1.time_emb_proj",
                ],
                "detail": [f"{DEEP}.transformer_blocks.0.attn2.to_k", "up_blocks.2.resnets.0.conv2"],
            },
            "text_encoder": {"style": TEXT, "detail": []},
            "text_encoder_2": {"style": TEXT, "detail": TEXT[:1]},
        },
        "kohya": {
            "lora_unet_input_blocks_5_1_proj_in": [f"unet.{DEEP}.proj_in"],
            "lora_unet_input_blocks_5_1_transformer_blocks_0_attn2_to_k": [
                f"unet.{DEEP}.transformer_blocks.0.attn2.to_k"],
            "lora_unet_middle_block_1_transformer_blocks_0_ff_net_0_proj": [
                "unet.mid_block.attentions.0.transformer_blocks.0.ff.net.0.proj"],
            "lora_unet_output_blocks_1_1_transformer_blocks_0_attn1_to_out_0": [
                "unet.up_blocks.0.attentions.1.transformer_blocks.0.attn1.to_out.0"],
            "lora_unet_input_blocks_1_0_in_layers_2": ["unet.down_blocks.0.resnets.0.conv1"],
            "lora_unet_input_blocks_2_0_op": ["unet.down_blocks.0.downsamplers.0.conv"],
            "lora_unet_output_blocks_0_0_skip_connection": ["unet.up_blocks.0.resnets.0.conv_shortcut"],
            "lora_unet_output_blocks_1_2_conv": ["unet.up_blocks.0.upsamplers.0.conv"],
            "lora_unet_middle_block_2_emb_layers_1": ["unet.mid_block.resnets.1.time_emb_proj"],
            **{f"lora_te1_text_model_{name.replace('.', '_')}": [f"text_encoder.{name}"] for name in TEXT},
            **{f"lora_te2_text_model_{name.replace('.', '_')}": [f"text_encoder_2.text_model.{name}"]
               for name in TEXT},
        },
    },
}


def load(family):
    pipeline = Klein if family["checkpoint"].startswith("flux2") else diffusers.DiffusionPipeline
    pipe = pipeline.from_pretrained(HERE.parent / family["checkpoint"], dtype=torch.float32)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def save_adapters(pipe, family, folder):
    """Adds random adapters to the components and saves each as diffusers does; alpha
    travels in the file's metadata."""
    draw = torch.Generator().manual_seed(20)
    for adapter, alpha in (("style", 3), ("detail", RANK)):
        layers = {}
        for component, modules in family["modules"].items():
            if not modules[adapter]:
                continue
            config = LoraConfig(r=RANK, lora_alpha=alpha, target_modules=list(modules[adapter]))
            model = getattr(pipe, component)
            model.add_adapter(config, adapter_name=adapter)
            for name, parameter in model.named_parameters():
                if f".{adapter}." in name:
                    parameter.copy_(0.3 * torch.randn(parameter.shape, generator=draw))
            layers[f"{component}_lora_layers"] = get_peft_model_state_dict(model, adapter_name=adapter)
            if adapter == "style":
                layers[f"{component}_lora_adapter_metadata"] = config.to_dict()
        pipe.save_lora_weights(folder, weight_name=f"{adapter}.safetensors", **layers)


def save_kohya(family, folder):
    """style.safetensors with kohya's names. Fused layers stack A and put B on a block
    diagonal; their rank is the sum."""
    style, kohya = load_file(folder / "style.safetensors"), {}
    for name, modules in family["kohya"].items():
        down = [style.pop(f"{module}.lora_A.weight") for module in modules]
        up = [style.pop(f"{module}.lora_B.weight") for module in modules]
        kohya[f"{name}.lora_down.weight"] = torch.cat(down)
        kohya[f"{name}.lora_up.weight"] = up[0] if len(up) == 1 else torch.block_diag(*up)
        kohya[f"{name}.alpha"] = torch.tensor(3.0 * len(up))
    assert not style, style.keys()
    save_file(kohya, folder / "kohya.safetensors")


def draw(pipe, family, files):
    for adapter, file in files.items():
        pipe.load_lora_weights(file, adapter_name=adapter)
    pipe.set_adapters(list(files), [WEIGHTS[adapter] for adapter in files])
    final = []
    keep = lambda pipe, step, timestep, kwargs: (final.append(kwargs["latents"]), {})[1]
    call = {"prompt": PROMPTS["plain"], "num_inference_steps": 4, **family["call"]}
    pipe(generator=torch.Generator("cpu").manual_seed(42), output_type="latent", callback_on_step_end=keep,
         **call)
    return {"seed": 42, **call}, final[-1]


def main():
    for name in sys.argv[1:] or FAMILIES:
        family = FAMILIES[name]
        folder = HERE / name
        folder.mkdir(exist_ok=True)
        save_adapters(load(family), family, folder)
        save_kohya(family, folder)
        goldens = Goldens(checkpoint=family["checkpoint"], weights=WEIGHTS)
        peft = {adapter: folder / f"{adapter}.safetensors" for adapter in WEIGHTS}
        call, latents = draw(load(family), family, peft)
        goldens.add("picture.both", call, latents=latents)
        # diffusers reads kohya's names of the UNets and Qwen-Image; it has the others' sizes built in,
        # and none of SD3's names.
        if name in ("sdxl", "qwen_image"):
            _, same = draw(load(family), family, {**peft, "style": folder / "kohya.safetensors"})
            assert (same - latents).abs().max() < 1e-5 * latents.abs().max()
        goldens.save(folder)
        for path in folder.iterdir():
            path.chmod(0o644)


if __name__ == "__main__":
    main()
