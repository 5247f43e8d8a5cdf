"""Makes the Wan2.2 reference data: two tiny random checkpoints, and what diffusers computes with them.

    python tests/goldens/wan/make_wan22_goldens.py      # about 40 s

tiny-a14b has two experts that take turns; tiny-ti2v has Wan2.2's autoencoder. Everything else
is as in make_goldens.py.
"""

import sys
from pathlib import Path

import torch
from diffusers import (
    AutoencoderKLWan, FlowMatchEulerDiscreteScheduler, UniPCMultistepScheduler, WanPipeline,
    WanTransformer3DModel,
)
from transformers import T5TokenizerFast, UMT5Config, UMT5EncoderModel

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
sys.path.insert(0, str(HERE))
from _reference import PROMPTS, Goldens, redraw, remake, smooth_in_time  # noqa: E402
from _spectrum import add_spectrum  # noqa: E402
from _tokenizers import write_t5_files  # noqa: E402
from _cases import SPECTRUM  # noqa: E402
from make_goldens import add_picture, add_tiled, add_transformer, add_vae, load  # noqa: E402


def make_tiny_a14b(folder):
    """Like Wan2.2's T2V-A14B: two experts, Wan2.1's autoencoder, UniPC on a flow; bfloat16."""
    pieces = write_t5_files(folder / "tokenizer", vocab_size=110, model_max_length=64)
    expert = lambda: WanTransformer3DModel(
        patch_size=(1, 2, 2), num_attention_heads=2, attention_head_dim=8, in_channels=4, out_channels=4,
        text_dim=18,
        freq_dim=24, ffn_dim=28, num_layers=2, cross_attn_norm=True,
    )
    assemble(
        folder,
        transformer=expert(),
        transformer_2=expert(),
        text_encoder=UMT5EncoderModel(UMT5Config(
            vocab_size=pieces + 100, d_model=18, d_kv=5, d_ff=24, num_layers=1, num_heads=2,
            feed_forward_proj="gated-gelu", relative_attention_num_buckets=16,
            relative_attention_max_distance=20,
        )),
        vae=AutoencoderKLWan(
            base_dim=2, decoder_base_dim=8, z_dim=4, dim_mult=[1, 1, 1, 1], num_res_blocks=1,
            latents_mean=[0.1, -0.2, 0.3, 0.05], latents_std=[1.2, 0.8, 2.1, 0.6],
        ),
        scheduler=UniPCMultistepScheduler(
            prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0, num_train_timesteps=1000,
        ),
        boundary_ratio=0.875,
    )


def make_tiny_ti2v(folder):
    """Like Wan2.2's TI2V-5B: a timestep for each patch, an autoencoder with shortcuts that
    writes patches; bfloat16."""
    pieces = write_t5_files(folder / "tokenizer", vocab_size=110, model_max_length=64)
    assemble(
        folder,
        transformer=WanTransformer3DModel(
            patch_size=(1, 2, 2), num_attention_heads=3, attention_head_dim=8, in_channels=6, out_channels=6,
            text_dim=18,
            freq_dim=16, ffn_dim=32, num_layers=2, cross_attn_norm=True,
        ),
        text_encoder=UMT5EncoderModel(UMT5Config(
            vocab_size=pieces + 100, d_model=18, d_kv=5, d_ff=24, num_layers=1, num_heads=2,
            feed_forward_proj="gated-gelu", relative_attention_num_buckets=16,
            relative_attention_max_distance=20,
        )),
        vae=AutoencoderKLWan(
            base_dim=2, decoder_base_dim=6, z_dim=6, dim_mult=[1, 2, 2], num_res_blocks=1,
            temperal_downsample=[False, True],
            is_residual=True, in_channels=12, out_channels=12, patch_size=2, scale_factor_temporal=2,
            scale_factor_spatial=8, latents_mean=[0.1, -0.2, 0.3, 0.05, 0.0, -0.1],
            latents_std=[1.2, 0.8, 2.1, 0.6, 1.0, 0.7],
        ),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=5.0),
        expand_timesteps=True,
    )


def assemble(folder, *, scheduler, boundary_ratio=None, expand_timesteps=False, **parts):
    """Redraws the weights of `parts` and saves the pipeline to `folder` as diffusers does."""
    for seed, model in enumerate(parts.values()):
        redraw(model, 80 + seed)
    for name in ("transformer", "transformer_2"):
        if name in parts:
            smooth_in_time(parts[name].condition_embedder.time_embedder.linear_1)
    parts["vae"].decoder.conv_out.weight.mul_(0.8)  # frames mostly within -1..1
    tokenizer = T5TokenizerFast.from_pretrained(folder / "tokenizer")
    for path in folder.glob("tokenizer/*"):
        path.unlink()
    for model in parts.values():
        model.to(torch.bfloat16)
    WanPipeline(
        **parts, tokenizer=tokenizer, scheduler=scheduler, boundary_ratio=boundary_ratio,
        expand_timesteps=expand_timesteps,
    ).save_pretrained(folder)
    for path in folder.rglob("*.*"):
        path.chmod(0o644)


def boundary_of(pipe, steps):
    """The second expert's first step."""
    pipe.scheduler.set_timesteps(steps)
    late = pipe.scheduler.timesteps < pipe.config.boundary_ratio * pipe.scheduler.config.num_train_timesteps
    return int(late.int().argmax())


def golden_tiny_a14b(folder):
    pipe, goldens = load(folder), Goldens(checkpoint="tiny-a14b")
    size = {"height": 32, "width": 16, "num_frames": 5, "max_sequence_length": 14}  # 2 x 2 x 1 tokens
    plain = {"prompt": PROMPTS["plain"], "guidance_scale": 4.0, **size}
    add_picture(goldens, pipe, "8_steps", seed=42, num_inference_steps=8, guidance_scale_2=3.0, **plain)
    add_picture(
        goldens, pipe, "50_steps", seed=7, num_inference_steps=50, decoded=False,
        negative_prompt="blurry, low quality",
        **plain)
    add_picture(goldens, pipe, "no_guidance", seed=3, num_inference_steps=8, decoded=False, **{
        **plain, "prompt": PROMPTS["unicode"], "guidance_scale": 1.0})
    for case, steps, w, more in (
        ("w_half", 24, 0.5, {"guidance_scale_2": 2.0, "negative_prompt": "blurry, low quality"}),
        ("no_guidance", 30, 1.0, {"guidance_scale": 1.0}),
    ):
        call = {**plain, **more}
        start = boundary_of(pipe, steps)
        assert 4 < start < steps - 8, start
        add_spectrum(
            goldens, pipe, case, branches=2 if call["guidance_scale"] > 1 else 1, seed=42, steps=steps,
            options={"w": w, **SPECTRUM, "warmup_steps": 3}, phases=(0, start), **call)
    goldens.save(folder)


def golden_tiny_ti2v(folder):
    pipe, goldens = load(folder), Goldens(checkpoint="tiny-ti2v")
    size = {"height": 16, "width": 48, "num_frames": 5, "max_sequence_length": 14}  # 3 x 1 x 3 tokens
    add_transformer(
        goldens, pipe.transformer, "start", seed=1, frames=2, height=4, width=6, text_tokens=6,
        timestep=[1000.0])
    add_transformer(
        goldens, pipe.transformer, "batch", seed=2, frames=3, height=2, width=6, text_tokens=5,
        timestep=[250.0, 875.5])
    add_vae(goldens, pipe, "clip", seed=6, frames=5, height=2, width=3)
    add_tiled(goldens, pipe, "tiled", seed=7, frames=3, height=5, width=6, side=32, stride=16)
    plain = {"prompt": PROMPTS["plain"], "guidance_scale": 5.0, **size}
    add_picture(goldens, pipe, "8_steps", seed=0, num_inference_steps=8, **plain)
    add_picture(goldens, pipe, "no_guidance_50", seed=3, num_inference_steps=50, decoded=False, **{
        **plain, "prompt": PROMPTS["unicode"], "guidance_scale": 1.0})
    add_spectrum(
        goldens, pipe, "w_half", branches=2, seed=42, steps=20, options={"w": 0.5, **SPECTRUM},
        negative_prompt="blurry, low quality", **plain)
    goldens.save(folder)


if __name__ == "__main__":
    remake(
        HERE,
        tiny_a14b=(make_tiny_a14b, golden_tiny_a14b),
        tiny_ti2v=(make_tiny_ti2v, golden_tiny_ti2v),
    )
