"""Makes the Stable Diffusion 3 reference data: two tiny random checkpoints, and what
diffusers computes with them.

    python tests/goldens/sd3/make_goldens.py      # about 20 s

The checkpoints differ in everything that a config.json may decide; goldens are computed in float32 from the
files as saved. goldens.json beside each goldens.safetensors says for every case which call gave it.
"""

import sys
from functools import partial
from pathlib import Path

import torch
from diffusers import (
    AutoencoderKL, FlowMatchEulerDiscreteScheduler, SD3Transformer2DModel, StableDiffusion3Pipeline)
from transformers import (
    CLIPTextConfig, CLIPTextModelWithProjection, CLIPTokenizer, T5Config, T5EncoderModel, T5TokenizerFast,
)

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from _cases import SPECTRUM, add_picture  # noqa: E402
from _reference import PROMPTS, Capture, Goldens, redraw, remake, smooth_in_time  # noqa: E402
from _spectrum import add_spectrum  # noqa: E402
from _tokenizers import write_clip_files, write_t5_files  # noqa: E402


def make_tiny_large(folder):
    """Like SD3.5-Large: normed queries and keys, T5, 2x2 patches; float32, tokenizers as published."""
    vocab = write_clip_files(folder / "tokenizer", merge_count=60, model_max_length=77)
    write_clip_files(folder / "tokenizer_2", merge_count=60, model_max_length=77, pad_token="!")
    pieces = write_t5_files(folder / "tokenizer_3", vocab_size=120, model_max_length=512)
    assemble(
        folder,
        transformer=SD3Transformer2DModel(
            sample_size=8, patch_size=2, in_channels=16, num_layers=2, attention_head_dim=8,
            num_attention_heads=2,
            joint_attention_dim=24, caption_projection_dim=16, pooled_projection_dim=18, out_channels=16,
            pos_embed_max_size=9, dual_attention_layers=(), qk_norm="rms_norm",
        ),
        # eos_token_id 2 is the mark of configs before transformers 4.31: pool at the largest id.
        text_encoder=clip(vocab, hidden_size=8, projection_dim=8, hidden_act="quick_gelu", eos_token_id=2),
        text_encoder_2=clip(
            vocab, hidden_size=12, projection_dim=10, hidden_act="gelu", eos_token_id=len(vocab) - 1,
            num_hidden_layers=3,
        ),
        text_encoder_3=T5EncoderModel(T5Config(
            vocab_size=pieces + 100, d_model=24, d_kv=6, d_ff=36, num_layers=2, num_heads=3,
            feed_forward_proj="gated-gelu", tie_word_embeddings=False,
        )),
        vae=AutoencoderKL(
            block_out_channels=(4, 8), down_block_types=("DownEncoderBlock2D",) * 2,
            up_block_types=("UpDecoderBlock2D",) * 2, layers_per_block=1, latent_channels=16,
            norm_num_groups=2,
            scaling_factor=1.5305, shift_factor=0.0609, use_quant_conv=False, use_post_quant_conv=False,
        ),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
        dtype=torch.float32,
        published_layout=True,
    )


def make_tiny_medium(folder):
    """Like SD3 and SD3.5-Medium: dual attention, no norm of queries and keys, no T5; 1x1
    patches, float16, dynamic shift."""
    vocab = write_clip_files(folder / "tokenizer", merge_count=40, model_max_length=24)
    write_clip_files(folder / "tokenizer_2", merge_count=40, model_max_length=24, pad_token="!")
    assemble(
        folder,
        transformer=SD3Transformer2DModel(
            sample_size=6, patch_size=1, in_channels=4, num_layers=4, attention_head_dim=4,
            num_attention_heads=3,
            joint_attention_dim=32, caption_projection_dim=12, pooled_projection_dim=13, out_channels=None,
            pos_embed_max_size=10, dual_attention_layers=(0, 3), qk_norm=None,
        ),
        text_encoder=clip(
            vocab, hidden_size=12, projection_dim=6, hidden_act="gelu", eos_token_id=len(vocab) - 1,
            max_position_embeddings=24,
        ),
        text_encoder_2=clip(
            vocab, hidden_size=16, projection_dim=7, hidden_act="quick_gelu", eos_token_id=2,
            max_position_embeddings=24,
        ),
        text_encoder_3=None,
        vae=AutoencoderKL(
            block_out_channels=(4, 8, 12), down_block_types=("DownEncoderBlock2D",) * 3,
            up_block_types=("UpDecoderBlock2D",) * 3, layers_per_block=1, latent_channels=4,
            norm_num_groups=2,
            scaling_factor=0.9, shift_factor=-0.07, use_quant_conv=True, use_post_quant_conv=True,
            mid_block_add_attention=False,
        ),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True),
        dtype=torch.float16,
        published_layout=False,
    )


def clip(vocab, *, hidden_size, num_hidden_layers=2, max_position_embeddings=77, **config):
    return CLIPTextModelWithProjection(CLIPTextConfig(
        vocab_size=len(vocab), hidden_size=hidden_size, intermediate_size=2 * hidden_size,
        num_hidden_layers=num_hidden_layers, num_attention_heads=2,
        max_position_embeddings=max_position_embeddings,
        bos_token_id=0, pad_token_id=1, **config,
    ))


def assemble(folder, *, dtype, published_layout, **parts):
    """Redraws the weights of `parts` and saves the pipeline to `folder` as diffusers does."""
    for seed, name in enumerate(("transformer", "text_encoder", "text_encoder_2", "text_encoder_3", "vae")):
        if parts[name] is not None:
            redraw(parts[name], seed)
    smooth_in_time(parts["transformer"].time_text_embed.timestep_embedder.linear_1)
    parts["vae"].decoder.conv_out.weight.mul_(0.4)  # pictures mostly within -1..1
    tokenizers = {
        "tokenizer": CLIPTokenizer.from_pretrained(folder / "tokenizer"),
        "tokenizer_2": CLIPTokenizer.from_pretrained(folder / "tokenizer_2"),
        "tokenizer_3": parts["text_encoder_3"] and T5TokenizerFast.from_pretrained(folder / "tokenizer_3"),
    }
    sources = {path: path.read_bytes() for path in folder.glob("tokenizer*/*")}
    for path in sources:
        path.unlink()
    StableDiffusion3Pipeline(**parts, **tokenizers).to(dtype).save_pretrained(folder)
    if published_layout:
        restore_published_layout(folder, sources)
    for path in folder.rglob("*.*"):
        path.chmod(0o644)


def restore_published_layout(folder, tokenizer_files):
    """Tokenizers in the files that published checkpoints have, which transformers 5
    replaces with tokenizer.json."""
    for path, content in tokenizer_files.items():
        (path.parent / "tokenizer.json").unlink(missing_ok=True)
        path.write_bytes(content)
    index = folder / "model_index.json"
    index.write_text(index.read_text().replace('"T5Tokenizer"', '"T5TokenizerFast"'))


def make_qk_norms(folder):
    """Transformers of the two norms of queries and keys that no published checkpoint has;
    the second has no weights."""
    for kind in ("layer_norm", "fp32_layer_norm"):
        model = SD3Transformer2DModel(
            sample_size=4, patch_size=2, in_channels=2, num_layers=2, attention_head_dim=4,
            num_attention_heads=2,
            joint_attention_dim=6, caption_projection_dim=8, pooled_projection_dim=5, out_channels=3,
            pos_embed_max_size=5, dual_attention_layers=(0,), qk_norm=kind,
        )
        redraw(model, 20)
        smooth_in_time(model.time_text_embed.timestep_embedder.linear_1)
        model.save_pretrained(folder / kind)
        (folder / kind / "diffusion_pytorch_model.safetensors").chmod(0o644)


def load(folder):
    # from_pretrained wants to be told of a T5 that model_index.json says is not there.
    absent = {} if (folder / "text_encoder_3").exists() else {"text_encoder_3": None, "tokenizer_3": None}
    pipe = StableDiffusion3Pipeline.from_pretrained(folder, dtype=torch.float32, **absent)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def add_text(goldens, pipe, max_sequence_length):
    for name, prompt in PROMPTS.items():
        with Capture(pipe) as seen:
            embeds, _, pooled, _ = pipe.encode_prompt(
                prompt, None, None, do_classifier_free_guidance=False,
                max_sequence_length=max_sequence_length)
        ids = {f"{encoder}_input_ids": calls[0][0] for encoder, calls in seen.text.items()}
        goldens.add(
            f"text.{name}", {"prompt": prompt, "max_sequence_length": max_sequence_length},
            **ids, prompt_embeds=embeds, pooled_prompt_embeds=pooled,
        )


def add_transformer(goldens, model, case, *, seed, height, width, text_tokens, timestep, skip_layers=None):
    """One call of the transformer on random inputs; `height` and `width` count latent
    pixels, `timestep` is 0..1000."""
    config, batch = model.config, len(timestep)
    draw = torch.Generator().manual_seed(seed)
    inputs = {
        "hidden_states": torch.randn(batch, config.in_channels, height, width, generator=draw),
        "encoder_hidden_states": torch.randn(batch, text_tokens, config.joint_attention_dim, generator=draw),
        "pooled_projections": torch.randn(batch, config.pooled_projection_dim, generator=draw),
        "timestep": torch.tensor(timestep),
    }
    features = []
    hook = model.norm_out.register_forward_pre_hook(lambda _, args: features.append(args[0]))
    output = model(**inputs, skip_layers=skip_layers).sample
    hook.remove()
    call = {"height": height, "width": width, "text_tokens": text_tokens, "skip_layers": skip_layers or []}
    goldens.add(f"transformer.{case}", call, **inputs, feature=features[0], output=output)


# Under guidance the denoiser's rows are the branches.
add_picture = partial(add_picture, initial=lambda seen: seen.denoiser_inputs[0]["hidden_states"][:1])


def add_forecast_run(goldens, pipe, case, *, w, **call):
    """With guidance: rows of one network call, the negative prompt's first."""
    add_spectrum(goldens, pipe, case, branches=2, options={"w": w, **SPECTRUM}, **call)


def golden_tiny_large(folder):
    pipe, goldens = load(folder), Goldens(checkpoint="tiny-large")
    length = {"max_sequence_length": 30}
    size = {"height": 16, "width": 24, **length}  # 4 x 6 tokens
    add_text(goldens, pipe, **length)
    add_transformer(goldens, pipe.transformer, "start", seed=1, height=8, width=12, text_tokens=9,
                    timestep=[1000.0])
    add_transformer(goldens, pipe.transformer, "batch", seed=2, height=18, width=6, text_tokens=7,
                    timestep=[731.25, 52.0])
    add_transformer(
        goldens, pipe.transformer, "skip", seed=3, height=6, width=4, text_tokens=5, timestep=[400.0],
        skip_layers=[0])
    plain = {"prompt": PROMPTS["plain"], "guidance_scale": 7.0, **size}
    add_picture(goldens, pipe, "8_steps", seed=42, num_inference_steps=8, **plain)
    add_picture(goldens, pipe, "50_steps", seed=42, num_inference_steps=50, decoded=False, **plain)
    add_picture(
        goldens, pipe, "no_guidance", seed=2**40 + 5, num_inference_steps=8, decoded=False,
        **{**plain, "prompt": PROMPTS["unicode"], "guidance_scale": 1.0})
    add_forecast_run(
        goldens, pipe, "w_half", seed=42, steps=20, w=0.5, negative_prompt="blurry, low quality", **plain)
    goldens.save(folder)


def golden_tiny_medium(folder):
    pipe, goldens = load(folder), Goldens(checkpoint="tiny-medium")
    length = {"max_sequence_length": 16}
    size = {"height": 40, "width": 24, **length}  # 10 x 6 tokens
    add_text(goldens, pipe, **length)
    add_transformer(goldens, pipe.transformer, "start", seed=4, height=3, width=7, text_tokens=8,
                    timestep=[1000.0])
    add_transformer(
        goldens, pipe.transformer, "batch", seed=5, height=10, width=5, text_tokens=5,
        timestep=[250.0, 875.5])
    add_transformer(
        goldens, pipe.transformer, "skip", seed=6, height=4, width=4, text_tokens=5, timestep=[400.0],
        skip_layers=[3])
    plain = {"prompt": PROMPTS["plain"], "guidance_scale": 4.5, "negative_prompt": "blurry, low quality",
             **size}
    add_picture(goldens, pipe, "8_steps", seed=0, num_inference_steps=8, **plain)
    add_picture(goldens, pipe, "50_steps", seed=42, num_inference_steps=50, decoded=False, **plain)
    add_picture(
        goldens, pipe, "skip_layers", seed=43, num_inference_steps=20, decoded=False,
        skip_guidance_layers=[1, 2],
        skip_layer_guidance_scale=1.7, skip_layer_guidance_start=0.1, skip_layer_guidance_stop=0.5,
        **{**plain, "prompt": PROMPTS["unicode"], "negative_prompt": ""})
    add_forecast_run(goldens, pipe, "w_one", seed=42, steps=20, w=1.0, **plain)
    goldens.save(folder)


def golden_qk_norms(folder):
    goldens = Goldens()
    for kind in ("layer_norm", "fp32_layer_norm"):
        model = SD3Transformer2DModel.from_pretrained(folder / kind).eval()
        add_transformer(goldens, model, kind, seed=7, height=4, width=6, text_tokens=3,
                        timestep=[900.0, 10.0])
    goldens.save(folder)


def main():
    remake(
        HERE,
        tiny_large=(make_tiny_large, golden_tiny_large),
        tiny_medium=(make_tiny_medium, golden_tiny_medium),
        qk_norms=(make_qk_norms, golden_qk_norms),
    )


if __name__ == "__main__":
    main()
