"""Makes the Chroma reference data: two tiny random checkpoints, and what diffusers computes with them.

    python tests/goldens/chroma/make_goldens.py      # about 20 s

The checkpoints differ in everything that a config.json may decide; goldens are computed in float32 from the
files as saved. goldens.json beside each goldens.safetensors says for every case which call gave it.
"""

import sys
from pathlib import Path

import torch
from diffusers import AutoencoderKL, ChromaPipeline, ChromaTransformer2DModel, FlowMatchEulerDiscreteScheduler
from transformers import T5Config, T5EncoderModel, T5TokenizerFast

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from _cases import add_forecast_run, add_picture  # noqa: E402
from _reference import PROMPTS, Capture, Goldens, redraw, remake, smooth_in_time  # noqa: E402
from _tokenizers import write_t5_files  # noqa: E402


def make_tiny_hd(folder):
    """Like Chroma1-HD: T5 v1.1, no quant convs, static shift; float32, the tokenizer as published."""
    pieces = write_t5_files(folder / "tokenizer", vocab_size=160, model_max_length=512)
    assemble(
        folder,
        transformer=ChromaTransformer2DModel(
            in_channels=64, num_layers=2, num_single_layers=2, attention_head_dim=10, num_attention_heads=2,
            joint_attention_dim=20, axes_dims_rope=(2, 4, 4), approximator_num_channels=16,
            approximator_hidden_dim=24, approximator_layers=2,
        ),
        text_encoder=T5EncoderModel(T5Config(
            vocab_size=pieces + 100, d_model=20, d_kv=6, d_ff=44, num_layers=2, num_heads=3,
            feed_forward_proj="gated-gelu", tie_word_embeddings=False,
        )),
        vae=AutoencoderKL(
            block_out_channels=(4, 8), down_block_types=("DownEncoderBlock2D",) * 2,
            up_block_types=("UpDecoderBlock2D",) * 2, layers_per_block=1, latent_channels=16,
            norm_num_groups=2,
            scaling_factor=0.3611, shift_factor=0.1159, use_quant_conv=False, use_post_quant_conv=False,
        ),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
        dtype=torch.float32,
        published_layout=True,
    )


def make_tiny_shift(folder):
    """What no published checkpoint has: other sizes, a dynamic shift, T5 v1.0; bfloat16, tokenizer.json."""
    pieces = write_t5_files(folder / "tokenizer", vocab_size=100, model_max_length=32)
    assemble(
        folder,
        transformer=ChromaTransformer2DModel(
            in_channels=16, num_layers=1, num_single_layers=3, attention_head_dim=8, num_attention_heads=3,
            joint_attention_dim=24, axes_dims_rope=(4, 2, 2), approximator_num_channels=24,
            approximator_hidden_dim=16, approximator_layers=3,
        ),
        text_encoder=T5EncoderModel(T5Config(
            vocab_size=pieces + 100, d_model=24, d_kv=8, d_ff=40, num_layers=2, num_heads=2,
            feed_forward_proj="relu", relative_attention_num_buckets=16, relative_attention_max_distance=20,
        )),
        vae=AutoencoderKL(
            block_out_channels=(4, 8, 12), down_block_types=("DownEncoderBlock2D",) * 3,
            up_block_types=("UpDecoderBlock2D",) * 3, layers_per_block=1, latent_channels=4,
            norm_num_groups=2,
            scaling_factor=1.5305, shift_factor=0.0609, mid_block_add_attention=False,
        ),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=1.0, use_dynamic_shifting=True),
        dtype=torch.bfloat16,
        published_layout=False,
    )


def assemble(folder, *, dtype, published_layout, **parts):
    """Redraws the weights of `parts` and saves the pipeline to `folder` as diffusers does."""
    for seed, name in enumerate(("transformer", "text_encoder", "vae")):
        redraw(parts[name], 60 + seed)
    smooth_approximator(parts["transformer"])
    parts["vae"].decoder.conv_out.weight.mul_(0.4)  # pictures mostly within -1..1
    tokenizer = T5TokenizerFast.from_pretrained(folder / "tokenizer")
    sources = {path: path.read_bytes() for path in folder.glob("tokenizer/*")}
    for path in sources:
        path.unlink()
    ChromaPipeline(**parts, tokenizer=tokenizer).to(dtype).save_pretrained(folder)
    if published_layout:
        for path, content in sources.items():
            (path.parent / "tokenizer.json").unlink(missing_ok=True)
            path.write_bytes(content)
        index = folder / "model_index.json"
        index.write_text(index.read_text().replace('"T5Tokenizer"', '"T5TokenizerFast"'))
    for path in folder.rglob("*.*"):
        path.chmod(0o644)


def smooth_approximator(transformer):
    """smooth_in_time for the timestep's columns of the approximator's first layer."""
    first = transformer.distilled_guidance_layer.in_proj
    channels = first.weight.shape[1] // 4
    part = torch.nn.Linear(channels, first.weight.shape[0])
    part.weight.copy_(first.weight[:, :channels])
    smooth_in_time(part)
    first.weight[:, :channels] = part.weight


def load(folder):
    pipe = ChromaPipeline.from_pretrained(folder, dtype=torch.float32)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def add_text(goldens, pipe, max_sequence_length):
    for name, prompt in PROMPTS.items():
        with Capture(pipe) as seen:
            embeds, _, mask, *_ = pipe.encode_prompt(
                prompt, do_classifier_free_guidance=False, max_sequence_length=max_sequence_length)
        goldens.add(
            f"text.{name}", {"prompt": prompt, "max_sequence_length": max_sequence_length},
            input_ids=seen.text["text_encoder"][0][0], prompt_embeds=embeds, text_mask=mask,
        )


def add_transformer(goldens, pipe, case, *, seed, height, width, text_tokens, own_tokens, timestep):
    """One call of the transformer on random inputs; sizes count tokens, `timestep` is a sigma, 0..1.

    Row i of the text has own_tokens[i] tokens that are not masked.
    """
    config, batch = pipe.transformer.config, len(timestep)
    draw = torch.Generator().manual_seed(seed)
    mask = torch.tensor([[float(i < own) for i in range(text_tokens)] for own in own_tokens])
    inputs = {
        "hidden_states": torch.randn(batch, height * width, config.in_channels, generator=draw),
        "encoder_hidden_states": torch.randn(batch, text_tokens, config.joint_attention_dim, generator=draw),
        "timestep": torch.tensor(timestep),
    }
    with Capture(pipe) as seen:
        output = pipe.transformer(
            **inputs,
            img_ids=ChromaPipeline._prepare_latent_image_ids(batch, height, width, "cpu", torch.float32),
            txt_ids=torch.zeros(text_tokens, 3), attention_mask=pipe._prepare_attention_mask(
                batch, height * width, torch.float32, mask)).sample
    call = {"height_tokens": height, "width_tokens": width, "text_tokens": text_tokens}
    goldens.add(f"transformer.{case}", call, **inputs, text_mask=mask, feature=seen.features[0],
                output=output)


def golden_tiny_hd(folder):
    pipe, goldens = load(folder), Goldens(checkpoint="tiny-hd")
    length = {"max_sequence_length": 40}
    size = {"height": 16, "width": 24, **length}  # 4 x 6 tokens
    add_text(goldens, pipe, **length)
    add_transformer(
        goldens, pipe, "start", seed=1, height=4, width=6, text_tokens=9, own_tokens=[5], timestep=[1.0])
    add_transformer(
        goldens, pipe, "batch", seed=2, height=5, width=3, text_tokens=7, own_tokens=[7, 2],
        timestep=[0.731, 0.052])
    plain = {"prompt": PROMPTS["plain"], "guidance_scale": 3.0, **size}
    add_picture(goldens, pipe, "8_steps", seed=42, num_inference_steps=8, **plain)
    add_picture(goldens, pipe, "50_steps", seed=42, num_inference_steps=50, decoded=False, **plain)
    add_picture(
        goldens, pipe, "no_guidance", seed=2**40 + 5, num_inference_steps=8, decoded=False,
        **{**plain, "prompt": PROMPTS["unicode"], "guidance_scale": 1.0})
    add_forecast_run(
        goldens, pipe, "w_half", seed=42, steps=20, w=0.5, negative_prompt="blurry, low quality", **plain)
    goldens.save(folder)


def golden_tiny_shift(folder):
    pipe, goldens = load(folder), Goldens(checkpoint="tiny-shift")
    length = {"max_sequence_length": 32}
    size = {"height": 40, "width": 24, **length}  # 5 x 3 tokens
    add_text(goldens, pipe, **length)
    add_transformer(
        goldens, pipe, "start", seed=5, height=3, width=7, text_tokens=8, own_tokens=[8], timestep=[1.0])
    add_transformer(
        goldens, pipe, "batch", seed=6, height=4, width=4, text_tokens=5, own_tokens=[1, 4],
        timestep=[0.25, 0.875])
    plain = {"prompt": PROMPTS["plain"], "guidance_scale": 5.0, "negative_prompt": "blurry, low quality",
             **size}
    add_picture(goldens, pipe, "8_steps", seed=0, num_inference_steps=8, **plain)
    add_picture(
        goldens, pipe, "no_guidance_50", seed=3, num_inference_steps=50, decoded=False,
        **{**plain, "negative_prompt": "", "guidance_scale": 0.0})
    add_forecast_run(goldens, pipe, "no_guidance", seed=5, steps=20, w=1.0, **{
        **plain, "negative_prompt": "", "guidance_scale": 1.0})
    goldens.save(folder)


def main():
    remake(
        HERE,
        tiny_hd=(make_tiny_hd, golden_tiny_hd),
        tiny_shift=(make_tiny_shift, golden_tiny_shift),
    )


if __name__ == "__main__":
    main()
