"""Makes the Qwen-Image-2.1 reference data: two tiny random checkpoints, and what
diffusers computes with them.

    python tests/goldens/qwen_image21/make_goldens.py      # about 30 s

The checkpoints differ in everything that a config.json may decide; goldens are computed in float32 from the
files as saved. goldens.json beside each goldens.safetensors says for every case which call gave it.

transformers' Qwen3VLProcessor needs torchvision for pictures and videos: a class here stands for it, with
transformers' own image processor for Pillow.
"""

import json
import sys
from functools import partial
from pathlib import Path

import numpy
import torch
from diffusers import (
    AutoencoderKLQwenImage21, FlowMatchEulerDiscreteScheduler, QwenImage21Pipeline,
    QwenImage21Transformer2DModel,
)
from transformers import AutoTokenizer, BatchFeature, Qwen3VLConfig, Qwen3VLForConditionalGeneration
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from _cases import (  # noqa: E402
    add_frame_vae, by_channel, without_clamp)
from _cases import add_forecast_run as add_forecast_case  # noqa: E402
from _cases import add_picture as add_picture_case  # noqa: E402
from _reference import PROMPTS, Capture, Goldens, redraw, remake, smooth_in_time  # noqa: E402
from _tokenizers import CORPUS, qwen_tokenizer, restore_qwen_files  # noqa: E402

SIGMAS = [1.0, 0.93, 0.85, 0.74, 0.6, 0.45, 0.28, 0.1]
CLASSES = {
    "scheduler": ("diffusers", "FlowMatchEulerDiscreteScheduler"),
    "vae": ("diffusers", "AutoencoderKLQwenImage21"),
    "text_encoder": ("transformers", "Qwen3VLForConditionalGeneration"),
    "processor": ("transformers", "Qwen3VLProcessor"),
    "transformer": ("diffusers", "QwenImage21Transformer2DModel"),
}


class Processor:
    """The part of Qwen3VLProcessor that the pipeline uses."""

    def __init__(self, tokenizer, image_processor=None):
        self.tokenizer, self.image_processor = tokenizer, image_processor

    def apply_chat_template(self, messages, tokenize, return_dict):
        (message,) = messages
        text = f"<|im_start|>{message['role']}\n{message['content'][0]['text']}<|im_end|>\n"
        return [self.tokenizer(text)["input_ids"]]

    def __call__(self, text, images=None, **options):
        if images is None:
            return self.tokenizer(text, **options)
        seen = self.image_processor(images, return_tensors="pt")
        (text,) = text
        parts = text.split("<|image_pad|>")
        tokens = [int(grid.prod()) // self.image_processor.merge_size**2 for grid in seen["image_grid_thw"]]
        assert len(parts) == len(tokens) + 1
        whole = parts[0] + "".join("<|image_pad|>" * n + part for n, part in zip(tokens, parts[1:]))
        inputs = self.tokenizer([whole], **options)
        kinds = (inputs["input_ids"] == self.tokenizer.convert_tokens_to_ids("<|image_pad|>")).int()
        return BatchFeature({**inputs, **seen, "mm_token_type_ids": kinds})


def make_tiny_21(folder):
    """Like Qwen-Image-2.1: sigmas of its own, text modulated from t = 0, an autoencoder with
    shortcuts; old tokenizer files."""
    tokenizer = qwen_tokenizer(CORPUS, merge_count=60)
    assemble(
        folder,
        tokenizer=tokenizer,
        transformer=QwenImage21Transformer2DModel(
            in_channels=8, out_channels=8, num_layers=2, attention_head_dim=10, num_attention_heads=2,
            context_in_dim=16,
            mlp_ratio=2, axes_dims_rope=(2, 4, 4),
        ),
        text_encoder=text_encoder(tokenizer, num_attention_heads=6, num_key_value_heads=2, head_dim=8),
        vae=AutoencoderKLQwenImage21(
            base_dim=2, decoder_base_dim=6, z_dim=8, dim_mult=[1, 2, 2], num_res_blocks=1,
            temperal_downsample=[False, True],
            scale_factor_temporal=2, scale_factor_spatial=4,
            latents_mean=[0.1, -0.2, 0.3, 0.05, 0.0, -0.1, 0.2, 0.4],
            latents_std=[1.2, 0.8, 2.1, 0.6, 1.0, 0.7, 1.1, 0.9],
        ),
        scheduler=FlowMatchEulerDiscreteScheduler(
            base_image_seq_len=256, base_shift=0.5, max_image_seq_len=8192, max_shift=0.9,
            shift_terminal=0.02,
            use_dynamic_shifting=True,
        ),
        sample_sigmas=SIGMAS,
        published_layout=True,
    )
    Qwen2VLImageProcessorPil(
        patch_size=4, size={"shortest_edge": 64, "longest_edge": 6400},
        image_mean=[0.5, 0.5, 0.5], image_std=[0.5, 0.5, 0.5],
    ).save_pretrained(folder / "processor")
    (folder / "processor" / "preprocessor_config.json").chmod(0o644)


def make_tiny_plain(folder):
    """What no published checkpoint has: text modulated as the image, three colours, no
    shortcuts; tokenizer.json."""
    tokenizer = qwen_tokenizer(CORPUS, merge_count=30)
    assemble(
        folder,
        tokenizer=tokenizer,
        transformer=QwenImage21Transformer2DModel(
            in_channels=4, out_channels=None, num_layers=3, attention_head_dim=8, num_attention_heads=3,
            context_in_dim=16,
            mlp_ratio=3, axes_dims_rope=(4, 2, 2), eps=1e-5, causal_condition=False,
        ),
        text_encoder=text_encoder(tokenizer, num_attention_heads=2, num_key_value_heads=1, head_dim=8),
        vae=AutoencoderKLQwenImage21(
            base_dim=8, decoder_base_dim=None, z_dim=4, dim_mult=[1, 1], num_res_blocks=1,
            temperal_downsample=[True],
            scale_factor_temporal=2, scale_factor_spatial=2, is_residual=False, in_channels=3, out_channels=3,
            latents_mean=[0.1, -0.2, 0.3, 0.05], latents_std=[1.2, 0.8, 2.1, 0.6],
        ),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
        sample_sigmas=None,
        published_layout=False,
    )


def text_encoder(tokenizer, **heads):
    """Qwen3-VL with a vision tower as small as it gets; text alone never meets it."""
    return Qwen3VLForConditionalGeneration(Qwen3VLConfig(
        text_config={
            "vocab_size": len(tokenizer), "hidden_size": 16, "intermediate_size": 28, "num_hidden_layers": 2,
            **heads,
            "rope_parameters": {
                "rope_type": "default", "rope_theta": 5000.0, "mrope_section": [2, 1, 1],
                "mrope_interleaved": True,
            },
        },
        vision_config={
            "depth": 1, "hidden_size": 8, "intermediate_size": 8, "num_heads": 2, "out_hidden_size": 16,
            "deepstack_visual_indexes": [0], "num_position_embeddings": 16, "patch_size": 4,
        },
        image_token_id=tokenizer.convert_tokens_to_ids("<|image_pad|>"),
    ))


def assemble(folder, *, published_layout, tokenizer, sample_sigmas, scheduler, **parts):
    """Redraws the weights of `parts` and saves them in bfloat16 as a pipeline's save_pretrained does."""
    for seed, name in enumerate(("transformer", "text_encoder", "vae")):
        redraw(parts[name], 90 + seed)
    smooth_in_time(parts["transformer"].time_text_embed.timestep_embedder.linear_1)
    parts["transformer"].txt_in.text_norm.weight.sub_(1)
    parts["vae"].decoder.conv_out.weight.mul_(0.8)  # pictures mostly within -1..1
    for name, model in parts.items():
        model.to(torch.bfloat16).save_pretrained(folder / name)
    scheduler.save_pretrained(folder / "scheduler")
    tokenizer.save_pretrained(folder / "processor")
    if published_layout:
        restore_qwen_files(folder / "processor")
    (folder / "text_encoder" / "generation_config.json").unlink(missing_ok=True)
    index = {"_class_name": "QwenImage21Pipeline", "_diffusers_version": "0.42.1", **CLASSES,
             "sample_sigmas": sample_sigmas}
    (folder / "model_index.json").write_text(json.dumps(index, indent=2) + "\n")
    for path in folder.rglob("*.*"):
        path.chmod(0o644)


def load(folder):
    float32 = {"dtype": torch.float32}
    processor = [AutoTokenizer.from_pretrained(folder / "processor")]
    if (folder / "processor" / "preprocessor_config.json").exists():
        processor.append(Qwen2VLImageProcessorPil.from_pretrained(folder / "processor"))
    pipe = QwenImage21Pipeline(
        scheduler=FlowMatchEulerDiscreteScheduler.from_pretrained(folder / "scheduler"),
        vae=AutoencoderKLQwenImage21.from_pretrained(folder / "vae", torch_dtype=torch.float32),
        text_encoder=Qwen3VLForConditionalGeneration.from_pretrained(
            folder / "text_encoder", **float32).eval(),
        processor=Processor(*processor),
        transformer=QwenImage21Transformer2DModel.from_pretrained(folder / "transformer",
            torch_dtype=torch.float32),
        sample_sigmas=json.loads((folder / "model_index.json").read_text())["sample_sigmas"],
    )
    # The pipeline has the published autoencoder's factor built in.
    pipe.vae_scale_factor = pipe.vae.config.scale_factor_spatial
    pipe.set_progress_bar_config(disable=True)
    return pipe


def add_text(goldens, pipe):
    for name, prompt in PROMPTS.items():
        embeds, mask, _ = pipe.encode_prompt(prompt)
        assert mask is None
        goldens.add(f"text.{name}", {"prompt": prompt}, prompt_embeds=embeds)


def add_transformer(goldens, pipe, case, *, seed, height, width, text_tokens, timestep):
    """One call of the transformer on random inputs; sizes count tokens, `timestep` is a sigma, 0..1.

    The feature is that of the image's tokens, which come behind the text's.
    """
    config, batch = pipe.transformer.config, len(timestep)
    draw = torch.Generator().manual_seed(seed)
    tokens = height * width
    inputs = {
        "hidden_states": torch.randn(batch, tokens, config.in_channels, generator=draw),
        "encoder_hidden_states": torch.randn(batch, text_tokens, config.context_in_dim, generator=draw),
        "timestep": torch.tensor(timestep),
    }
    mask = torch.cat([torch.zeros(batch, text_tokens), torch.ones(batch, tokens // 4)], dim=1).bool()
    with Capture(pipe) as seen:
        output = pipe.transformer(**inputs, img_shapes=[[(1, height, width)]] * batch, img_mask=mask).sample
    call = {"height_tokens": height, "width_tokens": width, "text_tokens": text_tokens}
    goldens.add(
        f"transformer.{case}", call, **inputs, feature=seen.features[0][:, text_tokens:],
        output=output[:, text_tokens:])


def decode(pipe, latents):
    """Decodes latents [1, channels, height, width] as the pipeline scales them, neither clamped nor with
    opacity."""
    config = pipe.vae.config
    scaled = latents[:, :, None] * by_channel(config.latents_std) + by_channel(config.latents_mean)
    with without_clamp():
        return pipe.vae.decode(scaled, return_dict=False)[0][:, :3, 0]


def add_encoding(goldens, pipe, case, *, seed, height, width):
    """Latents of random pixels in the denoiser's scale, as the pipeline encodes references."""
    draw = torch.Generator().manual_seed(seed)
    pixels = torch.rand(1, pipe.vae.config.in_channels, height, width, generator=draw) * 2 - 1
    latents = pipe._encode_vae_image(pixels[:, :, None], None)[:, :, 0]
    goldens.add(f"encode.{case}", {}, pixels=pixels, latents=latents)


def add_picture(goldens, pipe, case, *, sigmas=None, **options):
    add_picture_case(goldens, pipe, case, decode=decode_packed, unrecorded={"sigmas": sigmas}, **options)


def decode_packed(pipe, latents, call):
    """The VAE's output [3, H, W] from the pipeline's latents."""
    plain = pipe._unpack_latents(latents, call["height"], call["width"], pipe.vae_scale_factor)
    return decode(pipe, plain[:, :, 0])[0]


add_vae = partial(add_frame_vae, decode=decode)


def add_forecast_run(goldens, pipe, case, *, steps, **call):
    """Without its cache every call has the text's tokens before the image's, which alone are forecast."""
    scale = pipe.vae_scale_factor
    add_forecast_case(
        goldens, Even(pipe, steps), case, guided_by="true_cfg_scale", steps=steps,
        tokens=-(call["height"] // scale) * (call["width"] // scale), **call)


class Even:
    """The pipeline with even sigmas and without its cache, for any number of steps."""

    def __init__(self, pipe, steps):
        self.pipe, self.transformer = pipe, pipe.transformer
        self.sigmas = list(numpy.linspace(1.0, 1 / steps, steps))

    def __call__(self, **call):
        return self.pipe(sigmas=self.sigmas, use_kv_cache=False, **call)


def golden_tiny_21(folder):
    pipe, goldens = load(folder), Goldens(checkpoint="tiny-21")
    size = {"height": 16, "width": 24}  # 4 x 6 tokens
    add_text(goldens, pipe)
    add_transformer(goldens, pipe, "start", seed=1, height=4, width=6, text_tokens=9, timestep=[1.0])
    add_transformer(goldens, pipe, "batch", seed=2, height=6, width=2, text_tokens=7, timestep=[0.731, 0.052])
    add_vae(goldens, pipe, "wide", seed=3, height=3, width=5)
    add_vae(goldens, pipe, "tiled", seed=4, height=5, width=6, tiles=(16, 8))
    plain = {"prompt": PROMPTS["plain"], "true_cfg_scale": 1.0, **size}
    add_picture(goldens, pipe, "own_sigmas", seed=42, num_inference_steps=len(SIGMAS), **plain)
    add_picture(
        goldens, pipe, "50_steps", seed=7, num_inference_steps=50,
        sigmas=list(numpy.linspace(1.0, 1 / 50, 50)),
        decoded=False, **{**plain, "prompt": PROMPTS["unicode"]})
    add_picture(goldens, pipe, "guidance", seed=5, num_inference_steps=len(SIGMAS), decoded=False, **{
        **plain, "true_cfg_scale": 3.0, "negative_prompt": "blurry, low quality"})
    add_forecast_run(goldens, pipe, "w_half", seed=42, steps=20, w=0.5, **plain)
    add_forecast_run(goldens, pipe, "guidance", seed=2**40 + 5, steps=20, w=0.7, **{
        **plain, "true_cfg_scale": 2.0, "negative_prompt": ""})
    goldens.save(folder)


def golden_tiny_plain(folder):
    pipe, goldens = load(folder), Goldens(checkpoint="tiny-plain")
    size = {"height": 20, "width": 12}  # 10 x 6 tokens
    add_text(goldens, pipe)
    add_transformer(goldens, pipe, "start", seed=5, height=2, width=6, text_tokens=8, timestep=[1.0])
    add_transformer(goldens, pipe, "batch", seed=6, height=4, width=4, text_tokens=5, timestep=[0.25, 0.875])
    add_vae(goldens, pipe, "wide", seed=7, height=4, width=7)
    add_encoding(goldens, pipe, "wide", seed=8, height=6, width=10)
    plain = {"prompt": PROMPTS["plain"], "true_cfg_scale": 1.0, **size}
    add_picture(goldens, pipe, "8_steps", seed=0, num_inference_steps=8, **plain)
    add_picture(goldens, pipe, "guidance_50", seed=3, num_inference_steps=50, decoded=False, **{
        **plain, "true_cfg_scale": 2.5, "negative_prompt": "blurry, low quality"})
    add_forecast_run(goldens, pipe, "w_one", seed=5, steps=20, w=1.0, **plain)
    goldens.save(folder)


def main():
    remake(
        HERE,
        tiny_21=(make_tiny_21, golden_tiny_21),
        tiny_plain=(make_tiny_plain, golden_tiny_plain),
    )


if __name__ == "__main__":
    main()
