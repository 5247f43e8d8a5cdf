"""Makes the Z-Image reference data: two tiny random checkpoints, and what diffusers computes with them.

    python tests/goldens/z_image/make_goldens.py

The checkpoints differ in everything that a config.json may decide; goldens are computed in float32 from the
files as saved. goldens.json beside each goldens.safetensors says for every case which call gave it.
"""

import sys
from functools import partial
from pathlib import Path

import torch
from diffusers import AutoencoderKL, FlowMatchEulerDiscreteScheduler, ZImagePipeline, ZImageTransformer2DModel
from transformers import Qwen3Config, Qwen3ForCausalLM, Qwen3Model

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from _cases import SPECTRUM, add_picture, add_vae  # noqa: E402
from _reference import PROMPTS, Capture, Goldens, redraw, remake, smooth_in_time  # noqa: E402
from _spectrum import add_spectrum  # noqa: E402
from _tokenizers import CORPUS, qwen_tokenizer, restore_qwen_files  # noqa: E402


def make_tiny_base(folder):
    """Like the published checkpoints: norms of queries and keys, two refiners each, static shift; bfloat16.
    """
    tokenizer = qwen_tokenizer(CORPUS, merge_count=90)
    assemble(
        folder,
        tokenizer=tokenizer,
        transformer=ZImageTransformer2DModel(
            in_channels=16, dim=24, n_layers=3, n_refiner_layers=2, n_heads=2, n_kv_heads=2, cap_feat_dim=20,
            axes_dims=[4, 4, 4], axes_lens=[200, 32, 32],
        ),
        text_encoder=Qwen3ForCausalLM(Qwen3Config(
            vocab_size=len(tokenizer), hidden_size=20, intermediate_size=36, num_hidden_layers=3,
            num_attention_heads=4,
            num_key_value_heads=2, head_dim=6, tie_word_embeddings=True,
            rope_parameters={"rope_type": "default", "rope_theta": 1000000.0},
        )),
        vae=AutoencoderKL(
            block_out_channels=(4, 8), down_block_types=("DownEncoderBlock2D",) * 2,
            up_block_types=("UpDecoderBlock2D",) * 2, layers_per_block=1, latent_channels=16,
            norm_num_groups=2,
            scaling_factor=0.3611, shift_factor=0.1159, use_quant_conv=False, use_post_quant_conv=False,
        ),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=6.0),
        dtype=torch.bfloat16,
        max_shard_size="10GB",
    )


def make_tiny_turbo(folder):
    """Everything else: no norms of queries and keys, one refiner, other scales,
    dynamic shift; float16, shards."""
    tokenizer = qwen_tokenizer(CORPUS, merge_count=40)
    assemble(
        folder,
        tokenizer=tokenizer,
        transformer=ZImageTransformer2DModel(
            in_channels=4, dim=30, n_layers=2, n_refiner_layers=1, n_heads=3, n_kv_heads=3, cap_feat_dim=18,
            norm_eps=1e-4, qk_norm=False, rope_theta=100.0, t_scale=500.0, axes_dims=[2, 4, 4],
            axes_lens=[80, 16, 24],
        ),
        text_encoder=Qwen3Model(Qwen3Config(
            vocab_size=len(tokenizer), hidden_size=18, intermediate_size=30, num_hidden_layers=2,
            num_attention_heads=3,
            num_key_value_heads=1, head_dim=8, attention_bias=True, rms_norm_eps=1e-5,
            rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
        )),
        vae=AutoencoderKL(
            block_out_channels=(4, 8, 12), down_block_types=("DownEncoderBlock2D",) * 3,
            up_block_types=("UpDecoderBlock2D",) * 3, layers_per_block=1, latent_channels=4,
            norm_num_groups=2,
            scaling_factor=1.5305, shift_factor=0.0609, mid_block_add_attention=False,
        ),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True),
        dtype=torch.float16,
        max_shard_size="500KB",
    )
    restore_qwen_files(folder / "tokenizer")


def assemble(folder, *, dtype, max_shard_size, **parts):
    """Redraws the weights of `parts` and saves the pipeline to `folder` as diffusers does."""
    for seed, name in enumerate(("transformer", "text_encoder", "vae")):
        redraw(parts[name], seed)
    first, _, second = parts["transformer"].t_embedder.mlp
    smooth_in_time(first)
    # Most of the 1024 units are always off, so that the file compresses.
    first.weight[32:], first.bias[32:], second.weight[:, 32:] = 0, 0, 0
    parts["vae"].decoder.conv_out.weight.mul_(0.4)  # pictures mostly within -1..1
    ZImagePipeline(**parts).to(dtype).save_pretrained(folder, max_shard_size=max_shard_size)
    (folder / "text_encoder" / "generation_config.json").unlink(missing_ok=True)
    for path in folder.rglob("*.*"):
        path.chmod(0o644)


def load(folder):
    pipe = ZImagePipeline.from_pretrained(folder, dtype=torch.float32)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def add_text(goldens, pipe, prompts, max_sequence_length):
    for name, prompt in prompts.items():
        with Capture(pipe) as seen:
            (embeds,), _ = pipe.encode_prompt(
                prompt, do_classifier_free_guidance=False, max_sequence_length=max_sequence_length)
        (ids, _), = seen.text["text_encoder"]
        goldens.add(
            f"text.{name}", {"prompt": prompt, "max_sequence_length": max_sequence_length},
            input_ids=ids, embeds=embeds[None],
        )


def add_transformer(goldens, pipe, case, *, seed, batch, height, width, text_tokens, timestep):
    """One call of the transformer on random inputs, sizes in latents. `output` is its negative,
    as the pipeline takes it."""
    config = pipe.transformer.config
    draw = torch.Generator().manual_seed(seed)
    latents = torch.randn(batch, config.in_channels, height, width, generator=draw)
    states = torch.randn(batch, text_tokens, config.cap_feat_dim, generator=draw)
    with Capture(pipe) as seen:
        output = pipe.transformer(list(latents.unsqueeze(2)), torch.tensor(timestep), list(states)).sample
    tokens = height // 2 * (width // 2)
    goldens.add(
        f"transformer.{case}", {"batch": batch, "height": height, "width": width, "text_tokens": text_tokens},
        hidden_states=latents, encoder_hidden_states=states, timestep=torch.tensor(timestep),
        feature=seen.features[0][:, :tokens], output=-torch.stack(output).squeeze(2))


# Z-Image's denoiser takes a list of pictures with a frame dimension.
add_picture = partial(
    add_picture, initial=lambda seen: seen.denoiser_inputs[0]["args"][0][0].squeeze(1)[None])


def add_forecast_run(goldens, pipe, case, *, w, guided_steps=None, **call):
    scale = 2 ** len(pipe.vae.config.block_out_channels)
    tokens = call["height"] // scale * (call["width"] // scale)
    branches = 2 if call["guidance_scale"] > 0 else 1
    add_spectrum(
        goldens, pipe, case, branches=branches, options={"w": w, **SPECTRUM}, tokens=tokens,
        guided_steps=guided_steps,
        **call)


def guided_steps(pipe, steps, truncation):
    """The number of guided steps, as the pipeline's loop counts them, and a check that
    some are and some are not."""
    pipe.scheduler.set_timesteps(sigmas=torch.linspace(1.0, 1 / steps, steps).tolist())
    count = sum(t <= truncation for t in ((1000 - pipe.scheduler.timesteps.float()) / 1000).tolist())
    assert 5 < count < steps - 5, count
    return count


def golden_tiny_base(folder):
    pipe, goldens = load(folder), Goldens(checkpoint="tiny-base")
    length = {"max_sequence_length": 48}
    size = {"height": 16, "width": 24, **length}  # 4 x 6 tokens
    add_text(goldens, pipe, PROMPTS, **length)
    add_transformer(goldens, pipe, "start", seed=1, batch=1, height=8, width=12, text_tokens=37,
                    timestep=[0.0])
    add_transformer(goldens, pipe, "batch", seed=2, batch=2, height=10, width=8, text_tokens=9,
                    timestep=[0.25, 0.875])
    add_transformer(goldens, pipe, "whole", seed=3, batch=1, height=8, width=16, text_tokens=32,
                    timestep=[0.5])
    add_vae(goldens, pipe, "wide", seed=4, height=6, width=10)
    plain = {"prompt": PROMPTS["plain"], **size}
    guided = {**plain, "guidance_scale": 4.0, "negative_prompt": "blurry, low quality"}
    add_picture(goldens, pipe, "8_steps", seed=42, num_inference_steps=8, **guided)
    add_picture(goldens, pipe, "50_steps", seed=42, num_inference_steps=50, decoded=False, **guided)
    add_picture(goldens, pipe, "unguided", seed=2**40 + 5, num_inference_steps=8, guidance_scale=0.0, **{
        **plain, "prompt": PROMPTS["unicode"]})
    add_picture(goldens, pipe, "weak_guidance", seed=6, num_inference_steps=8, guidance_scale=0.5,
                decoded=False, **plain)
    add_picture(goldens, pipe, "normalized", seed=7, num_inference_steps=8, decoded=False,
                cfg_normalization=1.0, **guided)
    add_picture(
        goldens, pipe, "truncated", seed=8, num_inference_steps=20, decoded=False, cfg_truncation=0.13,
        cfg_normalization=0.9, **guided)
    add_forecast_run(goldens, pipe, "w_half", seed=42, steps=20, w=0.5, **guided)
    add_forecast_run(goldens, pipe, "normalized", seed=43, steps=20, w=0.5, cfg_normalization=1.0, **guided)
    add_forecast_run(
        goldens, pipe, "truncated", seed=42, steps=20, w=0.5, cfg_truncation=0.13,
        guided_steps=guided_steps(pipe, 20, 0.13), **guided)
    goldens.save(folder)


def golden_tiny_turbo(folder):
    pipe, goldens = load(folder), Goldens(checkpoint="tiny-turbo")
    length = {"max_sequence_length": 32}
    size = {"height": 40, "width": 24, **length}  # 5 x 3 tokens
    add_text(goldens, pipe, PROMPTS, **length)
    add_transformer(goldens, pipe, "start", seed=5, batch=1, height=6, width=14, text_tokens=8,
                    timestep=[0.0])
    add_transformer(goldens, pipe, "batch", seed=6, batch=2, height=8, width=8, text_tokens=33,
                    timestep=[0.75, 0.125])
    add_vae(goldens, pipe, "tall", seed=7, height=7, width=4)
    plain = {"prompt": PROMPTS["plain"], "guidance_scale": 0.0, **size}
    add_picture(goldens, pipe, "8_steps", seed=42, num_inference_steps=8, **plain)
    add_picture(goldens, pipe, "50_steps", seed=42, num_inference_steps=50, decoded=False, **plain)
    add_forecast_run(goldens, pipe, "w_one", seed=42, steps=20, w=1.0, **plain)
    goldens.save(folder)


def main():
    remake(
        HERE,
        tiny_base=(make_tiny_base, golden_tiny_base),
        tiny_turbo=(make_tiny_turbo, golden_tiny_turbo),
    )


if __name__ == "__main__":
    main()
