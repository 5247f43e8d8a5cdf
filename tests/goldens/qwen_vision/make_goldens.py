"""Makes the reference data of Qwen's vision towers: two tiny random text encoders, and what they see.

    python tests/goldens/qwen_vision/make_goldens.py      # about 15 s

Goldens are computed in float32 from the files as saved. goldens.json beside each goldens.safetensors says for
every case which call gave it.
"""

import shutil
import sys
from pathlib import Path

import numpy
import torch
from PIL import Image
from transformers import (
    Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration, Qwen3VLConfig, Qwen3VLForConditionalGeneration,
)
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from _reference import Goldens, redraw  # noqa: E402

IMAGE_TOKEN = 5
# Sizes in pixels whose tokens fill windows, leave them partly empty, and are one row.
IMAGES = {"square": (48, 48), "wide": (85, 42), "tall": (29, 77), "line": (120, 9)}


def make_qwen2_5_vl(folder):
    """Windows of 2 x 2 tokens, the last block and one more attend to the whole picture; float16."""
    return save(folder, Qwen2_5_VLForConditionalGeneration(Qwen2_5_VLConfig(
        image_token_id=IMAGE_TOKEN,
        text_config={
            "vocab_size": 32, "hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 3,
            "num_attention_heads": 3, "num_key_value_heads": 1, "rms_norm_eps": 1e-6,
            "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [1, 1, 2]},
        },
        vision_config={
            "depth": 4, "hidden_size": 24, "intermediate_size": 20, "num_heads": 2, "out_hidden_size": 24,
            "patch_size": 4, "window_size": 16, "fullatt_block_indexes": [1, 3],
        },
    )), torch.float16)


def make_qwen3_vl(folder):
    """Learnt positions on a grid of 5 x 5, features of two inner blocks; bfloat16."""
    return save(folder, Qwen3VLForConditionalGeneration(Qwen3VLConfig(
        image_token_id=IMAGE_TOKEN,
        text_config={
            "vocab_size": 32, "hidden_size": 16, "intermediate_size": 28, "num_hidden_layers": 3,
            "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 12,
            "rope_parameters": {
                "rope_type": "default", "rope_theta": 5000.0, "mrope_section": [2, 2, 2],
                "mrope_interleaved": True,
            },
        },
        vision_config={
            "depth": 4, "hidden_size": 16, "intermediate_size": 28, "num_heads": 2, "out_hidden_size": 16,
            "deepstack_visual_indexes": [0, 2], "num_position_embeddings": 25, "patch_size": 4,
        },
    )), torch.bfloat16)


def save(folder, model, dtype):
    redraw(model, 40 + len(folder.name)).to(dtype)
    model.save_pretrained(folder / "text_encoder")
    (folder / "text_encoder" / "generation_config.json").unlink(missing_ok=True)
    return type(model).from_pretrained(folder / "text_encoder", dtype=torch.float32).eval()


def add_images(goldens, model, processor):
    for seed, (name, (width, height)) in enumerate(IMAGES.items()):
        pixels = numpy.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=numpy.uint8)
        inputs = processor([Image.fromarray(pixels)], return_tensors="pt")
        out = model.model.visual(inputs.pixel_values, grid_thw=inputs.image_grid_thw)
        features = torch.cat([out.pooler_output, *(getattr(out, "deepstack_features", None) or [])], dim=-1)
        goldens.add(
            f"image.{name}", {"width": width, "height": height}, pixels=pixels.astype(numpy.int32),
            pixel_values=inputs.pixel_values, grid=inputs.image_grid_thw[0], features=features)


def add_conversation(goldens, model, processor):
    """Two pictures in one text, as the pipelines send them; the last states before and after the norm."""
    names = ["wide", "tall"]
    pixels = [goldens.tensors[f"image.{name}.pixels"].numpy().astype(numpy.uint8) for name in names]
    images = [Image.fromarray(array) for array in pixels]
    inputs = processor(images, return_tensors="pt")
    count = [int(grid.prod()) // 4 for grid in inputs.image_grid_thw]
    ids = [7, 8, 9, *[IMAGE_TOKEN] * count[0], 10, 11, *[IMAGE_TOKEN] * count[1], 12, 13, 14, 15]
    input_ids = torch.tensor([ids])
    kinds = (input_ids == IMAGE_TOKEN).int()
    positions, _ = model.model.get_rope_index(
        input_ids, mm_token_type_ids=kinds, image_grid_thw=inputs.image_grid_thw)
    before = []
    norm = model.model.language_model.norm
    hook = norm.register_forward_hook(lambda module, args, out: before.append(args[0]))
    out = model(
        input_ids=input_ids, attention_mask=torch.ones_like(input_ids), mm_token_type_ids=kinds,
        output_hidden_states=True, **inputs)
    hook.remove()
    goldens.add(
        "conversation", {"images": names}, input_ids=input_ids, positions=positions[:, 0],
        last_state=before[0], normed_state=out.hidden_states[-1])


def main():
    for name, make in (("qwen2_5_vl", make_qwen2_5_vl), ("qwen3_vl", make_qwen3_vl)):
        folder = HERE / name
        shutil.rmtree(folder, ignore_errors=True)
        model = make(folder)
        processor = Qwen2VLImageProcessorPil(patch_size=4, size={"shortest_edge": 400, "longest_edge": 1600})
        processor.save_pretrained(folder)
        goldens = Goldens(model=name)
        add_images(goldens, model, processor)
        add_conversation(goldens, model, processor)
        goldens.save(folder)
        for path in folder.rglob("*.*"):
            path.chmod(0o644)


if __name__ == "__main__":
    main()
