"""Trains the VAE (diffusers' AutoencoderKLWan) and encodes the bank of videos that train.py learns from.

    nice -n 19 python vae.py --run run --minutes 6

Writes RUN/vae.pt (weights, latents_mean, latents_std) and RUN/bank.pt. Reconstruction by L1, L2 and edges,
and noise on the latents in place of a KL term, so that the decoder forgives what the transformer will get
wrong. Needs torch, diffusers and numpy.
"""
import argparse, os, random, sys, time
os.environ.setdefault("OMP_NUM_THREADS", "1")
import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKLWan
from data import CHANNELS, COLORS, DIRECTIONS, GROUNDS, SHAPES, SIZE, combinations, held_out, to_tensor, video

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "emoji-training"))
from muon import Muon

CONFIG = dict(base_dim=8, z_dim=CHANNELS, dim_mult=[1, 2, 4, 4], num_res_blocks=1,
              temperal_downsample=[False, True, True])
NOISE = 0.05


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--run", default="run")
    p.add_argument("--minutes", type=float, default=6, help="of CPU time")
    p.add_argument("--lr", type=float, default=6e-3)
    p.add_argument("--decoder", action="store_true",
                   help="go on from RUN/vae.pt with the decoder alone: latents, and a transformer that knows "
                        "them, stay")
    p.add_argument("--resume", action="store_true", help="go on from RUN/vae.pt with all of it")
    p.add_argument("--bank-only", action="store_true", help="no training: encode the bank with RUN/vae.pt")
    p.add_argument("--batch", type=int, default=4)
    p.add_argument("--bank", type=int, default=2600, help="videos to encode")
    a = p.parse_args()
    torch.set_num_threads(1); torch.manual_seed(1); random.seed(1)
    os.makedirs(a.run, exist_ok=True)
    vae = AutoencoderKLWan(**CONFIG)
    initialise(vae)
    kept = torch.load(f"{a.run}/vae.pt") if a.decoder or a.bank_only or a.resume else None
    if kept:
        vae.load_state_dict(kept["vae"])
    print(f"difference from diffusers' chunked passes {chunked_difference(vae):.1e}", flush=True)
    if not a.bank_only:
        train(vae, a, kept)
    if a.decoder:
        return
    mean, std = (kept["mean"], kept["std"]) if a.bank_only else statistics(vae)
    save(vae, mean, std, a.run)
    start = time.time()
    torch.save(bank(vae, mean, std, a.bank), f"{a.run}/bank.pt.new")
    os.replace(f"{a.run}/bank.pt.new", f"{a.run}/bank.pt")
    print(f"bank of {a.bank} videos in {time.time() - start:.0f} s", flush=True)


def save(vae, mean, std, run):
    torch.save({"vae": vae.state_dict(), "mean": mean, "std": std}, f"{run}/vae.pt.new")
    os.replace(f"{run}/vae.pt.new", f"{run}/vae.pt")


@torch.no_grad()
def initialise(vae):
    """Residual blocks that add nothing at first, and convolutions between them that hand on what they
    get: so the means of colors come through at once. And latents without noise, which would drown
    what they learn to carry."""
    for name, module in vae.named_modules():
        if hasattr(module, "conv2") and hasattr(module, "norm2"):
            module.conv2.weight.mul_(0.1); module.conv2.bias.zero_()
        if (name.endswith("conv_shortcut") and hasattr(module, "weight")
                or name.endswith(("quant_conv", "conv_in"))):
            dirac(module.weight, 2 if module.weight.shape[2] == 3 else 0,
                  1 if module.weight.shape[3] == 3 else 0)
        if hasattr(module, "resample"):
            kernel = module.resample[1].weight
            kernel.mul_(0.3)
            for i in range(min(kernel.shape[:2])):
                kernel[i, i] += (0.25 * torch.tensor([[1, 1, 0], [1, 1, 0], [0, 0, 0]])
                                 if "down" in module.mode
                                 else torch.tensor([[0, 0, 0], [0, 1, 0], [0, 0, 0]]))
            if hasattr(module, "time_conv"):
                kernel = module.time_conv.weight
                kernel.mul_(0.3)
                taps = (1, 2) if "down" in module.mode else (2,)
                for i in range(kernel.shape[0]):
                    kernel[i, i % kernel.shape[1], taps] += 1 / len(taps)
    vae.quant_conv.weight[CHANNELS:].zero_()
    vae.quant_conv.bias[CHANNELS:].fill_(-6)


def dirac(kernel, t, yx):
    kernel.mul_(0.3)
    for i in range(kernel.shape[0]):
        kernel[i, i % kernel.shape[1], t, yx, yx] += 1


def encode(vae, x):
    """[B, 3, T, H, W] -> mean and logvar [B, CHANNELS, 1 + (T - 1) / 4, H / 8, W / 8]: diffusers' passes over
    chunks of frames in one pass"""
    e = vae.encoder
    x = e.conv_in(x)
    for layer in e.down_blocks:
        if getattr(layer, "mode", None) == "downsample3d":
            x = layer(x)
            x = torch.cat([x[:, :, :1], layer.time_conv(x)], 2) if x.shape[2] > 1 else x
        else:
            x = layer(x)
    return vae.quant_conv(e.conv_out(e.nonlinearity(e.norm_out(e.mid_block(x))))).chunk(2, dim=1)


def decode(vae, z):
    """[B, CHANNELS, T, H, W] -> [B, 3, 4 T - 3, 8 H, 8 W], not clamped: as above"""
    d = vae.decoder
    x = d.mid_block(d.conv_in(vae.post_quant_conv(z)))
    for block in d.up_blocks:
        for resnet in block.resnets:
            x = resnet(x)
        for up in block.upsamplers or []:
            if up.mode == "upsample3d" and x.shape[2] > 1:
                b, c, t, h, w = x[:, :, 1:].shape
                doubled = (up.time_conv(x[:, :, 1:]).view(b, 2, c, t, h, w).transpose(1, 2).transpose(2, 3)
                           .reshape(b, c, 2 * t, h, w))
                x = torch.cat([x[:, :, :1], doubled], 2)
            x = up(x)
    return d.conv_out(d.nonlinearity(d.norm_out(x)))


@torch.no_grad()
def chunked_difference(vae):
    x = torch.randn(1, 3, 17, 32, 32)
    mean = vae.encode(x).latent_dist.mean
    return max((encode(vae, x)[0] - mean).abs().max().item(),
               (decode(vae, mean).clamp(-1, 1) - vae.decode(mean).sample).abs().max().item())


def draw(count, frames):
    pick = lambda of: random.choice(list(of))
    return to_tensor(np.stack([video(pick(SHAPES), pick(COLORS), pick(DIRECTIONS), pick(GROUNDS), frames)
                               for _ in range(count)]))


def windows(x, size=32):
    """One window of each video, in which something moves"""
    parts = []
    for one in x:
        moving = one.std(1).sum(0) if one.shape[1] > 1 else one[0, 0]
        y, x0 = random.choice(torch.nonzero(moving > 0.1).tolist() or [[SIZE // 2, SIZE // 2]])
        y, x0 = (min(max(v + random.randint(-10, 10) - size // 2, 0), SIZE - size) for v in (y, x0))
        parts.append(one[:, :, y:y + size, x0:x0 + size])
    return torch.stack(parts)


def train(vae, options, kept):
    """Leaves an average of the weights in `vae`; a decoder alone is saved every minute."""
    parameters = [v for k, v in vae.named_parameters() if not options.decoder
                  or k.startswith(("decoder", "post_quant"))]
    # Muon on the kernels as matrices [out, in * taps]: by AdamW nothing was learned in
    # the first hundred steps.
    kernels = [v.detach().flatten(1) if v.dim() > 3 and len(v) > 3 else None for v in parameters]
    optimizer = Muon([k for k in kernels if k is not None],
                     [v for v, k in zip(parameters, kernels) if k is None], options.lr, 2e-3,
                     split=1 << 30, weight_decay=0.0)
    averaged = [v.detach().clone() for v in parameters]
    spent, step, losses, told = 0.0, 0, [], 0
    while spent < 60 * options.minutes:
        start, done = time.process_time(), spent / (60 * options.minutes)
        # Windows about the shape first: a quarter of the cost, and four times as much to learn from in each.
        x = windows(draw(2
                         * options.batch, 9)) if done < 0.75 else draw(options.batch, random.choice((9, 17)))
        with torch.set_grad_enabled(not options.decoder):
            mean = encode(vae, x)[0]
        z = mean + NOISE * mean.detach().std() * torch.randn_like(mean)
        loss = reconstruction(x, decode(vae, z)) + 1e-4 * (mean**2).mean()
        for v, kernel, grad in zip(parameters, kernels, torch.autograd.grad(loss, parameters)):
            v.grad = grad
            if kernel is not None:
                kernel.grad = grad.flatten(1)
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step(min(1, (step + 1) / 20) * (1 if done < 0.5 else 2 * (1 - done)))
        torch._foreach_lerp_(averaged, [v.detach() for v in parameters],
                             1 - min(0.98, (step + 1) / (step + 10)))
        step, spent = step + 1, spent + time.process_time() - start
        losses.append(loss.item())
        if spent - told > 20:
            print(f"step {step} {spent:.0f} s loss {sum(losses) / len(losses):.4f} "
                  f"PSNR {quality(vae):.2f} dB", flush=True)
            losses, told = [], spent
            if options.decoder:
                current = [v.detach().clone() for v in parameters]
                with torch.no_grad():
                    torch._foreach_copy_(parameters, averaged)
                    print(f"average {quality(vae, 8):.2f} dB", flush=True)
                    save(vae, kept["mean"], kept["std"], options.run)
                    torch._foreach_copy_(parameters, current)
    with torch.no_grad():
        torch._foreach_copy_(parameters, averaged)
    print(f"{step} steps, PSNR {quality(vae, 24):.2f} dB", flush=True)
    if options.decoder:
        save(vae, kept["mean"], kept["std"], options.run)


def reconstruction(x, y):
    """The shape and what is next to it count seven times as much as the rest of the
    ground, of which there is more."""
    shape = ((x - x[:, :, :, :1, :1]).abs().amax(1) > 0.1).float()
    weight = 1 + 6 * F.max_pool2d(shape, 7, stride=1, padding=3)[:, None]
    edge = lambda d: (y.diff(dim=d) - x.diff(dim=d)).abs().mean()
    error = (weight * ((y - x).abs() + 0.5 * (y - x)**2)).mean()
    return error + edge(3) + edge(4)


@torch.no_grad()
def quality(vae, count=4):
    """Mean PSNR in dB of whole videos"""
    x = draw(count, 17)
    y = torch.cat([decode(vae, encode(vae, part)[0]).clamp(-1, 1) for part in x.split(4)])
    return -10 * ((y - x) / 2).pow(2).mean((1, 2, 3, 4)).log10().mean().item()


@torch.no_grad()
def statistics(vae):
    z = torch.cat([encode(vae, draw(4, 17))[0] for _ in range(24)])
    return z.mean((0, 2, 3, 4)), z.std((0, 2, 3, 4))


@torch.no_grad()
def bank(vae, mean, std, count):
    """-> for each number of frames: normalised latents (half) and what each video shows;
    combinations held out are left out"""
    seen = [c for c in combinations() if not held_out(c)]
    out = {}
    for frames, share in ((17, 0.8), (9, 0.06), (33, 0.14)):
        shows = [(*seen[i % len(seen)], "white" if random.random() < 0.4 else random.choice(list(GROUNDS)))
                 for i in range(int(count * share))]
        latents = [encode(vae, to_tensor(np.stack([video(*s, frames) for s in shows[i:i + 4]])))[0]
                   for i in range(0, len(shows), 4)]
        out[frames] = (((torch.cat(latents) - mean.view(1, -1, 1, 1, 1)) / std.view(1, -1, 1, 1, 1)).half(),
                       shows)
        print(f"{len(shows)} videos of {frames} frames", flush=True)
    return out


if __name__ == "__main__":
    main()
