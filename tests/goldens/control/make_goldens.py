"""Makes the reference data of ControlNets: tiny random ones, and what diffusers' pipelines compute with them.

    python tests/goldens/control/make_goldens.py      # after the checkpoints' own scripts; about 60 s

The ControlNets are made for the checkpoints of sdxl/ and flux/. goldens.json beside each goldens.safetensors
says for every case which call gave it. The folder's own goldens hold the images of all calls, "control" and
"start" [3, H, W] in -1..1, the mask [H, W] of 0..255, and the control image in twice the size.
"""

import inspect
import shutil
import sys
import warnings
from pathlib import Path

import diffusers
import numpy
import PIL.Image
import torch
from diffusers import ControlNetModel, FluxControlNetModel

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from _reference import PROMPTS, Goldens, redraw, smooth_in_time  # noqa: E402
from _spectrum import run_spectrum  # noqa: E402

# StableDiffusionPipeline says that it corrects old scheduler configs.
warnings.filterwarnings("ignore", category=FutureWarning)

WIDTH, HEIGHT = 24, 16
SPECTRUM = {"w": 0.5, "m": 4, "lam": 0.1, "window_size": 2, "flex_window": 0.75, "warmup_steps": 3}
PLAIN = {"prompt": PROMPTS["plain"], "num_inference_steps": 8}
CFG = {**PLAIN, "guidance_scale": 5.0}
WINDOW = {"controlnet_conditioning_scale": 0.8, "control_guidance_start": 0.25, "control_guidance_end": 0.75}
ANCESTRAL = {"_class_name": "EulerAncestralDiscreteScheduler"}


def drawn(fill):
    y, x = numpy.mgrid[0:HEIGHT, 0:WIDTH]
    return PIL.Image.fromarray(numpy.stack(fill(x, y), axis=-1).astype(numpy.uint8))


# Lines and areas, and a gradient.
CONTROL = drawn(lambda x, y: [255 * ((x + y) % 7 == 0), 240 * (x > 9) * (y < 11), 10 * y])
START = drawn(
    lambda x, y: [240 * x / WIDTH, 240 * y / HEIGHT, 128 + 100 * numpy.sin(x / 3) * numpy.cos(y / 2)])
MASK = drawn(lambda x, y: [numpy.clip(128 + 24 * (x - WIDTH / 2), 0, 255)] * 3).convert("L")
LARGE = CONTROL.resize((2 * WIDTH, 2 * HEIGHT), PIL.Image.BICUBIC)


def save_control_net(net, folder, seed):
    """Saves the redrawn network, and reads it again."""
    redraw(net, seed)
    for module in net.modules():
        if hasattr(module, "timestep_embedder"):
            smooth_in_time(module.timestep_embedder.linear_1)
            if hasattr(module, "guidance_embedder"):
                smooth_in_time(module.guidance_embedder.linear_1)
    if hasattr(net, "time_embedding"):
        smooth_in_time(net.time_embedding.linear_1)
    shutil.rmtree(folder, ignore_errors=True)
    net.save_pretrained(folder)
    return type(net).from_pretrained(folder, torch_dtype=torch.float32).eval()


def load(pipeline, folder, **parts):
    pipe = pipeline.from_pretrained(HERE.parent / folder, torch_dtype=torch.float32, **parts)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def with_class(pipe, pipeline, **parts):
    """The same networks under another pipeline class."""
    taken = inspect.signature(pipeline.__init__).parameters
    other = pipeline(**{name: part for name, part in {**pipe.components, **parts}.items() if name in taken})
    other.set_progress_bar_config(disable=True)
    return other


# The pipelines without a start image call the control image "image".
PLAIN_CLASSES = ("StableDiffusionControlNetPipeline", "StableDiffusionXLControlNetPipeline")


def control_argument(pipe):
    return "image" if type(pipe).__name__ in PLAIN_CLASSES else "control_image"


def add_picture(
    goldens, pipe, case, *, seed=42, image=CONTROL, scheduler=None, start=False, mask=False, **call,
):
    """A whole call: the final latents."""
    about = {"seed": seed, "width": WIDTH, "height": HEIGHT, "start": start, "mask": mask, **call}
    own = pipe.scheduler
    if scheduler:
        made = getattr(diffusers, scheduler["_class_name"]).from_config({**own.config, **scheduler})
        pipe.scheduler = made
        about["scheduler"] = {**dict(made.config), "_class_name": scheduler["_class_name"]}
    final = []
    keep = lambda pipe, step, timestep, kwargs: (final.append(kwargs["latents"]), {})[1]
    images = {control_argument(pipe): image}
    if start:
        images["image"] = START
    if mask:
        images["mask_image"] = MASK
    pipe(
        **images, width=WIDTH, height=HEIGHT, generator=torch.Generator("cpu").manual_seed(seed),
        output_type="pt", callback_on_step_end=keep, **call)
    pipe.scheduler = own
    about["run_steps"] = len(final)
    goldens.add(f"picture.{case}", about, latents=final[-1])


def add_spectrum(goldens, pipe, case, *, branches, seed=42, **call):
    """Spectrum over 20 steps, the network's forecasts included."""
    steps = 20
    call = {name: value for name, value in call.items() if name != "num_inference_steps"}

    def run(**kwargs):
        return pipe(**{control_argument(pipe): CONTROL}, width=WIDTH, height=HEIGHT, **kwargs)

    run.transformer = getattr(pipe, "transformer", None)
    run.unet = getattr(pipe, "unet", None)
    generator = torch.Generator("cpu").manual_seed(seed)
    latents, plan, errors = run_spectrum(run, steps, branches, SPECTRUM, generator=generator, **call)
    about = {
        "seed": seed, "width": WIDTH, "height": HEIGHT, "num_inference_steps": steps, **call,
        "method": SPECTRUM,
    }
    goldens.add(f"spectrum.{case}", about, plan=plan.int(), forecast_errors=errors, latents=latents)


def add_scales(goldens, pipe, **call):
    for name, scale in {"scale_0": 0.0, "scale_05": 0.5, "scale_1": 1.0}.items():
        add_picture(goldens, pipe, name, controlnet_conditioning_scale=scale, **call)
    add_picture(goldens, pipe, "window", **WINDOW, **call)
    add_picture(goldens, pipe, "second", seed=43, **call)


def golden_input():
    goldens = Goldens()
    planes = lambda image: torch.from_numpy(numpy.array(image)).permute(2, 0, 1).float() / 255.0
    goldens.add(
        "input", {"width": WIDTH, "height": HEIGHT},
        control=2.0 * planes(CONTROL) - 1.0, start=2.0 * planes(START) - 1.0,
        mask=torch.from_numpy(numpy.array(MASK).astype(numpy.int32)),
        large=torch.from_numpy(numpy.array(LARGE).astype(numpy.int32)))
    goldens.save(HERE)


def golden_sdxl():
    folder = "sdxl/tiny-sdxl"
    net = save_control_net(ControlNetModel(
        block_out_channels=(8, 12, 12), layers_per_block=1, norm_num_groups=2,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        transformer_layers_per_block=(1, 1, 2), attention_head_dim=(1, 2, 3), cross_attention_dim=20,
        use_linear_projection=True, addition_embed_type="text_time", addition_time_embed_dim=4,
        projection_class_embeddings_input_dim=6 * 4 + 9, conditioning_embedding_out_channels=(4, 6),
    ), HERE / "sdxl/canny", 21)
    pipe = load(diffusers.StableDiffusionXLControlNetPipeline, folder, controlnet=net)
    goldens = Goldens(checkpoint=folder)
    add_scales(goldens, pipe, **CFG)
    add_picture(goldens, pipe, "unguided", **PLAIN, guidance_scale=1.0)
    add_picture(goldens, pipe, "ancestral", scheduler=ANCESTRAL, **CFG, **WINDOW)
    add_picture(goldens, pipe, "large", image=LARGE, **CFG)
    call = {**CFG, **WINDOW, "negative_prompt": "blurry, low quality"}
    add_spectrum(goldens, pipe, "w_half", branches=2, **call)
    image = with_class(pipe, diffusers.StableDiffusionXLControlNetImg2ImgPipeline)
    add_picture(goldens, image, "start", start=True, strength=0.6, **CFG, **WINDOW)
    inpaint = with_class(pipe, diffusers.StableDiffusionXLControlNetInpaintPipeline)
    add_picture(goldens, inpaint, "mask", start=True, mask=True, strength=0.6, **CFG)
    goldens.save(HERE / "sdxl")


def golden_sd15():
    folder = "sdxl/tiny-sd15"
    net = save_control_net(ControlNetModel(
        block_out_channels=(8, 8), layers_per_block=2, norm_num_groups=4,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), attention_head_dim=2,
        cross_attention_dim=12, conditioning_embedding_out_channels=(4, 4),
        controlnet_conditioning_channel_order="bgr",
    ), HERE / "sd15/canny", 22)
    pipe = load(
        diffusers.StableDiffusionControlNetPipeline, folder, controlnet=net, requires_safety_checker=False)
    goldens = Goldens(checkpoint=folder)
    add_scales(goldens, pipe, **CFG)
    add_picture(goldens, pipe, "unguided", **PLAIN, guidance_scale=1.0)
    image, inpaint = (with_class(pipe, pipeline, requires_safety_checker=False) for pipeline in (
        diffusers.StableDiffusionControlNetImg2ImgPipeline,
        diffusers.StableDiffusionControlNetInpaintPipeline))
    # The default scales of these classes are 0.8 and 0.5.
    call = {**CFG, "start": True, "strength": 0.6, "controlnet_conditioning_scale": 1.0}
    add_picture(goldens, image, "start", **call)
    add_picture(goldens, inpaint, "mask", mask=True, **call)
    goldens.save(HERE / "sd15")


def golden_sd21():
    folder = "sdxl/tiny-sd21"
    net = save_control_net(ControlNetModel(
        block_out_channels=(8, 16), layers_per_block=1, norm_num_groups=2,
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D"), attention_head_dim=(2, 4),
        cross_attention_dim=12, use_linear_projection=True, upcast_attention=True, flip_sin_to_cos=False,
        freq_shift=1, downsample_padding=0, mid_block_scale_factor=1.4, act_fn="mish", norm_eps=1e-6,
        only_cross_attention=(True, False), resnet_time_scale_shift="scale_shift",
        mid_block_type="UNetMidBlock2D", conditioning_embedding_out_channels=(4, 4),
    ), HERE / "sd21/depth", 23)
    pipe = load(
        diffusers.StableDiffusionControlNetPipeline, folder, controlnet=net, requires_safety_checker=False)
    goldens = Goldens(checkpoint=folder)
    add_picture(goldens, pipe, "scale_1", **CFG)
    goldens.save(HERE / "sd21")


FLUX = {
    "in_channels": 64, "attention_head_dim": 10, "num_attention_heads": 2, "joint_attention_dim": 20,
    "pooled_projection_dim": 16, "axes_dims_rope": [2, 4, 4],
}


def golden_flux():
    folder = "flux/tiny-dev"
    call = {**PLAIN, "guidance_scale": 3.5, "max_sequence_length": 40}
    net = save_control_net(
        FluxControlNetModel(**FLUX, num_layers=1, num_single_layers=1), HERE / "flux/canny", 24)
    pipe = load(diffusers.FluxControlNetPipeline, folder, controlnet=net)
    goldens = Goldens(checkpoint=folder)
    add_scales(goldens, pipe, **call)
    add_picture(
        goldens, pipe, "true_cfg", seed=7, true_cfg_scale=2.0, negative_prompt="blurry", **call)
    add_spectrum(goldens, pipe, "w_half", branches=1, **{**call, **WINDOW})
    image = with_class(pipe, diffusers.FluxControlNetImg2ImgPipeline)
    add_picture(goldens, image, "start", start=True, strength=0.6, **call)
    inpaint = with_class(pipe, diffusers.FluxControlNetInpaintPipeline)
    add_picture(goldens, inpaint, "mask", start=True, mask=True, strength=0.6, **call)
    goldens.save(HERE / "flux")
    net = save_control_net(
        FluxControlNetModel(**FLUX, num_layers=2, num_single_layers=0, guidance_embeds=True, num_mode=3),
        HERE / "flux/union", 25)
    pipe = with_class(pipe, diffusers.FluxControlNetPipeline, controlnet=net)
    goldens = Goldens(checkpoint=folder)
    for mode in (0, 2):
        add_picture(goldens, pipe, f"mode_{mode}", control_mode=mode, **call)
    goldens.save(HERE / "flux_union")


if __name__ == "__main__":
    makers = {
        "input": golden_input, "sdxl": golden_sdxl, "sd15": golden_sd15, "sd21": golden_sd21,
        "flux": golden_flux,
    }
    for name in sys.argv[1:] or makers:
        makers[name]()
