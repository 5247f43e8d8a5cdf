"""Makes the reference data of tiled decoding: diffusers' AutoencoderKL.enable_tiling() on
a tiny checkpoint's VAE.

    python tests/goldens/tiling/make_goldens.py      # about 5 s
"""

import sys
from pathlib import Path

import torch
from diffusers import AutoencoderKL

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from _reference import Goldens  # noqa: E402

torch.set_num_threads(1)
goldens = Goldens()
vae = AutoencoderKL.from_pretrained(HERE.parent / "flux/tiny-dev/vae", torch_dtype=torch.float32).eval()
vae.enable_tiling()
# Two rows and three columns of 16x16 tiles; those at the edges are smaller.
latents = torch.randn((1, 16, 21, 30), generator=torch.Generator().manual_seed(5))
scaled = latents / vae.config.scaling_factor + vae.config.shift_factor
with torch.no_grad():
    goldens.add("tiled", {"checkpoint": "flux/tiny-dev"}, latents=latents, decoded=vae.decode(scaled).sample)
goldens.save(HERE)
