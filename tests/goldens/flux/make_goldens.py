"""Makes the FLUX reference data: two tiny random checkpoints, and what diffusers computes with
them and with models/emoji.

    python tests/goldens/flux/make_goldens.py            # checkpoints and goldens of this folder
    python tests/goldens/flux/make_goldens.py --emoji models/emoji  # only tests/goldens/emoji

The checkpoints differ in everything that a config.json may decide; goldens are computed in float32 from the
files as saved. goldens.json beside each goldens.safetensors says for every case which call gave it.
"""

import argparse
import sys
from functools import partial
from pathlib import Path

import numpy
import torch
from diffusers import AutoencoderKL, FlowMatchEulerDiscreteScheduler, FluxPipeline, FluxTransformer2DModel
from diffusers.pipelines.flux.pipeline_flux import calculate_shift
from safetensors.torch import load_file, save_file
from transformers import (
    CLIPTextConfig, CLIPTextModel, CLIPTokenizer, T5Config, T5EncoderModel, T5TokenizerFast)

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from _cases import add_forecast_run, add_picture, add_vae  # noqa: E402
from _reference import (  # noqa: E402
    PROMPTS, Capture, Goldens, digest, redraw, remake, smooth_in_time)
from _tokenizers import write_clip_files, write_t5_files  # noqa: E402


def make_tiny_dev(folder):
    """Like FLUX.1-dev: guidance embedding, dynamic shift, T5 v1.1, no quant convs; float32,
    sharded, old CLIP config."""
    vocab = write_clip_files(folder / "tokenizer", merge_count=60, model_max_length=77)
    pieces = write_t5_files(folder / "tokenizer_2", vocab_size=160, model_max_length=512)
    assemble(
        folder,
        transformer=FluxTransformer2DModel(
            in_channels=64, num_layers=2, num_single_layers=2, attention_head_dim=10, num_attention_heads=2,
            joint_attention_dim=20, pooled_projection_dim=16, guidance_embeds=True, axes_dims_rope=(2, 4, 4),
        ),
        # eos_token_id 2 is the mark of configs before transformers 4.31: pool at the largest id.
        text_encoder=CLIPTextModel(CLIPTextConfig(
            vocab_size=len(vocab), hidden_size=16, intermediate_size=40, projection_dim=16,
            num_hidden_layers=2,
            num_attention_heads=2, max_position_embeddings=77, hidden_act="quick_gelu",
            bos_token_id=0, pad_token_id=1, eos_token_id=2,
        )),
        text_encoder_2=T5EncoderModel(T5Config(
            vocab_size=pieces + 100, d_model=20, d_kv=6, d_ff=44, num_layers=2, num_heads=3,
            feed_forward_proj="gated-gelu", tie_word_embeddings=False,
        )),
        vae=AutoencoderKL(
            block_out_channels=(4, 8), down_block_types=("DownEncoderBlock2D",) * 2,
            up_block_types=("UpDecoderBlock2D",) * 2, layers_per_block=1, latent_channels=16,
            norm_num_groups=2,
            scaling_factor=0.3611, shift_factor=0.1159, use_quant_conv=False, use_post_quant_conv=False,
        ),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True),
        dtype=torch.float32,
        max_shard_size="100KB",
        published_layout=True,
    )


def make_tiny_schnell(folder):
    """Like FLUX.1-schnell: no guidance, static shift 1; bfloat16, one file each, new CLIP
    config, T5 v1.0, quant convs."""
    vocab = write_clip_files(folder / "tokenizer", merge_count=40, model_max_length=24)
    pieces = write_t5_files(folder / "tokenizer_2", vocab_size=100, model_max_length=32)
    assemble(
        folder,
        transformer=FluxTransformer2DModel(
            in_channels=16, num_layers=1, num_single_layers=3, attention_head_dim=8, num_attention_heads=3,
            joint_attention_dim=24, pooled_projection_dim=20, guidance_embeds=False, axes_dims_rope=(4, 2, 2),
        ),
        text_encoder=CLIPTextModel(CLIPTextConfig(
            vocab_size=len(vocab), hidden_size=20, intermediate_size=48, projection_dim=12,
            num_hidden_layers=3,
            num_attention_heads=4, max_position_embeddings=24, hidden_act="gelu", layer_norm_eps=1e-4,
            bos_token_id=len(vocab) - 2, pad_token_id=len(vocab) - 1, eos_token_id=len(vocab) - 1,
        )),
        text_encoder_2=T5EncoderModel(T5Config(
            vocab_size=pieces + 100, d_model=24, d_kv=8, d_ff=40, num_layers=3, num_heads=2,
            feed_forward_proj="relu", relative_attention_num_buckets=16, relative_attention_max_distance=20,
        )),
        vae=AutoencoderKL(
            block_out_channels=(4, 8, 12), down_block_types=("DownEncoderBlock2D",) * 3,
            up_block_types=("UpDecoderBlock2D",) * 3, layers_per_block=2, latent_channels=4,
            norm_num_groups=2,
            scaling_factor=1.5305, shift_factor=0.0609, use_quant_conv=True, use_post_quant_conv=True,
            mid_block_add_attention=False,
        ),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=1.0, use_dynamic_shifting=False),
        dtype=torch.bfloat16,
        max_shard_size="10GB",
        published_layout=False,
    )


def assemble(folder, *, dtype, max_shard_size, published_layout, **parts):
    """Redraws the weights of `parts` and saves the pipeline to `folder` as diffusers does."""
    for seed, name in enumerate(("transformer", "text_encoder", "text_encoder_2", "vae")):
        redraw(parts[name], seed)
    embed = parts["transformer"].time_text_embed
    smooth_in_time(embed.timestep_embedder.linear_1)
    if hasattr(embed, "guidance_embedder"):
        smooth_in_time(embed.guidance_embedder.linear_1)
    parts["vae"].decoder.conv_out.weight.mul_(0.4)  # pictures mostly within -1..1
    tokenizers = {
        "tokenizer": CLIPTokenizer.from_pretrained(folder / "tokenizer"),
        "tokenizer_2": T5TokenizerFast.from_pretrained(folder / "tokenizer_2"),
    }
    sources = {path: path.read_bytes() for name in tokenizers for path in (folder / name).iterdir()}
    for path in sources:
        path.unlink()
    FluxPipeline(**parts, **tokenizers).to(dtype).save_pretrained(folder, max_shard_size=max_shard_size)
    if published_layout:
        restore_published_layout(folder, sources)
    for path in folder.rglob("*.*"):
        path.chmod(0o644)


def restore_published_layout(folder, tokenizer_files):
    """Undoes what transformers 5 writes differently from the FLUX.1 checkpoints that people have on disk."""
    # tokenizer.json alone, where older checkpoints have the files it was converted from
    for path, content in tokenizer_files.items():
        (path.parent / "tokenizer.json").unlink(missing_ok=True)
        path.write_bytes(content)
    # one class for what used to be a slow and a fast tokenizer
    index = folder / "model_index.json"
    index.write_text(index.read_text().replace('"T5Tokenizer"', '"T5TokenizerFast"'))
    # CLIP's weights without their common prefix
    weights = folder / "text_encoder" / "model.safetensors"
    save_file({f"text_model.{name}": t for name, t in load_file(weights).items()}, weights, {"format": "pt"})


def load(folder):
    pipe = FluxPipeline.from_pretrained(folder, dtype=torch.float32)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def add_text(goldens, pipe, prompts, max_sequence_length):
    for name, prompt in prompts.items():
        with Capture(pipe) as seen:
            pipe.encode_prompt(prompt, prompt_2=None, max_sequence_length=max_sequence_length)
        (clip_ids, clip), = seen.text["text_encoder"]
        (t5_ids, t5), = seen.text["text_encoder_2"]
        goldens.add(
            f"text.{name}", {"prompt": prompt, "max_sequence_length": max_sequence_length},
            clip_input_ids=clip_ids, clip_last_hidden_state=clip.last_hidden_state,
            clip_pooled=clip.pooler_output,
            t5_input_ids=t5_ids, t5_last_hidden_state=t5[0],
        )


def add_transformer(goldens, pipe, case, *, seed, batch, height, width, text_tokens, timestep, guidance=None):
    """One call of the transformer on random inputs; `height` and `width` count tokens,
    `timestep` is a sigma, 0..1."""
    config = pipe.transformer.config
    draw = torch.Generator().manual_seed(seed)
    inputs = {
        "hidden_states": torch.randn(batch, height * width, config.in_channels, generator=draw),
        "encoder_hidden_states": torch.randn(batch, text_tokens, config.joint_attention_dim, generator=draw),
        "pooled_projections": torch.randn(batch, config.pooled_projection_dim, generator=draw),
        "timestep": torch.tensor(timestep),
        "img_ids": FluxPipeline._prepare_latent_image_ids(batch, height, width, "cpu", torch.float32),
        "txt_ids": torch.zeros(text_tokens, 3),
    }
    if config.guidance_embeds:
        inputs["guidance"] = torch.tensor(guidance)
    with Capture(pipe) as seen:
        output = pipe.transformer(**inputs).sample
    call = {"height_tokens": height, "width_tokens": width, "text_tokens": text_tokens, "batch": batch}
    goldens.add(f"transformer.{case}", call, **inputs, feature=seen.features[0], output=output)


def add_schedule(goldens, pipe, steps, image_tokens):
    """The schedule that FluxPipeline asks for; sigmas end with 0."""
    config, scheduler = pipe.scheduler.config, pipe.scheduler
    mu = calculate_shift(
        image_tokens, config.base_image_seq_len, config.max_image_seq_len, config.base_shift,
        config.max_shift)
    scheduler.set_timesteps(sigmas=numpy.linspace(1.0, 1 / steps, steps), mu=mu)
    goldens.add(
        f"schedule.{steps}_steps_{image_tokens}_tokens",
        {"num_inference_steps": steps, "image_tokens": image_tokens, "mu": mu},
        timesteps=scheduler.timesteps, sigmas=scheduler.sigmas,
    )


add_forecast_run = partial(add_forecast_run, guided_by="true_cfg_scale")


def golden_tiny_dev(folder):
    pipe, goldens = load(folder), Goldens(checkpoint="tiny-dev")
    length = {"max_sequence_length": 40}
    size = {"height": 16, "width": 24, **length}  # 4 x 6 tokens
    add_text(goldens, pipe, PROMPTS, **length)
    add_transformer(
        goldens, pipe, "start", seed=1, batch=1, height=4, width=6, text_tokens=9,
        timestep=[1.0], guidance=[3.5])
    add_transformer(
        goldens, pipe, "batch", seed=2, batch=2, height=5, width=3, text_tokens=7,
        timestep=[0.731, 0.052], guidance=[1.0, 7.25])
    add_vae(goldens, pipe, "wide", seed=3, height=6, width=10)
    add_vae(goldens, pipe, "tall", seed=4, height=9, width=4)
    for steps, tokens in ((1, 24), (8, 24), (50, 24), (50, 4096), (28, 1024)):
        add_schedule(goldens, pipe, steps, tokens)
    plain = {"prompt": PROMPTS["plain"], "guidance_scale": 3.5, **size}
    add_picture(goldens, pipe, "8_steps", seed=42, num_inference_steps=8, **plain)
    add_picture(goldens, pipe, "50_steps", seed=42, num_inference_steps=50, decoded=False, **plain)
    add_picture(
        goldens, pipe, "unicode_weak_guidance", seed=2**40 + 5, num_inference_steps=8,
        prompt=PROMPTS["unicode"], guidance_scale=1.0, **size)
    add_picture(
        goldens, pipe, "true_cfg", seed=7, num_inference_steps=8, true_cfg_scale=2.0,
        negative_prompt="blurry, low quality", **plain)
    add_forecast_run(goldens, pipe, "w_half", seed=42, steps=20, w=0.5, **plain)
    add_forecast_run(goldens, pipe, "w_one", seed=42, steps=20, w=1.0, **plain)
    goldens.save(folder)


def golden_tiny_schnell(folder):
    pipe, goldens = load(folder), Goldens(checkpoint="tiny-schnell")
    length = {"max_sequence_length": 32}
    size = {"height": 40, "width": 24, **length}  # 5 x 3 tokens
    add_text(goldens, pipe, PROMPTS, **length)
    add_transformer(goldens, pipe, "start", seed=5, batch=1, height=3, width=7, text_tokens=8, timestep=[1.0])
    add_transformer(
        goldens, pipe, "batch", seed=6, batch=2, height=4, width=4, text_tokens=5, timestep=[0.25, 0.875])
    add_vae(goldens, pipe, "wide", seed=7, height=4, width=7)
    for steps, tokens in ((1, 15), (4, 15), (50, 4096)):
        add_schedule(goldens, pipe, steps, tokens)
    plain = {"prompt": PROMPTS["plain"], "guidance_scale": 0.0, **size}
    add_picture(goldens, pipe, "4_steps", seed=0, num_inference_steps=4, **plain)
    add_picture(goldens, pipe, "8_steps", seed=42, num_inference_steps=8, **plain)
    add_picture(goldens, pipe, "50_steps", seed=42, num_inference_steps=50, decoded=False, **plain)
    add_picture(
        goldens, pipe, "true_cfg", seed=43, num_inference_steps=8, true_cfg_scale=2.0,
        negative_prompt="", **{**plain, "prompt": PROMPTS["unicode"]})
    add_forecast_run(
        goldens, pipe, "true_cfg", seed=42, steps=20, w=0.5, true_cfg_scale=2.0,
        negative_prompt="blurry, low quality", **plain)
    goldens.save(folder)


def golden_emoji(checkpoint, folder):
    pipe = load(checkpoint)
    goldens = Goldens(checkpoint="models/emoji", sha256=digest(checkpoint))
    length = {"max_sequence_length": 12}
    call = {
        "prompt": "red heart", "height": 64, "width": 64, "true_cfg_scale": 2.0, "negative_prompt": "",
        "guidance_scale": 0, **length,
    }
    prompts = {"plain": "red heart", "empty": "", "unicode": PROMPTS["unicode"]}
    add_text(goldens, pipe, prompts, **length)
    add_schedule(goldens, pipe, 50, 64)
    add_picture(goldens, pipe, "8_steps", seed=42, num_inference_steps=8, decoded=False, **call)
    add_picture(goldens, pipe, "50_steps", seed=42, num_inference_steps=50, **call)
    add_forecast_run(goldens, pipe, "w_half", seed=42, steps=20, w=0.5, **call)
    add_forecast_run(goldens, pipe, "w_one", seed=42, steps=20, w=1.0, **call)
    goldens.save(folder)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--emoji", type=Path, metavar="DIR",
                        help="make only the goldens of this emoji checkpoint")
    emoji = parser.parse_args().emoji
    if emoji:
        golden_emoji(emoji, HERE.parent / "emoji")
        return
    remake(
        HERE,
        tiny_dev=(make_tiny_dev, golden_tiny_dev),
        tiny_schnell=(make_tiny_schnell, golden_tiny_schnell),
    )


if __name__ == "__main__":
    main()
