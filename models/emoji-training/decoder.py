"""Sharpens the VAE's decoder: trained further on the pictures alone while the encoder, and so every latent, stays what it is.

    nice -n 19 python decoder.py --data data --from ../emoji --out run/decoder.pt --minutes 10

The latents get a little noise, since the transformer's are never exact. train.py --decoder takes the result into its exports.
"""
import argparse, math, os, time
os.environ.setdefault("OMP_NUM_THREADS", "1")
import torch
import torch.nn.functional as F
import checkpoint
from data import COLORS, composite, load

NOISE = 0.08  # of the latents, whose deviation is about 1.2


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--data", default="data"); p.add_argument("--from", dest="source"); p.add_argument("--out", default="run/decoder.pt")
    p.add_argument("--minutes", type=float, default=10); p.add_argument("--names", type=int, default=1000)
    p.add_argument("--lr", type=float, default=1e-3); p.add_argument("--batch", type=int, default=8); p.add_argument("--pause-file", default="PAUSE")
    a = p.parse_args()
    torch.manual_seed(1)
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    pixels = load(a.data)[0][:a.names]
    vae = checkpoint.load(a.source)[0]
    parameters = list(vae.decoder.parameters())
    optimizer = torch.optim.AdamW(parameters, a.lr, betas=(0.9, 0.99), weight_decay=0.0, fused=True)
    averaged = [v.detach().clone() for v in parameters]
    palette = torch.tensor(list(COLORS.values())) / 255
    spent, step, losses, before = 0.0, 0, [], quality(vae, pixels, palette)
    while spent < 60 * a.minutes:
        if os.path.exists(a.pause_file):
            time.sleep(1)
            continue
        start = time.time()
        done = spent / (60 * a.minutes)
        for group in optimizer.param_groups:
            group["lr"] = a.lr * min(1, (step + 1) / 50) * (0.5 + 0.5 * math.cos(math.pi * done))
        x = composite(pixels[torch.randint(len(pixels), (a.batch,))], palette[torch.randint(len(palette), (a.batch,))])
        with torch.no_grad():
            z = vae.encode(x)[0]
        y = vae.decode(z + NOISE * torch.randn_like(z))
        edge = lambda d: (y.diff(dim=d) - x.diff(dim=d)).abs().mean()
        loss = (y - x).abs().mean() + 0.5 * F.mse_loss(y, x) + 0.5 * (edge(2) + edge(3))
        for v, grad in zip(parameters, torch.autograd.grad(loss, parameters)):
            v.grad = grad
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        torch._foreach_lerp_(averaged, [v.detach() for v in parameters], 1 - min(0.99, (step + 1) / (step + 10)))
        step, spent = step + 1, spent + time.time() - start
        losses.append(loss.item())
        if step % 100 == 0:
            print(f"step {step} {spent:.0f} s loss {sum(losses) / len(losses):.4f}", flush=True)
            losses = []
    with torch.no_grad():
        torch._foreach_copy_(parameters, averaged)
    torch.save(vae.decoder.state_dict(), f"{a.out}.new")
    os.replace(f"{a.out}.new", a.out)
    print(f"{step} steps, PSNR {before:.2f} -> {quality(vae, pixels, palette):.2f} dB")


@torch.no_grad()
def quality(vae, pixels, palette):
    """Mean PSNR in dB of every fourth picture, each on one colour of the palette"""
    some = pixels[::4]
    x = composite(some, palette[torch.arange(len(some)) % len(palette)])
    y = vae.decode(vae.encode(x)[0]).clamp(-1, 1)
    return -10 * ((y - x) / 2).pow(2).mean((1, 2, 3)).log10().mean().item()


if __name__ == "__main__":
    main()
