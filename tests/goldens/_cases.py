"""Cases that the makers of several families share: whole pictures, decoded latents, runs of Spectrum."""

from contextlib import contextmanager

import torch

from _reference import run_whole
from _spectrum import add_spectrum

SPECTRUM = {"m": 4, "lam": 0.1, "window_size": 2, "flex_window": 0.75, "warmup_steps": 5}


def add_picture(goldens, pipe, case, *, seed, decoded=True, initial=None, decode=None, unrecorded={}, **call):
    """A whole pipeline call. `decoded` is the VAE's output [3, H, W] before it is clamped to -1..1.

    `initial(seen)` replaces the denoiser's first input, `decode(pipe, latents, call)` the pipeline's output.
    `unrecorded` are arguments of the call that the goldens leave out.
    """
    seen, latents = run_whole(pipe, seed, **unrecorded, **call)
    first = initial(seen) if initial else seen.denoiser_inputs[0]["hidden_states"]
    tensors = {"initial_latents": first, "latents": latents}
    if decoded:
        tensors["decoded"] = decode(pipe, latents, call) if decode else seen.decoded[0]
    goldens.add(f"picture.{case}", {"seed": seed, **call}, **tensors)


def add_forecast_run(goldens, pipe, case, *, w, guided_by="guidance_scale", **call):
    """With guidance: two calls of the network a step, the prompt's first, each with a history of its own."""
    branches = 2 if call.get(guided_by, 1) > 1 else 1
    add_spectrum(goldens, pipe, case, branches=branches, options={"w": w, **SPECTRUM}, **call)


def add_vae(goldens, pipe, case, *, seed, height, width):
    """Decodes random latents [1, channels, height, width] as they enter AutoencoderKL.decode, scale and shift
    undone."""
    shape = (1, pipe.vae.config.latent_channels, height, width)
    latents = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    goldens.add(f"vae.{case}", {"height": height, "width": width}, latents=latents,
                decoded=pipe.vae.decode(latents)[0])


def add_frame_vae(goldens, pipe, case, *, seed, height, width, decode, tiles=None):
    """Decodes random latents of one frame [1, channels, height, width] by `decode(pipe, latents)`.

    With `tiles`, after enable_tiling() with tiles of that side, that stride apart.
    """
    draw = torch.Generator().manual_seed(seed)
    latents = torch.randn(1, pipe.vae.config.z_dim, height, width, generator=draw)
    call = {"height": height, "width": width}
    if tiles:
        call.update(side=tiles[0], stride=tiles[1])
        pipe.vae.enable_tiling(**{
            f"tile_sample_{part}_{axis}": value for part, value in zip(("min", "stride"), tiles)
            for axis in ("height", "width")})
    goldens.add(f"vae.{case}", call, latents=latents, decoded=decode(pipe, latents))
    pipe.vae.disable_tiling()


def by_channel(values):
    """Numbers for each channel, for latents [1, channels, frames, height, width]."""
    return torch.tensor(values).view(1, -1, 1, 1, 1)


@contextmanager
def without_clamp():
    """Lets autoencoders return values outside -1..1, which they clamp otherwise."""
    clamp, torch.clamp = torch.clamp, lambda x, **_: x
    try:
        yield
    finally:
        torch.clamp = clamp
