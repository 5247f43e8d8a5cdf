"""Makes the reference data of image to video: three tiny random checkpoints, and what diffusers computes.

    python tests/goldens/frames/make_goldens.py      # after wan/make_wan22_goldens.py; about 90 s

tiny-i2v is like Wan2.1's I2V, with CLIP's vision encoder; tiny-flf takes a last frame too; tiny-a14b has
Wan2.2's two experts and no vision encoder. ti2v holds calls with wan/tiny-ti2v, whose first latent frame is
held. first.png and last.png are the frames of all calls; "last_image" says that last.png was given.
"""

import sys
from pathlib import Path

import numpy
import PIL.Image
import torch
from diffusers import (
    AutoencoderKLWan, UniPCMultistepScheduler, WanImageToVideoPipeline, WanPipeline, WanTransformer3DModel,
)
from transformers import CLIPVisionConfig, CLIPVisionModel, T5TokenizerFast, UMT5Config, UMT5EncoderModel
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from _reference import PROMPTS, Goldens, redraw, remake, smooth_in_time  # noqa: E402
from _spectrum import run_spectrum  # noqa: E402
from _tokenizers import write_t5_files  # noqa: E402

SPECTRUM = {"m": 4, "lam": 0.1, "window_size": 2, "flex_window": 0.75, "warmup_steps": 3}
NEGATIVE = "blurry, low quality"


def picture(width, height, phase):
    """A gradient with texture, 8 bits a channel."""
    y, x = numpy.mgrid[0:height, 0:width]
    red = 255 * x / width
    green = 127 + 120 * numpy.cos(phase + x / 4) * numpy.sin(y / 3)
    blue = 250 * (height - y) / height
    return PIL.Image.fromarray(numpy.stack([red, green, blue], axis=-1).astype(numpy.uint8))


FIRST, LAST = picture(45, 31, 0), picture(64, 40, 2)


def expert(image_dim=None, positions=None):
    return WanTransformer3DModel(
        patch_size=(1, 2, 2), num_attention_heads=2, attention_head_dim=8, in_channels=12, out_channels=4,
        text_dim=18, freq_dim=24, ffn_dim=28, num_layers=2, cross_attn_norm=True, image_dim=image_dim,
        added_kv_proj_dim=None if image_dim is None else 16, pos_embed_seq_len=positions,
    )


def make(folder, *, boundary_ratio=None, positions=None, vision=True):
    """Redraws the weights of a checkpoint and saves it to `folder` as diffusers does; bfloat16."""
    pieces = write_t5_files(folder / "tokenizer", vocab_size=110, model_max_length=512)
    width = 20 if vision else None
    parts = {
        "transformer": expert(width, positions),
        "transformer_2": expert() if boundary_ratio else None,
        "text_encoder": UMT5EncoderModel(UMT5Config(
            vocab_size=pieces + 100, d_model=18, d_kv=5, d_ff=24, num_layers=1, num_heads=2,
            feed_forward_proj="gated-gelu", relative_attention_num_buckets=16,
            relative_attention_max_distance=20,
        )),
        "vae": AutoencoderKLWan(
            base_dim=2, z_dim=4, dim_mult=[1, 2, 2, 2], num_res_blocks=1,
            latents_mean=[0.1, -0.2, 0.3, 0.05], latents_std=[1.2, 0.8, 2.1, 0.6],
        ),
        "image_encoder": CLIPVisionModel(CLIPVisionConfig(
            hidden_size=width, intermediate_size=36, num_hidden_layers=3, num_attention_heads=2,
            image_size=28, patch_size=14, hidden_act="gelu",
        )) if vision else None,
    }
    parts = {name: part for name, part in parts.items() if part is not None}
    for seed, model in enumerate(parts.values()):
        redraw(model, 120 + seed)
    for name in ("transformer", "transformer_2"):
        if name in parts:
            smooth_in_time(parts[name].condition_embedder.time_embedder.linear_1)
    parts["vae"].decoder.conv_out.weight.mul_(0.8)  # frames mostly within -1..1
    tokenizer = T5TokenizerFast.from_pretrained(folder / "tokenizer")
    for path in folder.glob("tokenizer/*"):
        path.unlink()
    for model in parts.values():
        model.to(torch.bfloat16)
    pipe = WanImageToVideoPipeline(
        **parts, tokenizer=tokenizer, boundary_ratio=boundary_ratio,
        image_processor=processor() if vision else None,
        scheduler=UniPCMultistepScheduler(
            prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0, num_train_timesteps=1000,
        ),
    )
    pipe.save_pretrained(folder)
    index = folder / "model_index.json"
    # The class for Pillow is that of published checkpoints where torchvision is missing.
    index.write_text(index.read_text().replace('"CLIPImageProcessorPil"', '"CLIPImageProcessor"'))
    for path in folder.rglob("*.*"):
        path.chmod(0o644)


def processor():
    return CLIPImageProcessorPil(size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28})


def load(folder, **parts):
    kind = lambda model: model.to(torch.float32).eval()
    second = folder / "transformer_2"
    vision = folder / "image_encoder"
    from transformers import AutoTokenizer
    config = WanImageToVideoPipeline.load_config(folder)
    pipe = WanImageToVideoPipeline(
        transformer=kind(WanTransformer3DModel.from_pretrained(folder / "transformer")),
        transformer_2=kind(WanTransformer3DModel.from_pretrained(second)) if second.exists() else None,
        text_encoder=kind(UMT5EncoderModel.from_pretrained(folder / "text_encoder")),
        vae=kind(AutoencoderKLWan.from_pretrained(folder / "vae")),
        image_encoder=kind(CLIPVisionModel.from_pretrained(vision)) if vision.exists() else None,
        image_processor=processor() if vision.exists() else None,
        tokenizer=T5TokenizerFast.from_pretrained(folder / "tokenizer"),
        scheduler=UniPCMultistepScheduler.from_pretrained(folder / "scheduler"),
        boundary_ratio=config.get("boundary_ratio"),
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe


def add_condition(goldens, pipe, case, *, last=False, height, width, num_frames):
    """The channels beside the latents, [temporal + z_dim, F, h, w], and the vision encoder's states."""
    preprocess = lambda image: pipe.video_processor.preprocess(image, height=height, width=width)
    latents, condition = pipe.prepare_latents(
        preprocess(FIRST), 1, pipe.vae.config.z_dim, height, width, num_frames, torch.float32, "cpu",
        torch.Generator(), None, preprocess(LAST) if last else None)
    states = {}
    if pipe.image_encoder is not None:
        states = {"states": pipe.encode_image([FIRST, LAST] if last else FIRST, "cpu")}
    call = {"height": height, "width": width, "num_frames": num_frames, "last_image": last}
    goldens.add(f"condition.{case}", call, channels=condition[0], **states)


def add_picture(goldens, pipe, case, *, seed, last_image=False, **call):
    """A whole call: the final latents."""
    images = {"image": FIRST, **({"last_image": LAST} if last_image else {})}
    generator = torch.Generator("cpu").manual_seed(seed)
    latents = pipe(generator=generator, output_type="latent", **images, **call)[0]
    goldens.add(f"picture.{case}", {"seed": seed, "last_image": last_image, **call}, latents=latents)


def add_spectrum(goldens, pipe, case, *, seed, steps, phases=(0,), last_image=False, **call):
    options = {"w": 0.5, **SPECTRUM}
    images = {"image": FIRST, **({"last_image": LAST} if last_image else {})}

    def run(num_inference_steps, **kwargs):
        return pipe(num_inference_steps=num_inference_steps, **images, **kwargs)

    run.transformer = pipe.transformer
    run.transformer_2 = pipe.transformer_2
    generator = torch.Generator("cpu").manual_seed(seed)
    latents, plan, errors = run_spectrum(run, steps, 2, options, generator=generator, phases=phases, **call)
    about = {"seed": seed, "num_inference_steps": steps, "last_image": last_image, **call, "method": options}
    goldens.add(f"spectrum.{case}", about, plan=plan.int(), forecast_errors=errors, latents=latents)


def without(call):
    """The call without its negative prompt."""
    return {key: value for key, value in call.items() if key != "negative_prompt"}


def golden_tiny_i2v(folder):
    pipe, goldens = load(folder), Goldens(checkpoint="tiny-i2v")
    # 3 x 3 x 5 tokens, in other proportions than the image's.
    size = {"height": 48, "width": 80, "num_frames": 9, "max_sequence_length": 512}
    plain = {"prompt": PROMPTS["plain"], "guidance_scale": 5.0, "negative_prompt": NEGATIVE, **size}
    pixels = pipe.image_processor(images=FIRST, return_tensors="pt").pixel_values
    goldens.add("pixels.first", {}, pixel_values=pixels)
    # Long enough for every part of the encoder to see nothing but zeros in its memories.
    add_condition(goldens, pipe, "long", height=16, width=32, num_frames=101)
    add_condition(goldens, pipe, "one", height=32, width=16, num_frames=1)
    add_picture(goldens, pipe, "8_steps", seed=42, num_inference_steps=8, **plain)
    add_picture(goldens, pipe, "next_seed", seed=43, num_inference_steps=8, **plain)
    add_picture(goldens, pipe, "no_guidance", seed=3, num_inference_steps=8, **{
        **without(plain), "guidance_scale": 1.0, "height": 32, "width": 32, "num_frames": 1})
    add_spectrum(goldens, pipe, "w_half", seed=42, steps=20, **plain)
    goldens.save(folder)


def golden_tiny_flf(folder):
    pipe, goldens = load(folder), Goldens(checkpoint="tiny-flf")
    size = {"height": 32, "width": 48, "num_frames": 5, "max_sequence_length": 512}
    add_condition(goldens, pipe, "both", last=True, height=32, width=16, num_frames=9)
    add_picture(
        goldens, pipe, "8_steps", seed=5, num_inference_steps=8, prompt=PROMPTS["plain"], guidance_scale=4.0,
        negative_prompt=NEGATIVE, last_image=True, **size)
    goldens.save(folder)


def golden_tiny_a14b(folder):
    pipe, goldens = load(folder), Goldens(checkpoint="tiny-a14b")
    size = {"height": 32, "width": 48, "num_frames": 5, "max_sequence_length": 20}
    plain = {"prompt": PROMPTS["plain"], "guidance_scale": 4.0, "negative_prompt": NEGATIVE, **size}
    add_condition(goldens, pipe, "long_last", last=True, height=16, width=16, num_frames=101)
    add_picture(goldens, pipe, "8_steps", seed=42, num_inference_steps=8, guidance_scale_2=3.0, **plain)
    add_picture(goldens, pipe, "last", seed=1, num_inference_steps=8, last_image=True, **plain)
    pipe.scheduler.set_timesteps(24)
    late = pipe.scheduler.timesteps < pipe.config.boundary_ratio * pipe.scheduler.config.num_train_timesteps
    add_spectrum(goldens, pipe, "w_half", seed=42, steps=24, phases=(0, int(late.int().argmax())), **plain)
    goldens.save(folder)


def golden_ti2v():
    parts = WanPipeline.from_pretrained(HERE.parent / "wan" / "tiny-ti2v", dtype=torch.float32).components
    pipe = WanImageToVideoPipeline(**parts, expand_timesteps=True)
    goldens = Goldens(checkpoint="wan/tiny-ti2v")
    pipe.set_progress_bar_config(disable=True)
    size = {"height": 48, "width": 80, "num_frames": 5, "max_sequence_length": 14}  # 3 x 3 x 5 tokens
    plain = {"prompt": PROMPTS["plain"], "guidance_scale": 5.0, "negative_prompt": NEGATIVE, **size}
    add_picture(goldens, pipe, "8_steps", seed=42, num_inference_steps=8, **plain)
    unguided = {**without(plain), "guidance_scale": 1.0}
    add_picture(goldens, pipe, "no_guidance", seed=3, num_inference_steps=8, **unguided)
    add_spectrum(goldens, pipe, "w_half", seed=42, steps=20, **plain)
    goldens.save(HERE / "ti2v")


if __name__ == "__main__":
    FIRST.save(HERE / "first.png")
    LAST.save(HERE / "last.png")
    remake(
        HERE,
        tiny_i2v=(lambda folder: make(folder), golden_tiny_i2v),
        tiny_flf=(lambda folder: make(folder, positions=10), golden_tiny_flf),
        tiny_a14b=(lambda folder: make(folder, boundary_ratio=0.9, vision=False), golden_tiny_a14b),
    )
    golden_ti2v()
