"""Latents that diffusers draws with the numbers that PyPI's gguf reads from K-quants: a FLUX, a Qwen-Image
and a Z-Image whose rows are whole blocks of 256.

    OMP_NUM_THREADS=1 python tests/goldens/gguf/make_k_quants.py     # about a minute

The files would have megabytes, so they are not stored. Their bytes are hashes of their places, and the
tests write the same: k_quants.json has the names, shapes and types. gguf cannot round to K types; any bits
are valid blocks, if their scales are sensible.
"""
import json
import sys
import tempfile
from pathlib import Path

import diffusers
import gguf
import numpy as np
import torch
from safetensors.torch import save_file

HERE = Path(__file__).resolve().parent
GOLDENS = HERE.parent
sys.path[:0] = [str(GOLDENS), str(GOLDENS / "single_file")]
from _reference import run_whole  # noqa: E402
from make_twins import flux, plain, with_width, z_image  # noqa: E402

TYPES = ["Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K"]
BLOCK = 256
# Where a block has its scale, and its offset's scale as a multiple of it, so that numbers are around zero.
HALVES = {"Q2_K": (80, 82, 1.5), "Q3_K": (108, None, 0), "Q4_K": (0, 2, 7.5), "Q5_K": (0, 2, 15.5),
          "Q6_K": (208, None, 0)}
CASE = "picture.8_steps"
MODELS = {
    "flux": ("flux/tiny-dev", diffusers.FluxPipeline, flux,
             {"attention_head_dim": 16, "num_attention_heads": 16, "axes_dims_rope": [4, 6, 6],
              "num_layers": 1, "num_single_layers": 1}),
    "qwen-image": ("qwen_image/tiny-image", diffusers.QwenImagePipeline, plain,
                   {"attention_head_dim": 16, "num_attention_heads": 16, "axes_dims_rope": [4, 6, 6],
                    "num_layers": 1}),
    "z-image": ("z_image/tiny-base", diffusers.ZImagePipeline, z_image,
                {"dim": 256, "n_heads": 16, "n_kv_heads": 16, "axes_dims": [4, 6, 6], "n_layers": 2,
                 "n_refiner_layers": 1}),
}


def hashes(count: int, seed: int) -> np.ndarray:
    """32 bits for each place, as the tests compute them."""
    with np.errstate(over="ignore"):
        x = np.arange(count, dtype=np.uint32) * np.uint32(2654435761) + np.uint32(seed) * np.uint32(40503)
        for shift, factor in ((15, 2246822519), (13, 3266489917)):
            x = (x ^ (x >> np.uint32(shift))) * np.uint32(factor)
    return x ^ (x >> np.uint32(16))


def halves_of(kind: str) -> list[int]:
    """The bits of a block's scales that make numbers of about 1/16, as a layer of 256 inputs has them."""
    def decoded(scale: float) -> np.ndarray:
        blocks = blocks_of(64, 1, kind, scales(kind, scale))
        return gguf.quants.dequantize(blocks, gguf.GGMLQuantizationType[kind])
    return scales(kind, 1 / 16 / decoded(1.0).std())


def scales(kind: str, scale: float) -> list[int]:
    _, offset, ratio = HALVES[kind]
    values = [scale] if offset is None else [scale, scale * ratio]
    return np.array(values, dtype=np.float16).view(np.uint16).tolist()


def blocks_of(count: int, seed: int, kind: str, halves: list[int]) -> np.ndarray:
    size = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[kind]][1]
    blocks = (hashes(count * size, seed) >> np.uint32(24)).astype(np.uint8).reshape(count, size)
    for at, bits in zip(HALVES[kind][:2], halves):
        blocks[:, at] = bits & 255
        blocks[:, at + 1] = bits >> 8
    return blocks


def floats_of(shape: list[int], seed: int, mean: float) -> np.ndarray:
    """Evenly spread, with the deviation that a matrix of so many columns has."""
    width = np.sqrt(12 / shape[-1]) if len(shape) > 1 else 0.2
    count = int(np.prod(shape))
    return ((hashes(count, seed) / 2**32 - 0.5) * width + mean).astype(np.float32).reshape(shape)


def describe(name: str, index: int, shape: list[int]) -> list:
    """A tensor's name, shape, type, and the mean of floats."""
    is_norm = len(shape) == 1 and "norm" in name and not name.endswith(".bias")
    if len(shape) != 2 or shape[1] % BLOCK != 0:
        return [name, shape, "F32", 1 if is_norm else 0]
    return [name, shape, TYPES[index % len(TYPES)], 0]


def decode(described: list, seed: int, halves: dict[str, list[int]]) -> np.ndarray:
    _, shape, kind, mean = described
    if kind == "F32":
        return floats_of(shape, seed, mean)
    blocks = blocks_of(int(np.prod(shape)) // BLOCK, seed, kind, halves[kind])
    return gguf.quants.dequantize(blocks, gguf.GGMLQuantizationType[kind]).astype(np.float32).reshape(shape)


def draw(name: str, halves: dict[str, list[int]]) -> tuple[dict, torch.Tensor]:
    folder, pipeline, names_of, changes = MODELS[name]
    pipe = pipeline.from_pretrained(GOLDENS / folder, torch_dtype=torch.float32)
    kind = type(pipe.transformer)
    model = kind.from_config({**pipe.transformer.config, **changes})
    state = model.state_dict()
    described, tensors = [], {}
    for index, (key, (names, _)) in enumerate(names_of(state).items()):
        shape = [sum(state[n].shape[0] for n in names), *state[names[0]].shape[1:]]
        described.append(describe(key, index, shape))
        tensors[key] = torch.tensor(decode(described[-1], index, halves))
    if names_of is plain:
        model.load_state_dict(tensors)
    else:
        model = single_file(kind, model, tensors)
    pipe.transformer = model.eval()
    pipe.set_progress_bar_config(disable=True)
    call = json.loads((GOLDENS / folder / "goldens.json").read_text())["cases"][CASE]
    _, latents = run_whole(pipe, call.pop("seed"), **call)
    assert torch.isfinite(latents).all()
    used = {kind for _, _, kind, _ in described}
    assert used == {"F32", *TYPES}, used
    return {"folder": folder, "transformer": changes, "tensors": described}, latents


def single_file(kind, model, tensors):
    """diffusers' own reading of the names. Its converter of FLUX takes the published width for granted."""
    mappings = diffusers.loaders.single_file_model.SINGLE_FILE_LOADABLE_CLASSES
    kept = mappings[kind.__name__]
    if kind is diffusers.FluxTransformer2DModel:
        mappings[kind.__name__] = {**kept, "checkpoint_mapping_fn": with_width(
            kept["checkpoint_mapping_fn"], BLOCK)}
    try:
        with tempfile.TemporaryDirectory() as folder:
            model.save_config(folder)
            save_file(tensors, f"{folder}/x.safetensors")
            return kind.from_single_file(f"{folder}/x.safetensors", config=folder, torch_dtype=torch.float32)
    finally:
        mappings[kind.__name__] = kept


def main() -> None:
    halves = {kind: halves_of(kind) for kind in TYPES}
    described, latents = {}, {}
    for name in MODELS:
        described[name], result = draw(name, halves)
        latents[f"{name}.latents"] = result.float().contiguous()
        print(f"{name}: {tuple(result.shape)}, {result.std():.3f}")
    places = {kind: [at for at in HALVES[kind][:2] if at is not None] for kind in TYPES}
    text = json.dumps({"case": CASE, "halves": halves, "places": places, "models": described})
    (HERE / "k_quants.json").write_text(text + "\n")
    save_file(latents, HERE / "k_quants.safetensors")


if __name__ == "__main__":
    main()
