"""Makes the Wan reference data: two tiny random checkpoints, and what diffusers computes with them.

    python tests/goldens/wan/make_goldens.py      # about 40 s; takes ftfy, as diffusers' prompt_clean does

The checkpoints differ in everything that a config.json may decide; goldens are computed in float32 from the
files as saved. goldens.json beside each goldens.safetensors says for every case which call gave it.
"""

import json
import sys
from functools import partial
from pathlib import Path

import torch
from diffusers import (
    AutoencoderKLWan, FlowMatchEulerDiscreteScheduler, UniPCMultistepScheduler, WanPipeline,
    WanTransformer3DModel,
)
from diffusers.pipelines.wan.pipeline_wan import prompt_clean
from transformers import T5TokenizerFast, UMT5Config, UMT5EncoderModel

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from _cases import add_forecast_run, add_picture  # noqa: E402
from _reference import PROMPTS, Capture, Goldens, redraw, remake, smooth_in_time  # noqa: E402
from _tokenizers import write_t5_files  # noqa: E402

# What prompt_clean changes, and what it leaves alone.
PROMPTS_TO_CLEAN = [
    *PROMPTS.values(),
    "  a  cat\n\n sits\ton\u3000a mat  ",
    "Tom &amp;amp; Jerry &lt;b&gt; &quot;x&quot; &eacute;&#233;&#xe9; &notit; &copy 2024 &nbsp; &#0; &#x80; "
    "&bogus; &#1114112;",
    "a &lt;b> &amp;amp;amp; sign",
    "<p>stays &amp; is unescaped</p>",
    "色调艳丽，过曝，静态，细节模糊不清，字幕，风格，作品，画作，画面，静止，整体发灰，最差质量",
    "Ｗｉｄｅ　ｔｅｘｔ！（１２３）～ ﾊﾝｶｸ ﾊﾟ ￥￦",
    "‘single’ “double” „low” ‚low’ ‛rev‛ ‟rev‟ ″prime″ «guillemets»",
    "ﬀ ﬁ ﬂ ﬃ ﬄ ﬅ ﬆ Ĳ ĳ ŉ Ǆ ǅ ǆ Ǉ ǈ ǉ Ǌ ǋ ǌ Ǳ ǲ ǳ",
    "cafe\u0301 A\u030a \u1100\u1161 Å \u212b Ω",
    "line\r\nbreak\rand\u2028more\u2029of\u0085them",
    "con\u0000trol\u0008s \u001b[36;44mred\u001b[0m \ufeffbom \u206aswap\u206f \ufffc",
    "zero\u200bwidth soft\u00adhyphen nbsp\u00a0here thin\u2009space",
    "emoji 👩‍👩‍👧 🇩🇪 ❤️ flag",
    "plain ASCII text, nothing to do.",
    "ÀÉÎõü ß straße naïve — em–dash…",
    "",
    " \t ",
]


def make_tiny_unipc(folder):
    """Like Wan2.1: 2x2 patches, normed cross attention, gated UMT5, UniPC on a flow; three
    types, tokenizer as published."""
    pieces = write_t5_files(folder / "tokenizer", vocab_size=120, model_max_length=512)
    assemble(
        folder,
        transformer=WanTransformer3DModel(
            patch_size=(1, 2, 2), num_attention_heads=2, attention_head_dim=12, in_channels=16,
            out_channels=16,
            text_dim=20, freq_dim=32, ffn_dim=40, num_layers=2, cross_attn_norm=True, eps=1e-6,
        ),
        text_encoder=UMT5EncoderModel(UMT5Config(
            vocab_size=pieces + 100, d_model=20, d_kv=6, d_ff=28, num_layers=2, num_heads=3,
            feed_forward_proj="gated-gelu",
        )),
        # Fewer than four channels to norm would magnify rounding.
        vae=AutoencoderKLWan(base_dim=2, decoder_base_dim=4, z_dim=16, dim_mult=[1, 2, 2, 2],
                             num_res_blocks=1),
        scheduler=UniPCMultistepScheduler(
            prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0, num_train_timesteps=1000,
        ),
        dtype={"transformer": torch.float32, "text_encoder": torch.bfloat16, "vae": torch.float16},
        published_layout=True,
    )


def make_tiny_euler(folder):
    """What no published checkpoint has: other patches, no norm before cross attention,
    another VAE; bfloat16, Euler."""
    pieces = write_t5_files(folder / "tokenizer", vocab_size=110, model_max_length=64)
    assemble(
        folder,
        transformer=WanTransformer3DModel(
            patch_size=(1, 1, 2), num_attention_heads=3, attention_head_dim=8, in_channels=4,
            out_channels=None,
            text_dim=18, freq_dim=24, ffn_dim=36, num_layers=3, cross_attn_norm=False, eps=1e-5,
            rope_max_seq_len=12,
        ),
        text_encoder=UMT5EncoderModel(UMT5Config(
            vocab_size=pieces + 100, d_model=18, d_kv=5, d_ff=24, num_layers=3, num_heads=2,
            feed_forward_proj="relu", relative_attention_num_buckets=16, relative_attention_max_distance=20,
            layer_norm_epsilon=1e-5,
        )),
        vae=AutoencoderKLWan(
            base_dim=4, z_dim=4, dim_mult=[1, 2, 2], num_res_blocks=2, attn_scales=[0.5],
            temperal_downsample=[True, False], scale_factor_temporal=2, scale_factor_spatial=4,
            latents_mean=[0.1, -0.2, 0.3, 0.05], latents_std=[1.2, 0.8, 2.1, 0.6],
        ),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=5.0),
        dtype=dict.fromkeys(("transformer", "text_encoder", "vae"), torch.bfloat16),
        published_layout=False,
    )


def assemble(folder, *, dtype, published_layout, **parts):
    """Redraws the weights of `parts` and saves the pipeline to `folder` as diffusers does."""
    for seed, name in enumerate(("transformer", "text_encoder", "vae")):
        redraw(parts[name], 40 + seed)
    smooth_in_time(parts["transformer"].condition_embedder.time_embedder.linear_1)
    parts["vae"].decoder.conv_out.weight.mul_(0.8)  # frames mostly within -1..1
    tokenizer = T5TokenizerFast.from_pretrained(folder / "tokenizer")
    sources = {path: path.read_bytes() for path in folder.glob("tokenizer/*")}
    for path in sources:
        path.unlink()
    for name, kind in dtype.items():
        parts[name].to(kind)
    WanPipeline(**parts, tokenizer=tokenizer).save_pretrained(folder)
    if published_layout:
        for path, content in sources.items():
            (path.parent / "tokenizer.json").unlink(missing_ok=True)
            path.write_bytes(content)
        index = folder / "model_index.json"
        index.write_text(index.read_text().replace('"T5Tokenizer"', '"T5TokenizerFast"'))
    for path in folder.rglob("*.*"):
        path.chmod(0o644)


def load(folder):
    pipe = WanPipeline.from_pretrained(folder, dtype=torch.float32)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def add_text(goldens, pipe, max_sequence_length):
    for name, prompt in PROMPTS.items():
        with Capture(pipe) as seen:
            embeds, _ = pipe.encode_prompt(
                prompt, do_classifier_free_guidance=False, max_sequence_length=max_sequence_length)
        goldens.add(
            f"text.{name}", {"prompt": prompt, "max_sequence_length": max_sequence_length},
            input_ids=seen.text["text_encoder"][0][0], prompt_embeds=embeds,
        )


def add_transformer(goldens, model, case, *, seed, frames, height, width, text_tokens, timestep):
    """One call of the transformer on random inputs; sizes count latent pixels, `timestep` is 0..1000."""
    config, batch = model.config, len(timestep)
    draw = torch.Generator().manual_seed(seed)
    inputs = {
        "hidden_states": torch.randn(batch, config.in_channels, frames, height, width, generator=draw),
        "encoder_hidden_states": torch.randn(batch, text_tokens, config.text_dim, generator=draw),
        "timestep": torch.tensor(timestep),
    }
    features = []
    hook = model.norm_out.register_forward_pre_hook(lambda _, args: features.append(args[0]))
    output = model(**inputs).sample
    hook.remove()
    call = {"frames": frames, "height": height, "width": width, "text_tokens": text_tokens}
    goldens.add(f"transformer.{case}", call, **inputs, feature=features[0], output=output)


def add_vae(goldens, pipe, case, *, seed, frames, height, width):
    """Decodes a video from the denoiser's latents, as WanPipeline scales them, before
    they are clamped to -1..1.

    Shorter videos are not stored: a causal decoder's frames do not depend on what
    follows, which is asserted here.
    """
    vae = pipe.vae
    steps = (frames - 1) // pipe.vae_scale_factor_temporal + 1
    latents = torch.randn(1, vae.config.z_dim, steps, height, width,
                          generator=torch.Generator().manual_seed(seed))
    decoded = decode(pipe, latents)
    assert decoded.shape[2] == frames, decoded.shape
    for shorter in (n for n in (1, 5, 9) if n < frames):
        part = decode(pipe, latents[:, :, : (shorter - 1) // pipe.vae_scale_factor_temporal + 1])
        assert torch.allclose(part, decoded[:, :, :shorter], rtol=0, atol=2e-5), shorter
    goldens.add(f"vae.{case}", {"frames": frames, "height": height, "width": width}, latents=latents[0],
                decoded=decoded[0])


def add_tiled(goldens, pipe, case, *, seed, frames, height, width, side, stride):
    """As add_vae, after enable_tiling() with tiles of `side` pixels, `stride` apart."""
    size = {f"tile_sample_{part}_{axis}": value for part, value in (("min", side), ("stride", stride))
            for axis in ("height", "width")}
    steps = (frames - 1) // pipe.vae_scale_factor_temporal + 1
    channels = pipe.vae.config.z_dim
    latents = torch.randn(1, channels, steps, height, width, generator=torch.Generator().manual_seed(seed))
    pipe.vae.enable_tiling(**size)
    decoded = decode(pipe, latents)
    pipe.vae.disable_tiling()
    call = {"frames": frames, "height": height, "width": width, "side": side, "stride": stride}
    goldens.add(f"vae.{case}", call, latents=latents[0], decoded=decoded[0])


def decode(pipe, latents):
    config = pipe.vae.config
    column = lambda values: torch.tensor(values).view(1, -1, 1, 1, 1)
    scaled = latents / (1.0 / column(config.latents_std)) + column(config.latents_mean)
    clamp, torch.clamp = torch.clamp, lambda x, **_: x
    try:
        return pipe.vae.decode(scaled, return_dict=False)[0]
    finally:
        torch.clamp = clamp


add_picture = partial(add_picture, decode=lambda pipe, latents, call: decode(pipe, latents)[0])


def golden_tiny_unipc(folder):
    pipe, goldens = load(folder), Goldens(checkpoint="tiny-unipc")
    length = {"max_sequence_length": 24}
    size = {"height": 16, "width": 32, "num_frames": 9, **length}  # 3 x 1 x 2 tokens
    add_text(goldens, pipe, **length)
    add_transformer(
        goldens, pipe.transformer, "start", seed=1, frames=3, height=4, width=6, text_tokens=9,
        timestep=[1000.0])
    add_transformer(
        goldens, pipe.transformer, "batch", seed=2, frames=2, height=6, width=2, text_tokens=7,
        timestep=[731.25, 52.0])
    add_vae(goldens, pipe, "clip", seed=3, frames=17, height=1, width=3)
    plain = {"prompt": PROMPTS["plain"], "guidance_scale": 5.0, **size}
    add_picture(goldens, pipe, "8_steps", seed=42, num_inference_steps=8, **plain)
    add_picture(goldens, pipe, "50_steps", seed=42, num_inference_steps=50, decoded=False, **plain)
    add_picture(
        goldens, pipe, "no_guidance", seed=2**40 + 5, num_inference_steps=8, decoded=False,
        **{**plain, "prompt": PROMPTS["unicode"], "guidance_scale": 1.0, "num_frames": 1})
    add_picture(
        goldens, pipe, "no_guidance_50", seed=7, num_inference_steps=50, decoded=False,
        **{**plain, "guidance_scale": 1.0, "num_frames": 5})
    add_forecast_run(
        goldens, pipe, "w_half", seed=42, steps=20, w=0.5, negative_prompt="blurry, low quality", **plain)
    goldens.save(folder)


def golden_tiny_euler(folder):
    pipe, goldens = load(folder), Goldens(checkpoint="tiny-euler")
    length = {"max_sequence_length": 14}
    size = {"height": 32, "width": 16, "num_frames": 5, **length}  # 3 x 8 x 2 tokens
    add_text(goldens, pipe, **length)
    add_transformer(
        goldens, pipe.transformer, "start", seed=4, frames=2, height=3, width=4, text_tokens=6,
        timestep=[1000.0])
    add_transformer(
        goldens, pipe.transformer, "batch", seed=5, frames=4, height=2, width=6, text_tokens=5,
        timestep=[250.0, 875.5])
    add_vae(goldens, pipe, "clip", seed=6, frames=17, height=3, width=5)
    add_tiled(goldens, pipe, "tiled", seed=7, frames=5, height=6, width=7, side=16, stride=8)
    plain = {"prompt": PROMPTS["plain"], "guidance_scale": 3.5, "negative_prompt": "blurry, low quality",
             **size}
    add_picture(goldens, pipe, "8_steps", seed=0, num_inference_steps=8, **plain)
    add_picture(goldens, pipe, "50_steps", seed=42, num_inference_steps=50, decoded=False, **plain)
    add_picture(
        goldens, pipe, "no_guidance", seed=3, num_inference_steps=8, decoded=False,
        **{**plain, "prompt": PROMPTS["unicode"], "negative_prompt": "", "guidance_scale": 1.0,
           "num_frames": 3})
    add_forecast_run(goldens, pipe, "w_one", seed=42, steps=20, w=1.0, **plain)
    add_forecast_run(goldens, pipe, "no_guidance", seed=5, steps=16, w=0.7,
                     **{**plain, "negative_prompt": "", "guidance_scale": 1.0})
    goldens.save(folder)


def main():
    cleaned = [[prompt, prompt_clean(prompt)] for prompt in PROMPTS_TO_CLEAN]
    (HERE / "prompt_clean.json").write_text(json.dumps(cleaned, ensure_ascii=False, indent=1) + "\n")
    remake(
        HERE,
        tiny_unipc=(make_tiny_unipc, golden_tiny_unipc),
        tiny_euler=(make_tiny_euler, golden_tiny_euler),
    )


if __name__ == "__main__":
    main()
