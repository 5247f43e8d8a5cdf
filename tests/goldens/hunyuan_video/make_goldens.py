"""Makes the HunyuanVideo reference data: two tiny random checkpoints, and what diffusers computes with them.

    python tests/goldens/hunyuan_video/make_goldens.py

The checkpoints differ in everything that a config.json may decide; goldens are computed in float32 from the
files as saved. goldens.json beside each goldens.safetensors says for every case which call gave it.
"""

import shutil
import sys
from functools import partial
from pathlib import Path

import torch
from diffusers import (
    AutoencoderKLHunyuanVideo, FlowMatchEulerDiscreteScheduler, HunyuanVideoPipeline,
    HunyuanVideoTransformer3DModel,
)
from diffusers.pipelines.hunyuan_video.pipeline_hunyuan_video import DEFAULT_PROMPT_TEMPLATE
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer, LlamaConfig, LlamaModel

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from _cases import add_forecast_run  # noqa: E402
from _reference import PROMPTS, Capture, Goldens, redraw, remake, run_whole, smooth_in_time  # noqa: E402
from _tokenizers import CORPUS, llama_tokenizer, write_clip_files  # noqa: E402

TEXTS = [DEFAULT_PROMPT_TEMPLATE["template"]] * 8 + CORPUS
# The tokens of the template before the prompt, which the pipeline crops.
CROP = DEFAULT_PROMPT_TEMPLATE["crop_start"]


def make_tiny_distilled(folder):
    """Like the published checkpoint: guidance embedding, 1x2x2 patches, LLaMA 3's tokenizer,
    shift 7; float16, sharded."""
    clip = write_clip_files(folder / "tokenizer_2", merge_count=60, model_max_length=77)
    tokenizer = llama_tokenizer(TEXTS, llama3=True, merge_count=40)
    assemble(
        folder,
        tokenizer=tokenizer,
        transformer=HunyuanVideoTransformer3DModel(
            in_channels=16, out_channels=16, num_attention_heads=2, attention_head_dim=10, num_layers=2,
            num_single_layers=2, num_refiner_layers=2, mlp_ratio=4.0, patch_size=2, patch_size_t=1,
            guidance_embeds=True, text_embed_dim=24, pooled_projection_dim=16, rope_theta=256.0,
            rope_axes_dim=(2, 4, 4),
        ),
        text_encoder=LlamaModel(LlamaConfig(
            vocab_size=len(tokenizer), hidden_size=24, intermediate_size=44, num_hidden_layers=4,
            num_attention_heads=4, num_key_value_heads=2, rms_norm_eps=1e-5, max_position_embeddings=8192,
            rope_parameters={"rope_type": "default", "rope_theta": 500000.0}, bos_token_id=None,
            eos_token_id=None,
        )),
        text_encoder_2=CLIPTextModel(CLIPTextConfig(
            vocab_size=len(clip), hidden_size=16, intermediate_size=40, projection_dim=16,
            num_hidden_layers=2,
            num_attention_heads=2, max_position_embeddings=77, hidden_act="quick_gelu",
            bos_token_id=0, pad_token_id=1, eos_token_id=2,
        )),
        vae=AutoencoderKLHunyuanVideo(
            latent_channels=16, block_out_channels=(4, 4, 8, 8), layers_per_block=1, norm_num_groups=2,
            down_block_types=("HunyuanVideoDownBlock3D",) * 4, up_block_types=("HunyuanVideoUpBlock3D",) * 4,
        ),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=7.0),
        dtype=torch.float16,
        max_shard_size="130KB",
    )
    # A name that transformers 5 no longer writes, and reads as a tokenizer of another kind.
    index = folder / "model_index.json"
    index.write_text(index.read_text().replace('"TokenizersBackend"', '"LlamaTokenizerFast"'))


def make_tiny_plain(folder):
    """Everything else: no guidance embedding, 2x1x1 patches, layer_norm, three VAE blocks
    without attention; bfloat16."""
    clip = write_clip_files(folder / "tokenizer_2", merge_count=40, model_max_length=40)
    tokenizer = llama_tokenizer(TEXTS, llama3=False, merge_count=330)
    assemble(
        folder,
        tokenizer=tokenizer,
        transformer=HunyuanVideoTransformer3DModel(
            in_channels=8, out_channels=8, num_attention_heads=3, attention_head_dim=8, num_layers=1,
            num_single_layers=3, num_refiner_layers=1, mlp_ratio=2.6, patch_size=1, patch_size_t=2,
            qk_norm="layer_norm",
            guidance_embeds=False, text_embed_dim=18, pooled_projection_dim=20, rope_theta=100.0,
            rope_axes_dim=(4, 2, 2),
        ),
        text_encoder=LlamaModel(LlamaConfig(
            vocab_size=len(tokenizer), hidden_size=18, intermediate_size=40, num_hidden_layers=3,
            num_attention_heads=3, num_key_value_heads=1, head_dim=10, rms_norm_eps=1e-6, attention_bias=True,
            mlp_bias=True, hidden_act="gelu", bos_token_id=None, eos_token_id=None,
            rope_parameters={
                "rope_type": "llama3", "rope_theta": 10000.0, "factor": 4.0, "low_freq_factor": 1.0,
                "high_freq_factor": 4.0, "original_max_position_embeddings": 48,
            },
        )),
        text_encoder_2=CLIPTextModel(CLIPTextConfig(
            vocab_size=len(clip), hidden_size=20, intermediate_size=48, projection_dim=12,
            num_hidden_layers=3,
            num_attention_heads=4, max_position_embeddings=77, hidden_act="gelu", layer_norm_eps=1e-4,
            bos_token_id=len(clip) - 2, pad_token_id=len(clip) - 1, eos_token_id=len(clip) - 1,
        )),
        vae=AutoencoderKLHunyuanVideo(
            latent_channels=8, block_out_channels=(3, 6, 9), layers_per_block=2, norm_num_groups=3,
            act_fn="gelu",
            down_block_types=("HunyuanVideoDownBlock3D",) * 3, up_block_types=("HunyuanVideoUpBlock3D",) * 3,
            scaling_factor=0.7, spatial_compression_ratio=4, mid_block_add_attention=False,
        ),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
        dtype=torch.bfloat16,
        max_shard_size="10GB",
    )


def assemble(folder, *, dtype, max_shard_size, tokenizer, **parts):
    """Redraws the weights of `parts` and saves the pipeline to `folder` as diffusers does."""
    for seed, name in enumerate(("transformer", "text_encoder", "text_encoder_2", "vae")):
        redraw(parts[name], seed)
    transformer = parts["transformer"]
    for embed in (transformer.time_text_embed, transformer.context_embedder.time_text_embed):
        smooth_in_time(embed.timestep_embedder.linear_1)
        if getattr(embed, "guidance_embedder", None) is not None:
            smooth_in_time(embed.guidance_embedder.linear_1)
    parts["vae"].decoder.conv_out.conv.weight.mul_(0.4)  # pictures mostly within -1..1
    clip_files = folder / "tokenizer_2"
    tokenizers = {"tokenizer": tokenizer, "tokenizer_2": CLIPTokenizer.from_pretrained(clip_files)}
    shutil.rmtree(clip_files)
    pipe = HunyuanVideoPipeline(**parts, **tokenizers).to(dtype)
    pipe.save_pretrained(folder, max_shard_size=max_shard_size)
    for path in folder.rglob("*.*"):
        path.chmod(0o644)


def load(folder, tokenizer):
    pipe = HunyuanVideoPipeline.from_pretrained(folder, tokenizer=tokenizer, dtype=torch.float32)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def add_text(goldens, pipe, prompts, max_sequence_length):
    for name, prompt in prompts.items():
        with Capture(pipe) as seen:
            embeds, pooled, mask = pipe.encode_prompt(prompt, max_sequence_length=max_sequence_length)
        (llama_ids, _), = seen.text["text_encoder"]
        (clip_ids, _), = seen.text["text_encoder_2"]
        valid = int(mask.sum())
        assert 0 < valid and mask[0, :valid].all(), f"{name}: {valid} tokens after the template"
        goldens.add(
            f"text.{name}", {"prompt": prompt, "max_sequence_length": max_sequence_length},
            llama_input_ids=llama_ids, clip_input_ids=clip_ids, embeds=embeds[:, :valid], pooled=pooled,
        )


def add_transformer(goldens, pipe, case, *, seed, batch, frames, height, width, text_tokens, valid, timestep,
                    guidance=None):
    """One call of the transformer on random inputs, sizes in latents; the text's tokens
    from `valid` on are masked."""
    config = pipe.transformer.config
    draw = torch.Generator().manual_seed(seed)
    inputs = {
        "hidden_states": torch.randn(batch, config.in_channels, frames, height, width, generator=draw),
        "encoder_hidden_states": torch.randn(batch, text_tokens, config.text_embed_dim, generator=draw),
        "pooled_projections": torch.randn(batch, config.pooled_projection_dim, generator=draw),
        "timestep": torch.tensor(timestep),
    }
    if config.guidance_embeds:
        inputs["guidance"] = torch.tensor(guidance)
    mask = (torch.arange(text_tokens) < valid).float().repeat(batch, 1)
    call = {**inputs, "encoder_attention_mask": mask}
    if guidance is not None:
        call["guidance"] = inputs["guidance"] * 1000.0  # as the pipeline does
    with Capture(pipe) as seen:
        output = pipe.transformer(**call).sample
    about = {"text_tokens": text_tokens, "valid_text_tokens": valid, "batch": batch}
    goldens.add(f"transformer.{case}", about, **inputs, feature=seen.features[0], output=output)


def add_vae(goldens, pipe, case, *, seed, frames, height, width, tiling=None):
    """Decodes random latents as they enter AutoencoderKLHunyuanVideo.decode; `frames` counts
    frames, the rest latents."""
    vae = pipe.vae
    shape = (1, vae.config.latent_channels, (frames - 1) // 4 + 1, height, width)
    latents = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    if tiling:
        vae.enable_tiling(**tiling)
    decoded = vae.decode(latents)[0]
    vae.use_tiling = False
    assert decoded.shape[2] == frames
    about = {"frames": frames, "height": height, "width": width, **({"tiling": tiling} if tiling else {})}
    goldens.add(f"vae.{case}", about, latents=latents, decoded=decoded)


def add_clip(goldens, pipe, case, *, seed, decoded=True, **call):
    """A whole HunyuanVideoPipeline call. `decoded` is the VAE's output [3, F, H, W]
    before it is clamped to -1..1."""
    seen, latents = run_whole(pipe, seed, **call)
    tensors = {"initial_latents": seen.denoiser_inputs[0]["hidden_states"], "latents": latents}
    if decoded:
        tensors["decoded"] = seen.decoded[0]
    goldens.add(f"clip.{case}", {"seed": seed, **call}, **tensors)


add_forecast_run = partial(add_forecast_run, guided_by="true_cfg_scale")


def golden_tiny_distilled(folder):
    pipe = load(folder, llama_tokenizer(TEXTS, llama3=True, merge_count=40))
    goldens = Goldens(checkpoint="tiny-distilled")
    length = {"max_sequence_length": 24}
    size = {"height": 16, "width": 32, "num_frames": 9, **length}  # 3 x 1 x 2 tokens
    add_text(goldens, pipe, PROMPTS, **length)
    add_transformer(
        goldens, pipe, "start", seed=1, batch=1, frames=3, height=4, width=6, text_tokens=9, valid=9,
        timestep=[1000.0], guidance=[6.0])
    add_transformer(
        goldens, pipe, "masked", seed=2, batch=1, frames=2, height=2, width=4, text_tokens=11, valid=4,
        timestep=[123.25], guidance=[1.0])
    add_transformer(
        goldens, pipe, "batch", seed=3, batch=2, frames=4, height=4, width=2, text_tokens=7, valid=6,
        timestep=[731.5, 52.0], guidance=[1.0, 7.25])
    for seed, frames in enumerate((1, 5, 9, 17, 29)):
        add_vae(goldens, pipe, f"{frames}_frames", seed=10 + seed, frames=frames, height=1,
                width=2 if frames < 20 else 1)
    plain = {"prompt": PROMPTS["plain"], "guidance_scale": 6.0, **size}
    negative = {"true_cfg_scale": 2.0, "negative_prompt": "blurry, low quality"}
    add_clip(goldens, pipe, "8_steps", seed=42, num_inference_steps=8, **plain)
    add_clip(goldens, pipe, "50_steps", seed=42, num_inference_steps=50, decoded=False, **plain)
    add_clip(
        goldens, pipe, "unicode_weak_guidance", seed=2**40 + 5, num_inference_steps=8, decoded=False,
        **{**plain, "prompt": PROMPTS["unicode"], "guidance_scale": 1.0, "num_frames": 1})
    add_clip(
        goldens, pipe, "true_cfg", seed=7, num_inference_steps=8, decoded=False, **negative, **plain)
    add_clip(
        goldens, pipe, "long", seed=8, num_inference_steps=4, **{**plain, "width": 16, "num_frames": 17})
    add_forecast_run(goldens, pipe, "w_half", seed=42, steps=20, w=0.5, **plain)
    add_forecast_run(goldens, pipe, "true_cfg", seed=42, steps=20, w=1.0, **negative, **plain)
    goldens.save(folder)


def golden_tiny_plain(folder):
    pipe = load(folder, llama_tokenizer(TEXTS, llama3=False, merge_count=330))
    goldens = Goldens(checkpoint="tiny-plain")
    length = {"max_sequence_length": 16}
    size = {"height": 16, "width": 16, "num_frames": 13, **length}  # 2 x 4 x 4 tokens
    add_text(goldens, pipe, PROMPTS, **length)
    add_transformer(
        goldens, pipe, "start", seed=4, batch=1, frames=4, height=3, width=2, text_tokens=8, valid=5,
        timestep=[1000.0])
    add_transformer(
        goldens, pipe, "batch", seed=5, batch=2, frames=2, height=2, width=3, text_tokens=5, valid=5,
        timestep=[250.0, 875.0])
    for seed, frames in enumerate((1, 5, 13, 25)):
        add_vae(goldens, pipe, f"{frames}_frames", seed=20 + seed, frames=frames, height=2, width=3)
    tile = {"tile_sample_min_height": 12, "tile_sample_min_width": 12,
            "tile_sample_stride_height": 8, "tile_sample_stride_width": 8}
    add_vae(goldens, pipe, "tiled", seed=30, frames=9, height=4, width=5, tiling=tile)
    add_vae(goldens, pipe, "tiled_long", seed=31, frames=21, height=5, width=3, tiling=tile)
    plain = {"prompt": PROMPTS["plain"], "guidance_scale": 0.0, **size}
    add_clip(goldens, pipe, "8_steps", seed=42, num_inference_steps=8, **plain)
    add_clip(goldens, pipe, "50_steps", seed=42, num_inference_steps=50, decoded=False, **plain)
    add_clip(
        goldens, pipe, "true_cfg", seed=43, num_inference_steps=8, decoded=False, true_cfg_scale=3.0,
        negative_prompt="", **{**plain, "prompt": PROMPTS["unicode"]})
    add_forecast_run(
        goldens, pipe, "true_cfg", seed=42, steps=20, w=0.5, true_cfg_scale=2.0,
        negative_prompt="blurry, low quality", **plain)
    goldens.save(folder)


def main():
    remake(
        HERE,
        tiny_distilled=(make_tiny_distilled, golden_tiny_distilled),
        tiny_plain=(make_tiny_plain, golden_tiny_plain),
    )


if __name__ == "__main__":
    main()
