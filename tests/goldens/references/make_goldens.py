"""Makes the reference data of models that look at images, and of FLUX.1 Fill: what diffusers computes.

    python tests/goldens/references/make_goldens.py      # after the checkpoints' own scripts; about 60 s

goldens.json beside each goldens.safetensors says for every case which call gave it. "images" in a call
names PNG files of this folder. kontext/ has an autoencoder of its own, whose tokens are 64 pixels wide:
FluxKontextPipeline enlarges every image to about a megapixel. fill/ has a transformer of its own.
"""

import sys
from pathlib import Path

import diffusers
import numpy
import PIL.Image
import torch
from diffusers.pipelines.flux2.image_processor import Flux2ImageProcessor

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
sys.path.insert(0, str(HERE.parent / "inpaint"))
from _reference import PROMPTS, Goldens, redraw  # noqa: E402
from _spectrum import run_spectrum  # noqa: E402
import make_goldens as inpaint  # noqa: E402  # the pictures and masks of inpainting

SPECTRUM = {"w": 0.5, "m": 4, "lam": 0.1, "window_size": 2, "flex_window": 0.75, "warmup_steps": 3}
PLAIN = {"prompt": PROMPTS["plain"]}
SIZES = {"wide": (96, 64), "tall": (70, 150), "large": (1100, 1000)}


def image(name):
    """Blocks of colour: sharp edges, and few bytes as a PNG."""
    width, height = SIZES[name]
    side = max(SIZES[name]) // 12
    draw = numpy.random.default_rng(len(name))
    blocks = draw.integers(0, 256, (height // side + 1, width // side + 1, 3), dtype=numpy.uint8)
    return PIL.Image.fromarray(blocks.repeat(side, axis=0).repeat(side, axis=1)[:height, :width])


def images(names):
    return [PIL.Image.open(HERE / f"{name}.png").convert("RGB") for name in names]


def load(pipeline, folder, **parts):
    pipe = pipeline.from_pretrained(HERE.parent / folder, torch_dtype=torch.float32, **parts)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def add_picture(goldens, pipe, case, *, seed, call, **given):
    """A whole call: the final latents. `given` is what the call is told beside what a request says."""
    final = []
    keep = lambda pipe, step, timestep, kwargs: (final.append(kwargs["latents"]), {})[1]
    generator = torch.Generator("cpu").manual_seed(seed)
    plain = {key: value for key, value in call.items() if key != "images"}
    pipe(generator=generator, output_type="latent", callback_on_step_end=keep, **plain, **given)
    goldens.add(f"picture.{case}", {"seed": seed, **call}, latents=final[-1])


def add_spectrum(goldens, pipe, case, *, seed, call, branches, tokens, **given):
    generator = torch.Generator("cpu").manual_seed(seed)
    plain = {key: value for key, value in call.items() if key not in ("images", "num_inference_steps")}
    final = []
    keep = lambda pipe, step, timestep, kwargs: (final.append(kwargs["latents"]), {})[1]
    _, plan, errors = run_spectrum(
        pipe, call["num_inference_steps"], branches, SPECTRUM, tokens=tokens, generator=generator,
        callback_on_step_end=keep, **plain, **given)
    goldens.add(
        f"spectrum.{case}", {"seed": seed, **call, "method": SPECTRUM},
        plan=plan.int(), forecast_errors=errors, latents=final[-1])


def golden_input():
    """The images, and what Pillow makes of them."""
    goldens = Goldens()
    for name in SIZES:
        image(name).save(HERE / f"{name}.png", optimize=True)
    small = images(["wide"])[0]
    for width, height in ((20, 16), (12, 100), (130, 10)):
        for name in ("LANCZOS", "BICUBIC"):
            resized = small.resize((width, height), PIL.Image.Resampling[name])
            goldens.add(
                f"resized.{width}x{height}.{name.lower()}",
                {"width": width, "height": height, "filter": name.lower()},
                pixels=torch.from_numpy(numpy.array(resized).astype(numpy.int32)))
    goldens.save(HERE)


def golden_kontext():
    vae = diffusers.AutoencoderKL(
        block_out_channels=(4,) * 6,
        down_block_types=("DownEncoderBlock2D",) * 6, up_block_types=("UpDecoderBlock2D",) * 6,
        layers_per_block=1, latent_channels=16, norm_num_groups=2, scaling_factor=0.3611, shift_factor=0.1159,
        use_quant_conv=False, use_post_quant_conv=False)
    redraw(vae, 7)
    vae.save_pretrained(HERE / "kontext" / "vae")
    for path in (HERE / "kontext" / "vae").iterdir():
        path.chmod(0o644)
    parts = load(diffusers.FluxPipeline, "flux/tiny-dev").components
    pipe = diffusers.FluxKontextPipeline(**{**parts, "vae": vae})
    pipe.set_progress_bar_config(disable=True)
    goldens = Goldens(checkpoint="flux/tiny-dev")
    base = {**PLAIN, "guidance_scale": 3.5, "max_sequence_length": 40, "num_inference_steps": 8}

    def sized(width, height, **more):
        return {**base, "width": width, "height": height, **more}

    def area(call):
        return {"max_area": call["width"] * call["height"]}

    call = sized(192, 128)
    add_picture(goldens, pipe, "text", seed=42, call=call, **area(call))
    call = sized(192, 128, images=["wide"])
    add_picture(goldens, pipe, "wide", seed=42, call=call, image=images(["wide"])[0], **area(call))
    add_picture(goldens, pipe, "second", seed=43, call=call, image=images(["wide"])[0], **area(call))
    call = sized(128, 320, images=["tall"], true_cfg_scale=2.0, negative_prompt="blurry")
    add_picture(goldens, pipe, "tall", seed=7, call=call, image=images(["tall"])[0], **area(call))
    # Without a size, a request's picture is what diffusers makes of the image's size.
    (large,) = images(["large"])
    call = {**base, "num_inference_steps": 4, "images": ["large"]}
    size = {"width": large.width, "height": large.height}
    add_picture(goldens, pipe, "own_size", seed=5, call=call, image=large, **size)
    call = sized(192, 128, images=["wide"], num_inference_steps=16)
    add_spectrum(
        goldens, pipe, "w_half", seed=42, call=call, branches=1, tokens=6, image=images(["wide"])[0],
        **area(call))
    goldens.save(HERE / "kontext")


class Klein(diffusers.Flux2KleinPipeline):
    """Takes the negative prompt as text; diffusers takes its embeddings, by default of the empty text."""

    def __call__(self, negative_prompt=None, max_sequence_length=512, **call):
        if negative_prompt is not None:
            call["negative_prompt_embeds"] = self.encode_prompt(
                negative_prompt, max_sequence_length=max_sequence_length)[0]
        return super().__call__(max_sequence_length=max_sequence_length, **call)


def golden_klein():
    pipe, goldens = load(Klein, "flux2/tiny-base"), Goldens(checkpoint="flux2/tiny-base")
    base = {**PLAIN, "guidance_scale": 3.0, "max_sequence_length": 48, "num_inference_steps": 8}
    sized = {**base, "width": 64, "height": 48}
    both = ["wide", "tall"]
    for case, names, seed in (("one", ["wide"], 42), ("two", both, 42), ("second", both, 43)):
        add_picture(goldens, pipe, case, seed=seed, call={**sized, "images": names}, image=images(names))
    call = {**sized, "images": ["tall", "wide", "tall"], "negative_prompt": "blurry"}
    add_picture(goldens, pipe, "three", seed=7, call=call, image=images(call["images"]))
    # The picture is as large as the first image.
    call = {**base, "images": ["tall", "wide"]}
    add_picture(goldens, pipe, "own_size", seed=5, call=call, image=images(call["images"]))
    # More than a megapixel.
    call = {**sized, "guidance_scale": 1.0, "num_inference_steps": 2, "images": ["large"]}
    add_picture(goldens, pipe, "large", seed=5, call=call, image=images(call["images"]))
    call = {**sized, "images": ["wide", "tall"], "num_inference_steps": 16}
    add_spectrum(
        goldens, pipe, "w_half", seed=42, call=call, branches=2, tokens=12, image=images(call["images"]))
    for name in ("wide", "tall", "large"):
        (picture,) = images([name])
        if picture.width * picture.height > 1024 ** 2:
            picture = Flux2ImageProcessor._resize_to_target_area(picture, 1024 ** 2)
        size = [side // 16 * 16 for side in picture.size]
        pixels = pipe.image_processor.preprocess(picture, height=size[1], width=size[0], resize_mode="crop")
        # The corner of a large image is enough.
        goldens.add(f"image.{name}", {"size": size}, corner=pixels[0, :, :16, :16])
    goldens.save(HERE / "klein")


def golden_fill():
    """tiny-dev with a transformer that sees the mask and the masked image."""
    pipe = load(diffusers.FluxFillPipeline, "flux/tiny-dev")
    goldens = Goldens(checkpoint="flux/tiny-dev")
    own = pipe.transformer
    sizes = {"in_channels": 64 + 64 + 16, "out_channels": 64, "num_layers": 1, "num_single_layers": 1}
    config = {**own.config, **sizes}
    wide = diffusers.FluxTransformer2DModel.from_config(config)
    redraw(wide, 3)
    pipe.transformer = wide
    wide.save_pretrained(HERE / "fill" / "transformer")
    for path in (HERE / "fill" / "transformer").iterdir():
        path.chmod(0o644)
    call = {**PLAIN, "guidance_scale": 30.0, "max_sequence_length": 40, "num_inference_steps": 8}

    def add(case, *, seed, mask, size=inpaint.SMALL, strength=1.0, given=None):
        width, height = size
        about = {**call, "mask": mask, "width": width, "height": height, "strength": strength}
        given = given or {"image": inpaint.picture(size), "mask_image": inpaint.mask_image(size, mask)}
        plain = {key: value for key, value in about.items() if key != "mask"}
        final = []
        keep = lambda pipe, step, timestep, kwargs: (final.append(kwargs["latents"]), {})[1]
        generator = torch.Generator("cpu").manual_seed(seed)
        pipe(generator=generator, output_type="latent", callback_on_step_end=keep, **plain, **given)
        goldens.add(f"picture.{case}", {"seed": seed, **about, "run_steps": len(final)}, latents=final[-1])

    for mask in ("empty", "full", "pixel", "soft"):
        add(mask, seed=42, mask=mask)
    add("second", seed=43, mask="soft")
    add("large", seed=5, mask="corner", size=inpaint.LARGE)
    add("strength_05", seed=42, mask="corner", strength=0.5)
    add("other_size", seed=42, mask="other_size")
    add("source", seed=11, mask="source", given={
        "image": inpaint.picture(inpaint.SOURCE), "mask_image": inpaint.source_mask(inpaint.SOURCE_MASK)})
    width, height = inpaint.SMALL
    about = {**call, "mask": "corner", "width": width, "height": height, "num_inference_steps": 16}
    plain = {key: value for key, value in about.items() if key not in ("mask", "num_inference_steps")}
    latents, plan, errors = run_spectrum(
        pipe, 16, 1, SPECTRUM, generator=torch.Generator("cpu").manual_seed(42),
        image=inpaint.picture(inpaint.SMALL), mask_image=inpaint.mask_image(inpaint.SMALL, "corner"), **plain)
    goldens.add(
        "spectrum.w_half", {"seed": 42, **about, "method": SPECTRUM}, plan=plan.int(), forecast_errors=errors,
        latents=latents)
    goldens.save(HERE / "fill")


if __name__ == "__main__":
    makers = {"input": golden_input, "kontext": golden_kontext, "klein": golden_klein, "fill": golden_fill}
    for name in sys.argv[1:] or makers:
        with torch.no_grad():
            makers[name]()
