"""Makes the reference data of inpainting: what diffusers' inpainting pipelines compute with tiny checkpoints.

    python tests/goldens/inpaint/make_goldens.py      # after the checkpoints' own scripts; about 60 s

goldens.json beside each goldens.safetensors says for every case which call gave it; "mask" in a call names a
mask of the folder's own goldens, which also hold the image of all calls, WIDTHxHEIGHT.image [3, H, W] in
-1..1. Masks are [h, w] of 0..255; 255 is drawn anew. "crop.*" are regions of
VaeImageProcessor.get_crop_region. The mask "source" is of calls whose image and mask are resized: source.*,
[h, w, 3] and [h, w] of 0..255.
"""

import sys
import warnings
from pathlib import Path

import diffusers
import numpy
import PIL.Image
import torch
from diffusers.image_processor import VaeImageProcessor

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from _reference import PROMPTS, Goldens  # noqa: E402
from _spectrum import run_spectrum  # noqa: E402

# StableDiffusionPipeline says that it corrects old scheduler configs.
warnings.filterwarnings("ignore", category=FutureWarning)

SMALL, LARGE = (24, 16), (48, 32)
# An image and a mask of other sizes and proportions than the pictures drawn from them.
SOURCE, SOURCE_MASK = (44, 30), (66, 45)
SPECTRUM = {"m": 4, "lam": 0.1, "window_size": 2, "flex_window": 0.75, "warmup_steps": 3}
PLAIN = {"prompt": PROMPTS["plain"]}
CFG = {**PLAIN, "guidance_scale": 5.0}
ANCESTRAL = {"_class_name": "EulerAncestralDiscreteScheduler"}
MULTISTEP = {"_class_name": "DPMSolverMultistepScheduler"}
UNIPC = {"_class_name": "UniPCMultistepScheduler"}
DDIM = {"_class_name": "DDIMScheduler", "clip_sample": False}


def picture(size):
    """A smooth gradient with some texture, 8 bits a channel."""
    width, height = size
    y, x = numpy.mgrid[0:height, 0:width]
    red = 240 * x / width
    green = 240 * y / height
    blue = 128 + 100 * numpy.sin(x / 3) * numpy.cos(y / 2)
    return PIL.Image.fromarray(numpy.stack([red, green, blue], axis=-1).astype(numpy.uint8))


def masks(size):
    width, height = size
    y, x = numpy.mgrid[0:height, 0:width]
    pixel = numpy.zeros((height, width))
    pixel[height // 2, width // 2] = 255
    tall, wide = numpy.mgrid[0:2 * height, 0:2 * width]
    circle = (tall - height) ** 2 + (wide - width) ** 2 < (0.6 * height) ** 2
    # Along the columns from keeping to drawing anew, at 128 in the middle.
    soft = numpy.clip(128 + 24 * (x - width / 2), 0, 255)
    return {
        "empty": 0 * x, "full": 0 * x + 255, "pixel": pixel, "soft": soft, "other_size": 255 * circle,
        "corner": 255 * ((x < width / 3) & (y >= height / 2)),
    }


def mask_image(size, name):
    return PIL.Image.fromarray(masks(size)[name].astype(numpy.uint8))


def source_mask(size):
    """Grey in its upper left, so that a resize shows; black from a third of the width on."""
    width, height = size
    y, x = numpy.mgrid[0:height, 0:width]
    values = numpy.clip(255 * (1.4 - 3 * x / width - 1.5 * (y / height - 0.4) ** 2), 0, 255)
    return PIL.Image.fromarray(values.astype(numpy.uint8))


def load(pipeline, folder):
    pipe = pipeline.from_pretrained(HERE.parent / folder, torch_dtype=torch.float32)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def load_sd(folder):
    """The class compares the UNet's sample_size with a number, and the checkpoint's is a pair.
    The calls name their size."""
    parts = load(diffusers.StableDiffusionPipeline, folder).components
    parts["unet"].register_to_config(sample_size=64)
    pipe = diffusers.StableDiffusionInpaintPipeline(**parts, requires_safety_checker=False)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def scheduled(pipe, scheduler):
    """`pipe` with another scheduler over the options of its own, and that scheduler's config."""
    own = pipe.scheduler
    made = getattr(diffusers, scheduler["_class_name"]).from_config({**own.config, **scheduler})
    pipe.scheduler = made
    # a default, and not JSON
    written = {key: value for key, value in made.config.items() if value != -numpy.inf}
    return own, {**written, "_class_name": scheduler["_class_name"]}


def add_sources(goldens, pipe, *, size=SMALL, keeps_pixels=True, **call):
    """Image and mask are resized to the picture; then a part of the image is drawn and put back."""
    call = {"seed": 11, "strength": 0.6, "num_inference_steps": 8, "mask": "source", **call}
    mask = source_mask(SOURCE_MASK)
    add_picture(
        goldens, pipe, "source", size=size, given={"image": picture(SOURCE), "mask_image": mask}, **call)
    # The class cuts both at the same place, so they have one size.
    given = {"image": picture(SOURCE), "mask_image": source_mask(SOURCE)}
    add_picture(
        goldens, pipe, "part", size=size, given=given, keeps_pixels=keeps_pixels, padding_mask_crop=3, **call)


def add_picture(goldens, pipe, case, *, seed, mask, size=SMALL, scheduler=None, given=None,
                keeps_pixels=True, **call):
    """A whole call: the final latents, and the pixels of one that puts a part back."""
    width, height = size
    about = {"seed": seed, "mask": mask, "width": width, "height": height, **call}
    given = given or {"image": picture(size), "mask_image": mask_image(size, mask)}
    own = pipe.scheduler
    if scheduler:
        own, about["scheduler"] = scheduled(pipe, scheduler)
    final = []
    keep = lambda pipe, step, timestep, kwargs: (final.append(kwargs["latents"]), {})[1]
    generator = torch.Generator("cpu").manual_seed(seed)
    is_part = "padding_mask_crop" in call
    images = pipe(
        **given, width=width, height=height, generator=generator, output_type="pil" if is_part else "pt",
        callback_on_step_end=keep, **call).images
    pipe.scheduler = own
    about["run_steps"] = len(final)
    pixels = {"pixels": pixels_of(images[0])} if is_part and keeps_pixels else {}
    goldens.add(f"picture.{case}", about, latents=final[-1], **pixels)


def pixels_of(image):
    return torch.from_numpy(numpy.array(image).astype(numpy.int32))


def add_spectrum(goldens, pipe, case, *, seed, mask, branches, steps, run_steps, strength, **call):
    """Spectrum knows only of the steps that are run."""
    options = {"w": 0.5, **SPECTRUM}
    width, height = SMALL
    generator = torch.Generator("cpu").manual_seed(seed)

    def run(num_inference_steps, **kwargs):
        return pipe(
            image=picture(SMALL), mask_image=mask_image(SMALL, mask), width=width, height=height,
            strength=strength,
            num_inference_steps=steps, **kwargs)

    run.transformer = getattr(pipe, "transformer", None)
    run.unet = getattr(pipe, "unet", None)
    latents, plan, errors = run_spectrum(run, run_steps, branches, options, generator=generator, **call)
    about = {
        "seed": seed, "mask": mask, "width": width, "height": height, "num_inference_steps": steps,
        "strength": strength,
        **call, "method": options,
    }
    goldens.add(f"spectrum.{case}", about, plan=plan.int(), forecast_errors=errors, latents=latents)


def add_pictures(goldens, pipe, **call):
    """Every strength and every mask once."""
    add_picture(goldens, pipe, "strength_01", seed=42, strength=0.1, mask="soft", num_inference_steps=12,
                **call)
    call["num_inference_steps"] = 8
    add_picture(goldens, pipe, "strength_1", seed=42, strength=1.0, mask="soft", **call)
    for mask in ("empty", "full", "pixel", "other_size"):
        add_picture(goldens, pipe, mask, seed=42, strength=0.5, mask=mask, **call)


def golden_input():
    goldens = Goldens()
    for size, image in {SOURCE: picture(SOURCE), SOURCE_MASK: source_mask(SOURCE_MASK)}.items():
        goldens.add(f"source.{'x'.join(map(str, size))}", {}, pixels=pixels_of(image))
    goldens.add("source.part", {}, pixels=pixels_of(source_mask(SOURCE)))
    for size in (SMALL, LARGE):
        name = "x".join(map(str, size))
        pixels = torch.from_numpy(numpy.array(picture(size))).permute(2, 0, 1)
        tensors = {key: torch.from_numpy(mask.astype(numpy.int32)) for key, mask in masks(size).items()}
        # Two operations in float32, as VaeImageProcessor has them.
        goldens.add(name, {}, image=2.0 * (pixels.float() / 255.0) - 1.0, **tensors)
        for mask in ("pixel", "soft", "full", "corner"):
            for pad in (0, 3, 40):
                region = VaeImageProcessor.get_crop_region(mask_image(size, mask), *size, pad=pad)
                goldens.add(
                    f"crop.{name}_{mask}_{pad}", {"mask": mask, "width": size[0], "height": size[1],
                                                  "padding": pad},
                    region=torch.tensor(region, dtype=torch.int32))
    goldens.save(HERE)


def golden_flux():
    pipe, goldens = load(diffusers.FluxInpaintPipeline, "flux/tiny-dev"), Goldens(checkpoint="flux/tiny-dev")
    call = {**PLAIN, "guidance_scale": 3.5, "max_sequence_length": 40}
    add_pictures(goldens, pipe, **call)
    add_sources(goldens, pipe, **call)
    add_picture(goldens, pipe, "second", seed=43, strength=0.5, mask="other_size", num_inference_steps=8,
                **call)
    add_picture(
        goldens, pipe, "true_cfg", seed=7, strength=0.3, mask="corner", true_cfg_scale=2.0,
        negative_prompt="blurry",
        num_inference_steps=8, **call)
    add_spectrum(
        goldens, pipe, "w_half", seed=42, mask="corner", branches=1, steps=20, run_steps=20, strength=1.0,
        **call)
    # The original's size is the picture's, and the part around the mask is drawn in that size too.
    width, height = SMALL
    about = {"seed": 5, "mask": "corner", "width": width, "height": height, "strength": 0.5,
             "padding_mask_crop": 2,
             "num_inference_steps": 8, **call}
    image = pipe(
        image=picture(SMALL), mask_image=mask_image(SMALL, "corner"),
        generator=torch.Generator("cpu").manual_seed(5),
        **{key: value for key, value in about.items() if key not in ("seed", "mask")}).images[0]
    goldens.add("crop", about, pixels=torch.from_numpy(numpy.array(image).astype(numpy.int32)))
    goldens.save(HERE / "flux")


def golden_sd3():
    pipe = load(diffusers.StableDiffusion3InpaintPipeline, "sd3/tiny-large")
    # The pipeline asks for it at strength 1, and the class has none.
    pipe.scheduler.init_noise_sigma = 1.0
    goldens = Goldens(checkpoint="sd3/tiny-large")
    add_pictures(goldens, pipe, **CFG, max_sequence_length=30)
    # The class decodes without the autoencoder's shift_factor, which all others of SD3 add.
    add_sources(goldens, pipe, **CFG, max_sequence_length=30, keeps_pixels=False)
    goldens.save(HERE / "sd3")


def golden_z_image():
    pipe = load(diffusers.ZImageInpaintPipeline, "z_image/tiny-base")
    goldens = Goldens(checkpoint="z_image/tiny-base")
    add_pictures(goldens, pipe, **PLAIN, guidance_scale=4.0, max_sequence_length=48)
    goldens.save(HERE / "z_image")


def golden_qwen_image():
    pipe = load(diffusers.QwenImageInpaintPipeline, "qwen_image/tiny-image")
    goldens = Goldens(checkpoint="qwen_image/tiny-image")
    call = {**PLAIN, "negative_prompt": "blurry", "true_cfg_scale": 2.0, "max_sequence_length": 80,
            "size": LARGE}
    add_pictures(goldens, pipe, **call)
    add_sources(goldens, pipe, **call)
    goldens.save(HERE / "qwen_image")


def golden_sdxl():
    pipe = load(diffusers.StableDiffusionXLInpaintPipeline, "sdxl/tiny-sdxl")
    goldens = Goldens(checkpoint="sdxl/tiny-sdxl")
    add_pictures(goldens, pipe, **CFG)
    add_sources(goldens, pipe, **CFG)
    for name, scheduler in {"ancestral": ANCESTRAL, "multistep": MULTISTEP, "unipc": UNIPC}.items():
        add_picture(
            goldens, pipe, name, seed=3, strength=0.6, mask="soft", scheduler=scheduler,
            num_inference_steps=8, **CFG)
    add_spectrum(
        goldens, pipe, "w_half", seed=42, mask="soft", branches=2, steps=20, run_steps=12, strength=0.6,
        negative_prompt="blurry, low quality", **CFG)
    goldens.save(HERE / "sdxl")


def golden_sd15():
    pipe = load_sd("sdxl/tiny-sd15")
    goldens = Goldens(checkpoint="sdxl/tiny-sd15")
    add_pictures(goldens, pipe, **CFG)
    add_sources(goldens, pipe, **CFG)
    add_picture(
        goldens, pipe, "ddim", seed=5, strength=0.6, mask="soft", scheduler=DDIM, num_inference_steps=8,
        **CFG)
    goldens.save(HERE / "sd15")


def golden_sd21():
    pipe = load_sd("sdxl/tiny-sd21")
    goldens = Goldens(checkpoint="sdxl/tiny-sd21")
    add_picture(goldens, pipe, "soft", seed=5, strength=0.5, mask="soft", num_inference_steps=8, **CFG)
    goldens.save(HERE / "sd21")


def widen(unet, goldens):
    """Gives the UNet a first convolution, kept in the goldens, that also sees mask and masked image."""
    own = unet.conv_in
    wide = torch.nn.Conv2d(9, own.out_channels, own.kernel_size, padding=own.padding)
    draw = torch.Generator().manual_seed(9)
    wide.weight.copy_(torch.randn(wide.weight.shape, generator=draw) / wide.weight[0].numel() ** 0.5)
    wide.bias.copy_(own.bias)
    unet.conv_in = wide
    unet.register_to_config(in_channels=9)
    goldens.add("conv_in", {}, weight=wide.weight)


def golden_sdxl_inputs():
    """tiny-sdxl with an inpainting UNet."""
    pipe = load(diffusers.StableDiffusionXLInpaintPipeline, "sdxl/tiny-sdxl")
    goldens = Goldens(checkpoint="sdxl/tiny-sdxl")
    widen(pipe.unet, goldens)
    call = {**CFG, "num_inference_steps": 8}
    add_picture(goldens, pipe, "strength_1", seed=42, strength=1.0, mask="soft", **call)
    add_picture(goldens, pipe, "strength_05", seed=42, strength=0.5, mask="corner", **call)
    add_sources(goldens, pipe, **call)
    goldens.save(HERE / "sdxl_inputs")


def golden_sd15_inputs():
    """tiny-sd15 with an inpainting UNet: its first convolution, which the goldens hold, also sees the
    mask and the masked image."""
    pipe = load_sd("sdxl/tiny-sd15")
    goldens = Goldens(checkpoint="sdxl/tiny-sd15")
    widen(pipe.unet, goldens)
    call = {**CFG, "num_inference_steps": 8}
    add_picture(goldens, pipe, "strength_1", seed=42, strength=1.0, mask="soft", **call)
    add_picture(goldens, pipe, "strength_05", seed=42, strength=0.5, mask="corner", **call)
    add_sources(goldens, pipe, **call)
    add_picture(goldens, pipe, "ancestral", seed=3, strength=0.5, mask="soft", scheduler=ANCESTRAL, **call)
    goldens.save(HERE / "sd15_inputs")


if __name__ == "__main__":
    makers = {
        "input": golden_input, "flux": golden_flux, "sd3": golden_sd3, "z_image": golden_z_image,
        "qwen_image": golden_qwen_image, "sdxl": golden_sdxl, "sd15": golden_sd15, "sd21": golden_sd21,
        "sd15_inputs": golden_sd15_inputs, "sdxl_inputs": golden_sdxl_inputs,
    }
    for name in sys.argv[1:] or makers:
        makers[name]()
