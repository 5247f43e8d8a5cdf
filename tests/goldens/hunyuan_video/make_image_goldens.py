"""Makes the reference data of HunyuanVideo's image to video: two tiny random checkpoints, and what diffusers
computes with them.

    python tests/goldens/hunyuan_video/make_image_goldens.py      # after frames/make_goldens.py

tiny-concat sees the image's latents beside its own (image_condition_type latent_concat); tiny-replace holds
the first latent frame (token_replace). frames/first.png is the image of all calls. `num_frames` is diffusers'
argument: under latent_concat the video has four frames less.
"""

import shutil
import sys
from pathlib import Path

import PIL.Image
import torch
from diffusers import (
    AutoencoderKLHunyuanVideo, FlowMatchEulerDiscreteScheduler, HunyuanVideoImageToVideoPipeline,
    HunyuanVideoTransformer3DModel,
)
from diffusers.pipelines.hunyuan_video.pipeline_hunyuan_video_image2video import DEFAULT_PROMPT_TEMPLATE
from transformers import (
    CLIPTextConfig, CLIPTextModel, CLIPTokenizer, CLIPVisionConfig, LlamaConfig, LlavaConfig,
    LlavaForConditionalGeneration,
)
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from _reference import PROMPTS, Capture, Goldens, redraw, remake, run_whole, smooth_in_time  # noqa: E402
from _spectrum import run_spectrum  # noqa: E402
from _tokenizers import CORPUS, llama_tokenizer, write_clip_files  # noqa: E402

TEXTS = [DEFAULT_PROMPT_TEMPLATE["template"]] * 8 + CORPUS
SPECTRUM = {"w": 0.5, "m": 4, "lam": 0.1, "window_size": 2, "flex_window": 0.75, "warmup_steps": 5}
FIRST = PIL.Image.open(HERE.parent / "frames" / "first.png")
NEGATIVE = {"true_cfg_scale": 2.0, "negative_prompt": "blurry, low quality"}
LENGTH = {"max_sequence_length": 24}
SIZE = {"height": 16, "width": 32, **LENGTH}
# As many patches as the pipeline expects tokens.
SIDE, PATCH = 48, 2


def llava_tokenizer():
    tokenizer = llama_tokenizer(TEXTS, llama3=True, merge_count=40)
    tokenizer.add_special_tokens({"additional_special_tokens": ["<image>"]})
    before = tokenizer(DEFAULT_PROMPT_TEMPLATE["template"].split("{}")[0]).input_ids
    assert len(before) == DEFAULT_PROMPT_TEMPLATE["crop_start"], len(before)
    image = before.index(tokenizer.convert_tokens_to_ids("<image>"))
    assert image == DEFAULT_PROMPT_TEMPLATE["image_emb_start"], image
    return tokenizer


def processor():
    return CLIPImageProcessorPil(size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE})


def llava(tokenizer, *, vision, projector_hidden_act="gelu", **text):
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(image_size=SIDE, patch_size=PATCH, projection_dim=8, **vision),
        text_config=LlamaConfig(vocab_size=len(tokenizer), bos_token_id=None, eos_token_id=None, **text),
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"), image_seq_length=576,
        projector_hidden_act=projector_hidden_act,
    )
    config.pad_token_id = tokenizer.pad_token_id
    return LlavaForConditionalGeneration(config)


def clip(vocab, **options):
    return CLIPTextModel(CLIPTextConfig(
        vocab_size=len(vocab), projection_dim=12, max_position_embeddings=77, bos_token_id=len(vocab) - 2,
        pad_token_id=len(vocab) - 1, eos_token_id=len(vocab) - 1, **options,
    ))


def vae(channels):
    return AutoencoderKLHunyuanVideo(
        latent_channels=channels, block_out_channels=(4, 4, 8, 8), layers_per_block=1, norm_num_groups=2,
        down_block_types=("HunyuanVideoDownBlock3D",) * 4, up_block_types=("HunyuanVideoUpBlock3D",) * 4,
    )


def make_tiny_concat(folder):
    """Like HunyuanVideo-I2V-33ch: no guidance embedding; float16."""
    tokenizer, vocab = llava_tokenizer(), write_clip_files(folder / "tokenizer_2", 60, model_max_length=77)
    assemble(
        folder,
        tokenizer=tokenizer,
        transformer=HunyuanVideoTransformer3DModel(
            in_channels=9, out_channels=4, num_attention_heads=2, attention_head_dim=10, num_layers=1,
            num_single_layers=2, num_refiner_layers=1, guidance_embeds=False, text_embed_dim=16,
            pooled_projection_dim=16, rope_axes_dim=(2, 4, 4), image_condition_type="latent_concat",
        ),
        text_encoder=llava(
            tokenizer,
            vision=dict(hidden_size=12, intermediate_size=20, num_hidden_layers=3, num_attention_heads=2),
            hidden_size=16, intermediate_size=28, num_hidden_layers=4, num_attention_heads=4,
            num_key_value_heads=2, rms_norm_eps=1e-5, max_position_embeddings=8192,
            rope_parameters={"rope_type": "default", "rope_theta": 500000.0},
        ),
        text_encoder_2=clip(
            vocab, hidden_size=16, intermediate_size=40, num_hidden_layers=2, num_attention_heads=2),
        vae=vae(4),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=7.0),
        dtype=torch.float16,
    )


def make_tiny_replace(folder):
    """Like HunyuanVideo-I2V: guidance embedding, the first frame's tokens modulated as at timestep 0;
    bfloat16."""
    tokenizer, vocab = llava_tokenizer(), write_clip_files(folder / "tokenizer_2", 40, model_max_length=77)
    assemble(
        folder,
        tokenizer=tokenizer,
        transformer=HunyuanVideoTransformer3DModel(
            in_channels=6, out_channels=6, num_attention_heads=2, attention_head_dim=8, num_layers=2,
            num_single_layers=2, num_refiner_layers=1, mlp_ratio=2.5, qk_norm="layer_norm",
            guidance_embeds=True, text_embed_dim=18, pooled_projection_dim=20, rope_theta=100.0,
            rope_axes_dim=(4, 2, 2), image_condition_type="token_replace",
        ),
        text_encoder=llava(
            tokenizer, projector_hidden_act="silu",
            vision=dict(
                hidden_size=10, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2,
                hidden_act="gelu"),
            hidden_size=18, intermediate_size=40, num_hidden_layers=3, num_attention_heads=3, head_dim=10,
            rms_norm_eps=1e-6, attention_bias=True,
            rope_parameters={
                "rope_type": "llama3", "rope_theta": 10000.0, "factor": 4.0, "low_freq_factor": 1.0,
                "high_freq_factor": 4.0, "original_max_position_embeddings": 48,
            },
        ),
        text_encoder_2=clip(
            vocab, hidden_size=20, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
            hidden_act="gelu"),
        vae=vae(6),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
        dtype=torch.bfloat16,
    )


def assemble(folder, *, dtype, tokenizer, **parts):
    """Redraws the weights of `parts` and saves the pipeline to `folder` as diffusers does."""
    for seed, name in enumerate(("transformer", "text_encoder", "text_encoder_2", "vae")):
        redraw(parts[name], 150 + seed)
    transformer = parts["transformer"]
    for embed in (transformer.time_text_embed, transformer.context_embedder.time_text_embed):
        smooth_in_time(embed.timestep_embedder.linear_1)
        if getattr(embed, "guidance_embedder", None) is not None:
            smooth_in_time(embed.guidance_embedder.linear_1)
    parts["vae"].decoder.conv_out.conv.weight.mul_(0.4)  # frames mostly within -1..1
    clip_files = folder / "tokenizer_2"
    tokenizers = {"tokenizer": tokenizer, "tokenizer_2": CLIPTokenizer.from_pretrained(clip_files)}
    shutil.rmtree(clip_files)
    pipe = HunyuanVideoImageToVideoPipeline(**parts, **tokenizers, image_processor=processor()).to(dtype)
    pipe.save_pretrained(folder)
    index = folder / "model_index.json"
    # Names that transformers 5 no longer writes.
    index.write_text(index.read_text().replace('"TokenizersBackend"', '"LlamaTokenizerFast"')
                     .replace('"CLIPImageProcessorPil"', '"CLIPImageProcessor"'))
    for path in folder.rglob("*.*"):
        path.chmod(0o644)


def load(folder):
    pipe = HunyuanVideoImageToVideoPipeline.from_pretrained(
        folder, tokenizer=llava_tokenizer(), image_processor=processor(), dtype=torch.float32)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def interleave(pipe):
    return {"latent_concat": 2, "token_replace": 4}[pipe.transformer.config.image_condition_type]


def add_text(goldens, pipe, case, *, prompt, black=False, **call):
    """The states that the transformer reads: the image's tokens, then the prompt's. `black` is a branch of
    guidance, which sees a black image."""
    image = PIL.Image.new("RGB", (SIZE["width"], SIZE["height"]), 0) if black else FIRST
    with Capture(pipe) as seen:
        embeds, pooled, mask = pipe.encode_prompt(
            image, prompt, image_embed_interleave=2 if black else interleave(pipe), **call)
    # The states are those of the language model behind the vision tower.
    (ids, out), = seen.text["text_encoder"]
    layers = pipe.text_encoder.config.text_config.num_hidden_layers
    assert len(out.hidden_states) == layers + 1 and out.hidden_states[0].shape[1] == ids.shape[1]
    valid = int(mask.sum())
    assert mask[0, :valid].all()
    goldens.add(f"text.{case}", {"prompt": prompt, "black": black, **call},
                embeds=embeds[0, :valid], pooled=pooled[0])


def add_encoded(goldens, pipe, case, *, height, width):
    """The image's latents in the denoiser's scale, [channels, h, w]."""
    image = pipe.video_processor.preprocess(FIRST, height, width)
    latents = pipe.vae.encode(image.unsqueeze(2)).latent_dist.mode() * pipe.vae_scaling_factor
    goldens.add(f"encoded.{case}", {"height": height, "width": width}, latents=latents[0, :, 0])


def add_transformer(goldens, pipe, case, *, seed, batch, frames, height, width, text_tokens, timestep):
    """One call of the transformer on random inputs, sizes in latents."""
    config = pipe.transformer.config
    draw = torch.Generator().manual_seed(seed)
    inputs = {
        "hidden_states": torch.randn(batch, config.in_channels, frames, height, width, generator=draw),
        "encoder_hidden_states": torch.randn(batch, text_tokens, config.text_embed_dim, generator=draw),
        "pooled_projections": torch.randn(batch, config.pooled_projection_dim, generator=draw),
        "timestep": torch.tensor(timestep),
    }
    call = {**inputs, "encoder_attention_mask": torch.ones(batch, text_tokens)}
    if config.guidance_embeds:
        inputs["guidance"] = torch.arange(batch) + 5.5
        call["guidance"] = inputs["guidance"] * 1000.0  # as the pipeline does
    with Capture(pipe) as seen:
        output = pipe.transformer(**call).sample
    goldens.add(f"transformer.{case}", {"text_tokens": text_tokens, "batch": batch}, **inputs,
                feature=seen.features[0], output=output)


def given(pipe):
    """The frames that the pipeline drops from the video's beginning."""
    return 4 if pipe.transformer.config.image_condition_type == "latent_concat" else 0


def add_picture(goldens, pipe, case, *, seed, decoded=False, **call):
    """A whole call. `latents` are those of all frames, `decoded` the frames of the video, not clamped."""
    seen, latents = run_whole(pipe, seed, image=FIRST, **call)
    pixels = {"decoded": seen.decoded[0][:, given(pipe):]} if decoded else {}
    goldens.add(f"picture.{case}", {"seed": seed, **call}, latents=latents, **pixels)


def add_spectrum(goldens, pipe, case, *, seed, steps, branches=1, **call):
    def run(output_type, **kwargs):
        final = []
        keep = lambda pipe, step, timestep, kwargs: (final.append(kwargs["latents"]), {})[1]
        pipe(image=FIRST, output_type=output_type, callback_on_step_end=keep, **kwargs)
        return final[-1:]

    run.transformer = pipe.transformer
    generator = torch.Generator("cpu").manual_seed(seed)
    latents, plan, errors = run_spectrum(run, steps, branches, SPECTRUM, generator=generator, **call)
    about = {"seed": seed, "num_inference_steps": steps, **call, "method": SPECTRUM}
    goldens.add(f"spectrum.{case}", about, plan=plan.int(), forecast_errors=errors, latents=latents)


def golden(folder, *, num_frames, guidance_scale):
    pipe = load(folder)
    goldens = Goldens(checkpoint=folder.name)
    add_text(goldens, pipe, "plain", prompt=PROMPTS["plain"], **LENGTH)
    add_text(goldens, pipe, "cut", prompt=PROMPTS["unicode"], **LENGTH)
    add_text(goldens, pipe, "black", prompt="", black=True, **LENGTH)
    for cut in (1, 2, 4):
        # The template's end is lost in part.
        add_text(goldens, pipe, f"cut_{cut}", prompt=PROMPTS["plain"], max_sequence_length=12 - cut)
    add_encoded(goldens, pipe, "wide", height=32, width=64)
    add_encoded(goldens, pipe, "tall", height=32, width=16)
    add_transformer(goldens, pipe, "one", seed=1, batch=1, frames=3, height=4, width=2, text_tokens=7,
                    timestep=[1000.0])
    add_transformer(goldens, pipe, "batch", seed=2, batch=2, frames=2, height=2, width=6, text_tokens=5,
                    timestep=[731.5, 52.0])
    plain = {"prompt": PROMPTS["plain"], "guidance_scale": guidance_scale, "num_frames": num_frames, **SIZE}
    for seed in (42, 43):
        call = {"seed": seed, "num_inference_steps": 8, **plain}
        add_picture(goldens, pipe, f"seed_{seed}", decoded=seed == 42, **call)
        add_picture(goldens, pipe, f"true_cfg_{seed}", **NEGATIVE, **call)
    add_picture(goldens, pipe, "short", seed=3, num_inference_steps=8, decoded=True, **{
        **plain, "num_frames": 5, "width": 16, "height": 32})
    add_spectrum(goldens, pipe, "w_half", seed=42, steps=20, **plain)
    add_spectrum(goldens, pipe, "true_cfg", seed=42, steps=20, branches=2, **NEGATIVE, **plain)
    goldens.save(folder)


if __name__ == "__main__":
    remake(
        HERE,
        tiny_concat=(make_tiny_concat, lambda folder: golden(folder, num_frames=13, guidance_scale=0.0)),
        tiny_replace=(make_tiny_replace, lambda folder: golden(folder, num_frames=9, guidance_scale=6.0)),
    )
