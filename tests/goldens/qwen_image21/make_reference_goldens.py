"""Makes the reference data of Qwen-Image-2.1 with images: what diffusers computes with tiny-21.

    python tests/goldens/qwen_image21/make_reference_goldens.py      # about 15 s

goldens.json says for every case which call gave it.
"""

import sys
from functools import partial
from pathlib import Path

import numpy
import torch
from PIL import Image

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]
from _cases import add_forecast_run as add_forecast_case  # noqa: E402
from _reference import PROMPTS, Capture, Goldens, run_whole  # noqa: E402
from make_goldens import SIGMAS, Even, decode_packed, load  # noqa: E402

# Sizes in pixels and modes of the references. Pixels that are partly or wholly transparent have colours.
IMAGES = {
    "wide": (90, 30, "RGB"), "tall": (33, 100, "RGB"), "square": (48, 48, "RGB"), "clear": (57, 60, "RGBA"),
}
# The side of a square of as many pixels as a reference has; the pipeline's is 1024.
RESOLUTION = 64


def images():
    draw = numpy.random.default_rng(7)
    made = {}
    for name, (width, height, mode) in IMAGES.items():
        coarse = draw.integers(0, 256, (5, 5, len(mode)), dtype=numpy.uint8)
        picture = Image.fromarray(coarse[:, :, :3]).resize((width, height), Image.Resampling.BICUBIC)
        if mode == "RGBA":
            opacity = Image.fromarray(coarse[:, :, 3])
            picture.putalpha(opacity.resize((width, height), Image.Resampling.BICUBIC))
        made[name] = picture
    return made


class Looking:
    """The pipeline with references, whose names alone are recorded, in the size of the tests."""

    def __init__(self, pipe, pictures):
        self.pipe, self.pictures = pipe, pictures
        self.transformer, self.vae, self.text_encoder = pipe.transformer, pipe.vae, pipe.text_encoder

    def __call__(self, references, **call):
        seen = [self.pictures[name] for name in references]
        return self.pipe(image=seen, output_resolution=RESOLUTION, **call)


def add_look(goldens, pipe, pictures, case, *, seed, references, text=False, decoded=False, **call):
    """A whole call with references. The latents of the references stand before the picture's."""
    seen, latents = run_whole(Looking(pipe, pictures), seed, references=references, **call)
    first, count = seen.denoiser_inputs[0], latents.shape[1]
    tensors = {"initial_latents": first["hidden_states"][:, -count:], "latents": latents}
    if text:
        slots = first["img_mask"][0, : first["encoder_hidden_states"].shape[1]]
        # The transformer puts references in place of the states of their slots.
        tensors["prompt_embeds"] = first["encoder_hidden_states"][:, ~slots]
        tensors["slots"] = slots
        tensors["reference_tokens"] = first["hidden_states"][:, :-count]
    if decoded:
        tensors["decoded"] = decode_packed(pipe, latents, call)
    goldens.add(f"picture.{case}", {"seed": seed, "references": references, **call}, **tensors)


def add_looking_transformer(goldens, pipe, case, *, seed, image, references, texts, timestep):
    """One call of the transformer on random inputs; `image` and `references` are rows and columns of tokens,
    `texts` count the tokens of the text around the references.

    Inputs are stored as our trunk takes them: the image's tokens before the references', and the text alone.
    """
    config, batch = pipe.transformer.config, len(timestep)
    draw = torch.Generator().manual_seed(seed)
    shapes = [(1, *size) for size in (*references, image)]
    counts = [height * width for _, height, width in shapes]
    slots = [torch.zeros(texts[0])]
    for count, text in zip(counts, [*texts[1:], 0]):
        slots += [torch.ones(count // 4), torch.zeros(text)]
    img_mask = torch.cat(slots).bool()[None].repeat(batch, 1)
    seen = img_mask.shape[1] - counts[-1] // 4
    hidden_states = torch.randn(batch, sum(counts), config.in_channels, generator=draw)
    states = torch.randn(batch, seen, config.context_in_dim, generator=draw)
    with Capture(pipe) as captured:
        output = pipe.transformer(
            hidden_states=hidden_states, encoder_hidden_states=states, timestep=torch.tensor(timestep),
            img_shapes=[shapes] * batch, img_mask=img_mask).sample
    own = counts[-1]
    call = {"image": image, "references": references, "texts": texts}
    goldens.add(
        f"transformer.{case}", call,
        hidden_states=torch.cat([hidden_states[:, -own:], hidden_states[:, :-own]], dim=1),
        encoder_hidden_states=states[:, ~img_mask[0, :seen]], timestep=torch.tensor(timestep),
        feature=captured.features[0][:, -own:], output=output[:, -own:])


def main():
    """Calls of tiny-21 with references, and of the same with `causal_condition` off."""
    pipe, pictures = load(HERE / "tiny-21"), images()
    goldens = Goldens(checkpoint="tiny-21", resolution=RESOLUTION)
    for name, picture in pictures.items():
        goldens.add(f"input.{name}", {}, pixels=numpy.asarray(picture).astype(numpy.int32))
    looking = partial(add_looking_transformer, goldens, pipe)
    looking("start", seed=1, image=(4, 6), references=[(2, 4)], texts=[3, 5], timestep=[1.0])
    looking("batch", seed=2, image=(2, 4), references=[(4, 2), (2, 2), (2, 6)], texts=[2, 1, 0, 6],
            timestep=[0.731, 0.052])
    plain = {"prompt": PROMPTS["plain"], "true_cfg_scale": 1.0, "height": 16, "width": 24,
             "num_inference_steps": len(SIGMAS)}
    look = partial(add_look, goldens, pipe, pictures)
    look("one", seed=42, references=["square"], decoded=True, **plain)
    look("two", seed=2**40 + 5, references=["wide", "tall"], **{
        **plain, "true_cfg_scale": 3.0, "negative_prompt": "blurry, low quality"})
    look("three", seed=3, references=["tall", "clear", "wide"], text=True, **{
        **plain, "prompt": PROMPTS["unicode"], "height": 40, "width": 16})
    look("clear", seed=4, references=["clear"], **{
        **plain, "prompt": "", "true_cfg_scale": 2.0, "negative_prompt": ""})
    forecasts = partial(
        add_forecast_case, goldens, Even(Looking(pipe, pictures), 20), guided_by="true_cfg_scale", steps=20,
        tokens=-24)
    plain.pop("num_inference_steps")
    forecasts("one", seed=6, w=0.5, references=["wide"], **plain)
    forecasts("guidance", seed=7, w=0.7, references=["square", "clear"], **{
        **plain, "true_cfg_scale": 2.0, "negative_prompt": "blurry"})
    pipe.transformer.register_to_config(causal_condition=False)
    look("in_time", seed=8, references=["wide", "clear"], num_inference_steps=len(SIGMAS), **{
        **plain, "true_cfg_scale": 2.5, "negative_prompt": "blurry"})
    goldens.save(HERE / "references")


if __name__ == "__main__":
    main()
