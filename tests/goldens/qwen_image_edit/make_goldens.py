"""Makes the Qwen-Image-Edit reference data: two tiny random checkpoints, and diffusers' results with them.

    python tests/goldens/qwen_image_edit/make_goldens.py      # about 60 s

Goldens are computed in float32 from the files as saved. goldens.json beside each goldens.safetensors says for
every case which call gave it. Three things differ from a plain call of diffusers 0.42.1 with transformers 5:

- References have a few thousand pixels instead of a million (`areas`), so that a run takes seconds.
- transformers' Qwen2_5_VLProcessor needs torchvision: a class here stands for it, with transformers' own
  image processor for Pillow, which is also that of transformers 4.
- The text encoder gets mm_token_type_ids. Without them transformers 5 places pictures as if they were text,
  which transformers 4 did not (https://github.com/huggingface/diffusers/issues/14194).
"""

import json
import sys
from pathlib import Path

import numpy
import torch
from diffusers import (
    AutoencoderKLQwenImage, FlowMatchEulerDiscreteScheduler, QwenImageEditPipeline, QwenImageEditPlusPipeline,
    QwenImageTransformer2DModel,
)
from diffusers.pipelines.qwenimage import pipeline_qwenimage_edit, pipeline_qwenimage_edit_plus
from PIL import Image
from transformers import (
    AutoTokenizer, BatchFeature, Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration,
)
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from _reference import PROMPTS, Capture, Goldens, redraw, remake, run_whole, smooth_in_time  # noqa: E402
from _tokenizers import CORPUS, qwen_tokenizer, restore_qwen_files  # noqa: E402

# Repeated, so that the template is few tokens: a pipeline drops its first 64.
TEMPLATE = [
    "system\nDescribe the key features of the input image (color, shape, size, texture, objects, "
    "background), then explain how the user's text instruction should alter or modify the image. "
    "Generate a new image that meets the user's requirements while maintaining consistency with the original "
    "input where appropriate."
    "user\nassistant\nPicture 1: "
] * 20
CLASSES = {
    "scheduler": ("diffusers", "FlowMatchEulerDiscreteScheduler"),
    "vae": ("diffusers", "AutoencoderKLQwenImage"),
    "text_encoder": ("transformers", "Qwen2_5_VLForConditionalGeneration"),
    "tokenizer": ("transformers", "Qwen2Tokenizer"),
    "processor": ("transformers", "Qwen2VLProcessor"),
    "transformer": ("diffusers", "QwenImageTransformer2DModel"),
}
# Sizes in pixels of the references.
IMAGES = {"wide": (61, 40), "tall": (33, 70), "square": (48, 48)}


class Processor:
    """The part of Qwen2VLProcessor that the pipelines use."""

    def __init__(self, tokenizer, image_processor):
        self.tokenizer, self.image_processor = tokenizer, image_processor

    def __call__(self, text, images, padding, return_tensors):
        images = images if isinstance(images, list) else [images]
        seen = self.image_processor(images, return_tensors="pt")
        (text,) = text
        parts = text.split("<|image_pad|>")
        tokens = [int(grid.prod()) // self.image_processor.merge_size**2 for grid in seen["image_grid_thw"]]
        assert len(parts) == len(tokens) + 1
        whole = parts[0] + "".join("<|image_pad|>" * n + part for n, part in zip(tokens, parts[1:]))
        return BatchFeature({**self.tokenizer(whole, return_tensors="pt"), **seen})


def encoder(folder):
    """Loads a text encoder that says which tokens are a picture's, as transformers 4 found out by itself."""
    model = Qwen2_5_VLForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()
    plain = model.forward

    def forward(input_ids, **options):
        kinds = (input_ids == model.config.image_token_id).int()
        return plain(input_ids=input_ids, mm_token_type_ids=kinds, **options)

    model.forward = forward
    return model


def make_tiny_edit(folder):
    """Like Qwen-Image-Edit: one reference, the same size for both encoders; a dynamic shift."""
    tokenizer = qwen_tokenizer(CORPUS + TEMPLATE, merge_count=330)
    assemble(
        folder,
        tokenizer=tokenizer,
        transformer=QwenImageTransformer2DModel(
            in_channels=16, out_channels=4, num_layers=2, attention_head_dim=10, num_attention_heads=2,
            joint_attention_dim=16, axes_dims_rope=(2, 4, 4),
        ),
        scheduler=FlowMatchEulerDiscreteScheduler(
            base_image_seq_len=256, base_shift=0.5, max_image_seq_len=8192, max_shift=0.9, shift=1.0,
            shift_terminal=0.02, time_shift_type="exponential", use_dynamic_shifting=True,
        ),
        pipeline="QwenImageEditPipeline",
    )


def make_tiny_plus(folder):
    """Like Qwen-Image-Edit-2511: numbered references, which are modulated as at timestep 0."""
    tokenizer = qwen_tokenizer(CORPUS + TEMPLATE, merge_count=330)
    assemble(
        folder,
        tokenizer=tokenizer,
        transformer=QwenImageTransformer2DModel(
            in_channels=16, out_channels=4, num_layers=3, attention_head_dim=8, num_attention_heads=2,
            joint_attention_dim=16, axes_dims_rope=(4, 2, 2), zero_cond_t=True,
        ),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
        pipeline="QwenImageEditPlusPipeline",
    )


def assemble(folder, *, tokenizer, scheduler, pipeline, **parts):
    """Redraws the weights of `parts` and saves them in bfloat16 as a pipeline's save_pretrained does."""
    parts["text_encoder"] = Qwen2_5_VLForConditionalGeneration(Qwen2_5_VLConfig(
        image_token_id=tokenizer.convert_tokens_to_ids("<|image_pad|>"),
        text_config={
            "vocab_size": len(tokenizer), "hidden_size": 16, "intermediate_size": 28, "num_hidden_layers": 2,
            "num_attention_heads": 2, "num_key_value_heads": 1, "rms_norm_eps": 1e-6,
            "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 1, 1]},
        },
        vision_config={
            "depth": 2, "hidden_size": 16, "intermediate_size": 12, "num_heads": 2, "out_hidden_size": 16,
            "patch_size": 4, "window_size": 16, "fullatt_block_indexes": [1],
        },
    ))
    parts["vae"] = AutoencoderKLQwenImage(
        base_dim=4, z_dim=4, dim_mult=[1, 2, 2], num_res_blocks=1, attn_scales=[],
        temperal_downsample=[True, False],
        latents_mean=[0.1, -0.2, 0.3, 0.05], latents_std=[1.2, 0.8, 2.1, 0.6],
    )
    for seed, name in enumerate(("transformer", "text_encoder", "vae")):
        redraw(parts[name], 110 + seed)
    smooth_in_time(parts["transformer"].time_text_embed.timestep_embedder.linear_1)
    parts["vae"].decoder.conv_out.weight.mul_(0.8)  # pictures mostly within -1..1
    for name, model in parts.items():
        model.to(torch.bfloat16).save_pretrained(folder / name)
    scheduler.save_pretrained(folder / "scheduler")
    # No run reads the folder tokenizer, which holds the same files.
    tokenizer.save_pretrained(folder / "processor")
    restore_qwen_files(folder / "processor")
    Qwen2VLImageProcessorPil(patch_size=4, size={"shortest_edge": 64, "longest_edge": 6400}).save_pretrained(
        folder / "processor")
    (folder / "text_encoder" / "generation_config.json").unlink(missing_ok=True)
    index = {"_class_name": pipeline, "_diffusers_version": "0.42.1", **CLASSES}
    (folder / "model_index.json").write_text(json.dumps(index, indent=2) + "\n")
    for path in folder.rglob("*.*"):
        path.chmod(0o644)


def load(folder, cls, areas):
    condition, picture = areas
    pipeline_qwenimage_edit_plus.CONDITION_IMAGE_SIZE, pipeline_qwenimage_edit_plus.VAE_IMAGE_SIZE = areas
    plain = pipeline_qwenimage_edit.calculate_dimensions
    if not hasattr(plain, "small"):
        small = lambda area, ratio: plain(picture, ratio)
        small.small = True
        pipeline_qwenimage_edit.calculate_dimensions = small
    tokenizer = AutoTokenizer.from_pretrained(folder / "processor")
    pipe = cls(
        scheduler=FlowMatchEulerDiscreteScheduler.from_pretrained(folder / "scheduler"),
        vae=AutoencoderKLQwenImage.from_pretrained(folder / "vae", torch_dtype=torch.float32),
        text_encoder=encoder(folder / "text_encoder"),
        tokenizer=tokenizer,
        processor=Processor(tokenizer, Qwen2VLImageProcessorPil.from_pretrained(folder / "processor")),
        transformer=QwenImageTransformer2DModel.from_pretrained(
            folder / "transformer", torch_dtype=torch.float32),
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe


def images():
    draw = numpy.random.default_rng(7)
    made = {}
    for name, (width, height) in IMAGES.items():
        coarse = Image.fromarray(draw.integers(0, 256, (5, 5, 3), dtype=numpy.uint8))
        made[name] = coarse.resize((width, height), Image.Resampling.BICUBIC)
    return made


def add_images(goldens, pictures):
    for name, picture in pictures.items():
        goldens.add(f"input.{name}", {}, pixels=numpy.asarray(picture).astype(numpy.int32))


def given(pictures, names, cls):
    chosen = [pictures[name] for name in names]
    return chosen if cls is QwenImageEditPlusPipeline else chosen[0]


def add_picture(goldens, pipe, case, *, seed, pictures, references, decoded=False, text=False, **call):
    """A whole pipeline call. `decoded` is the VAE's output [3, H, W] before it is clamped to -1..1."""
    seen, latents = run_whole(pipe, seed, image=given(pictures, references, type(pipe)), **call)
    first = seen.denoiser_inputs[0]
    tensors = {"initial_latents": first["hidden_states"][:, : latents.shape[1]], "latents": latents}
    if text:
        tensors["prompt_embeds"] = first["encoder_hidden_states"]
        tensors["reference_tokens"] = first["hidden_states"][:, latents.shape[1]:]
    if decoded:
        plain = pipe._unpack_latents(latents, call["height"], call["width"], pipe.vae_scale_factor)
        tensors["decoded"] = decode(pipe, plain)[0]
    goldens.add(f"picture.{case}", {"seed": seed, "references": references, **call}, **tensors)


def decode(pipe, latents):
    config = pipe.vae.config
    column = lambda values: torch.tensor(values).view(1, -1, 1, 1, 1)
    scaled = latents / (1.0 / column(config.latents_std)) + column(config.latents_mean)
    clamp, torch.clamp = torch.clamp, lambda x, **_: x
    try:
        return pipe.vae.decode(scaled, return_dict=False)[0][:, :, 0]
    finally:
        torch.clamp = clamp


def golden_tiny_edit(folder):
    areas = (64 * 64, 64 * 64)
    pipe, pictures = load(folder, QwenImageEditPipeline, areas), images()
    goldens = Goldens(checkpoint="tiny-edit", areas=areas)
    add_images(goldens, pictures)
    size = {"height": 32, "width": 48, "max_sequence_length": 1024}
    plain = {
        "prompt": PROMPTS["plain"], "negative_prompt": " ", "true_cfg_scale": 4.0, "pictures": pictures,
        **size}
    unguided = {"prompt": PROMPTS["unicode"], "negative_prompt": "", "true_cfg_scale": 1.0}
    add_picture(
        goldens, pipe, "8_steps", seed=42, references=["wide"], num_inference_steps=8, decoded=True,
        text=True, **plain)
    add_picture(
        goldens, pipe, "no_guidance", seed=2**40 + 5, references=["tall"], num_inference_steps=8, text=True,
        **{**plain, **unguided, "height": 64, "width": 24})
    add_picture(
        goldens, pipe, "empty", seed=1, references=["square"], num_inference_steps=8,
        **{**plain, "prompt": "", "negative_prompt": "blurry, low quality", "true_cfg_scale": 2.5})
    goldens.save(folder)


def golden_tiny_plus(folder):
    areas = (40 * 40, 64 * 64)
    pipe, pictures = load(folder, QwenImageEditPlusPipeline, areas), images()
    goldens = Goldens(checkpoint="tiny-plus", areas=areas)
    add_images(goldens, pictures)
    size = {"height": 40, "width": 24, "max_sequence_length": 1024}
    plain = {
        "prompt": PROMPTS["plain"], "negative_prompt": " ", "true_cfg_scale": 4.0, "pictures": pictures,
        **size}
    unguided = {"prompt": PROMPTS["unicode"], "negative_prompt": "", "true_cfg_scale": 1.0}
    add_picture(
        goldens, pipe, "one", seed=3, references=["square"], num_inference_steps=8, decoded=True, text=True,
        **plain)
    add_picture(
        goldens, pipe, "two", seed=4, references=["wide", "tall"], num_inference_steps=8, text=True, **{
            **plain, "negative_prompt": "blurry, low quality", "true_cfg_scale": 2.5})
    add_picture(
        goldens, pipe, "two_no_guidance", seed=5, references=["tall", "square"], num_inference_steps=8,
        **{**plain, **unguided, "height": 32, "width": 64})
    goldens.save(folder)


def main():
    remake(HERE, tiny_edit=(make_tiny_edit, golden_tiny_edit), tiny_plus=(make_tiny_plus, golden_tiny_plus))


if __name__ == "__main__":
    main()
