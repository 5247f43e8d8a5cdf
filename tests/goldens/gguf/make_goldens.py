"""GGUF files with every type that we read, what PyPI's gguf decodes, what torch makes of fp8, and a tiny FLUX
in GGUF with the output that diffusers computes from it.

OMP_NUM_THREADS=1 /work/tools/venv/bin/python tests/goldens/gguf/make_goldens.py
"""
import inspect
import json
import pathlib
import tempfile
import zlib

import gguf
import numpy as np
import torch
from diffusers import FluxTransformer2DModel, GGUFQuantizationConfig
from diffusers.loaders import single_file_model, single_file_utils
from safetensors.numpy import save_file

HERE = pathlib.Path(__file__).parent
TYPES = ["F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K"]
ROWS, COLUMNS = 4, 512
# Where the float16 scales lie in a block.
HALVES = {"Q8_0": [0], "Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q2_K": [80, 82],
          "Q3_K": [108],
          "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208]}


def blocks_of(name: str, rng: np.random.Generator) -> np.ndarray:
    """Random bits, as gguf cannot write all of these types, with finite scales."""
    kind = gguf.GGMLQuantizationType[name]
    if name not in HALVES:
        return gguf.quants.quantize(rng.standard_normal((ROWS, COLUMNS), dtype=np.float32), kind)
    elements, size = gguf.GGML_QUANT_SIZES[kind]
    blocks = rng.integers(0, 256, (ROWS * COLUMNS // elements, size), dtype=np.uint8)
    for at in HALVES[name]:
        scales = (rng.standard_normal(len(blocks)) * 0.1).astype(np.float16)
        blocks[:, at : at + 2] = scales.view(np.uint8).reshape(-1, 2)
    return blocks.reshape(ROWS, -1)


def write_types() -> None:
    rng = np.random.default_rng(19)
    writer = gguf.GGUFWriter(HERE / "types.gguf", "flux")
    # Fields of several types, which a reader has to skip.
    writer.add_string("general.name", "types")
    writer.add_array("some.words", ["a", "bcd", ""])
    writer.add_array("some.numbers", [1.5, 2.5])
    writer.add_bool("some.switch", True)
    writer.add_uint64("some.count", 2**40)
    sums, heads = {}, {}
    for name in TYPES:
        kind = gguf.GGMLQuantizationType[name]
        blocks = blocks_of(name, rng)
        writer.add_tensor(name, blocks, raw_dtype=kind)
        values = gguf.quants.dequantize(blocks.view(np.uint8) if name == "BF16" else blocks, kind)
        values = np.ascontiguousarray(values, dtype=np.float32).reshape(ROWS, COLUMNS)
        # A checksum of all numbers, as the bits must be equal, and a few numbers for a message.
        sums[name] = zlib.crc32(values.tobytes())
        heads[name] = values[0, :8].copy()
    close(writer)
    fp8 = {}
    every = torch.arange(256, dtype=torch.uint8)
    for name, dtype in {"float8_e4m3fn": torch.float8_e4m3fn, "float8_e5m2": torch.float8_e5m2}.items():
        values = every.view(dtype).to(torch.float32)
        fp8[name] = values.numpy()
        fp8[f"{name} scaled"] = (values * torch.tensor(0.0123)).numpy()
    save_file({**heads, **fp8}, HERE / "types.safetensors")
    (HERE / "types.json").write_text(json.dumps({"crc32": sums}, indent=2) + "\n")


def close(writer: gguf.GGUFWriter) -> None:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


CONFIG = dict(patch_size=1, in_channels=64, num_layers=1, num_single_layers=1, attention_head_dim=16,
              num_attention_heads=2, joint_attention_dim=32, pooled_projection_dim=32, guidance_embeds=True,
              axes_dims_rope=[4, 6, 6])


def original_names(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """convert_flux_transformer_checkpoint_to_diffusers of diffusers' single_file_utils.py, run backwards."""
    out, state = {}, dict(state)
    take = state.pop

    def layer(ours: str, theirs: str) -> None:
        for part in ("weight", "bias"):
            out[f"{theirs}.{part}"] = take(f"{ours}.{part}")

    def fused(ours: list[str], theirs: str) -> None:
        for part in ("weight", "bias"):
            out[f"{theirs}.{part}"] = torch.cat([take(f"{name}.{part}") for name in ours])

    for ours, theirs in {"timestep_embedder": "time_in", "text_embedder": "vector_in",
                         "guidance_embedder": "guidance_in"}.items():
        layer(f"time_text_embed.{ours}.linear_1", f"{theirs}.in_layer")
        layer(f"time_text_embed.{ours}.linear_2", f"{theirs}.out_layer")
    layer("x_embedder", "img_in")
    layer("context_embedder", "txt_in")
    for i in range(CONFIG["num_layers"]):
        ours, theirs = f"transformer_blocks.{i}", f"double_blocks.{i}"
        for stream, (norm, names, norms, proj, ff) in {
            "img": ("norm1", ["to_q", "to_k", "to_v"], ["norm_q", "norm_k"], "to_out.0", "ff"),
            "txt": ("norm1_context", ["add_q_proj", "add_k_proj", "add_v_proj"],
                    ["norm_added_q", "norm_added_k"], "to_add_out", "ff_context"),
        }.items():
            layer(f"{ours}.{norm}.linear", f"{theirs}.{stream}_mod.lin")
            fused([f"{ours}.attn.{name}" for name in names], f"{theirs}.{stream}_attn.qkv")
            for name, part in zip(norms, ["query_norm", "key_norm"]):
                out[f"{theirs}.{stream}_attn.norm.{part}.scale"] = take(f"{ours}.attn.{name}.weight")
            layer(f"{ours}.attn.{proj}", f"{theirs}.{stream}_attn.proj")
            layer(f"{ours}.{ff}.net.0.proj", f"{theirs}.{stream}_mlp.0")
            layer(f"{ours}.{ff}.net.2", f"{theirs}.{stream}_mlp.2")
    for i in range(CONFIG["num_single_layers"]):
        ours, theirs = f"single_transformer_blocks.{i}", f"single_blocks.{i}"
        layer(f"{ours}.norm.linear", f"{theirs}.modulation.lin")
        fused([f"{ours}.attn.{name}" for name in ("to_q", "to_k", "to_v")] + [f"{ours}.proj_mlp"],
              f"{theirs}.linear1")
        layer(f"{ours}.proj_out", f"{theirs}.linear2")
        for name, part in (("norm_q", "query_norm"), ("norm_k", "key_norm")):
            out[f"{theirs}.norm.{part}.scale"] = take(f"{ours}.attn.{name}.weight")
    layer("proj_out", "final_layer.linear")
    for part in ("weight", "bias"):
        scale, shift = take(f"norm_out.linear.{part}").chunk(2)
        out[f"final_layer.adaLN_modulation.1.{part}"] = torch.cat([shift, scale])
    assert not state, list(state)
    return out


def patch_converter() -> None:
    """diffusers' converter takes the width of the published models for granted."""
    width = CONFIG["num_attention_heads"] * CONFIG["attention_head_dim"]
    source = inspect.getsource(single_file_utils.convert_flux_transformer_checkpoint_to_diffusers)
    assert "inner_dim = 3072" in source
    scope = vars(single_file_utils)
    exec(source.replace("inner_dim = 3072", f"inner_dim = {width}"), scope)
    converter = scope["convert_flux_transformer_checkpoint_to_diffusers"]
    loadable = single_file_model.SINGLE_FILE_LOADABLE_CLASSES
    loadable["FluxTransformer2DModel"]["checkpoint_mapping_fn"] = converter


def write_flux() -> None:
    patch_converter()
    torch.manual_seed(19)
    model = FluxTransformer2DModel(**CONFIG).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(torch.randn_like(parameter) * (0.15 if parameter.ndim > 1 else 0.1)
                            + ("norm_" in name and parameter.ndim == 1))
    rng = np.random.default_rng(7)
    latents = rng.standard_normal((1, 16, 64), dtype=np.float32)
    text = rng.standard_normal((1, 4, 32), dtype=np.float32)
    pooled = rng.standard_normal((1, 32), dtype=np.float32)
    ids = torch.zeros(16, 3)
    ids[:, 1] = torch.arange(16) // 4
    ids[:, 2] = torch.arange(16) % 4
    tensors = {"hidden_states": latents, "encoder_hidden_states": text, "pooled_projections": pooled}
    names = original_names(model.state_dict())
    with tempfile.TemporaryDirectory() as folder:
        (pathlib.Path(folder) / "config.json").write_text(json.dumps({"_class_name": "FluxTransformer2DModel",
            **CONFIG}))
        (HERE / "flux_config.json").write_text(json.dumps({"_class_name": "FluxTransformer2DModel", **CONFIG},
                                                          indent=2) + "\n")
        for kind in ("Q8_0", "Q4_1"):
            path = HERE / f"flux-{kind.lower()}.gguf"
            writer = gguf.GGUFWriter(path, "flux")
            for name, tensor in names.items():
                array = tensor.float().numpy()
                is_matrix = array.ndim == 2 and not name.startswith(("img_in", "txt_in", "final_layer"))
                quant = gguf.GGMLQuantizationType[kind if is_matrix else "F32"]
                writer.add_tensor(name, gguf.quants.quantize(array, quant), raw_dtype=quant)
            close(writer)
            loaded = FluxTransformer2DModel.from_single_file(
                str(path), config=folder,
                quantization_config=GGUFQuantizationConfig(compute_dtype=torch.float32),
                torch_dtype=torch.float32)
            # diffusers decodes to float16, which costs it up to a thousandth. The same model with
            # gguf's own numbers does not.
            decoded = {t.name: torch.tensor(gguf.quants.dequantize(t.data, t.tensor_type)
                                            .reshape(t.shape[::-1].tolist()).astype(np.float32))
                       for t in gguf.GGUFReader(path).tensors}
            exact = FluxTransformer2DModel(**CONFIG).eval()
            exact.load_state_dict(single_file_utils.convert_flux_transformer_checkpoint_to_diffusers(decoded))
            for label, network in (("diffusers", loaded), ("exact", exact)):
                with torch.no_grad():
                    output = network(
                        hidden_states=torch.tensor(latents), encoder_hidden_states=torch.tensor(text),
                        pooled_projections=torch.tensor(pooled),
                        timestep=torch.tensor([0.7]), guidance=torch.tensor([3.5]), img_ids=ids,
                        txt_ids=torch.zeros(4, 3), return_dict=False)[0]
                tensors[f"{label} {kind}"] = output.float().numpy()
    save_file(tensors, HERE / "flux.safetensors")


if __name__ == "__main__":
    write_types()
    write_flux()
