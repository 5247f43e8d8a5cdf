"""Writes a random checkpoint whose denoiser has a published model's width, and few of its layers.
`deno task bench:gain` times it.

    python tests/bench/gain/write_wide.py [NAME LAYERS FOLDER]     # without arguments: the names

Text encoders and autoencoders are thin, but give states and latents of the published sizes.
Tokenizers and schedulers are those of the tiny checkpoints in tests/goldens. LAYERS counts each kind of
layer; a UNet is written whole. Prints one line of JSON: the layers written and published, and the bytes.
"""

import json
import shutil
import struct
import sys
import zlib
from pathlib import Path

import diffusers as d
import torch
import transformers as t

GOLDENS = Path(__file__).resolve().parent.parent.parent / "goldens"
WEIGHTS = "diffusion_pytorch_model.safetensors"

THIN = {"block_out_channels": [4, 4, 8, 8], "norm_num_groups": 2, "layers_per_block": 1,
        "down_block_types": ["DownEncoderBlock2D"] * 4, "up_block_types": ["UpDecoderBlock2D"] * 4}
KL16 = {**THIN, "latent_channels": 16}
CLIP_L = {"hidden_size": 768, "num_attention_heads": 12, "max_position_embeddings": 77}
CLIP_G = {"hidden_size": 1280, "num_attention_heads": 20, "max_position_embeddings": 77}
T5 = {"d_model": 4096}
HUNYUAN_VAE = {"latent_channels": 16}
WAN_VAE = {"z_dim": 16, "latents_mean": [0.0] * 16, "latents_std": [1.0] * 16}
WAN22_VAE = {"z_dim": 48, "latents_mean": [0.0] * 48, "latents_std": [1.0] * 48, "dim_mult": [1, 2, 2, 2],
             "temperal_downsample": [False, True, True], "scale_factor_spatial": 16,
             "scale_factor_temporal": 4}
QWEN21_VAE = {"z_dim": 64, "latents_mean": [0.0] * 64, "latents_std": [1.0] * 64, "dim_mult": [1, 2, 2, 2, 2],
              "temperal_downsample": [False, True, True, True], "scale_factor_spatial": 16,
              "scale_factor_temporal": 8}
CLIP_H = {"hidden_size": 1280, "num_attention_heads": 16, "image_size": 224, "patch_size": 14}
SEES_224 = {"crop_size": {"height": 224, "width": 224}, "size": {"shortest_edge": 224}}
FLUX_LAYERS = {"num_layers": 19, "num_single_layers": 38}
HUNYUAN_LAYERS = {"num_layers": 20, "num_single_layers": 40}
SD3 = {"num_attention_heads": 24, "caption_projection_dim": 1536, "joint_attention_dim": 4096}
UNET = {"layers_per_block": 2, "in_channels": 4, "out_channels": 4}

# The tiny checkpoint to start from, the model's name on the hub, the denoiser's options and layers as
# published, and what the thin parts need. Of SD 3.5's 13 layers with two attentions only the first is
# written as such.
MODELS = {
    "chroma1-hd": ("chroma/tiny-hd", "lodestones/Chroma1-HD", {}, FLUX_LAYERS,
                   {"text_encoder": T5, "vae": KL16}),
    "flux2-klein-base-4b": ("flux2/tiny-base", "black-forest-labs/FLUX.2-klein-base-4B",
                            {"num_attention_heads": 24, "joint_attention_dim": 7680,
                             "guidance_embeds": False},
                            {"num_layers": 5, "num_single_layers": 20},
                            {"text_encoder": {"hidden_size": 2560}, "vae": {"latent_channels": 32}}),
    "flux1-dev": ("flux/tiny-dev", "black-forest-labs/FLUX.1-dev", {"guidance_embeds": True}, FLUX_LAYERS,
                  {"text_encoder": CLIP_L, "text_encoder_2": T5, "vae": KL16}),
    "flux1-fill-dev": ("flux/tiny-dev", "black-forest-labs/FLUX.1-Fill-dev",
                       {"guidance_embeds": True, "in_channels": 384, "out_channels": 64}, FLUX_LAYERS,
                       {"text_encoder": CLIP_L, "text_encoder_2": T5, "vae": KL16,
                        "index": {"_class_name": "FluxFillPipeline"}}),
    "hunyuanvideo": ("hunyuan_video/tiny-distilled", "hunyuanvideo-community/HunyuanVideo", {},
                     HUNYUAN_LAYERS,
                     {"text_encoder": {"hidden_size": 4096}, "text_encoder_2": CLIP_L,
                      "vae_from": "hunyuan_video/tiny-replace", "vae": HUNYUAN_VAE}),
    "hunyuanvideo-i2v": ("hunyuan_video/tiny-replace", "hunyuanvideo-community/HunyuanVideo-I2V",
                         {"image_condition_type": "token_replace"}, HUNYUAN_LAYERS,
                         {"text_encoder": {"text_config": {"hidden_size": 4096, "num_attention_heads": 4,
                                                           "num_key_value_heads": 4}},
                          "text_encoder_2": CLIP_L, "vae": HUNYUAN_VAE}),
    "qwen-image": ("qwen_image/tiny-image", "Qwen/Qwen-Image", {}, {"num_layers": 60},
                   {"text_encoder": {"text_config": {
                       "hidden_size": 3584, "num_attention_heads": 28, "num_key_value_heads": 4,
                       "rope_parameters": {"mrope_section": [16, 24, 24], "rope_theta": 1e6,
                                           "rope_type": "default"}},
                       "vision_config": {"out_hidden_size": 3584}}}),
    "qwen-image-2.1": ("qwen_image21/tiny-21", "Qwen/Qwen-Image-2.1", {}, {"num_layers": 32},
                       {"text_encoder": {"text_config": {"hidden_size": 4096},
                                         "vision_config": {"out_hidden_size": 4096, "patch_size": 16}},
                        "processor": {"patch_size": 16}, "vae": QWEN21_VAE}),
    "sd3-medium": ("sd3/tiny-medium", "stabilityai/stable-diffusion-3-medium-diffusers",
                   {**SD3, "pos_embed_max_size": 192}, {"num_layers": 24},
                   {"text_encoder": {**CLIP_L, "projection_dim": 768},
                    "text_encoder_2": {**CLIP_G, "projection_dim": 1280}, "vae": KL16}),
    "sd3.5-medium": ("sd3/tiny-medium", "stabilityai/stable-diffusion-3.5-medium",
                     {**SD3, "pos_embed_max_size": 384, "qk_norm": "rms_norm", "dual_attention_layers": [0]},
                     {"num_layers": 24},
                     {"text_encoder": {**CLIP_L, "projection_dim": 768},
                      "text_encoder_2": {**CLIP_G, "projection_dim": 1280}, "vae": KL16}),
    "sd1.5": ("sdxl/tiny-sd15", "stable-diffusion-v1-5/stable-diffusion-v1-5",
              {**UNET, "sample_size": 64, "block_out_channels": [320, 640, 1280, 1280],
               "attention_head_dim": 8,
               "down_block_types": ["CrossAttnDownBlock2D"] * 3 + ["DownBlock2D"],
               "up_block_types": ["UpBlock2D"] + ["CrossAttnUpBlock2D"] * 3, "cross_attention_dim": 768}, {},
              {"text_encoder": CLIP_L, "vae": {**THIN, "latent_channels": 4}}),
    "sdxl": ("sdxl/tiny-sdxl", "stabilityai/stable-diffusion-xl-base-1.0",
             {**UNET, "sample_size": 128, "block_out_channels": [320, 640, 1280],
              "attention_head_dim": [5, 10, 20],
              "transformer_layers_per_block": [1, 2, 10], "use_linear_projection": True,
              "down_block_types": ["DownBlock2D"] + ["CrossAttnDownBlock2D"] * 2,
              "up_block_types": ["CrossAttnUpBlock2D"] * 2 + ["UpBlock2D"], "cross_attention_dim": 2048,
              "addition_embed_type": "text_time", "addition_time_embed_dim": 256,
              "projection_class_embeddings_input_dim": 2816}, {},
             {"text_encoder": CLIP_L, "text_encoder_2": {**CLIP_G, "projection_dim": 1280},
              "vae": {**THIN, "latent_channels": 4}}),
    "wan2.1-1.3b": ("wan/tiny-unipc", "Wan-AI/Wan2.1-T2V-1.3B-Diffusers",
                    {"num_attention_heads": 12, "ffn_dim": 8960}, {"num_layers": 30},
                    {"text_encoder": T5, "vae_from": "wan/tiny-a14b", "vae": WAN_VAE}),
    "wan2.2-ti2v-5b": ("wan/tiny-ti2v", "Wan-AI/Wan2.2-TI2V-5B-Diffusers",
                       {"num_attention_heads": 24, "in_channels": 48, "out_channels": 48, "ffn_dim": 14336},
                       {"num_layers": 30}, {"text_encoder": T5, "vae": WAN22_VAE}),
    "wan2.2-t2v-a14b": ("wan/tiny-a14b", "Wan-AI/Wan2.2-T2V-A14B-Diffusers", {}, {"num_layers": 40},
                        {"text_encoder": T5, "vae": WAN_VAE}),
    "wan2.1-i2v-14b": ("frames/tiny-i2v", "Wan-AI/Wan2.1-I2V-14B-480P-Diffusers",
                       {"in_channels": 36, "image_dim": 1280, "added_kv_proj_dim": 5120}, {"num_layers": 40},
                       {"text_encoder": T5, "vae": WAN_VAE, "image_encoder": CLIP_H,
                        "image_processor": SEES_224}),
    "wan2.2-i2v-a14b": ("frames/tiny-a14b", "Wan-AI/Wan2.2-I2V-A14B-Diffusers", {"in_channels": 36},
                        {"num_layers": 40}, {"text_encoder": T5, "vae": WAN_VAE}),
    "z-image": ("z_image/tiny-base", "Tongyi-MAI/Z-Image", {}, {"n_layers": 30},
                {"text_encoder": {"hidden_size": 2560}, "vae": KL16}),
}


def write_wide(name, layers, folder):
    golden, repository, options, published, parts = MODELS[name]
    source = GOLDENS / golden
    index = json.loads((source / "model_index.json").read_text()) | parts.get("index", {})
    index.pop("sample_sigmas", None)
    folder.mkdir(parents=True)
    (folder / "model_index.json").write_text(json.dumps({**index, "_name_or_path": repository}))
    written = {}
    for part, entry in index.items():
        if not isinstance(entry, list) or entry[0] is None:
            continue
        at = folder / part
        lender = GOLDENS / parts["vae_from"] if part == "vae" and "vae_from" in parts else source
        if part.startswith(("transformer", "unet")):
            at.mkdir()
            written = dict(published) if part == "unet" else {key: min(layers, count)
                                                              for key, count in published.items()}
            write_denoiser(at, getattr(d, entry[1]), {**options, **written})
        elif part == "vae":
            write_vae(at, getattr(d, entry[1]), lender / part, parts.get(part, {}))
        elif part.startswith(("text_encoder", "image_encoder")):
            write_encoder(at, getattr(t, entry[1]), lender / part, parts.get(part, {}))
        else:
            shutil.copytree(lender / part, at)
            patch_json(at / "preprocessor_config.json", parts.get(part, {}))
            patch_json(at / "tokenizer_config.json",
                       {"model_max_length": 77} if entry[1] == "CLIPTokenizer" else {})
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    print(json.dumps({"written": written, "published": published, "bytes": size}))


def patch_json(path, changes):
    if changes and path.exists():
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def write_denoiser(folder, kind, options):
    with torch.device("meta"):
        model = kind(**options)
    model.save_config(folder)
    write_tiled(model.state_dict(), folder / WEIGHTS)


def write_tiled(state, path):
    """Matrices are parts of one list of small random numbers, in bfloat16; factors are 1, offsets 0."""
    pool = (torch.randn(1 << 22) * 0.02).to(torch.bfloat16).view(torch.uint8).numpy().tobytes()
    ones = torch.ones(1, dtype=torch.bfloat16).view(torch.uint8).numpy().tobytes()
    header, at = {}, 0
    for name, tensor in state.items():
        size = 2 * tensor.numel()
        header[name] = {"dtype": "BF16", "shape": list(tensor.shape), "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name, tensor in state.items():
            size = 2 * tensor.numel()
            if name.endswith("bias"):
                file.write(bytes(size))
            elif tensor.ndim == 1:
                file.write(ones * tensor.numel())
            else:
                start = 2 * (zlib.crc32(name.encode()) % (len(pool) // 4))
                while size > 0:
                    piece = pool[start:start + size]
                    file.write(piece)
                    size, start = size - len(piece), 0


def write_vae(folder, kind, lender, changes):
    config = {key: value for key, value in json.loads((lender / "config.json").read_text()).items()
              if not key.startswith("_")}
    kind(**{**config, **changes}).save_pretrained(folder)


def write_encoder(folder, kind, lender, changes):
    config = json.loads((lender / "config.json").read_text())
    merged = {key: {**value, **changes[key]} if isinstance(value, dict) and key in changes else value
              for key, value in {**config, **{k: v for k, v in changes.items() if k not in config or
                                              not isinstance(config[k], dict)}}.items()}
    model = kind(kind.config_class.from_dict(merged)).to(torch.bfloat16)
    model.save_pretrained(folder)


if __name__ == "__main__":
    if len(sys.argv) == 1:
        print(json.dumps(list(MODELS)))
    elif sys.argv[1] not in MODELS:
        sys.exit(f"NAME must be among {', '.join(MODELS)}, but is {sys.argv[1]}")
    else:
        torch.manual_seed(0)
        write_wide(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
