"""Makes the reference data of Stable Diffusion: three tiny random checkpoints, and what
diffusers computes with them.

    python tests/goldens/sdxl/make_goldens.py      # about 30 s

The checkpoints are shaped like SDXL, Stable Diffusion 1.5 and 2.1, and differ in what a config.json may
decide; goldens are computed in float32 from the files as saved. goldens.json beside each
goldens.safetensors says for every case which call gave it; "scheduler" in a call stands for a
scheduler_config.json instead of the checkpoint's own.
"""

import math
import shutil
import sys
import tempfile
import warnings
from pathlib import Path

import diffusers
import torch
from diffusers import (
    AutoencoderKL, DDIMScheduler, EulerDiscreteScheduler, PNDMScheduler, StableDiffusionPipeline,
    StableDiffusionXLPipeline, UNet2DConditionModel,
)
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from _cases import add_forecast_run as add_forecast_case  # noqa: E402
from _reference import PROMPTS, Capture, Goldens, redraw, remake, run_whole, smooth_in_time  # noqa: E402
from _tokenizers import clip_vocabulary, write_clip_files  # noqa: E402

# StableDiffusionPipeline says that it corrects old scheduler configs; some goldens are about that.
warnings.filterwarnings("ignore", category=FutureWarning)

SIZE = {"height": 16, "width": 24}  # latents of 8 x 12
NOISE_SCHEDULE = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
MERGES = 30
TOKENS = 20


def text_encoder(kind, **config):
    vocab, _ = clip_vocabulary(MERGES)
    return kind(CLIPTextConfig(
        vocab_size=len(vocab), max_position_embeddings=TOKENS, bos_token_id=len(vocab) - 2,
        eos_token_id=len(vocab) - 1, pad_token_id=len(vocab) - 1, **config))


def vae(**config):
    return AutoencoderKL(
        block_out_channels=(4, 8), down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2, layers_per_block=1, latent_channels=4, norm_num_groups=2,
        **config)


def make_tiny_sdxl(folder):
    """Linear projection, added time ids, a block without attention first, several depths,
    two text encoders; float16."""
    assemble(
        StableDiffusionXLPipeline, folder, pads=("<|endoftext|>", "!"), dtype=torch.float16,
        unet=UNet2DConditionModel(
            sample_size=8, block_out_channels=(8, 12, 12), layers_per_block=1, norm_num_groups=2,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
            transformer_layers_per_block=(1, 1, 2), attention_head_dim=(1, 2, 3), cross_attention_dim=20,
            use_linear_projection=True, addition_embed_type="text_time", addition_time_embed_dim=4,
            projection_class_embeddings_input_dim=6 * 4 + 9,
        ),
        text_encoder=text_encoder(
            CLIPTextModel, hidden_size=8, intermediate_size=20, projection_dim=8, num_hidden_layers=2,
            num_attention_heads=2, hidden_act="quick_gelu"),
        text_encoder_2=text_encoder(
            CLIPTextModelWithProjection, hidden_size=12, intermediate_size=24, projection_dim=9,
            num_hidden_layers=3, num_attention_heads=3, hidden_act="gelu"),
        vae=vae(scaling_factor=0.13025),
        scheduler=EulerDiscreteScheduler(**NOISE_SCHEDULE, timestep_spacing="leading", steps_offset=1),
    )


def make_tiny_sd15(folder):
    """Convolutions as projections, one text encoder, PNDM as published; two resnets a block, float32."""
    assemble(
        StableDiffusionPipeline, folder, pads=("<|endoftext|>",), dtype=torch.float32,
        unet=UNet2DConditionModel(
            sample_size=8, block_out_channels=(8, 8), layers_per_block=2, norm_num_groups=4,
            down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"), attention_head_dim=2, cross_attention_dim=12,
        ),
        text_encoder=text_encoder(
            CLIPTextModel, hidden_size=12, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2,
            hidden_act="quick_gelu"),
        vae=vae(scaling_factor=0.18215),
        scheduler=PNDMScheduler(**NOISE_SCHEDULE, skip_prk_steps=True, set_alpha_to_one=False,
                                steps_offset=1),
    )


def make_tiny_sd21(folder):
    """Linear projection, v prediction, DDIM; and options that only few checkpoints set; float16."""
    assemble(
        StableDiffusionPipeline, folder, pads=("!",), dtype=torch.float16,
        unet=UNet2DConditionModel(
            sample_size=(8, 12), block_out_channels=(8, 16), layers_per_block=1, norm_num_groups=2,
            down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"), attention_head_dim=(2, 4),
            cross_attention_dim=12,
            use_linear_projection=True, upcast_attention=True, center_input_sample=True,
            flip_sin_to_cos=False,
            freq_shift=1, downsample_padding=0, mid_block_scale_factor=1.4, act_fn="mish", norm_eps=1e-6,
            only_cross_attention=(True, False), transformer_layers_per_block=((2,), (1,)),
            reverse_transformer_layers_per_block=((1, 2), (1, 1)), resnet_time_scale_shift="scale_shift",
            time_embedding_dim=20, time_embedding_act_fn="silu", timestep_post_act="gelu", conv_in_kernel=5,
            conv_out_kernel=1,
        ),
        text_encoder=text_encoder(
            CLIPTextModel, hidden_size=12, intermediate_size=24, num_hidden_layers=2, num_attention_heads=3,
            hidden_act="gelu"),
        vae=vae(scaling_factor=0.18215),
        scheduler=DDIMScheduler(
            **NOISE_SCHEDULE, clip_sample=False, set_alpha_to_one=False, steps_offset=1,
            prediction_type="v_prediction"),
    )


def assemble(pipeline, folder, *, pads, dtype, **parts):
    """Redraws the weights of `parts` and saves the pipeline to `folder`, with tokenizers
    in their published files."""
    for seed, name in enumerate(("unet", "text_encoder", "text_encoder_2", "vae")):
        if name in parts:
            redraw(parts[name], seed)
    time = parts["unet"].time_embedding.linear_1
    if parts["unet"].config.flip_sin_to_cos:
        smooth_in_time(time)
    parts["vae"].decoder.conv_out.weight.mul_(0.4)  # pictures mostly within -1..1
    with tempfile.TemporaryDirectory() as scratch:
        tokenizers = {}
        for i, pad in enumerate(pads):
            name = "tokenizer" if i == 0 else f"tokenizer_{i + 1}"
            write_clip_files(Path(scratch) / name, MERGES, model_max_length=TOKENS, pad_token=pad)
            tokenizers[name] = CLIPTokenizer.from_pretrained(Path(scratch) / name)
        extra = {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
        extra = {} if pipeline is StableDiffusionXLPipeline else extra
        pipeline(**parts, **tokenizers, **extra).to(dtype).save_pretrained(folder)
        for name in tokenizers:
            shutil.rmtree(folder / name)
            shutil.copytree(Path(scratch) / name, folder / name)
    for path in folder.rglob("*.*"):
        path.chmod(0o644)


def load(folder):
    pipe = diffusers.DiffusionPipeline.from_pretrained(folder, torch_dtype=torch.float32)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def add_text(goldens, pipe):
    for name, prompt in PROMPTS.items():
        embeds, _, *pooled = pipe.encode_prompt(
            prompt, device="cpu", num_images_per_prompt=1, do_classifier_free_guidance=False)
        pooled = {"text_embeds": pooled[0]} if pooled else {}
        goldens.add(f"text.{name}", {"prompt": prompt}, prompt_embeds=embeds, **pooled)


def add_unet(goldens, pipe, case, *, seed, batch, height, width, text_tokens, timestep):
    """One call of the UNet on random inputs; timesteps may be fractional."""
    config = pipe.unet.config
    draw = torch.Generator().manual_seed(seed)
    inputs = {
        "sample": torch.randn(batch, config.in_channels, height, width, generator=draw),
        "timestep": torch.tensor(timestep),
        "encoder_hidden_states": torch.randn(batch, text_tokens, config.cross_attention_dim, generator=draw),
    }
    added = {}
    if config.addition_embed_type:
        pooled = config.projection_class_embeddings_input_dim - 6 * config.addition_time_embed_dim
        added = {
            "text_embeds": torch.randn(batch, pooled, generator=draw),
            "time_ids": torch.tensor([[64.0, 96.0, 0.0, 4.0, 32.0, 48.0],
                                      [16.0, 24.0, 2.0, 0.0, 16.0, 24.0]])[:batch],
        }
    with Capture(pipe) as seen:
        output = pipe.unet(**inputs, added_cond_kwargs=added).sample
    goldens.add(f"unet.{case}", {"batch": batch}, **inputs, **added, feature=seen.features[0], output=output)


def scheduled(pipe, scheduler):
    """`pipe` with the scheduler that `scheduler` names, built over the checkpoint's own
    options as diffusers users do."""
    other = {name: component for name, component in pipe.components.items() if name != "scheduler"}
    name = scheduler["_class_name"]
    made = getattr(diffusers, name).from_config({**pipe.scheduler.config, **scheduler})
    # a default, and not JSON
    written = {key: value for key, value in made.config.items() if value != -math.inf}
    written["_class_name"] = name
    config = {} if isinstance(pipe, StableDiffusionXLPipeline) else {"requires_safety_checker": False}
    result = type(pipe)(**other, scheduler=made, **config)
    result.set_progress_bar_config(disable=True)
    return result, written


def add_picture(goldens, pipe, case, *, seed, decoded=True, scheduler=None, force_zeros=None, **call):
    """A whole pipeline call. `decoded` is the VAE's output [3, H, W] before it is clamped to -1..1."""
    about = {"seed": seed, **call}
    if scheduler:
        pipe, about["scheduler"] = scheduled(pipe, scheduler)
    if force_zeros is not None:
        about["force_zeros_for_empty_prompt"] = force_zeros
        pipe.register_to_config(force_zeros_for_empty_prompt=force_zeros)
    initial = []
    prepare = pipe.prepare_latents
    pipe.prepare_latents = lambda *args, **kwargs: (initial.append(prepare(*args, **kwargs)), initial[0])[1]
    seen, latents = run_whole(pipe, seed, **SIZE, **call)
    del pipe.prepare_latents
    if force_zeros is not None:
        pipe.register_to_config(force_zeros_for_empty_prompt=not force_zeros)
    tensors = {"initial_latents": initial[0], "latents": latents}
    if decoded:
        tensors["decoded"] = seen.decoded[0]
    goldens.add(f"picture.{case}", {**SIZE, **about}, **tensors)


def add_forecast_run(goldens, pipe, case, **options):
    add_forecast_case(goldens, pipe, case, **SIZE, **options)


# Its timesteps are fractions.
KARRAS = {"_class_name": "EulerDiscreteScheduler", "timestep_spacing": "linspace", "use_karras_sigmas": True}
PLAIN = {"prompt": PROMPTS["plain"], "guidance_scale": 5.0}
NEGATIVE = {**PLAIN, "negative_prompt": "blurry, low quality"}


def golden_tiny_sdxl(folder):
    pipe, goldens = load(folder), Goldens(checkpoint="tiny-sdxl")
    add_text(goldens, pipe)
    add_unet(goldens, pipe, "start", seed=1, batch=1, height=8, width=12, text_tokens=20, timestep=[999.0])
    add_unet(goldens, pipe, "odd", seed=2, batch=2, height=7, width=5, text_tokens=9, timestep=[731.25, 52.5])
    add_picture(goldens, pipe, "8_steps", seed=42, num_inference_steps=8, **PLAIN)
    add_picture(goldens, pipe, "50_steps", seed=42, num_inference_steps=50, decoded=False, **NEGATIVE)
    add_picture(
        goldens, pipe, "no_guidance", seed=7, num_inference_steps=4, decoded=False,
        **{**PLAIN, "guidance_scale": 1.0})
    add_picture(
        goldens, pipe, "empty_negative_encoded", seed=2**40 + 5, num_inference_steps=4, decoded=False,
        force_zeros=False, **{**PLAIN, "prompt": PROMPTS["unicode"]})
    for name in ("EulerAncestralDiscrete", "DDIM", "DPMSolverMultistep", "UniPCMultistep"):
        # Clipping would magnify the last bit to 3e-3 over the steps, in diffusers alone.
        scheduler = {"_class_name": f"{name}Scheduler", "clip_sample": False}
        add_picture(
            goldens, pipe, name, seed=3, num_inference_steps=8, decoded=False, scheduler=scheduler, **PLAIN)
    add_picture(
        goldens, pipe, "karras", seed=3, num_inference_steps=7, decoded=False, scheduler=KARRAS, **PLAIN)
    add_forecast_run(goldens, pipe, "w_half", seed=42, steps=20, w=0.5, **NEGATIVE)
    add_forecast_run(goldens, pipe, "w_one", seed=42, steps=20, w=1.0, guidance_rescale=0.7, **NEGATIVE)
    goldens.save(folder)


def golden_tiny_sd15(folder):
    pipe, goldens = load(folder), Goldens(checkpoint="tiny-sd15")
    add_text(goldens, pipe)
    add_unet(goldens, pipe, "start", seed=3, batch=1, height=8, width=12, text_tokens=20, timestep=[981.0])
    add_unet(goldens, pipe, "odd", seed=4, batch=2, height=5, width=9, text_tokens=7, timestep=[501.0, 21.0])
    add_picture(goldens, pipe, "8_steps", seed=42, num_inference_steps=8, **PLAIN)
    add_picture(goldens, pipe, "50_steps", seed=42, num_inference_steps=50, decoded=False, **NEGATIVE)
    for name in ("DDIM", "EulerDiscrete", "DPMSolverMultistep"):
        add_picture(
            goldens, pipe, name, seed=5, num_inference_steps=8, decoded=False,
            scheduler={"_class_name": f"{name}Scheduler", "steps_offset": 0}, **PLAIN)
    goldens.save(folder)


def golden_tiny_sd21(folder):
    pipe, goldens = load(folder), Goldens(checkpoint="tiny-sd21")
    add_text(goldens, pipe)
    add_unet(goldens, pipe, "start", seed=5, batch=1, height=8, width=12, text_tokens=20, timestep=[981.0])
    add_unet(goldens, pipe, "odd", seed=6, batch=2, height=6, width=9, text_tokens=7, timestep=[501.0, 21.0])
    rescaled = {**NEGATIVE, "guidance_scale": 7.5, "guidance_rescale": 0.7}
    add_picture(goldens, pipe, "8_steps", seed=42, num_inference_steps=8, **PLAIN)
    add_picture(goldens, pipe, "50_steps", seed=42, num_inference_steps=50, decoded=False, **rescaled)
    add_forecast_run(goldens, pipe, "rescaled", seed=42, steps=20, w=0.5, **rescaled)
    goldens.save(folder)


def main():
    remake(
        HERE,
        tiny_sdxl=(make_tiny_sdxl, golden_tiny_sdxl),
        tiny_sd15=(make_tiny_sd15, golden_tiny_sd15),
        tiny_sd21=(make_tiny_sd21, golden_tiny_sd21),
    )


if __name__ == "__main__":
    main()
