"""Makes the reference data of single components that no FLUX checkpoint has: options of other
families, the VAE encoder.

    python tests/goldens/components/make_goldens.py      # about 5 s

Two tiny random checkpoints (text_encoder_2, vae) and one goldens.safetensors; goldens.json says for
every case which call gave it. The encoders of the FLUX checkpoints' VAEs are among the cases, as
../flux has none of them.
"""

import shutil
import sys
from pathlib import Path

import torch
from diffusers import AutoencoderKL
from transformers import CLIPTextConfig, CLIPTextModelWithProjection, T5EncoderModel

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from _reference import Goldens, redraw  # noqa: E402


def make_text_encoder(folder):
    """Like SDXL's second text encoder: projected pooled output, gelu; float16."""
    model = CLIPTextModelWithProjection(CLIPTextConfig(
        vocab_size=64, hidden_size=12, intermediate_size=20, projection_dim=7, num_hidden_layers=3,
        num_attention_heads=3, max_position_embeddings=16, hidden_act="gelu",
        bos_token_id=62, eos_token_id=63, pad_token_id=1,
    ))
    redraw(model, 11)
    model.half().save_pretrained(folder)


def make_vae(folder):
    """Options that only other autoencoders use: attention at every resolution, mean and
    std per channel, act_fn."""
    model = AutoencoderKL(
        block_out_channels=(4, 8), down_block_types=("AttnDownEncoderBlock2D", "DownEncoderBlock2D"),
        up_block_types=("UpDecoderBlock2D", "AttnUpDecoderBlock2D"), layers_per_block=1, latent_channels=2,
        norm_num_groups=2, act_fn="mish", scaling_factor=0.5, latents_mean=(0.1, -0.4),
        latents_std=(1.5, 0.6),
    )
    redraw(model, 12)
    model.save_pretrained(folder)


def add_text(goldens, folder):
    model = CLIPTextModelWithProjection.from_pretrained(folder, dtype=torch.float32).eval()
    ids = torch.randint(2, 62, (2, 9), generator=torch.Generator().manual_seed(1))
    ids[:, 0] = 62
    ids[0, 5:] = 63  # padded with the end token: the first one counts
    ids[1, 7], ids[1, 8] = 63, 1
    result = model(ids, output_hidden_states=True)
    goldens.add(
        "text.projection", {"checkpoint": folder.name}, input_ids=ids,
        last_hidden_state=result.last_hidden_state,
        penultimate_hidden_state=result.hidden_states[-2], text_embeds=result.text_embeds,
    )


def add_masked_t5(goldens, folder):
    """The mask that Stable Diffusion 3's and PixArt's pipelines pass; FLUX passes none."""
    model = T5EncoderModel.from_pretrained(folder, dtype=torch.float32).eval()
    ids = torch.randint(3, 100, (2, 21), generator=torch.Generator().manual_seed(2))
    mask = torch.ones_like(ids)
    mask[0, 13:] = 0
    goldens.add(
        "t5.masked", {"checkpoint": str(folder.relative_to(HERE.parent))}, input_ids=ids, attention_mask=mask,
        last_hidden_state=model(ids, attention_mask=mask).last_hidden_state,
    )


def add_vae(goldens, case, folder):
    model = AutoencoderKL.from_pretrained(folder, torch_dtype=torch.float32).eval()
    scale = 2 ** (len(model.config.block_out_channels) - 1)
    generator = torch.Generator().manual_seed(3)
    sample = torch.rand((2, 3, 3 * scale, 5 * scale), generator=generator) * 2 - 1
    latents = torch.randn((1, model.config.latent_channels, 4, 3), generator=generator)
    posterior = model.encode(sample).latent_dist
    goldens.add(
        case, {"checkpoint": str(folder.relative_to(HERE.parent))}, sample=sample, mean=posterior.mean,
        std=posterior.std, latents=latents, decoded=model.decode(latents).sample,
    )


def main():
    for name, make in (("text_encoder_2", make_text_encoder), ("vae", make_vae)):
        shutil.rmtree(HERE / name, ignore_errors=True)
        make(HERE / name)
        for path in (HERE / name).iterdir():
            path.chmod(0o644)
    goldens = Goldens()
    add_text(goldens, HERE / "text_encoder_2")
    add_masked_t5(goldens, HERE.parent / "flux" / "tiny-schnell" / "text_encoder_2")
    add_vae(goldens, "vae.attention", HERE / "vae")
    add_vae(goldens, "vae.dev", HERE.parent / "flux" / "tiny-dev" / "vae")
    add_vae(goldens, "vae.schnell", HERE.parent / "flux" / "tiny-schnell" / "vae")
    goldens.save(HERE)


if __name__ == "__main__":
    main()
