"""Makes single-file twins of the tiny checkpoints, in the names of each network's own repository.

    python tests/goldens/single_file/make_twins.py      # about a minute

A twin has the same numbers as its checkpoint, so it is not stored: twins.json says for each of its tensors which
tensors of the folder make it and how, and the tests put the file together. The names are diffusers' conversion run
backwards. Every twin is loaded with diffusers' own from_single_file here, and each tensor must then equal the folder's
to the last bit; so the folder's goldens are also what diffusers computes with the twin.
"""

import inspect
import json
import tempfile
from pathlib import Path

import diffusers
import torch
from diffusers.loaders import single_file_utils
from safetensors.torch import load_file, save_file

HERE = Path(__file__).resolve().parent
GOLDENS = HERE.parent


# How a tensor of the twin is made of the folder's: nothing, "swapped" (halves of the rows), "transposed",
# "pixel" (a matrix as a convolution of one pixel).
def same(name):
    return [name], ""


def module(table, name, ours):
    """Adds weight and bias of a module."""
    names, how = ours if isinstance(ours, tuple) else ([ours] if isinstance(ours, str) else ours, "")
    for suffix in ("weight", "bias"):
        table[f"{name}.{suffix}"] = ([f"{n}.{suffix}" for n in names], how)


def keep(table, state):
    """Drops what the checkpoint lacks, and checks that every tensor of the checkpoint is used once."""
    kept = {key: entry for key, entry in table.items() if all(name in state for name in entry[0])}
    used = [name for names, _ in kept.values() for name in names]
    assert sorted(used) == sorted(state), (sorted(set(state) - set(used))[:5], sorted(set(used) - set(state))[:5])
    return kept


def count(state, prefix):
    return len({key[len(prefix):].split(".")[0] for key in state if key.startswith(prefix)})


def resnet(table, file, ours):
    for theirs, name in (("norm1", "norm1"), ("conv1", "conv1"), ("norm2", "norm2"), ("conv2", "conv2"),
                         ("nin_shortcut", "conv_shortcut")):
        module(table, f"{file}.{theirs}", f"{ours}.{name}")


def autoencoder_kl(state):
    table = {}
    for side in ("encoder", "decoder"):
        for theirs, name in (("conv_in", "conv_in"), ("conv_out", "conv_out"), ("norm_out", "conv_norm_out")):
            module(table, f"{side}.{theirs}", f"{side}.{name}")
        attention = f"{side}.mid_block.attentions.0"
        module(table, f"{side}.mid.attn_1.norm", f"{attention}.group_norm")
        for theirs, name in (("q", "to_q"), ("k", "to_k"), ("v", "to_v"), ("proj_out", "to_out.0")):
            key = f"{side}.mid.attn_1.{theirs}"
            table[f"{key}.weight"] = ([f"{attention}.{name}.weight"], "pixel")
            table[f"{key}.bias"] = same(f"{attention}.{name}.bias")
        for i in range(2):
            resnet(table, f"{side}.mid.block_{i + 1}", f"{side}.mid_block.resnets.{i}")
    blocks = count(state, "decoder.up_blocks.")
    for i in range(blocks):
        for j in range(9):
            resnet(table, f"encoder.down.{i}.block.{j}", f"encoder.down_blocks.{i}.resnets.{j}")
            resnet(table, f"decoder.up.{blocks - 1 - i}.block.{j}", f"decoder.up_blocks.{i}.resnets.{j}")
        module(table, f"encoder.down.{i}.downsample.conv", f"encoder.down_blocks.{i}.downsamplers.0.conv")
        module(table, f"decoder.up.{blocks - 1 - i}.upsample.conv", f"decoder.up_blocks.{i}.upsamplers.0.conv")
    for name in ("quant_conv", "post_quant_conv"):
        module(table, name, name)
    return keep(table, state)


def unet(state):
    table = {}
    outer = {"time_embed.0": "time_embedding.linear_1", "time_embed.2": "time_embedding.linear_2",
             "label_emb.0.0": "add_embedding.linear_1", "label_emb.0.2": "add_embedding.linear_2",
             "input_blocks.0.0": "conv_in", "out.0": "conv_norm_out", "out.2": "conv_out"}
    for key, ours in outer.items():
        module(table, key, ours)
    parts = {"in_layers.0": "norm1", "in_layers.2": "conv1", "emb_layers.1": "time_emb_proj", "out_layers.0": "norm2",
             "out_layers.3": "conv2", "skip_connection": "conv_shortcut"}

    def block(key, ours):
        for theirs, name in parts.items():
            module(table, f"{key}.{theirs}", f"{ours}.{name}")

    def transformer(key, ours):
        for name in state:
            if name.startswith(ours + "."):
                table[key + name[len(ours):]] = same(name)

    block("middle_block.0", "mid_block.resnets.0")
    transformer("middle_block.1", "mid_block.attentions.0")
    block("middle_block.2", "mid_block.resnets.1")
    index = 1
    for i in range(count(state, "down_blocks.")):
        for j in range(count(state, f"down_blocks.{i}.resnets.")):
            block(f"input_blocks.{index}.0", f"down_blocks.{i}.resnets.{j}")
            transformer(f"input_blocks.{index}.1", f"down_blocks.{i}.attentions.{j}")
            index += 1
        module(table, f"input_blocks.{index}.0.op", f"down_blocks.{i}.downsamplers.0.conv")
        index += 1
    index = 0
    for i in range(count(state, "up_blocks.")):
        for j in range(count(state, f"up_blocks.{i}.resnets.")):
            block(f"output_blocks.{index}.0", f"up_blocks.{i}.resnets.{j}")
            transformer(f"output_blocks.{index}.1", f"up_blocks.{i}.attentions.{j}")
            index += 1
        sub = 2 if any(name.startswith(f"up_blocks.{i}.attentions.") for name in state) else 1
        module(table, f"output_blocks.{index - 1}.{sub}.conv", f"up_blocks.{i}.upsamplers.0.conv")
    return keep(table, state)


def plain(state):
    return {name: same(name) for name in state}


def clip(state):
    """transformers 4's names, which all published files have; 5 saves CLIPTextModel without the prefix."""
    has_prefix = any(name.startswith("text_model.") for name in state)
    return {name if has_prefix or name.startswith("text_projection") else f"text_model.{name}": same(name)
            for name in state}


def open_clip(state):
    root = "text_model." if any(name.startswith("text_model.") for name in state) else ""
    table = {
        "positional_embedding": same(f"{root}embeddings.position_embedding.weight"),
        "token_embedding.weight": same(f"{root}embeddings.token_embedding.weight"),
        "text_projection": (["text_projection.weight"], "transposed"),
    }
    module(table, "ln_final", f"{root}final_layer_norm")
    for i in range(count(state, f"{root}encoder.layers.")):
        file, ours = f"transformer.resblocks.{i}", f"{root}encoder.layers.{i}"
        for theirs, name in (("ln_1", "layer_norm1"), ("ln_2", "layer_norm2"), ("attn.out_proj", "self_attn.out_proj"),
                             ("mlp.c_fc", "mlp.fc1"), ("mlp.c_proj", "mlp.fc2")):
            module(table, f"{file}.{theirs}", f"{ours}.{name}")
        for suffix in ("weight", "bias"):
            table[f"{file}.attn.in_proj_{suffix}"] = ([f"{ours}.self_attn.{p}_proj.{suffix}" for p in "qkv"], "")
    return keep(table, state)


def flux(state):
    table = {}
    outer = {"img_in": "x_embedder", "txt_in": "context_embedder", "final_layer.linear": "proj_out",
             "final_layer.adaLN_modulation.1": (["norm_out.linear"], "swapped")}
    for theirs, name in (("time_in", "timestep_embedder"), ("vector_in", "text_embedder"),
                         ("guidance_in", "guidance_embedder")):
        outer[f"{theirs}.in_layer"] = f"time_text_embed.{name}.linear_1"
        outer[f"{theirs}.out_layer"] = f"time_text_embed.{name}.linear_2"
    for key, ours in outer.items():
        module(table, key, ours)
    for i in range(count(state, "transformer_blocks.")):
        ours = f"transformer_blocks.{i}"
        for stream, qkv, out, norm, ff, norms in (
            ("img", ("to_q", "to_k", "to_v"), "to_out.0", "norm1", "ff", ("norm_q", "norm_k")),
            ("txt", ("add_q_proj", "add_k_proj", "add_v_proj"), "to_add_out", "norm1_context", "ff_context",
             ("norm_added_q", "norm_added_k")),
        ):
            file = f"double_blocks.{i}.{stream}"
            module(table, f"{file}_attn.qkv", [f"{ours}.attn.{p}" for p in qkv])
            module(table, f"{file}_attn.proj", f"{ours}.attn.{out}")
            module(table, f"{file}_mod.lin", f"{ours}.{norm}.linear")
            module(table, f"{file}_mlp.0", f"{ours}.{ff}.net.0.proj")
            module(table, f"{file}_mlp.2", f"{ours}.{ff}.net.2")
            for theirs, name in zip(("query_norm", "key_norm"), norms):
                table[f"{file}_attn.norm.{theirs}.scale"] = same(f"{ours}.attn.{name}.weight")
    for i in range(count(state, "single_transformer_blocks.")):
        file, ours = f"single_blocks.{i}", f"single_transformer_blocks.{i}"
        module(table, f"{file}.linear1", [f"{ours}.{p}" for p in ("attn.to_q", "attn.to_k", "attn.to_v", "proj_mlp")])
        module(table, f"{file}.linear2", f"{ours}.proj_out")
        module(table, f"{file}.modulation.lin", f"{ours}.norm.linear")
        for theirs, name in (("query_norm", "norm_q"), ("key_norm", "norm_k")):
            table[f"{file}.norm.{theirs}.scale"] = same(f"{ours}.attn.{name}.weight")
    return keep(table, state)


def prefixed(prefix, component, table):
    return {prefix + key: (component, *entry) for key, entry in table.items()}


def load_component(folder, component):
    state = {}
    for path in sorted((folder / component).glob("*.safetensors")):
        state |= load_file(path)
    return state


TWINS = {}


def twin(name, folder, parts):
    """Describes a twin of `folder`: parts are (prefix, component, inverse conversion)."""
    described = {}
    for prefix, component, inverse in parts:
        described |= prefixed(prefix, component, inverse(load_component(GOLDENS / folder, component)))
    TWINS[name] = {"folder": folder, "tensors": described}


def tensors_of(name):
    states = {}
    made = {}
    for key, (component, names, how) in TWINS[name]["tensors"].items():
        if component not in states:
            states[component] = load_component(GOLDENS / TWINS[name]["folder"], component)
        value = torch.cat([states[component][n] for n in names]) if len(names) > 1 else states[component][names[0]]
        if how == "swapped":
            value = torch.cat(value.chunk(2)[::-1])
        elif how == "transposed":
            value = value.T
        elif how == "pixel":
            value = value[:, :, None, None]
        made[key] = value.contiguous()
    return made


def equal(loaded, expected, what):
    # transformers 5 has CLIPTextModel without its prefix in memory, and 4 with it.
    bare = lambda state: {key.removeprefix("text_model."): value for key, value in state.items()}  # noqa: E731
    loaded, expected = bare(loaded), bare(expected)
    for key, value in expected.items():
        assert key in loaded, f"{what} lacks {key}"
        assert torch.equal(loaded[key].float(), value.float()), f"{what}: {key} differs"


def with_width(function, width):
    """diffusers' converters split fused rows at the published width; a tiny network has another."""
    source = inspect.getsource(function)
    assert "= 3072" in source
    space = dict(vars(single_file_utils))
    exec(source.replace("= 3072", f"= {width}"), space)  # noqa: S102
    return space[function.__name__]


def check(name, classes, width=None):
    """Loads the twin by diffusers' from_single_file, component by component, and compares every tensor."""
    folder = GOLDENS / TWINS[name]["folder"]
    mappings = diffusers.loaders.single_file_model.SINGLE_FILE_LOADABLE_CLASSES
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "twin.safetensors"
        save_file(tensors_of(name), path)
        for component, kind in classes.items():
            kept = mappings.get(kind.__name__)
            if width is not None and component == "transformer":
                mappings[kind.__name__] = {**kept, "checkpoint_mapping_fn": with_width(kept["checkpoint_mapping_fn"], width)}
            try:
                if hasattr(kind, "from_single_file"):
                    model = kind.from_single_file(str(path), config=str(folder), subfolder=component, torch_dtype=torch.float32)
                else:
                    tensors = load_file(path)
                    make = (single_file_utils.create_diffusers_t5_model_from_checkpoint if "T5" in kind.__name__
                            else single_file_utils.create_diffusers_clip_model_from_ldm)
                    model = make(kind, tensors, subfolder=component, config=str(folder), torch_dtype=torch.float32,
                                 local_files_only=True)
            finally:
                if kept is not None:
                    mappings[kind.__name__] = kept
            equal(model.state_dict(), load_component(folder, component), f"{name}'s {component}")
            print(f"{name}: {component} is equal in diffusers")


def main():
    from transformers import CLIPTextModel, CLIPTextModelWithProjection, T5EncoderModel

    unet_classes = {"unet": diffusers.UNet2DConditionModel, "vae": diffusers.AutoencoderKL, "text_encoder": CLIPTextModel}
    sd = [("model.diffusion_model.", "unet", unet), ("first_stage_model.", "vae", autoencoder_kl)]
    twin("sd15", "sdxl/tiny-sd15", [*sd, ("cond_stage_model.transformer.", "text_encoder", clip)])
    check("sd15", unet_classes)
    twin("sd21", "sdxl/tiny-sd21", [*sd, ("cond_stage_model.model.", "text_encoder", open_clip)])
    check("sd21", unet_classes)
    twin("sdxl", "sdxl/tiny-sdxl", [
        *sd, ("conditioner.embedders.0.transformer.", "text_encoder", clip),
        ("conditioner.embedders.1.model.", "text_encoder_2", open_clip)])
    check("sdxl", {**unet_classes, "text_encoder_2": CLIPTextModelWithProjection})

    flux_classes = {"transformer": diffusers.FluxTransformer2DModel}
    twin("flux-dev", "flux/tiny-dev", [
        ("model.diffusion_model.", "transformer", flux), ("vae.", "vae", autoencoder_kl),
        ("text_encoders.clip_l.transformer.", "text_encoder", clip),
        ("text_encoders.t5xxl.transformer.", "text_encoder_2", plain)])
    width = load_component(GOLDENS / "flux/tiny-dev", "transformer")["x_embedder.weight"].shape[0]
    check("flux-dev", {**flux_classes, "vae": diffusers.AutoencoderKL, "text_encoder": CLIPTextModel,
                       "text_encoder_2": T5EncoderModel}, width)
    twin("flux-schnell", "flux/tiny-schnell", [("", "transformer", flux)])
    width = load_component(GOLDENS / "flux/tiny-schnell", "transformer")["x_embedder.weight"].shape[0]
    check("flux-schnell", flux_classes, width)

    for name, entry in TWINS.items():
        lines = ",\n".join(
            f"    {json.dumps(key)}: {json.dumps([component, *names] + ([f'={how}'] if how else []))}"
            for key, (component, names, how) in entry["tensors"].items())
        text = f'{{\n  "folder": {json.dumps(entry["folder"])},\n  "tensors": {{\n{lines}\n  }}\n}}\n'
        (HERE / f"{name}.json").write_text(text)


if __name__ == "__main__":
    main()
