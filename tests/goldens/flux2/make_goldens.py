"""Makes the FLUX.2 klein reference data: two tiny random checkpoints, and what diffusers computes with them.

    python tests/goldens/flux2/make_goldens.py

The checkpoints differ in everything that a config.json may decide; goldens are computed in float32 from the
files as saved. goldens.json beside each goldens.safetensors says for every case which call gave it.
"""

import sys
from pathlib import Path

import torch
from diffusers import (
    AutoencoderKLFlux2, FlowMatchEulerDiscreteScheduler, Flux2KleinPipeline, Flux2Transformer2DModel,
)
from diffusers.pipelines.flux2.pipeline_flux2_klein import compute_empirical_mu
from transformers import Qwen3Config, Qwen3ForCausalLM

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from _cases import add_forecast_run as add_forecast_case  # noqa: E402
from _cases import add_picture  # noqa: E402
from _reference import PROMPTS, Capture, Goldens, redraw, remake, smooth_in_time  # noqa: E402
from _tokenizers import CORPUS, qwen_tokenizer, restore_qwen_files  # noqa: E402


class Klein(Flux2KleinPipeline):
    """Takes the negative prompt as text; diffusers takes its embeddings, by default of the empty text."""

    def __call__(self, negative_prompt=None, max_sequence_length=512, **call):
        if negative_prompt is not None:
            call["negative_prompt_embeds"] = self.encode_prompt(
                negative_prompt, max_sequence_length=max_sequence_length)[0]
        return super().__call__(max_sequence_length=max_sequence_length, **call)


def make_tiny_base(folder):
    """Like FLUX.2 klein base: dynamic shift, an autoencoder of four blocks; bfloat16."""
    tokenizer = qwen_tokenizer(CORPUS, merge_count=90)
    assemble(
        folder,
        tokenizer=tokenizer,
        transformer=Flux2Transformer2DModel(
            in_channels=16, num_layers=2, num_single_layers=2, attention_head_dim=12, num_attention_heads=2,
            joint_attention_dim=36, mlp_ratio=3.0, axes_dims_rope=(2, 4, 4, 2), guidance_embeds=False,
        ),
        text_encoder=Qwen3ForCausalLM(Qwen3Config(
            vocab_size=len(tokenizer), hidden_size=12, intermediate_size=20, num_hidden_layers=29,
            num_attention_heads=2,
            num_key_value_heads=1, head_dim=8, tie_word_embeddings=True,
            rope_parameters={"rope_type": "default", "rope_theta": 1000000.0},
        )),
        vae=AutoencoderKLFlux2(
            block_out_channels=(4, 4, 8, 8), layers_per_block=1, latent_channels=4, norm_num_groups=2,
            sample_size=64,
        ),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True),
        dtype=torch.bfloat16,
        is_distilled=False,
    )


def make_tiny_distilled(folder):
    """Everything else: other widths, bases and epsilons, a decoder wider than its encoder,
    no quant convs; float32."""
    tokenizer = qwen_tokenizer(CORPUS, merge_count=40)
    assemble(
        folder,
        tokenizer=tokenizer,
        transformer=Flux2Transformer2DModel(
            in_channels=8, out_channels=8, num_layers=1, num_single_layers=3, attention_head_dim=8,
            num_attention_heads=3,
            joint_attention_dim=24, mlp_ratio=2.5, timestep_guidance_channels=32, axes_dims_rope=(2, 2, 2, 2),
            rope_theta=100, eps=1e-5, guidance_embeds=False,
        ),
        text_encoder=Qwen3ForCausalLM(Qwen3Config(
            vocab_size=len(tokenizer), hidden_size=8, intermediate_size=12, num_hidden_layers=27,
            num_attention_heads=3,
            num_key_value_heads=3, head_dim=4, attention_bias=True,
            rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
        )),
        vae=AutoencoderKLFlux2(
            block_out_channels=(4, 4), decoder_block_out_channels=(4, 8), layers_per_block=2,
            latent_channels=2,
            norm_num_groups=2, batch_norm_eps=1e-3, use_quant_conv=False, use_post_quant_conv=False,
            mid_block_add_attention=False, down_block_types=("DownEncoderBlock2D",) * 2,
            up_block_types=("UpDecoderBlock2D",) * 2,
        ),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=2.0, use_dynamic_shifting=False),
        dtype=torch.float32,
        is_distilled=True,
    )
    restore_qwen_files(folder / "tokenizer")


def assemble(folder, *, dtype, is_distilled, **parts):
    """Redraws the weights of `parts` and saves the pipeline to `folder` as diffusers does."""
    for seed, name in enumerate(("transformer", "text_encoder", "vae")):
        redraw(parts[name], seed)
    smooth_in_time(parts["transformer"].time_guidance_embed.timestep_embedder.linear_1)
    norm = parts["vae"].bn
    draw = torch.Generator().manual_seed(9)
    norm.running_mean.copy_(0.3 * torch.randn(norm.running_mean.shape, generator=draw))
    norm.running_var.copy_(0.5 + torch.rand(norm.running_var.shape, generator=draw))
    parts["vae"].decoder.conv_out.weight.mul_(0.4)  # pictures mostly within -1..1
    Flux2KleinPipeline(is_distilled=is_distilled, **parts).to(dtype).save_pretrained(folder)
    (folder / "text_encoder" / "generation_config.json").unlink(missing_ok=True)
    for path in folder.rglob("*.*"):
        path.chmod(0o644)


def load(folder):
    pipe = Klein.from_pretrained(folder, dtype=torch.float32)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def add_text(goldens, pipe, prompts, max_sequence_length):
    for name, prompt in prompts.items():
        embeds, _ = pipe.encode_prompt(prompt, max_sequence_length=max_sequence_length)
        goldens.add(f"text.{name}", {"prompt": prompt, "max_sequence_length": max_sequence_length},
                    embeds=embeds)


def add_transformer(goldens, pipe, case, *, seed, batch, height, width, text_tokens, timestep):
    """One call of the transformer on random inputs; `height` and `width` count tokens, `timestep` is 0..1."""
    config = pipe.transformer.config
    draw = torch.Generator().manual_seed(seed)
    latents = torch.randn(batch, config.in_channels, height, width, generator=draw)
    states = torch.randn(batch, text_tokens, config.joint_attention_dim, generator=draw)
    inputs = {
        "hidden_states": pipe._pack_latents(latents),
        "encoder_hidden_states": states,
        "timestep": torch.tensor(timestep),
    }
    ids = {"img_ids": pipe._prepare_latent_ids(latents), "txt_ids": pipe._prepare_text_ids(states)}
    with Capture(pipe) as seen:
        output = pipe.transformer(**inputs, **ids).sample
    about = {"batch": batch, "height": height, "width": width, "text_tokens": text_tokens}
    goldens.add(f"transformer.{case}", about, **inputs, feature=seen.features[0], output=output)


def add_vae(goldens, pipe, case, *, seed, height, width):
    """Decodes random latents [1, channels, height, width] in the denoiser's form, as the
    end of the pipeline does."""
    shape = (1, pipe.transformer.config.in_channels, height, width)
    latents = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    norm = pipe.vae.bn
    deviation = torch.sqrt(norm.running_var.view(1, -1, 1, 1) + pipe.vae.config.batch_norm_eps)
    plain = pipe._unpatchify_latents(latents * deviation + norm.running_mean.view(1, -1, 1, 1))
    goldens.add(f"vae.{case}", {"height": height, "width": width}, latents=latents,
                decoded=pipe.vae.decode(plain)[0])


def add_forecast_run(goldens, pipe, case, **options):
    """The final latents are those of the denoiser: the pipeline would return the autoencoder's."""
    final = []

    def run(**kwargs):
        keep = lambda pipe, step, timestep, kept: (final.append(kept["latents"]), {})[1]
        pipe(callback_on_step_end=keep, **kwargs)
        return [final[-1]]

    run.transformer = pipe.transformer
    add_forecast_case(goldens, run, case, **options)


def golden_tiny_base(folder):
    pipe, goldens = load(folder), Goldens(checkpoint="tiny-base")
    length = {"max_sequence_length": 48}
    size = {"height": 64, "width": 96, **length}  # 4 x 6 tokens
    add_text(goldens, pipe, PROMPTS, **length)
    add_transformer(goldens, pipe, "start", seed=1, batch=1, height=4, width=6, text_tokens=9, timestep=[1.0])
    add_transformer(goldens, pipe, "batch", seed=2, batch=2, height=5, width=3, text_tokens=7,
                    timestep=[0.731, 0.052])
    add_vae(goldens, pipe, "wide", seed=3, height=2, width=3)
    plain = {"prompt": PROMPTS["plain"], **size}
    add_picture(goldens, pipe, "8_steps", seed=42, num_inference_steps=8, guidance_scale=4.0, decoded=False,
                **plain)
    add_picture(goldens, pipe, "50_steps", seed=42, num_inference_steps=50, guidance_scale=4.0, decoded=False,
                **plain)
    add_picture(goldens, pipe, "unguided", seed=2**40 + 5, num_inference_steps=8, guidance_scale=1.0, **{
        **plain, "prompt": PROMPTS["unicode"], "height": 32, "width": 48})
    negative = {"guidance_scale": 2.5, "negative_prompt": "blurry, low quality"}
    add_picture(goldens, pipe, "negative", seed=7, num_inference_steps=8, decoded=False, **negative, **plain)
    add_forecast_run(goldens, pipe, "w_half", seed=42, steps=20, w=0.5, **negative, **plain)
    goldens.facts["empirical_mu"] = [
        [tokens, steps, compute_empirical_mu(tokens, steps)] for tokens in (24, 1024, 4096, 4300, 4301, 8192)
        for steps in (4, 28, 50)]
    goldens.save(folder)


def golden_tiny_distilled(folder):
    pipe, goldens = load(folder), Goldens(checkpoint="tiny-distilled")
    length = {"max_sequence_length": 40}
    size = {"height": 20, "width": 12, **length}  # 5 x 3 tokens
    add_text(goldens, pipe, PROMPTS, **length)
    add_transformer(goldens, pipe, "start", seed=5, batch=1, height=3, width=7, text_tokens=8, timestep=[1.0])
    add_transformer(goldens, pipe, "batch", seed=6, batch=2, height=4, width=4, text_tokens=5,
                    timestep=[0.25, 0.875])
    add_vae(goldens, pipe, "tall", seed=7, height=7, width=4)
    plain = {"prompt": PROMPTS["plain"], "guidance_scale": 0.0, **size}
    add_picture(goldens, pipe, "4_steps", seed=0, num_inference_steps=4, **plain)
    add_picture(goldens, pipe, "50_steps", seed=42, num_inference_steps=50, decoded=False, **plain)
    add_forecast_run(goldens, pipe, "w_one", seed=42, steps=20, w=1.0, **plain)
    goldens.save(folder)


def main():
    remake(
        HERE,
        tiny_base=(make_tiny_base, golden_tiny_base),
        tiny_distilled=(make_tiny_distilled, golden_tiny_distilled),
    )


if __name__ == "__main__":
    main()
