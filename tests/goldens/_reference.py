"""Shared parts of the golden makers: random weights that exercise every layer, capture of
what diffusers computes.

Everything runs in float32 on one CPU thread, so that a rerun on the same machine gives the same bytes.
"""

import hashlib
import json
import math
import platform
import shutil
from pathlib import Path

import diffusers
import numpy
import torch
import transformers
from safetensors.torch import save_file

torch.set_num_threads(1)
torch.set_grad_enabled(False)
torch.use_deterministic_algorithms(True)
diffusers.utils.logging.set_verbosity_error()
transformers.utils.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()
diffusers.utils.logging.disable_progress_bar()

# Plain words, the empty prompt, and one that needs every rule of a tokenizer: accents in both normal forms, a
# ligature, full-width letters, a script and an emoji outside the vocabulary, runs of spaces, capitals,
# digits, contractions, and more tokens than any of the tiny encoders takes.
PROMPTS = {
    "plain": "a red heart on a white background",
    "empty": "",
    "unicode": (
        "Crème brûlée & cafe\u0301, the “ﬁnest” №5 — 3½ stars!!\u00a0It's Ｆｕｌｌ width,  don't   STOP:\t日本語 🦊 "
        "<b>bold</b> (x_1 + y^2) / 1024px; a photo of two cats and three dogs, 50% off…"
    ),
}


class Goldens:
    """Collects named tensors and, beside them, the arguments of the call that gave each group."""

    def __init__(self, **facts):
        self.tensors = {}
        self.calls = {}
        self.facts = facts

    def add(self, case, call, **tensors):
        """Stores `tensors` as "case.name"; float tensors as float32, ids as int32."""
        assert case not in self.calls, case
        self.calls[case] = call
        for name, value in tensors.items():
            value = torch.as_tensor(value)
            kind = torch.float32 if value.is_floating_point() else torch.int32
            assert torch.isfinite(value.double()).all(), f"{case}.{name}"
            self.tensors[f"{case}.{name}"] = value.to(kind).contiguous().clone()

    def save(self, folder):
        """Writes goldens.safetensors and goldens.json into `folder`."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        save_file(self.tensors, folder / "goldens.safetensors")
        (folder / "goldens.safetensors").chmod(0o644)
        about = {"made_with": versions(), **self.facts, "cases": self.calls}
        (folder / "goldens.json").write_text(json.dumps(about, indent=2, ensure_ascii=False) + "\n")


def versions():
    """Versions that the numbers may depend on."""
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "diffusers": diffusers.__version__,
        "transformers": transformers.__version__,
        "numpy": numpy.__version__,
    }


def redraw(model, seed):
    """Draws all weights anew: a fresh diffusers model has zero gates, unit norms and zero
    biases, which hide errors.

    Matrices and convolutions keep the variance of their input, norm weights lie around 1, biases around 0.
    """
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        layer = (name.split(".")[-2:-1] or [""])[0]
        table = "embedding" in name and "embedder" not in name and not layer.startswith(("linear", "patch"))
        if table or layer in ("shared", "embed_tokens"):
            parameter.copy_(noise * 0.5)
        elif "relative_attention_bias" in name:
            parameter.copy_(noise)
        elif name.endswith("gamma"):
            parameter.copy_(1 + 0.2 * noise)
        elif parameter.dim() > 1:
            parameter.copy_(noise / math.sqrt(parameter[0].numel()))
        elif name.endswith("weight"):
            parameter.copy_(1 + 0.2 * noise)
        else:
            parameter.copy_(0.1 * noise)
    return model.eval()


def smooth_in_time(linear):
    """Damps the fast columns of the first layer after a sinusoidal embedding, as training does.

    Undamped, sin(t) at t near 1000 magnifies the last bit of t, and the goldens would
    test libm, not the graph.
    """
    half = linear.weight.shape[1] // 2
    frequency = torch.exp(-math.log(10000) * torch.arange(half) / half)
    linear.weight.mul_((1 / (1 + 200 * frequency)).repeat(2))


def denoiser_of(pipe):
    """(the denoiser, the first module behind its last block): what Spectrum runs whole,
    and where its head begins."""
    transformer = getattr(pipe, "transformer", None)
    if hasattr(transformer, "all_final_layer"):
        return transformer, transformer.all_final_layer["2-1"]
    if transformer is not None:
        return transformer, transformer.norm_out
    return pipe.unet, pipe.unet.conv_norm_out


def heads_of(pipe):
    """Where the head of each of the pipeline's denoisers begins; Wan2.2 has two."""
    second = getattr(pipe, "transformer_2", None)
    return [denoiser_of(pipe)[1], *([] if second is None else [second.norm_out])]


class Capture:
    """Records what flows through the modules of a pipeline while it runs;
    `with Capture(pipe) as seen: pipe(...)`."""

    def __init__(self, pipe):
        self.pipe = pipe
        self.hooks = []

    def __enter__(self):
        self.text = {}
        self.denoiser_inputs = []
        self.features = []
        self.decoded = None
        denoiser, head = denoiser_of(self.pipe)
        for name in ("text_encoder", "text_encoder_2", "text_encoder_3"):
            encoder = getattr(self.pipe, name, None)
            if encoder is not None:
                self._listen(encoder, lambda _, args, kwargs, out, name=name: self.text.setdefault(
                    name, []).append((kwargs.get("input_ids", args[0] if args else None), out)))
        self._listen(denoiser, lambda _, args, kwargs,
                     out: self.denoiser_inputs.append({**kwargs, "args": args}))
        self._listen(head, lambda _, args, kwargs, out: self.features.append(args[0]))
        decode = self.pipe.vae.decode

        def keep_decoded(latents, **kwargs):
            result = decode(latents, **kwargs)
            self.decoded = result[0]
            return result

        self.pipe.vae.decode = keep_decoded
        return self

    def _listen(self, module, hook):
        self.hooks.append(module.register_forward_hook(hook, with_kwargs=True))

    def __exit__(self, *_):
        for hook in self.hooks:
            hook.remove()
        del self.pipe.vae.decode


def run_whole(pipe, seed, **call):
    """Runs `pipe` to decoded pixels. Returns what flowed through it and the final latents."""
    final = []
    keep = lambda pipe, step, timestep, kwargs: (final.append(kwargs["latents"]), {})[1]
    with Capture(pipe) as seen:
        generator = torch.Generator("cpu").manual_seed(seed)
        pipe(generator=generator, output_type="pt", callback_on_step_end=keep, **call)
    return seen, final[-1]


def remake(here, **checkpoints):
    """Makes each checkpoint anew, NAME=(make, golden) with NAME's underscores as dashes, then its goldens."""
    for name, (make, golden) in checkpoints.items():
        folder = here / name.replace("_", "-")
        shutil.rmtree(folder, ignore_errors=True)
        make(folder)
        golden(folder)


def digest(checkpoint):
    """SHA-256 over the weights of a checkpoint directory: names a retrained checkpoint
    whose goldens are stale."""
    total = hashlib.sha256()
    for path in sorted(Path(checkpoint).rglob("*.safetensors")):
        total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()
