"""Weights in ComfyUI's formats as comfy-kitchen writes them, the numbers that it reads from them, and a tiny
FLUX in original names whose layers take turns in these formats, with diffusers' output of the same numbers.

Needs PyPI's comfy-kitchen 0.2.40 beside torch and diffusers:
OMP_NUM_THREADS=1 python tests/goldens/comfy/make_goldens.py
"""
import importlib.util
import json
import pathlib
import zlib

import numpy as np
import torch
from comfy_kitchen.tensor import TensorCoreMXFP8Layout, TensorCoreNVFP4Layout, TensorWiseINT8Layout
from diffusers import FluxTransformer2DModel
from diffusers.loaders import single_file_utils
from safetensors.torch import save_file

HERE = pathlib.Path(__file__).parent
spec = importlib.util.spec_from_file_location("gguf_goldens", HERE.parent / "gguf" / "make_goldens.py")
gguf_goldens = importlib.util.module_from_spec(spec)
spec.loader.exec_module(gguf_goldens)
CONFIG = gguf_goldens.CONFIG


def described(config):
    return torch.tensor(list(json.dumps(config).encode()), dtype=torch.uint8)


def comfy(layout, config, **options):
    """A function that writes a matrix as ComfyUI's saving does, and returns its tensors and its numbers."""
    def write(weight):
        numbers, params = layout.quantize(weight, **options)
        tensors = {f"weight{suffix}": tensor for suffix, tensor in
                   layout.state_dict_tensors(numbers, params).items()}
        return {**tensors, "comfy_quant": described(config)}, layout.dequantize(numbers, params)
    return write


def fp8(dtype, *, rows, scale_dtype=torch.float32, name="weight_scale", config=None):
    """Scaled fp8 with one scale for the tensor or for each row, multiplied in float32."""
    def write(weight):
        largest = weight.abs().amax(dim=1, keepdim=True) if rows else weight.abs().amax()
        scale = (largest / torch.finfo(dtype).max).to(scale_dtype)
        if rows == "flat":
            scale = scale.flatten()
        factor = scale.float().reshape(-1, 1) if rows else scale.float()
        numbers = (weight / factor).clamp(-torch.finfo(dtype).max, torch.finfo(dtype).max).to(dtype)
        marks = {} if config is None else {"comfy_quant": described(config)}
        return {"weight": numbers, name: scale, **marks}, numbers.float() * factor
    return write


E4M3, E5M2 = torch.float8_e4m3fn, torch.float8_e5m2
FORMATS = {
    "fp8_rows": fp8(E4M3, rows=True),
    "fp8_rows_flat": fp8(E5M2, rows="flat", name="scale_weight"),
    "fp8_rows_bf16": fp8(E4M3, rows=True, scale_dtype=torch.bfloat16),
    "float8_e4m3fn": fp8(E4M3, rows=False,
                         config={"format": "float8_e4m3fn", "full_precision_matrix_mult": True}),
    "float8_e5m2": fp8(E5M2, rows=False, config={"format": "float8_e5m2"}),
    "nvfp4": comfy(TensorCoreNVFP4Layout, {"format": "nvfp4", "group_size": 16}),
    "mxfp8": comfy(TensorCoreMXFP8Layout, {"format": "mxfp8"}),
    "int8": comfy(TensorWiseINT8Layout, {"format": "int8_tensorwise"}),
    "int8_rows": comfy(TensorWiseINT8Layout, {"format": "int8_tensorwise"}, per_channel=True),
    "int8_convrot": comfy(TensorWiseINT8Layout, {"format": "int8_tensorwise", "convrot": True,
                                                 "convrot_groupsize": 16},
                          per_channel=True, convrot=True, convrot_groupsize=16),
}


def write_types():
    """More than one tile of block scales both ways, and rows that do not fill the last."""
    torch.manual_seed(19)
    tensors, sums, heads = {}, {}, {}
    for name, write in FORMATS.items():
        weight = torch.randn(160, 96) * torch.rand(160, 1) * 0.1
        parts, values = write(weight)
        assert values.dtype == torch.float32 and (values - weight).norm() < 0.12 * weight.norm(), name
        tensors |= {f"{name}.{part}": tensor.contiguous() for part, tensor in parts.items()}
        # Sums of a rotation are rounded in another order.
        if name == "int8_convrot":
            heads[name] = values[150:].contiguous()
        else:
            sums[name] = zlib.crc32(values.numpy().tobytes())
            heads[name] = values[0, :8].contiguous()
    save_file(tensors, HERE / "types.safetensors")
    save_file(heads, HERE / "values.safetensors")
    (HERE / "types.json").write_text(json.dumps({"crc32": sums}, indent=2) + "\n")


def write_flux():
    gguf_goldens.patch_converter()
    torch.manual_seed(20)
    model = FluxTransformer2DModel(**CONFIG).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(torch.randn_like(parameter) * (0.15 if parameter.ndim > 1 else 0.1)
                            + ("norm_" in name and parameter.ndim == 1))
    names = gguf_goldens.original_names(model.state_dict())
    tensors, plain, listed = {}, {}, {}
    matrices = [name for name, value in names.items() if value.ndim == 2
                and not name.startswith(("img_in", "txt_in", "final_layer"))]
    for name, value in names.items():
        if name not in matrices:
            tensors[name] = plain[name] = value
            continue
        module = name.removesuffix(".weight")
        kind = list(FORMATS)[matrices.index(name) % len(FORMATS)]
        parts, plain[name] = FORMATS[kind](value)
        mark = parts.pop("comfy_quant", None)
        # Some files have the descriptions in the header alone.
        if mark is not None:
            listed[module] = json.loads(bytes(mark.tolist()))
        tensors |= {f"{module}.{part}": tensor.contiguous() for part, tensor in parts.items()}
        tensors[f"{module}.input_scale"] = torch.tensor(0.5)
    assert len(matrices) >= len(FORMATS), len(matrices)
    metadata = {"_quantization_metadata": json.dumps({"format_version": "1.0", "layers": listed})}
    save_file(tensors, HERE / "flux.safetensors", metadata=metadata)
    exact = FluxTransformer2DModel(**CONFIG).eval()
    exact.load_state_dict(single_file_utils.convert_flux_transformer_checkpoint_to_diffusers(plain))
    rng = np.random.default_rng(7)
    latents, text, pooled = (torch.tensor(rng.standard_normal(shape, dtype=np.float32))
                             for shape in ((1, 16, 64), (1, 4, 32), (1, 32)))
    ids = torch.zeros(16, 3)
    ids[:, 1] = torch.arange(16) // 4
    ids[:, 2] = torch.arange(16) % 4
    with torch.no_grad():
        output = exact(hidden_states=latents, encoder_hidden_states=text, pooled_projections=pooled,
                       timestep=torch.tensor([0.7]), guidance=torch.tensor([3.5]), img_ids=ids,
                       txt_ids=torch.zeros(4, 3), return_dict=False)[0]
    save_file({"output": output.contiguous()}, HERE / "flux_output.safetensors")


if __name__ == "__main__":
    write_types()
    write_flux()
