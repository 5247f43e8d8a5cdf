"""Makes the reference data of image to image: what diffusers' img2img pipelines
compute with tiny checkpoints.

    python tests/goldens/img2img/make_goldens.py      # after flux/, sdxl/ and sd3/; about 20 s

goldens.json beside each goldens.safetensors says for every case which call gave it; "scheduler" in a call
stands for a scheduler_config.json instead of the checkpoint's own. The folder's own goldens hold the input of
all calls, input.image [3, H, W] in -1..1.
"""

import sys
import warnings
from pathlib import Path

import diffusers
import numpy
import PIL.Image
import torch

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from _reference import PROMPTS, Goldens  # noqa: E402
from _spectrum import run_spectrum  # noqa: E402

# StableDiffusionPipeline says that it corrects old scheduler configs.
warnings.filterwarnings("ignore", category=FutureWarning)

WIDTH, HEIGHT = 24, 16
SPECTRUM = {"m": 4, "lam": 0.1, "window_size": 2, "flex_window": 0.75, "warmup_steps": 3}
PLAIN = {"prompt": PROMPTS["plain"]}
CFG = {**PLAIN, "guidance_scale": 5.0}
ANCESTRAL = {"_class_name": "EulerAncestralDiscreteScheduler"}
MULTISTEP = {"_class_name": "DPMSolverMultistepScheduler"}
UNIPC = {"_class_name": "UniPCMultistepScheduler"}
DDIM = {"_class_name": "DDIMScheduler", "clip_sample": False}


def picture():
    """A smooth gradient with some texture, 8 bits a channel."""
    y, x = numpy.mgrid[0:HEIGHT, 0:WIDTH]
    red = 10 * x
    green = 15 * y
    blue = 128 + 100 * numpy.sin(x / 3) * numpy.cos(y / 2)
    return PIL.Image.fromarray(numpy.stack([red, green, blue], axis=-1).astype(numpy.uint8))


def load(pipeline, folder):
    pipe = pipeline.from_pretrained(HERE.parent / folder, torch_dtype=torch.float32)
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


def add_picture(goldens, pipe, case, *, seed, scheduler=None, **call):
    """A whole call: the final latents, and for one case the noisy ones that it begins with."""
    about = {"seed": seed, **call}
    own = pipe.scheduler
    if scheduler:
        own, about["scheduler"] = scheduled(pipe, scheduler)
    initial, final = [], []
    prepare = pipe.prepare_latents

    def keep_initial(*args, **kwargs):
        prepared = prepare(*args, **kwargs)
        initial.append(prepared[0] if isinstance(prepared, tuple) else prepared)
        return prepared

    pipe.prepare_latents = keep_initial
    keep = lambda pipe, step, timestep, kwargs: (final.append(kwargs["latents"]), {})[1]
    generator = torch.Generator("cpu").manual_seed(seed)
    pipe(image=picture(), generator=generator, output_type="pt", callback_on_step_end=keep, **call)
    del pipe.prepare_latents
    pipe.scheduler = own
    about["run_steps"] = len(final)
    tensors = {"initial_latents": initial[0]} if case == "strength_06" else {}
    goldens.add(f"picture.{case}", {"width": WIDTH, "height": HEIGHT, **about}, **tensors, latents=final[-1])


def add_spectrum(goldens, pipe, case, *, seed, branches, steps, run_steps, strength, **call):
    """Spectrum knows only of the steps that are run."""
    options = {"w": 0.5, **SPECTRUM}
    generator = torch.Generator("cpu").manual_seed(seed)

    def run(num_inference_steps, **kwargs):
        return pipe(image=picture(), strength=strength, num_inference_steps=steps, **kwargs)

    run.transformer = getattr(pipe, "transformer", None)
    run.unet = getattr(pipe, "unet", None)
    latents, plan, errors = run_spectrum(run, run_steps, branches, options, generator=generator, **call)
    about = {"seed": seed, "num_inference_steps": steps, "strength": strength, **call, "method": options}
    goldens.add(
        f"spectrum.{case}", {"width": WIDTH, "height": HEIGHT, **about},
        plan=plan.int(), forecast_errors=errors, latents=latents)


def golden_input():
    goldens = Goldens()
    pixels = torch.from_numpy(numpy.array(picture())).permute(2, 0, 1)
    # Two operations in float32, as VaeImageProcessor has them.
    goldens.add("input", {}, image=2.0 * (pixels.float() / 255.0) - 1.0)
    goldens.save(HERE)


def golden_flux():
    pipe, goldens = load(diffusers.FluxImg2ImgPipeline, "flux/tiny-dev"), Goldens(checkpoint="flux/tiny-dev")
    size = {"height": HEIGHT, "width": WIDTH, "max_sequence_length": 40}
    call = {**PLAIN, "guidance_scale": 3.5, **size, "num_inference_steps": 8}
    add_picture(goldens, pipe, "strength_06", seed=42, strength=0.6, **call)
    add_picture(goldens, pipe, "strength_1", seed=42, strength=1.0, **call)
    add_picture(goldens, pipe, "true_cfg", seed=7, strength=0.3, true_cfg_scale=2.0, negative_prompt="blurry",
                **call)
    del call["num_inference_steps"]
    add_spectrum(goldens, pipe, "w_half", seed=42, branches=1, steps=20, run_steps=12, strength=0.6, **call)
    goldens.save(HERE / "tiny-dev")


def golden_sd3():
    pipe = load(diffusers.StableDiffusion3Img2ImgPipeline, "sd3/tiny-large")
    goldens = Goldens(checkpoint="sd3/tiny-large")
    call = {**CFG, "height": HEIGHT, "width": WIDTH, "max_sequence_length": 30, "num_inference_steps": 8}
    add_picture(goldens, pipe, "strength_06", seed=42, strength=0.6, **call)
    add_picture(goldens, pipe, "strength_1", seed=42, strength=1.0, **call)
    goldens.save(HERE / "tiny-large")


def golden_z_image():
    pipe = load(diffusers.ZImageImg2ImgPipeline, "z_image/tiny-base")
    goldens = Goldens(checkpoint="z_image/tiny-base")
    call = {**PLAIN, "guidance_scale": 4.0, "height": HEIGHT, "width": WIDTH, "max_sequence_length": 48,
            "num_inference_steps": 8}
    add_picture(goldens, pipe, "strength_06", seed=42, strength=0.6, **call)
    add_picture(goldens, pipe, "truncated", seed=43, strength=0.9, cfg_truncation=0.2, cfg_normalization=1.0,
                **call)
    goldens.save(HERE / "tiny-base")


def golden_sdxl():
    pipe = load(diffusers.StableDiffusionXLImg2ImgPipeline, "sdxl/tiny-sdxl")
    goldens = Goldens(checkpoint="sdxl/tiny-sdxl")
    call = {**CFG, "num_inference_steps": 8}
    add_picture(goldens, pipe, "strength_06", seed=42, strength=0.6, **call)
    add_picture(goldens, pipe, "strength_1", seed=42, strength=1.0, **call)
    add_picture(goldens, pipe, "EulerAncestralDiscrete", seed=3, strength=0.6, scheduler=ANCESTRAL, **call)
    add_picture(goldens, pipe, "DPMSolverMultistep", seed=3, strength=0.6, scheduler=MULTISTEP, **call)
    add_picture(goldens, pipe, "UniPCMultistep", seed=3, strength=0.6, scheduler=UNIPC, **call)
    add_spectrum(
        goldens, pipe, "w_half", seed=42, branches=2, steps=20, run_steps=12, strength=0.6,
        negative_prompt="blurry, low quality", **CFG)
    goldens.save(HERE / "tiny-sdxl")


def golden_sd15():
    pipe = load(diffusers.StableDiffusionImg2ImgPipeline, "sdxl/tiny-sd15")
    goldens = Goldens(checkpoint="sdxl/tiny-sd15")
    call = {**CFG, "num_inference_steps": 8}
    add_picture(goldens, pipe, "strength_06", seed=42, strength=0.6, **call)
    add_picture(goldens, pipe, "strength_1", seed=42, strength=1.0, **call)
    add_picture(goldens, pipe, "DDIM", seed=5, strength=0.6, scheduler=DDIM, **call)
    goldens.save(HERE / "tiny-sd15")


if __name__ == "__main__":
    makers = {"sd3": golden_sd3, "z_image": golden_z_image, "sdxl": golden_sdxl, "sd15": golden_sd15}
    for name in sys.argv[1:] or ["input", "flux", *makers]:
        {"input": golden_input, "flux": golden_flux, **makers}[name]()
