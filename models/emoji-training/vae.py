"""Trains the VAE; with --from only the decoder of that checkpoint's VAE, so that latents, and a
transformer that knows them, stay.

    nice -n 19 python vae.py --data data --run run --minutes 15

Writes RUN/vae.pt for train.py. Reconstruction by L1, L2 and edges, a weak KL. Needs
torch, numpy and safetensors.
"""
import argparse, math, os, time
os.environ.setdefault("OMP_NUM_THREADS", "2")
import torch
import torch.nn.functional as F
import checkpoint
from data import COLORS, composite, latents, load
from model import AutoencoderKL

# a trained decoder's input is off by about this much when the transformer made it; the
# deviation of latents is 1.4
NOISE = 0.1


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--data", default="data"); p.add_argument("--run", default="run")
    p.add_argument("--from", dest="source", help="checkpoint whose encoder is kept")
    p.add_argument("--minutes", type=float, default=15)
    p.add_argument("--lr", type=float, default=1e-3); p.add_argument("--batch", type=int, default=8)
    p.add_argument("--pause-file", default="PAUSE", help="no step is made while it exists")
    a = p.parse_args()
    torch.manual_seed(1)
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    pixels, _ = load(a.data)
    palette = torch.tensor(list(COLORS.values())) / 255
    vae, shift, scale = AutoencoderKL(), None, None
    if a.source:
        vae, _, _, (shift, scale) = checkpoint.load(a.source)
    print(f"PSNR {quality(vae, pixels, palette):.2f} dB", flush=True)
    train(vae, pixels, palette, a)
    print(f"PSNR {quality(vae, pixels, palette):.2f} dB", flush=True)
    if not a.source:
        z = latents(vae, pixels)
        shift, scale = z.mean().item(), 1 / z.std().item()
    os.makedirs(a.run, exist_ok=True)
    torch.save({"vae": vae.state_dict(), "shift": shift, "scale": scale}, f"{a.run}/vae.pt.new")
    os.replace(f"{a.run}/vae.pt.new", f"{a.run}/vae.pt")


def train(vae, pixels, palette, options):
    """Trains for options.minutes, pauses not counted, and leaves an average of the weights in `vae`."""
    parameters = list((vae.decoder if options.source else vae).parameters())
    optimizer = torch.optim.AdamW(parameters, options.lr, betas=(0.9, 0.99), weight_decay=0.0, fused=True)
    averaged = [v.detach().clone() for v in parameters]
    spent, step, losses = 0.0, 0, []
    while spent < 60 * options.minutes:
        if os.path.exists(options.pause_file):
            time.sleep(1)
            continue
        start = time.time()
        for group in optimizer.param_groups:
            group["lr"] = options.lr * min(1, (step + 1) / 50) * (0.5 + 0.5
                * math.cos(math.pi * spent / (60 * options.minutes)))
        x = composite(pixels[torch.randint(len(pixels), (options.batch,))],
                      palette[torch.randint(len(palette), (options.batch,))])
        loss = decoder_loss(vae, x) if options.source else vae_loss(vae, x)
        for v, grad in zip(parameters, torch.autograd.grad(loss, parameters)):
            v.grad = grad
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        torch._foreach_lerp_(averaged, [v.detach() for v in parameters],
                             1 - min(0.99, (step + 1) / (step + 10)))
        step, spent = step + 1, spent + time.time() - start
        losses.append(loss.item())
        if step % 100 == 0:
            print(f"step {step} {spent:.0f} s loss {sum(losses) / len(losses):.4f}", flush=True)
            losses = []
    with torch.no_grad():
        torch._foreach_copy_(parameters, averaged)


def vae_loss(vae, x):
    mean, logvar = vae.encode(x)
    kl = 0.5 * (mean**2 + logvar.exp() - 1 - logvar).mean()
    return reconstruction(x, vae.decode(mean + torch.randn_like(mean) * (0.5 * logvar).exp())) + 2e-4 * kl


def decoder_loss(vae, x):
    with torch.no_grad():
        z = vae.encode(x)[0]
    return reconstruction(x, vae.decode(z + NOISE * torch.randn_like(z)))


def reconstruction(x, y):
    edge = lambda d: (y.diff(dim=d) - x.diff(dim=d)).abs().mean()
    return (y - x).abs().mean() + 0.5 * F.mse_loss(y, x) + 0.5 * (edge(2) + edge(3))


@torch.no_grad()
def quality(vae, pixels, palette):
    """Mean PSNR in dB of every fourth picture, each on one colour of the palette"""
    some = pixels[::4]
    x = composite(some, palette[torch.arange(len(some)) % len(palette)])
    y = vae.decode(vae.encode(x)[0]).clamp(-1, 1)
    return -10 * ((y - x) / 2).pow(2).mean((1, 2, 3)).log10().mean().item()


if __name__ == "__main__":
    main()
