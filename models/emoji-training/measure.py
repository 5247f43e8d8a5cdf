"""Measures a checkpoint: is the training picture nearest to what it draws (L2 of VAE latents) the one named,
and the background right?

    python measure.py ../emoji --data data --seeds 4 --backgrounds white,yellow,blue --sheet sheet.png

Draws every name on every background with plain Euler steps (method none) as FluxPipeline does: shifted
sigmas, true CFG, negative prompt "". --every K measures each K-th name only. Needs torch, numpy,
safetensors; pillow for --sheet.
"""
import argparse, json, math, os, time
os.environ.setdefault("OMP_NUM_THREADS", "1")
import torch
import checkpoint
from data import COLORS, PATCHES, SIZE, latents, load, unpack

BORDER = 3  # pixels; few icons reach the corners


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("checkpoint"); p.add_argument("--data", default="data")
    p.add_argument("--names", help="file of names, one per line (all the data has, if absent)")
    p.add_argument("--every", type=int, default=1)
    p.add_argument("--count", type=int, default=10000, help="the first so many names")
    p.add_argument("--seeds", type=int, default=1); p.add_argument("--steps", type=int, default=50)
    p.add_argument("--cfg", type=float, default=2.0)
    p.add_argument("--backgrounds", default="white,yellow,blue")
    p.add_argument("--batch", type=int, default=16)
    p.add_argument("--json", help="file for the names' scores")
    p.add_argument("--sheet", help="PNG of what was drawn, first seed")
    a = p.parse_args()
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    vae, nets, vocabulary, (shift, scale) = checkpoint.load(a.checkpoint)
    pixels, captions = load(a.data)
    known = [c["name"] for c in captions][:a.count]
    if a.names:
        listed = set(open(a.names).read().split("\n"))
        known = [name for name in known if name in listed]
    index = {c["name"]: i for i, c in enumerate(captions)}
    colors = a.backgrounds.split(",")
    candidates = latents(vae, pixels[[index[name] for name in known]],
                         {c: COLORS[c] for c in colors}).transpose(0, 1).flatten(2)
    jobs = [(i, c, s) for i in range(0, len(known), a.every) for c in colors for s in range(a.seeds)]
    drawn, scores, start = [], {}, time.time()
    for at in range(0, len(jobs), a.batch):
        part = jobs[at:at + a.batch]
        prompts = [known[i] + ("" if c == "white" else f" on a {c} background") for i, c, _ in part]
        images = draw(vae, nets, vocabulary, shift, scale, prompts, [1000 * s + i for i, _, s in part],
                      a.steps, a.cfg)
        nearest = classify(vae, images, candidates)
        grounds = backgrounds(images)
        for (i, c, s), n, g, image in zip(part, nearest, grounds, images):
            scores.setdefault(known[i], []).append((n == i, g == c, c, known[n], g))
            drawn += [image] if s == 0 else []
    rows = [row for name in scores for row in scores[name]]
    share = lambda column: 100 * sum(r[column] for r in rows) / len(rows)
    print(f"{a.checkpoint}: {len(scores)} names of {len(known)}, {len(rows)} pictures, {a.steps} steps, CFG "
          f"{a.cfg}: "
          f"top-1 {share(0):.1f} %, background {share(1):.1f} %, {(time.time() - start) / len(rows):.2f} s a "
          f"picture")
    for c in colors:
        of = [r for r in rows if r[2] == c]
        print(f"  {c}: top-1 {100 * sum(r[0] for r in of) / len(of):.1f} %, background "
              f"{100 * sum(r[1] for r in of) / len(of):.1f} %")
    worst = sorted((sum(r[0] for r in v) / len(v), k, sorted({r[3] for r in v if not r[0]}))
                   for k, v in scores.items())
    print("missed:", "; ".join(f"{k} {s:.2f} ({', '.join(w)})" for s, k, w in worst if s < 1))
    if a.json:
        json.dump({k: {"top1": sum(r[0] for r in v) / len(v), "background": sum(r[1] for r in v) / len(v)}
                   for k, v in scores.items()},
                  open(a.json, "w"), indent=1)
    if a.sheet:
        sheet(drawn, a.sheet, 4 * len(colors))


@torch.no_grad()
def draw(vae, nets, vocabulary, shift, scale, prompts, seeds, steps, cfg):
    """-> images [B, 3, SIZE, SIZE] in -1..1"""
    tokens, count = PATCHES**2, len(prompts)
    x = torch.stack([torch.randn(tokens, 64, generator=torch.Generator().manual_seed(s)) for s in seeds])
    t5_ids, clip_ids = vocabulary.batch(prompts + ([""] * count if cfg != 1 else []))
    context, pooled = nets["t5"](t5_ids), nets["clip"](clip_ids)
    sigmas = flux_sigmas(steps, tokens)
    for now, then in zip(sigmas, sigmas[1:]):
        branches = x if cfg == 1 else torch.cat([x, x])
        v = nets["transformer"](branches, context, pooled, torch.full((len(branches),), now), PATCHES)
        if cfg != 1:
            positive, negative = v.chunk(2)
            v = negative + cfg * (positive - negative)
        x = x + (then - now) * v
    return vae.decode(unpack(x) / scale + shift).clamp(-1, 1)


def flux_sigmas(steps, tokens):
    """FlowMatchEulerDiscreteScheduler with use_dynamic_shifting and FluxPipeline's linspace(1,
    1/steps) -> steps + 1 sigmas"""
    mu = 0.5 + (tokens - 256) * (1.15 - 0.5) / (4096 - 256)
    linear = [1 + i * (1 / steps - 1) / max(1, steps - 1) for i in range(steps)]
    return [math.exp(mu) / (math.exp(mu) + (1 / s - 1)) for s in linear] + [0.0]


@torch.no_grad()
def classify(vae, images, candidates):
    """Images and candidates [names, colours, latent] -> for each image the name of the
    nearest candidate of any colour"""
    z = vae.encode(images)[0].flatten(1)
    return torch.cdist(z, candidates.flatten(0, 1)).view(len(z),
                                                         *candidates.shape[:2]).amin(2).argmin(1).tolist()


def backgrounds(images):
    """-> for each image the colour nearest to the median of its four corners"""
    b = BORDER
    corners = torch.cat([images[:, :, y, x].flatten(2) for y in (slice(b), slice(-b, None))
                         for x in (slice(b), slice(-b, None))], 2)
    palette = torch.tensor(list(COLORS.values())) / 127.5 - 1
    nearest = torch.cdist(corners.median(2).values, palette).argmin(1)
    return [list(COLORS)[i] for i in nearest]


def sheet(images, path, columns):
    from PIL import Image
    rows = -(-len(images) // columns)
    page = torch.ones(3, rows * SIZE, columns * SIZE)
    for i, image in enumerate(images):
        y, x = i // columns * SIZE, i % columns * SIZE
        page[:, y:y + SIZE, x:x + SIZE] = image
    Image.fromarray(((page.permute(1, 2, 0) + 1) * 127.5).round().byte().numpy()).save(path)


if __name__ == "__main__":
    main()
