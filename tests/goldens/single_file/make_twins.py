"""Makes single-file twins of the tiny checkpoints, in the names of each network's own repository.

    python tests/goldens/single_file/make_twins.py      # about a minute

A twin has the same numbers as its checkpoint, so it is not stored: twins.json says for each of its
tensors which tensors of the folder make it and how, and the tests put the file together. The names are
diffusers' conversion run backwards. Every twin is loaded with diffusers' own from_single_file here, and
each tensor must then equal the folder's to the last bit; so the folder's goldens are also what
diffusers computes with the twin. Past 400 lines, as every family has a table of names.
"""

import inspect
import json
import sys
import tempfile
from pathlib import Path

import diffusers
import torch
from diffusers.loaders import single_file_utils
from safetensors.torch import load_file, save_file

HERE = Path(__file__).resolve().parent
GOLDENS = HERE.parent
sys.path.insert(0, str(GOLDENS))
from _reference import run_whole  # noqa: E402


# How a tensor of the twin is made of the folder's: nothing, "swapped" (halves of the rows), "transposed",
# "pixel" (a matrix as a convolution of one pixel), "frame" (a convolution of pictures as one of videos).
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
    assert sorted(used) == sorted(state), (sorted(set(state) - set(used))[:5],
                                           sorted(set(used) - set(state))[:5])
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
        module(table, f"decoder.up.{blocks - 1 - i}.upsample.conv",
               f"decoder.up_blocks.{i}.upsamplers.0.conv")
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
    parts = {"in_layers.0": "norm1", "in_layers.2": "conv1", "emb_layers.1": "time_emb_proj",
             "out_layers.0": "norm2",
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
        for theirs, name in (("ln_1", "layer_norm1"), ("ln_2", "layer_norm2"),
                             ("attn.out_proj", "self_attn.out_proj"),
                             ("mlp.c_fc", "mlp.fc1"), ("mlp.c_proj", "mlp.fc2")):
            module(table, f"{file}.{theirs}", f"{ours}.{name}")
        for suffix in ("weight", "bias"):
            table[f"{file}.attn.in_proj_{suffix}"] = ([f"{ours}.self_attn.{p}_proj.{suffix}" for p in "qkv"],
                                                      "")
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
        module(table, f"{file}.linear1",
               [f"{ours}.{p}" for p in ("attn.to_q", "attn.to_k", "attn.to_v", "proj_mlp")])
        module(table, f"{file}.linear2", f"{ours}.proj_out")
        module(table, f"{file}.modulation.lin", f"{ours}.norm.linear")
        for theirs, name in (("query_norm", "norm_q"), ("key_norm", "norm_k")):
            table[f"{file}.norm.{theirs}.scale"] = same(f"{ours}.attn.{name}.weight")
    return keep(table, state)


def sd3(state):
    table = {"pos_embed": same("pos_embed.pos_embed")}
    for key, ours in {
        "x_embedder.proj": "pos_embed.proj", "context_embedder": "context_embedder",
        "final_layer.linear": "proj_out",
        "t_embedder.mlp.0": "time_text_embed.timestep_embedder.linear_1",
        "t_embedder.mlp.2": "time_text_embed.timestep_embedder.linear_2",
        "y_embedder.mlp.0": "time_text_embed.text_embedder.linear_1",
        "y_embedder.mlp.2": "time_text_embed.text_embedder.linear_2",
        "final_layer.adaLN_modulation.1": (["norm_out.linear"], "swapped"),
    }.items():
        module(table, key, ours)
    layers = count(state, "transformer_blocks.")
    for i in range(layers):
        ours = f"transformer_blocks.{i}"
        image, text = f"joint_blocks.{i}.x_block", f"joint_blocks.{i}.context_block"
        for file, attn, qkv, out, norms in (
            (image, "attn", ("to_q", "to_k", "to_v"), "to_out.0", ("norm_q", "norm_k")),
            (image, "attn2", ("to_q", "to_k", "to_v"), "to_out.0", ("norm_q", "norm_k")),
            (text, "attn", ("add_q_proj", "add_k_proj", "add_v_proj"), "to_add_out",
             ("norm_added_q", "norm_added_k")),
        ):
            module(table, f"{file}.{attn}.qkv", [f"{ours}.{attn}.{p}" for p in qkv])
            module(table, f"{file}.{attn}.proj", f"{ours}.{attn}.{out}")
            for theirs, name in zip(("ln_q", "ln_k"), norms):
                table[f"{file}.{attn}.{theirs}.weight"] = same(f"{ours}.{attn}.{name}.weight")
        module(table, f"{image}.adaLN_modulation.1", f"{ours}.norm1.linear")
        how = "swapped" if i == layers - 1 else ""
        module(table, f"{text}.adaLN_modulation.1", ([f"{ours}.norm1_context.linear"], how))
        for file, ff in ((image, "ff"), (text, "ff_context")):
            module(table, f"{file}.mlp.fc1", f"{ours}.{ff}.net.0.proj")
            module(table, f"{file}.mlp.fc2", f"{ours}.{ff}.net.2")
    return keep(table, state)


def clip_without_projection(state):
    return clip({name: value for name, value in state.items() if not name.startswith("text_projection")})


def wan(state):
    table = {"head.modulation": same("scale_shift_table")}
    for key, ours in {
        "patch_embedding": "patch_embedding", "head.head": "proj_out",
        "time_projection.1": "condition_embedder.time_proj",
        "time_embedding.0": "condition_embedder.time_embedder.linear_1",
        "time_embedding.2": "condition_embedder.time_embedder.linear_2",
        "text_embedding.0": "condition_embedder.text_embedder.linear_1",
        "text_embedding.2": "condition_embedder.text_embedder.linear_2",
    }.items():
        module(table, key, ours)
    for i in range(count(state, "blocks.")):
        block = f"blocks.{i}"
        for file, ours in (("self_attn", "attn1"), ("cross_attn", "attn2")):
            for theirs, name in (("q", "to_q"), ("k", "to_k"), ("v", "to_v"), ("o", "to_out.0"),
                                 ("norm_q", "norm_q"),
                                 ("norm_k", "norm_k")):
                module(table, f"{block}.{file}.{theirs}", f"{block}.{ours}.{name}")
        module(table, f"{block}.ffn.0", f"{block}.ffn.net.0.proj")
        module(table, f"{block}.ffn.2", f"{block}.ffn.net.2")
        module(table, f"{block}.norm3", f"{block}.norm2")
        table[f"{block}.modulation"] = same(f"{block}.scale_shift_table")
    return keep(table, state)


def wan_vae(state):
    table = {}
    module(table, "conv1", "quant_conv")
    module(table, "conv2", "post_quant_conv")

    def residual(file, ours):
        table[f"{file}.residual.0.gamma"] = same(f"{ours}.norm1.gamma")
        table[f"{file}.residual.3.gamma"] = same(f"{ours}.norm2.gamma")
        module(table, f"{file}.residual.2", f"{ours}.conv1")
        module(table, f"{file}.residual.6", f"{ours}.conv2")
        module(table, f"{file}.shortcut", f"{ours}.conv_shortcut")

    def resampler(file, ours):
        module(table, f"{file}.resample.1", f"{ours}.resample.1")
        module(table, f"{file}.time_conv", f"{ours}.time_conv")

    for side in ("encoder", "decoder"):
        module(table, f"{side}.conv1", f"{side}.conv_in")
        residual(f"{side}.middle.0", f"{side}.mid_block.resnets.0")
        residual(f"{side}.middle.2", f"{side}.mid_block.resnets.1")
        table[f"{side}.middle.1.norm.gamma"] = same(f"{side}.mid_block.attentions.0.norm.gamma")
        module(table, f"{side}.middle.1.to_qkv", f"{side}.mid_block.attentions.0.to_qkv")
        module(table, f"{side}.middle.1.proj", f"{side}.mid_block.attentions.0.proj")
        table[f"{side}.head.0.gamma"] = same(f"{side}.norm_out.gamma")
        module(table, f"{side}.head.2", f"{side}.conv_out")
    for i in range(count(state, "encoder.down_blocks.")):
        residual(f"encoder.downsamples.{i}", f"encoder.down_blocks.{i}")
        resampler(f"encoder.downsamples.{i}", f"encoder.down_blocks.{i}")
    index = 0
    for i in range(count(state, "decoder.up_blocks.")):
        for j in range(count(state, f"decoder.up_blocks.{i}.resnets.")):
            residual(f"decoder.upsamples.{index}", f"decoder.up_blocks.{i}.resnets.{j}")
            index += 1
        resampler(f"decoder.upsamples.{index}", f"decoder.up_blocks.{i}.upsamplers.0")
        index += 1
    return keep(table, state)


def umt5(state):
    """The names of Wan's own UMT5. There is no reader of them in diffusers; they are
    from Wan2.1's modules/t5.py."""
    table = {"token_embedding.weight": same("shared.weight"),
             "norm.weight": same("encoder.final_layer_norm.weight")}
    for i in range(count(state, "encoder.block.")):
        file, ours = f"blocks.{i}", f"encoder.block.{i}"
        for theirs, name in (("norm1", "layer.0.layer_norm"), ("norm2", "layer.1.layer_norm"),
                             ("attn.q", "layer.0.SelfAttention.q"), ("attn.k", "layer.0.SelfAttention.k"),
                             ("attn.v", "layer.0.SelfAttention.v"), ("attn.o", "layer.0.SelfAttention.o"),
                             ("pos_embedding.embedding", "layer.0.SelfAttention.relative_attention_bias"),
                             ("ffn.gate.0", "layer.1.DenseReluDense.wi_0"),
                             ("ffn.fc1", "layer.1.DenseReluDense.wi_1"),
                             ("ffn.fc2", "layer.1.DenseReluDense.wo")):
            table[f"{file}.{theirs}.weight"] = same(f"{ours}.{name}.weight")
    return keep(table, {k: v for k, v in state.items() if k != "encoder.embed_tokens.weight"})


def hunyuan_video(state):
    table = {}
    refiner = "txt_in.individual_token_refiner.blocks"
    for key, ours in {
        "img_in.proj": "x_embedder.proj", "txt_in.input_embedder": "context_embedder.proj_in",
        "time_in.mlp.0": "time_text_embed.timestep_embedder.linear_1",
        "time_in.mlp.2": "time_text_embed.timestep_embedder.linear_2",
        "guidance_in.mlp.0": "time_text_embed.guidance_embedder.linear_1",
        "guidance_in.mlp.2": "time_text_embed.guidance_embedder.linear_2",
        "vector_in.in_layer": "time_text_embed.text_embedder.linear_1",
        "vector_in.out_layer": "time_text_embed.text_embedder.linear_2",
        "txt_in.t_embedder.mlp.0": "context_embedder.time_text_embed.timestep_embedder.linear_1",
        "txt_in.t_embedder.mlp.2": "context_embedder.time_text_embed.timestep_embedder.linear_2",
        "txt_in.c_embedder.linear_1": "context_embedder.time_text_embed.text_embedder.linear_1",
        "txt_in.c_embedder.linear_2": "context_embedder.time_text_embed.text_embedder.linear_2",
        "final_layer.linear": "proj_out", "final_layer.adaLN_modulation.1": (["norm_out.linear"], "swapped"),
    }.items():
        module(table, key, ours)
    for i in range(count(state, "context_embedder.token_refiner.refiner_blocks.")):
        file, ours = f"{refiner}.{i}", f"context_embedder.token_refiner.refiner_blocks.{i}"
        module(table, f"{file}.self_attn_qkv", [f"{ours}.attn.{p}" for p in ("to_q", "to_k", "to_v")])
        for theirs, name in (("norm1", "norm1"), ("norm2", "norm2"), ("self_attn_proj", "attn.to_out.0"),
                             ("mlp.fc1", "ff.net.0.proj"), ("mlp.fc2", "ff.net.2"),
                             ("adaLN_modulation.1", "norm_out.linear")):
            module(table, f"{file}.{theirs}", f"{ours}.{name}")
    for i in range(count(state, "transformer_blocks.")):
        ours = f"transformer_blocks.{i}"
        for stream, qkv, out, norm, ff, norms in (
            ("img", ("to_q", "to_k", "to_v"), "to_out.0", "norm1", "ff", ("norm_q", "norm_k")),
            ("txt", ("add_q_proj", "add_k_proj", "add_v_proj"), "to_add_out", "norm1_context", "ff_context",
             ("norm_added_q", "norm_added_k")),
        ):
            file = f"double_blocks.{i}.{stream}"
            module(table, f"{file}_attn_qkv", [f"{ours}.attn.{p}" for p in qkv])
            module(table, f"{file}_attn_proj", f"{ours}.attn.{out}")
            module(table, f"{file}_mod.linear", f"{ours}.{norm}.linear")
            module(table, f"{file}_mlp.fc1", f"{ours}.{ff}.net.0.proj")
            module(table, f"{file}_mlp.fc2", f"{ours}.{ff}.net.2")
            for theirs, name in zip(("q_norm", "k_norm"), norms):
                module(table, f"{file}_attn_{theirs}", f"{ours}.attn.{name}")
    for i in range(count(state, "single_transformer_blocks.")):
        file, ours = f"single_blocks.{i}", f"single_transformer_blocks.{i}"
        module(table, f"{file}.linear1",
               [f"{ours}.{p}" for p in ("attn.to_q", "attn.to_k", "attn.to_v", "proj_mlp")])
        for theirs, name in (("linear2", "proj_out"), ("modulation.linear", "norm.linear"),
                             ("q_norm", "attn.norm_q"),
                             ("k_norm", "attn.norm_k")):
            module(table, f"{file}.{theirs}", f"{ours}.{name}")
    return keep(table, state)


def llama(state):
    return {name if name.startswith("model.") else f"model.{name}": same(name) for name in state}


def chroma(state):
    approximator = "distilled_guidance_layer"
    own = {name: value for name, value in state.items() if not name.startswith(approximator)}
    table = flux(own)
    for name in ("in_proj", "out_proj"):
        module(table, f"{approximator}.{name}", f"{approximator}.{name}")
    for i in range(count(state, f"{approximator}.layers.")):
        layer = f"{approximator}.layers.{i}"
        module(table, f"{layer}.in_layer", f"{layer}.linear_1")
        module(table, f"{layer}.out_layer", f"{layer}.linear_2")
        table[f"{approximator}.norms.{i}.scale"] = same(f"{approximator}.norms.{i}.weight")
    return keep(table, state)


def z_image(state):
    table = {}
    for key, (names, how) in plain(state).items():
        table[key.replace("all_x_embedder.2-1.", "x_embedder.")
              .replace("all_final_layer.2-1.", "final_layer.")
              .replace(".attention.to_out.0.", ".attention.out.")
              .replace(".attention.norm_q.", ".attention.q_norm.")
              .replace(".attention.norm_k.", ".attention.k_norm.")] = (names, how)
    for key in [key for key in table if key.endswith(".attention.to_q.weight")]:
        names = [key.replace("to_q", part) for part in ("to_q", "to_k", "to_v")]
        for name in names:
            del table[name]
        table[key.replace("to_q", "qkv")] = (names, "")
    return keep(table, state)


def flux2(state):
    table = {}
    for key, ours in {
        "img_in": "x_embedder", "txt_in": "context_embedder", "final_layer.linear": "proj_out",
        "final_layer.adaLN_modulation.1": (["norm_out.linear"], "swapped"),
        "time_in.in_layer": "time_guidance_embed.timestep_embedder.linear_1",
        "time_in.out_layer": "time_guidance_embed.timestep_embedder.linear_2",
        **{f"{name}.lin": f"{name}.linear" for name in (
            "double_stream_modulation_img", "double_stream_modulation_txt", "single_stream_modulation")},
    }.items():
        module(table, key, ours)
    for i in range(count(state, "transformer_blocks.")):
        ours = f"transformer_blocks.{i}"
        for stream, qkv, out, ff, norms in (
            ("img", ("to_q", "to_k", "to_v"), "to_out.0", "ff", ("norm_q", "norm_k")),
            ("txt", ("add_q_proj", "add_k_proj", "add_v_proj"), "to_add_out", "ff_context",
             ("norm_added_q", "norm_added_k")),
        ):
            file = f"double_blocks.{i}.{stream}"
            module(table, f"{file}_attn.qkv", [f"{ours}.attn.{p}" for p in qkv])
            module(table, f"{file}_attn.proj", f"{ours}.attn.{out}")
            module(table, f"{file}_mlp.0", f"{ours}.{ff}.linear_in")
            module(table, f"{file}_mlp.2", f"{ours}.{ff}.linear_out")
            for theirs, name in zip(("query_norm", "key_norm"), norms):
                table[f"{file}_attn.norm.{theirs}.scale"] = same(f"{ours}.attn.{name}.weight")
    for i in range(count(state, "single_transformer_blocks.")):
        file, ours = f"single_blocks.{i}", f"single_transformer_blocks.{i}.attn"
        module(table, f"{file}.linear1", f"{ours}.to_qkv_mlp_proj")
        module(table, f"{file}.linear2", f"{ours}.to_out")
        for theirs, name in (("query_norm", "norm_q"), ("key_norm", "norm_k")):
            table[f"{file}.norm.{theirs}.scale"] = same(f"{ours}.{name}.weight")
    return keep(table, state)


def flux2_vae(state):
    table = autoencoder_kl({name: value for name, value in state.items() if not name.startswith("bn.")})
    inner = {"quant_conv": "encoder.quant_conv", "post_quant_conv": "decoder.post_quant_conv"}
    table = {f"{inner[name]}.{rest}" if (name := key.rpartition(".")[0]) in inner
             and (rest := key.rpartition(".")[2])
             else key: entry for key, entry in table.items()}
    table |= {name: same(name) for name in state if name.startswith("bn.")}
    return keep(table, state)


def qwen_image21(state):
    table = plain(state)
    for key in [key for key in table if key.endswith(".img_mlp.gate_layer.weight")]:
        names = [key, key.replace("gate_layer", "proj")]
        for name in names:
            del table[name]
        table[key.replace("gate_layer", "gate_up")] = (names, "")
    return keep(table, state)


def wan22_vae(state, how=""):
    """Wan2.2 counts the layers of each resolution, diffusers the residual blocks, with
    one resampler behind them."""
    table = {key: entry for key, entry in wan_vae(outer(state)).items()}
    for side, theirs, blocks, last in (
        ("encoder", "downsamples", "down_blocks", "downsampler"),
        ("decoder", "upsamples", "up_blocks", "upsampler"),
    ):
        for i in range(count(state, f"{side}.{blocks}.")):
            ours = f"{side}.{blocks}.{i}"
            layers = count(state, f"{ours}.resnets.")
            for j in range(layers):
                file, resnet = f"{side}.{theirs}.{i}.{theirs}.{j}", f"{ours}.resnets.{j}"
                table[f"{file}.residual.0.gamma"] = same(f"{resnet}.norm1.gamma")
                table[f"{file}.residual.3.gamma"] = same(f"{resnet}.norm2.gamma")
                for name, part in (("residual.2", "conv1"), ("residual.6", "conv2"),
                                   ("shortcut", "conv_shortcut")):
                    module(table, f"{file}.{name}", f"{resnet}.{part}")
            for name in ("resample.1", "time_conv"):
                module(table, f"{side}.{theirs}.{i}.{theirs}.{layers}.{name}", f"{ours}.{last}.{name}")
    flat = ("gamma", "bias")
    convolves = lambda key: (  # noqa: E731
        how and not key.endswith(flat) and ".resample." not in key and ".middle.1." not in key)
    return keep({key: (names, how if convolves(key) else "") for key, (names, _) in table.items()}, state)


def outer(state):
    return {name: value for name, value in state.items() if ".down_blocks." not in name
            and ".up_blocks." not in name}


def qwen_image21_vae(state):
    return wan22_vae(state, "frame")


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
        value = torch.cat([states[component][n]
                           for n in names]) if len(names) > 1 else states[component][names[0]]
        if how == "swapped":
            value = torch.cat(value.chunk(2)[::-1])
        elif how == "transposed":
            value = value.T
        elif how == "pixel":
            value = value[:, :, None, None]
        elif how == "frame":
            value = value[:, :, None]
        made[key] = value.contiguous()
    return made


def equal(loaded, expected, what):
    # transformers 5 has CLIPTextModel without its prefix in memory, and 4 with it.
    bare = lambda state: {key.removeprefix("text_model."): value
                          for key, value in state.items()}  # noqa: E731
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


def check(name, classes, width=None, prefix=""):
    """Loads the twin by diffusers' from_single_file, component by component, and compares every tensor."""
    folder = GOLDENS / TWINS[name]["folder"]
    mappings = diffusers.loaders.single_file_model.SINGLE_FILE_LOADABLE_CLASSES
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "twin.safetensors"
        save_file({key.removeprefix(prefix): value for key, value in tensors_of(name).items()}, path)
        for component, kind in classes.items():
            kept = mappings.get(kind.__name__)
            if width is not None and component == "transformer":
                mapping = with_width(kept["checkpoint_mapping_fn"], width)
                mappings[kind.__name__] = {**kept, "checkpoint_mapping_fn": mapping}
            try:
                if hasattr(kind, "from_single_file"):
                    model = kind.from_single_file(str(path), config=str(folder), subfolder=component,
                                                  torch_dtype=torch.float32)
                else:
                    tensors = load_file(path)
                    make = (single_file_utils.create_diffusers_t5_model_from_checkpoint
                            if "T5" in kind.__name__
                            else single_file_utils.create_diffusers_clip_model_from_ldm)
                    model = make(kind, tensors, subfolder=component, config=str(folder),
                                 torch_dtype=torch.float32,
                                 local_files_only=True)
            finally:
                if kept is not None:
                    mappings[kind.__name__] = kept
            equal(model.state_dict(), load_component(folder, component), f"{name}'s {component}")
            print(f"{name}: {component} is equal in diffusers")


def golden(name, kind, case):
    """Stores the latents of diffusers' from_single_file where they are not the folder's.

    Its text encoders are the folder's, as transformers 5 leaves buffers of those from single files without
    storage. The first gets what create_diffusers_clip_model_from_ldm gives it.
    """
    folder = GOLDENS / TWINS[name]["folder"]
    call = json.loads((folder / "goldens.json").read_text())["cases"][case]
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "twin.safetensors"
        save_file(tensors_of(name), path)
        pipe = kind.from_pretrained(folder, torch_dtype=torch.float32)
        for component in ("transformer", "vae"):
            single = type(getattr(pipe, component)).from_single_file
            setattr(pipe, component, single(str(path), config=str(folder), subfolder=component,
                                            torch_dtype=torch.float32))
        pipe.text_encoder.text_projection.weight.data = torch.eye(pipe.text_encoder.config.hidden_size)
        pipe.set_progress_bar_config(disable=True)
        seen, latents = run_whole(pipe, call.pop("seed"), **call)
    save_file({f"{case}.latents": latents.float().contiguous()}, HERE / f"{name}.safetensors")
    print(f"{name}: latents of {case} are stored")


def check_wan_vae():
    """diffusers reads only autoencoders with the published number of layers, so another one
    stands for the tiny one."""
    model = diffusers.AutoencoderKLWan(base_dim=4, z_dim=4, dim_mult=[1, 2, 4, 4], num_res_blocks=2,
                                       latents_mean=[0.0] * 4, latents_std=[1.0] * 4)
    with tempfile.TemporaryDirectory() as scratch:
        model.save_pretrained(scratch)
        state = model.state_dict()
        save_file({key: state[names[0]].contiguous() for key, (names, _) in wan_vae(state).items()},
                  f"{scratch}/x.safetensors")
        loaded = diffusers.AutoencoderKLWan.from_single_file(f"{scratch}/x.safetensors", config=scratch)
    equal(loaded.state_dict(), state, "Wan's autoencoder")
    print("Wan's autoencoder is equal in diffusers")


def main():
    from transformers import CLIPTextModel, CLIPTextModelWithProjection, T5EncoderModel

    unet_classes = {"unet": diffusers.UNet2DConditionModel, "vae": diffusers.AutoencoderKL,
                    "text_encoder": CLIPTextModel}
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

    twin("chroma", "chroma/tiny-hd", [("model.diffusion_model.", "transformer", chroma)])
    width = load_component(GOLDENS / "chroma/tiny-hd", "transformer")["x_embedder.weight"].shape[0]
    check("chroma", {"transformer": diffusers.ChromaTransformer2DModel}, width)

    # diffusers gives Stable Diffusion 3's first encoder the identity as its projection, so the file has none.
    twin("sd3-large", "sd3/tiny-large", [
        ("model.diffusion_model.", "transformer", sd3), ("first_stage_model.", "vae", autoencoder_kl),
        ("text_encoders.clip_l.transformer.", "text_encoder", clip_without_projection),
        ("text_encoders.clip_g.transformer.", "text_encoder_2", clip),
        ("text_encoders.t5xxl.transformer.", "text_encoder_3", plain)])
    sd3_classes = {"transformer": diffusers.SD3Transformer2DModel, "vae": diffusers.AutoencoderKL}
    check("sd3-large", {**sd3_classes, "text_encoder_2": CLIPTextModelWithProjection,
                        "text_encoder_3": T5EncoderModel})
    golden("sd3-large", diffusers.StableDiffusion3Pipeline, "picture.8_steps")
    twin("sd3-medium", "sd3/tiny-medium", [
        ("model.diffusion_model.", "transformer", sd3), ("first_stage_model.", "vae", autoencoder_kl)])
    check("sd3-medium", sd3_classes)

    twin("wan", "wan/tiny-unipc", [("", "transformer", wan)])
    check("wan", {"transformer": diffusers.WanTransformer3DModel})
    check_wan_vae()
    twin("wan-vae", "wan/tiny-unipc", [("", "vae", wan_vae)])
    twin("wan-umt5", "wan/tiny-unipc", [("", "text_encoder", umt5)])
    twin("hunyuan-video", "hunyuan_video/tiny-distilled", [("", "transformer", hunyuan_video)])
    width = load_component(GOLDENS / "hunyuan_video/tiny-distilled",
                           "transformer")["x_embedder.proj.weight"].shape[0]
    check("hunyuan-video", {"transformer": diffusers.HunyuanVideoTransformer3DModel}, width)
    twin("hunyuan-video-llama", "hunyuan_video/tiny-distilled", [("", "text_encoder", llama)])
    twin("hunyuan-video-33ch", "hunyuan_video/tiny-concat", [("", "transformer", hunyuan_video)])
    width = load_component(GOLDENS / "hunyuan_video/tiny-concat",
                           "transformer")["x_embedder.proj.weight"].shape[0]
    check("hunyuan-video-33ch", {"transformer": diffusers.HunyuanVideoTransformer3DModel}, width)

    twin("qwen-image", "qwen_image/tiny-image", [("model.diffusion_model.", "transformer", plain)])
    # diffusers takes the names as they are, without a prefix.
    check("qwen-image", {"transformer": diffusers.QwenImageTransformer2DModel},
          prefix="model.diffusion_model.")
    twin("qwen-image-vae", "qwen_image/tiny-image", [("", "vae", wan_vae)])

    twin("wan-a14b-high", "wan/tiny-a14b", [("", "transformer", wan)])
    check("wan-a14b-high", {"transformer": diffusers.WanTransformer3DModel})
    twin("wan-a14b-low", "wan/tiny-a14b", [("model.diffusion_model.", "transformer_2", wan)])
    check("wan-a14b-low", {"transformer_2": diffusers.WanTransformer3DModel})
    twin("wan-ti2v", "wan/tiny-ti2v", [("", "transformer", wan)])
    check("wan-ti2v", {"transformer": diffusers.WanTransformer3DModel})
    twin("wan-ti2v-vae", "wan/tiny-ti2v", [("", "vae", wan22_vae)])

    twin("flux2", "flux2/tiny-base", [("", "transformer", flux2)])
    check("flux2", {"transformer": diffusers.Flux2Transformer2DModel})
    twin("flux2-vae", "flux2/tiny-base", [("", "vae", flux2_vae)])
    twin("qwen-image-2.1", "qwen_image21/tiny-21", [("model.diffusion_model.", "transformer", qwen_image21)])
    check("qwen-image-2.1", {"transformer": diffusers.QwenImage21Transformer2DModel})
    twin("qwen-image-2.1-vae", "qwen_image21/tiny-21", [("", "vae", qwen_image21_vae)])

    twin("z-image", "z_image/tiny-base", [("", "transformer", z_image)])
    check("z-image", {"transformer": diffusers.ZImageTransformer2DModel})

    for name, entry in TWINS.items():
        lines = ",\n".join(
            f"    {json.dumps(key)}: {json.dumps([component, *names] + ([f'={how}'] if how else []))}"
            for key, (component, names, how) in entry["tensors"].items())
        text = f'{{\n  "folder": {json.dumps(entry["folder"])},\n  "tensors": {{\n{lines}\n  }}\n}}\n'
        (HERE / f"{name}.json").write_text(text)


if __name__ == "__main__":
    main()
