"""Writes schemes.json: which naming schemes of LoRA files diffusers reads for each family.

Each case is a file of one scheme for one tiny checkpoint, in which every number is one and every alpha is
three. The result holds the tensors of the checkpoint that diffusers changes, and the number that it adds to
each of their elements; for a file that it refuses or ignores in silence, just that it does.
"""

import copy
import json
import logging
import sys
import tempfile
from pathlib import Path

import torch
from peft.tuners.lokr.layer import LoKrLayer
from peft.tuners.tuners_utils import BaseTunerLayer
from safetensors.torch import save_file

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
sys.path.insert(0, str(HERE))
from make_naming_goldens import load, module_of  # noqa: E402

RANK = 2
DOUBLE, SINGLE = "transformer_blocks.0", "single_transformer_blocks.1"
TEXT = "text_model.encoder.layers.0.self_attn.q_proj"
SHORT_TEXT = TEXT.removeprefix("text_model.")
FLUX_ORIGINALS = {"double_blocks.0.img_attn.qkv": [f"{DOUBLE}.attn.to_{m}" for m in "qkv"],
                  "double_blocks.0.img_mlp.0": [f"{DOUBLE}.ff.net.0.proj"]}
WAN_ORIGINALS = {"blocks.0.self_attn.q": ["blocks.0.attn1.to_q"], "blocks.1.ffn.2": ["blocks.1.ffn.net.2"]}

# Checkpoint; modules of the denoiser in diffusers' names; in the original names: modules fused in each;
# text encoders and how their modules begin.
FAMILIES = {
    "sd15": ("sdxl/tiny-sd15", [
        "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q", "mid_block.resnets.0.conv1"], {},
             {"text_encoder": SHORT_TEXT}),
    "sd21": ("sdxl/tiny-sd21", [
        "mid_block.attentions.0.transformer_blocks.0.attn1.to_q", "mid_block.resnets.0.conv1"], {},
             {"text_encoder": SHORT_TEXT}),
    "sdxl": ("sdxl/tiny-sdxl", [
        "down_blocks.2.attentions.0.transformer_blocks.0.attn2.to_k", "mid_block.resnets.0.conv1"],
             {"input_blocks.5.1.proj_in": ["down_blocks.2.attentions.0.proj_in"]},
             {"text_encoder": SHORT_TEXT, "text_encoder_2": TEXT}),
    "sd3": ("sd3/tiny-large", [f"{DOUBLE}.attn.to_q", "context_embedder"],
            {"joint_blocks.0.x_block.attn.qkv": [f"{DOUBLE}.attn.to_{m}" for m in "qkv"]},
            {"text_encoder": TEXT, "text_encoder_2": TEXT}),
    "flux": ("flux/tiny-dev", [f"{DOUBLE}.attn.to_q", f"{SINGLE}.proj_mlp", "x_embedder"],
             FLUX_ORIGINALS, {"text_encoder": SHORT_TEXT}),
    "chroma": ("chroma/tiny-hd", [f"{DOUBLE}.attn.to_q", f"{SINGLE}.proj_mlp", "x_embedder"],
               FLUX_ORIGINALS, {}),
    "flux2": ("flux2/tiny-base", [f"{DOUBLE}.attn.to_q", f"{SINGLE}.attn.to_out", "x_embedder"], {
        "double_blocks.0.img_attn.qkv": [f"{DOUBLE}.attn.to_{m}" for m in "qkv"],
        "double_blocks.0.txt_attn.qkv": [f"{DOUBLE}.attn.add_{m}_proj" for m in "qkv"],
        "double_blocks.0.img_mlp.0": [f"{DOUBLE}.ff.linear_in"]}, {}),
    "wan": ("wan/tiny-unipc", ["blocks.0.attn1.to_q", "blocks.1.ffn.net.2"], WAN_ORIGINALS, {}),
    "wan22": ("wan/tiny-ti2v", ["blocks.0.attn1.to_q", "blocks.1.ffn.net.2"], WAN_ORIGINALS, {}),
    "hunyuan_video": ("hunyuan_video/tiny-plain", [f"{DOUBLE}.attn.to_q", f"{SINGLE}.proj_mlp"],
                      {"double_blocks.0.img_attn_qkv": [f"{DOUBLE}.attn.to_{m}" for m in "qkv"],
                       "img_in.proj": ["x_embedder.proj"]}, {}),
    "qwen_image": ("qwen_image/tiny-image", [f"{DOUBLE}.attn.to_q", f"{DOUBLE}.img_mlp.net.2", "img_in"],
                   {}, {}),
    "qwen_image21": ("qwen_image21/tiny-21", [f"{DOUBLE}.attn.to_q", f"{DOUBLE}.img_mlp.out", "img_in"],
                     {}, {}),
    "z_image": ("z_image/tiny-base", ["layers.0.attention.to_q", "noise_refiner.0.feed_forward.w1"],
                {"layers.0.attention.qkv": [f"layers.0.attention.to_{m}" for m in "qkv"],
                 "layers.0.attention.out": ["layers.0.attention.to_out.0"]}, {}),
}

PEFT = ("lora_A.weight", "lora_B.weight")
KOHYA = ("lora_down.weight", "lora_up.weight")
OLD = ("lora.down.weight", "lora.up.weight")
DEFAULT = ("lora_A.default.weight", "lora_B.default.weight")
dots, underscores = (lambda name: name), (lambda name: name.replace(".", "_"))


def low_rank(form, alpha=False, extra=()):
    def shapes(rows, columns):
        pair = {form[0]: [RANK, *columns], form[1]: [rows, RANK, *[1] * (len(columns) - 1)]}
        length = [rows] if len(columns) == 1 else [1, rows, *[1] * (len(columns) - 1)]
        more = {"dora_scale": [rows, *[1] * len(columns)], "lora_magnitude_vector": length,
                "lora_magnitude_vector.weight": length, "lora_B.bias": [rows], "diff_b": [rows]}
        return {**pair, **({"alpha": []} if alpha else {}), **{name: more[name] for name in extra}}

    return shapes


def halves(n):
    """The largest divisor up to the root, as peft's `factorization` gives it."""
    return next(d for d in range(int(n**0.5), 0, -1) if n % d == 0)


def lokr(parts):
    """The factors of a Kronecker product: left and right, each whole or of two matrices."""
    def shapes(rows, columns):
        if len(columns) != 1:
            return None
        left = [halves(rows), halves(columns[0])]
        right = [rows // left[0], columns[0] // left[1]]
        tensors = {}
        for name, shape, split in (("lokr_w1", left, "1" in parts), ("lokr_w2", right, "2" in parts)):
            if split:
                tensors.update({f"{name}_a": [shape[0], 1], f"{name}_b": [1, shape[1]]})
            else:
                tensors[name] = shape
        return {**tensors, **({"alpha": []} if "alpha" in parts else {})}

    return shapes


def loha(rows, columns):
    if len(columns) != 1:
        return None
    pair = lambda i: {f"hada_w{i}_a": [rows, RANK], f"hada_w{i}_b": [RANK, columns[0]]}
    return {**pair(1), **pair(2), "alpha": []}


# Scheme: prefix (None is the component), dots or underscores, tensors.
FORMS = {
    "peft": (None, dots, low_rank(PEFT)),
    "peft with alpha": (None, dots, low_rank(PEFT, alpha=True)),
    "peft of an adapter": (None, dots, low_rank(DEFAULT)),
    "peft's base_model": ("base_model.model.", dots, low_rank(PEFT)),
    "peft without a prefix": ("", dots, low_rank(PEFT)),
    "peft of ComfyUI": ("diffusion_model.", dots, low_rank(PEFT)),
    "peft of ComfyUI with alpha": ("diffusion_model.", dots, low_rank(PEFT, alpha=True)),
    "diffusers of 2023": (None, dots, low_rank(OLD)),
    "down and up": (None, dots, low_rank(KOHYA, alpha=True)),
    "down and up without a prefix": ("", dots, low_rank(KOHYA, alpha=True)),
    "down and up of ComfyUI": ("diffusion_model.", dots, low_rank(KOHYA, alpha=True)),
    "kohya": ("lora_unet_", underscores, low_rank(KOHYA, alpha=True)),
    "kohya without alpha": ("lora_unet_", underscores, low_rank(KOHYA)),
    "kohya's transformer": ("lora_transformer_", underscores, low_rank(KOHYA, alpha=True)),
    "LyCORIS": ("lycoris_", underscores, low_rank(KOHYA, alpha=True)),
    "bias": (None, dots, low_rank(PEFT, extra=["lora_B.bias"])),
    "diff_b": (None, dots, low_rank(PEFT, extra=["diff_b"])),
    "diff_b of ComfyUI": ("diffusion_model.", dots, low_rank(KOHYA, extra=["diff_b"])),
    "DoRA of peft": (None, dots, low_rank(PEFT, extra=["lora_magnitude_vector"])),
    "DoRA of peft's state": (None, dots, low_rank(PEFT, extra=["lora_magnitude_vector.weight"])),
    "DoRA of LyCORIS": (None, dots, low_rank(PEFT, extra=["dora_scale"])),
    "DoRA of kohya": ("lora_unet_", underscores, low_rank(KOHYA, alpha=True, extra=["dora_scale"])),
    "LoKr": (None, dots, lokr([])),
    "LoKr of ComfyUI": ("diffusion_model.", dots, lokr(["alpha"])),
    "LoKr of ComfyUI, right factor in two": ("diffusion_model.", dots, lokr(["2", "alpha"])),
    "LoKr without a prefix": ("", dots, lokr(["1", "2", "alpha"])),
    "LoKr without a prefix or alpha": ("", dots, lokr([])),
    "LoKr of peft's base_model": ("base_model.model.", dots, lokr(["1", "2"])),
    "LoKr of LyCORIS": ("lycoris_", underscores, lokr(["2", "alpha"])),
    "LoKr of kohya": ("lora_unet_", underscores, lokr(["2", "alpha"])),
    "LoHa": (None, dots, loha),
    "LoHa of kohya": ("lora_unet_", underscores, loha),
    "whole": (None, dots, lambda rows, columns: {"diff": [rows, *columns]}),
}
# Schemes in which the original names are tried too.
ORIGINAL = {"peft", "peft's base_model", "peft without a prefix", "peft of ComfyUI", "down and up of ComfyUI",
            "kohya", "kohya without alpha", "LyCORIS", "LoKr of ComfyUI",
            "LoKr of ComfyUI, right factor in two", "LoKr of peft's base_model"}
TEXT_FORMS = {
    "text encoder: peft": (None, dots, low_rank(PEFT)),
    "text encoder: diffusers of 2023": (
        None, dots, low_rank(("lora_linear_layer.down.weight", "lora_linear_layer.up.weight"))),
    "text encoder: kohya": ("kohya", underscores, low_rank(KOHYA, alpha=True)),
    "text encoder: kohya's te1": ("numbered", underscores, low_rank(KOHYA, alpha=True)),
    "text encoder: DoRA of kohya": ("numbered", underscores, low_rank(KOHYA, alpha=True,
                                                                     extra=["dora_scale"])),
}


def file_of(pipe, component, layers, form):
    """The shapes of a file: layers is {name in the file: modules of `component`}."""
    prefix, spell, shapes = form
    if prefix is None:
        prefix = f"{component}."
    elif prefix == "kohya":
        prefix = "lora_te_" if component == "text_encoder" else "lora_te2_"
    elif prefix == "numbered":
        prefix = f"lora_te{component[len('text_encoder_'):] or 1}_"
    file = {}
    for name, modules in layers.items():
        weights = [module_of(pipe, f"{component}.{module}").weight for module in modules]
        tensors = shapes(sum(len(weight) for weight in weights), list(weights[0].shape[1:]))
        for ending, shape in (tensors or {}).items():
            file[f"{prefix}{spell(name)}.{ending}"] = shape
    return file


def split_name(name):
    block, last = name.rpartition(".")[::2]
    parts = {"to_qkv": ["to_q", "to_k", "to_v"],
             "to_added_qkv": ["add_q_proj", "add_k_proj", "add_v_proj"]}.get(last, [last])
    return [f"{block}.{part}" if block else part for part in parts]


def changed_tensors(pipe):
    """The tensors that an adapter changes, as `component.tensor`, and the number added to each element."""
    tensors = {}
    for component in ("unet", "transformer", "text_encoder", "text_encoder_2"):
        model = getattr(pipe, component, None)
        if not isinstance(model, torch.nn.Module):
            continue
        for name, module in model.named_modules():
            if not isinstance(module, BaseTunerLayer) or not module.active_adapters:
                continue
            adapter = module.active_adapters[0]
            holder = module.lokr_w1 if isinstance(module, LoKrLayer) else module.lora_A
            known = adapter in holder or (isinstance(module, LoKrLayer) and adapter in module.lokr_w1_a)
            if not known:
                continue
            added = module.get_delta_weight(adapter).unique()
            if added.numel() == 1 and added.item() == 0:
                continue
            assert added.numel() == 1, name
            for part in split_name(name):
                tensors[f"{component}.{part}.weight"] = round(added.item(), 6)
            up = None if isinstance(module, LoKrLayer) else module.lora_B[adapter]
            if up is not None and getattr(up, "bias", None) is not None and up.bias.abs().max() > 0:
                tensors[f"{component}.{name}.bias"] = round(module.scaling[adapter] * up.bias[0].item(), 6)
    return tensors


def outcome(pipe, shapes):
    tensors = {name: torch.full(shape, 3.0 if name.endswith("alpha") else 1.0)
               for name, shape in shapes.items()}
    fresh = copy.deepcopy(pipe)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.safetensors"
        save_file(tensors, path)
        try:
            fresh.load_lora_weights(path)
        except Exception:  # noqa: BLE001: every refusal counts.
            return "refused"
    models = [part for part in fresh.components.values() if isinstance(part, torch.nn.Module)]
    # A matrix that the file lacks stays on "meta": the model doesn't run then.
    if any(tensor.is_meta for model in models for tensor in model.parameters()):
        return "refused"
    return changed_tensors(fresh) or "ignored"


def cases_of(pipe, modules, originals, encoders):
    denoiser = "unet" if hasattr(pipe, "unet") else "transformer"
    own = {module: [module] for module in modules}
    for scheme, form in FORMS.items():
        yield scheme, file_of(pipe, denoiser, own, form)
        if originals and scheme in ORIGINAL:
            yield f"{scheme}, original names", file_of(pipe, denoiser, originals, form)
    for component, module in encoders.items():
        for scheme, form in TEXT_FORMS.items():
            spelled = module if module.startswith("text_model.") else f"text_model.{module}"
            # diffusers takes a file of kohya's names for one by its denoiser's or its attention's layers.
            layers = {spelled: [module], spelled.replace("q_proj", "out_proj"): [
                module.replace("q_proj", "out_proj")]}
            shapes = file_of(pipe, component, layers, form)
            yield f"{scheme} ({component})", shapes


def main():
    logging.disable(logging.WARNING)
    path = HERE / "schemes.json"
    table = json.loads(path.read_text()) if path.exists() else {}
    for family, (checkpoint, *parts) in FAMILIES.items():
        if len(sys.argv) > 1 and family not in sys.argv[1:]:
            continue
        pipe = load(checkpoint)
        table[family] = {"checkpoint": checkpoint, "cases": {}}
        for scheme, shapes in cases_of(pipe, *parts):
            if shapes:
                short = {name: "x".join(map(str, shape)) for name, shape in shapes.items()}
                table[family]["cases"][scheme] = {"shapes": short, "diffusers": outcome(pipe, shapes)}
        print(family, len(table[family]["cases"]), flush=True)
    families = []
    for name, family in table.items():
        cases = ",\n".join(f"{json.dumps(scheme)}:{json.dumps(case, separators=(',', ':'))}"
                           for scheme, case in family["cases"].items())
        head = f'{json.dumps(name)}:{{"checkpoint":{json.dumps(family["checkpoint"])}'
        families.append(f'{head},"cases":{{\n{cases}}}}}')
    path.write_text("{\n" + ",\n".join(families) + "}\n")


if __name__ == "__main__":
    main()
