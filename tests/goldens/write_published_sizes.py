"""Writes checkpoints of published sizes without data: configs, and headers of sparse files.
`deno task inspect` reads them.

    python tests/goldens/write_published_sizes.py FOLDER     # about 10 MB of disk

docs/families.md has what inspect says of them. Sizes are those of the published configs;
tokenizers are tiny ones.
"""

import json
import shutil
import struct
import sys
from pathlib import Path

import diffusers as d
import torch
import transformers as t

HERE = Path(__file__).resolve().parent
DIFFUSERS = "diffusion_pytorch_model"


def write_sparse(model, folder, stem):
    """Names, types and shapes of the state; the data is a hole in the file."""
    header, at = {}, 0
    tied = {"encoder.embed_tokens.weight"} | ({"lm_head.weight"}
                                              if getattr(model.config, "tie_word_embeddings", False)
                                              else set())
    for name, tensor in model.state_dict().items():
        if name in tied:
            continue
        code, size = ("BF16", 2) if tensor.is_floating_point() else ("I64", 8)
        header[name] = {"dtype": code, "shape": list(tensor.shape),
                        "data_offsets": [at, at + size * tensor.numel()]}
        at += size * tensor.numel()
    text = json.dumps(header).encode()
    with open(folder / f"{stem}.safetensors", "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + at)
    return at


def without_names(config):
    """Published configs do not say where they were loaded from."""
    return {key: without_names(value) if isinstance(value, dict) else value
            for key, value in config.items() if key != "_name_or_path"}


def write(root, repository, golden, **parts):
    folder = root / repository.split("/")[1].lower()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    source = HERE / golden
    index = json.loads((source / "model_index.json").read_text())
    index.pop("sample_sigmas", None)
    (folder / "model_index.json").write_text(json.dumps({**index, "_name_or_path": repository}))
    for item in ("scheduler", "tokenizer", "processor"):
        if (source / item).exists():
            shutil.copytree(source / item, folder / item)
    for name, model in parts.items():
        (folder / name).mkdir()
        is_text = name == "text_encoder"
        size = write_sparse(model, folder / name, "model" if is_text else DIFFUSERS)
        if is_text:
            model.config.architectures = [type(model).__name__]
            (folder / name / "config.json").write_text(json.dumps(without_names(model.config.to_dict()),
                default=str))
        else:
            (folder / name / "config.json").write_text(model.to_json_string())
        print(repository, name, f"{size / 2**30:.1f} GiB", flush=True)


def qwen3(hidden, inner):
    return t.Qwen3ForCausalLM(t.Qwen3Config(
        vocab_size=151936, hidden_size=hidden, intermediate_size=inner, num_hidden_layers=36,
        num_attention_heads=32,
        num_key_value_heads=8, head_dim=128, tie_word_embeddings=hidden == 2560,
        rope_parameters={"rope_type": "default", "rope_theta": 1e6}))


def t5(kind, config, vocabulary):
    return kind(config(vocab_size=vocabulary, d_model=4096, d_ff=10240, d_kv=64, num_layers=24, num_heads=64,
                       feed_forward_proj="gated-gelu"))


def qwen2_5_vl():
    text = {"vocab_size": 152064, "hidden_size": 3584, "intermediate_size": 18944, "num_hidden_layers": 28,
            "num_attention_heads": 28, "num_key_value_heads": 4,
            "rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [16, 24, 24]}}
    vision = {"depth": 32, "hidden_size": 1280, "intermediate_size": 3420, "num_heads": 16,
              "out_hidden_size": 3584}
    return t.Qwen2_5_VLForConditionalGeneration(t.Qwen2_5_VLConfig(
        text_config=text, vision_config=vision, tie_word_embeddings=False))


def qwen3_vl():
    text = {"vocab_size": 151936, "hidden_size": 4096, "intermediate_size": 12288, "num_hidden_layers": 36,
            "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 128,
            "rope_parameters": {"rope_type": "default", "rope_theta": 5e6, "mrope_section": [24, 20, 20],
                                "mrope_interleaved": True}}
    vision = {"depth": 27, "hidden_size": 1152, "intermediate_size": 4304, "num_heads": 16,
              "out_hidden_size": 4096,
              "deepstack_visual_indexes": [8, 16, 24]}
    return t.Qwen3VLForConditionalGeneration(t.Qwen3VLConfig(
        text_config=text, vision_config=vision, tie_word_embeddings=False))


def flux_vae():
    return d.AutoencoderKL(
        block_out_channels=(128, 256, 512, 512), down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4, layers_per_block=2, latent_channels=16, sample_size=1024,
        scaling_factor=0.3611, shift_factor=0.1159, use_quant_conv=False, use_post_quant_conv=False)


def wan22_vae():
    return d.AutoencoderKLWan(
        base_dim=160, decoder_base_dim=256, z_dim=48, is_residual=True, in_channels=12, out_channels=12,
        patch_size=2,
        scale_factor_spatial=16, latents_mean=[0.0] * 48, latents_std=[1.0] * 48)


def klein(**sizes):
    return d.Flux2Transformer2DModel(guidance_embeds=False, **sizes)


def main(root):
    with torch.device("meta"):
        umt5 = t5(t.UMT5EncoderModel, t.UMT5Config, 256384)
        write(root, "lodestones/Chroma1-HD", "chroma/tiny-hd", transformer=d.ChromaTransformer2DModel(),
              text_encoder=t5(t.T5EncoderModel, t.T5Config, 32128), vae=flux_vae())
        write(root, "black-forest-labs/FLUX.2-klein-base-4B", "flux2/tiny-base",
              transformer=klein(num_layers=5, num_single_layers=20, num_attention_heads=24,
                                joint_attention_dim=7680),
              text_encoder=qwen3(2560, 9728), vae=d.AutoencoderKLFlux2())
        write(root, "black-forest-labs/FLUX.2-klein-9B", "flux2/tiny-distilled",
              transformer=klein(num_layers=8, num_single_layers=24, num_attention_heads=32,
                                joint_attention_dim=12288),
              text_encoder=qwen3(4096, 12288), vae=d.AutoencoderKLFlux2())
        write(root, "Qwen/Qwen-Image", "qwen_image/tiny-image", transformer=d.QwenImageTransformer2DModel(),
              text_encoder=qwen2_5_vl(), vae=d.AutoencoderKLQwenImage())
        write(root, "Qwen/Qwen-Image-2.1", "qwen_image21/tiny-21",
              transformer=d.QwenImage21Transformer2DModel(),
              text_encoder=qwen3_vl(), vae=d.AutoencoderKLQwenImage21())
        write(root, "Wan-AI/Wan2.2-T2V-A14B-Diffusers", "wan/tiny-a14b",
              transformer=d.WanTransformer3DModel(),
              transformer_2=d.WanTransformer3DModel(), text_encoder=umt5, vae=d.AutoencoderKLWan())
        write(root, "Wan-AI/Wan2.2-TI2V-5B-Diffusers", "wan/tiny-ti2v",
              transformer=d.WanTransformer3DModel(
                  num_attention_heads=24, in_channels=48, out_channels=48, ffn_dim=14336, num_layers=30),
              text_encoder=umt5, vae=wan22_vae())
        write(root, "Tongyi-MAI/Z-Image", "z_image/tiny-base", transformer=d.ZImageTransformer2DModel(),
              text_encoder=qwen3(2560, 9728), vae=flux_vae())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
