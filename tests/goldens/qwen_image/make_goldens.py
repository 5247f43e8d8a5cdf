"""Makes the Qwen-Image reference data: two tiny random checkpoints, and what diffusers computes with them.

    python tests/goldens/qwen_image/make_goldens.py      # about 30 s

The checkpoints differ in everything that a config.json may decide; goldens are computed in float32 from the
files as saved. goldens.json beside each goldens.safetensors says for every case which call gave it.
"""

import sys
from functools import partial
from pathlib import Path

import torch
from diffusers import (
    AutoencoderKLQwenImage, FlowMatchEulerDiscreteScheduler, QwenImagePipeline, QwenImageTransformer2DModel,
)
from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from _cases import add_forecast_run, add_frame_vae, add_picture, by_channel, without_clamp  # noqa: E402
from _reference import PROMPTS, Capture, Goldens, redraw, remake, smooth_in_time  # noqa: E402
from _tokenizers import CORPUS, qwen_tokenizer, restore_qwen_files  # noqa: E402

# Repeated, so that the template is whole words: a pipeline drops its first 34 tokens.
TEMPLATE = [
    "system\nDescribe the image by detailing the color, shape, size, texture, quantity, text, "
    "spatial relationships of the objects and background:user\nassistant\n"
] * 20


def make_tiny_image(folder):
    """Like Qwen-Image: its scheduler, biases before attention, 2x2 patches of 16 channels; two
    types, old tokenizer files."""
    tokenizer = qwen_tokenizer(CORPUS + TEMPLATE, merge_count=230)
    assemble(
        folder,
        tokenizer=tokenizer,
        transformer=QwenImageTransformer2DModel(
            in_channels=64, out_channels=16, num_layers=2, attention_head_dim=10, num_attention_heads=2,
            joint_attention_dim=24, axes_dims_rope=(2, 4, 4),
        ),
        text_encoder=text_encoder(
            tokenizer, hidden_size=24, intermediate_size=40, num_hidden_layers=2, num_attention_heads=3,
            num_key_value_heads=1, mrope_section=[1, 1, 2]),
        vae=AutoencoderKLQwenImage(base_dim=8, z_dim=16, dim_mult=[1, 1, 1, 1], num_res_blocks=1),
        scheduler=FlowMatchEulerDiscreteScheduler(
            base_image_seq_len=256, base_shift=0.5, max_image_seq_len=8192, max_shift=0.9, shift=1.0,
            shift_terminal=0.02, time_shift_type="exponential", use_dynamic_shifting=True,
        ),
        dtype={"transformer": torch.bfloat16, "text_encoder": torch.float16, "vae": torch.float16},
        published_layout=True,
    )


def make_tiny_static(folder):
    """What no published checkpoint has: other sizes and means, a static shift; bfloat16, tokenizer.json."""
    tokenizer = qwen_tokenizer(CORPUS + TEMPLATE, merge_count=200)
    assemble(
        folder,
        tokenizer=tokenizer,
        transformer=QwenImageTransformer2DModel(
            patch_size=1, in_channels=16, out_channels=None, num_layers=3, attention_head_dim=8,
            num_attention_heads=3,
            joint_attention_dim=16, axes_dims_rope=(4, 2, 2),
        ),
        text_encoder=text_encoder(
            tokenizer, hidden_size=16, intermediate_size=28, num_hidden_layers=3, num_attention_heads=2,
            num_key_value_heads=2, mrope_section=[2, 1, 1]),
        vae=AutoencoderKLQwenImage(
            base_dim=4, z_dim=4, dim_mult=[1, 2, 2], num_res_blocks=1, attn_scales=[0.5],
            temperal_downsample=[True, False], latents_mean=[0.1, -0.2, 0.3, 0.05],
            latents_std=[1.2, 0.8, 2.1, 0.6],
        ),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
        dtype=dict.fromkeys(("transformer", "text_encoder", "vae"), torch.bfloat16),
        published_layout=False,
    )


def text_encoder(tokenizer, *, mrope_section, **sizes):
    """Qwen2.5-VL with a vision tower as small as it gets; text alone never meets it."""
    return Qwen2_5_VLForConditionalGeneration(Qwen2_5_VLConfig(
        text_config={
            "vocab_size": len(tokenizer), "rms_norm_eps": 1e-6, **sizes,
            "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0,
                                "mrope_section": mrope_section},
        },
        vision_config={
            "depth": 1, "hidden_size": 8, "intermediate_size": 8, "num_heads": 2,
            "out_hidden_size": sizes["hidden_size"],
            "fullatt_block_indexes": [0],
        },
    ))


def assemble(folder, *, dtype, published_layout, tokenizer, **parts):
    """Redraws the weights of `parts` and saves the pipeline to `folder` as diffusers does."""
    for seed, name in enumerate(("transformer", "text_encoder", "vae")):
        redraw(parts[name], 70 + seed)
    smooth_in_time(parts["transformer"].time_text_embed.timestep_embedder.linear_1)
    parts["vae"].decoder.conv_out.weight.mul_(0.8)  # pictures mostly within -1..1
    for name, kind in dtype.items():
        parts[name].to(kind)
    QwenImagePipeline(**parts, tokenizer=tokenizer).save_pretrained(folder)
    (folder / "text_encoder" / "generation_config.json").unlink(missing_ok=True)
    if published_layout:
        restore_qwen_files(folder / "tokenizer")
    for path in folder.rglob("*.*"):
        path.chmod(0o644)


def load(folder):
    pipe = QwenImagePipeline.from_pretrained(folder, dtype=torch.float32)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def add_text(goldens, pipe, max_sequence_length):
    """The template leaves a few tokens before the prompt; the goldens are of no use if they are all there is.
    """
    seen = set()
    for name, prompt in PROMPTS.items():
        embeds, mask = pipe.encode_prompt(prompt, max_sequence_length=max_sequence_length)
        assert mask is None
        seen.add(embeds.shape[1])
        goldens.add(
            f"text.{name}", {"prompt": prompt, "max_sequence_length": max_sequence_length},
            prompt_embeds=embeds)
    assert len(seen) == len(PROMPTS) and min(seen) < max_sequence_length, seen


def add_transformer(goldens, pipe, case, *, seed, height, width, text_tokens, timestep):
    """One call of the transformer on random inputs; sizes count tokens, `timestep` is a sigma, 0..1."""
    config, batch = pipe.transformer.config, len(timestep)
    draw = torch.Generator().manual_seed(seed)
    inputs = {
        "hidden_states": torch.randn(batch, height * width, config.in_channels, generator=draw),
        "encoder_hidden_states": torch.randn(batch, text_tokens, config.joint_attention_dim, generator=draw),
        "timestep": torch.tensor(timestep),
    }
    with Capture(pipe) as seen:
        output = pipe.transformer(**inputs, img_shapes=[[(1, height, width)]] * batch).sample
    call = {"height_tokens": height, "width_tokens": width, "text_tokens": text_tokens}
    goldens.add(f"transformer.{case}", call, **inputs, feature=seen.features[0], output=output)


def decode(pipe, latents):
    """Decodes latents [1, channels, height, width] as the pipeline scales them, not clamped."""
    config = pipe.vae.config
    scaled = latents[:, :, None] / (1.0 / by_channel(config.latents_std)) + by_channel(config.latents_mean)
    with without_clamp():
        return pipe.vae.decode(scaled, return_dict=False)[0][:, :, 0]


def decode_packed(pipe, latents, call):
    """The VAE's output [3, H, W] from the pipeline's latents."""
    plain = pipe._unpack_latents(latents, call["height"], call["width"], pipe.vae_scale_factor)
    return decode(pipe, plain[:, :, 0])[0]


add_picture = partial(add_picture, decode=decode_packed)
add_vae = partial(add_frame_vae, decode=decode)
add_forecast_run = partial(add_forecast_run, guided_by="true_cfg_scale")


def golden_tiny_image(folder):
    pipe, goldens = load(folder), Goldens(checkpoint="tiny-image")
    length = {"max_sequence_length": 80}
    size = {"height": 32, "width": 48, **length}  # 2 x 3 tokens
    add_text(goldens, pipe, **length)
    add_transformer(goldens, pipe, "start", seed=1, height=4, width=6, text_tokens=9, timestep=[1.0])
    add_transformer(goldens, pipe, "batch", seed=2, height=5, width=3, text_tokens=7, timestep=[0.731, 0.052])
    add_vae(goldens, pipe, "wide", seed=3, height=3, width=5)
    add_vae(goldens, pipe, "tiled", seed=4, height=5, width=4, tiles=(32, 16))
    plain = {"prompt": PROMPTS["plain"], "negative_prompt": " ", "true_cfg_scale": 4.0, **size}
    add_picture(goldens, pipe, "8_steps", seed=42, num_inference_steps=8, **plain)
    add_picture(goldens, pipe, "50_steps", seed=42, num_inference_steps=50, decoded=False, **plain)
    add_picture(
        goldens, pipe, "no_guidance", seed=2**40 + 5, num_inference_steps=8, decoded=False,
        **{**plain, "prompt": PROMPTS["unicode"], "negative_prompt": "", "true_cfg_scale": 1.0})
    add_forecast_run(goldens, pipe, "w_half", seed=42, steps=20, w=0.5, **{
        **plain, "negative_prompt": "blurry, low quality"})
    goldens.save(folder)


def golden_tiny_static(folder):
    pipe, goldens = load(folder), Goldens(checkpoint="tiny-static")
    length = {"max_sequence_length": 120}
    size = {"height": 40, "width": 24, **length}  # 5 x 3 tokens
    add_text(goldens, pipe, **length)
    add_transformer(goldens, pipe, "start", seed=5, height=3, width=7, text_tokens=8, timestep=[1.0])
    add_transformer(goldens, pipe, "batch", seed=6, height=4, width=4, text_tokens=5, timestep=[0.25, 0.875])
    add_vae(goldens, pipe, "wide", seed=7, height=4, width=7)
    plain = {"prompt": PROMPTS["plain"], "negative_prompt": "blurry, low quality", "true_cfg_scale": 2.5,
             **size}
    add_picture(goldens, pipe, "8_steps", seed=0, num_inference_steps=8, **plain)
    add_picture(
        goldens, pipe, "no_guidance_50", seed=3, num_inference_steps=50, decoded=False,
        **{**plain, "negative_prompt": "", "true_cfg_scale": 1.0})
    add_forecast_run(goldens, pipe, "no_guidance", seed=5, steps=20, w=1.0, **{
        **plain, "negative_prompt": "", "true_cfg_scale": 1.0})
    goldens.save(folder)


def main():
    remake(
        HERE,
        tiny_image=(make_tiny_image, golden_tiny_image),
        tiny_static=(make_tiny_static, golden_tiny_static),
    )


if __name__ == "__main__":
    main()
