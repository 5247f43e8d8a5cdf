"""Measures a checkpoint: does each video show the colour, the shape and the direction that its prompt names?

    python measure.py ../shapes --count 96 --sheet sheet.png

Draws with diffusers' UniPC as WanPipeline does (--pipeline: with WanPipeline itself, prompts padded to its
512 tokens). Colour by the hue of what stands out from the border, shape by the ideal figure of the same area
that overlaps most, direction by the way of the centroid.
"""
import argparse, colorsys, math, random, time
import numpy as np
import torch
from diffusers import UniPCMultistepScheduler
import checkpoint, text
from data import (
    CHANNELS, COLORS, FRAMES, GROUNDS, SHAPES, SIZE, SPATIAL, TEMPORAL, Vocabulary, combinations,
    coverage, held_out)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("checkpoint"); p.add_argument("--count", type=int, default=96); p.add_argument("--sheet")
    p.add_argument("--steps", type=int, default=checkpoint.STEPS)
    p.add_argument("--guidance", type=float, default=checkpoint.GUIDANCE)
    p.add_argument("--frames", type=int, default=FRAMES); p.add_argument("--pipeline", action="store_true")
    p.add_argument("--tokens", type=int, default=checkpoint.TOKENS)
    a = p.parse_args()
    torch.set_num_threads(1)
    if a.pipeline:
        return report(None, None, None, None, None, a.count, a.steps, a.guidance, a.frames, a.sheet,
                      pipeline=wan_pipeline(a.checkpoint))
    vae, nets, (mean, std) = checkpoint.load(a.checkpoint)
    report(vae, nets, Vocabulary(), mean, std, a.count, a.steps, a.guidance, a.frames, a.sheet,
           tokens=a.tokens)


def wan_pipeline(folder):
    from diffusers import WanPipeline
    pipe = WanPipeline.from_pretrained(folder, torch_dtype=torch.float32)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def jobs(count):
    """Combinations spread evenly over all that there are, held out ones included, with the backgrounds
    in turn (half are white)."""
    every = combinations()
    order = random.Random(5).sample(range(len(every)), len(every))
    grounds = ["white", "black", "white", "gray", "white", "pink"]
    return [(*every[order[i % len(every)]], grounds[i % len(grounds)]) for i in range(count)]


def prompt(shape, color, direction, ground):
    return f"a {color} {shape} moves {direction}".replace("a orange", "an orange") + ("" if ground == "white"
        else f" on a {ground} background")


def report(vae, nets, vocabulary, mean, std, count, steps=checkpoint.STEPS, guidance=checkpoint.GUIDANCE,
           frames=FRAMES, sheet=None, pipeline=None, tokens=checkpoint.TOKENS):
    start, rows, videos = time.time(), [], []
    listed = jobs(count)
    for at in range(0, count, 8):
        part = listed[at:at + 8]
        prompts, seeds = [prompt(*j) for j in part], list(range(at, at + len(part)))
        if pipeline:
            made = pipeline(prompts, negative_prompt="", height=SIZE, width=SIZE, num_frames=frames,
                            num_inference_steps=steps, guidance_scale=guidance,
                            generator=[torch.Generator().manual_seed(s) for s in seeds]).frames
            made = np.rint(made * 255).astype(np.uint8)
        else:
            made = draw(vae, nets, vocabulary, mean, std, prompts, seeds, steps, guidance, frames, tokens)
        videos += list(made)
        rows += [(j, seen(c)) for j, c in zip(part, made)]
    right = lambda i, of: 100 * sum(w[i] == s[i] for w, s in of) / max(1, len(of))
    both = lambda of: 100 * sum(w == s for w, s in of) / max(1, len(of))
    unseen = [r for r in rows if held_out(r[0][:3])]
    print(f"{count} videos, {steps} steps, guidance {guidance}, {frames} frames: "
          f"all right {both(rows):.1f} % "
          f"(shape {right(0, rows):.1f}, color {right(1, rows):.1f}, "
          f"direction {right(2, rows):.1f}, background {right(3, rows):.1f}); {len(unseen)} held out: "
          f"{both(unseen):.1f} %; {(time.time() - start) / count:.2f} s a video", flush=True)
    print("missed:", "; ".join(f"{' '.join(w)} -> {' '.join(s)}" for w, s in rows if w != s), flush=True)
    if sheet:
        contact_sheet(videos[:24], sheet)


@torch.no_grad()
def draw(vae, nets, vocabulary, mean, std, prompts, seeds, steps, guidance, frames=FRAMES,
         tokens=checkpoint.TOKENS):
    """-> uint8 [B, frames, SIZE, SIZE, 3]"""
    count = len(prompts)
    shape = (CHANNELS, (frames - 1) // TEMPORAL + 1, SIZE // SPATIAL, SIZE // SPATIAL)
    x = torch.stack([torch.randn(1, *shape, generator=torch.Generator().manual_seed(s))[0] for s in seeds])
    processor = text.install(nets["transformer"])
    ids, lengths = vocabulary.batch(prompts + [""] * count)
    embeddings = text.encode(nets, processor, ids, lengths, torch.full((2 * count,), tokens))
    scheduler = UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True,
                                        flow_shift=checkpoint.SHIFT)
    scheduler.set_timesteps(steps)
    for t in scheduler.timesteps:
        v = nets["transformer"](torch.cat([x, x]), t.expand(2 * count).float(), embeddings,
                                return_dict=False)[0]
        positive, negative = v.chunk(2)
        x = scheduler.step(negative + guidance * (positive - negative), t, x, return_dict=False)[0]
    x = x * std.view(1, -1, 1, 1, 1) + mean.view(1, -1, 1, 1, 1)
    video = torch.cat([vae.decode(one[None]).sample for one in x])
    return ((video.permute(0, 2, 3, 4, 1) + 1) * 127.5).round().byte().numpy()


def seen(video):
    """uint8 [T, H, W, 3] -> (shape, color, direction, ground) as measured"""
    video = video.astype(np.float32)
    border = np.concatenate([video[:, 0].reshape(-1, 3), video[:, -1].reshape(-1, 3),
                             video[:, :, 0].reshape(-1, 3), video[:, :, -1].reshape(-1, 3)])
    ground = np.median(border, 0)
    named = min(GROUNDS, key=lambda g: np.linalg.norm(np.array(GROUNDS[g]) - ground))
    masks = np.linalg.norm(video - ground, axis=3) > 60
    if masks[0].sum() < 12 or masks[-1].sum() < 12:
        return "nothing", "nothing", "nothing", named
    centroids = [np.argwhere(m).mean(0) if m.any() else np.full(2, np.nan) for m in masks]
    (y0, x0), (y1, x1) = centroids[0], centroids[-1]
    if math.hypot(x1 - x0, y1 - y0) < 6:
        direction = "nowhere"
    else:
        octant = round(math.atan2(y1 - y0, x1 - x0) / (math.pi / 4)) % 8
        direction = ["right", "down right", "down", "down left", "left", "up left", "up", "up right"][octant]
    votes = [nearest_figure(m) for m in masks if m.any()]
    shape = max(SHAPES, key=votes.count)
    hue = hue_of(np.median(video[masks], 0))
    color = min(COLORS, key=lambda c: abs((hue - hue_of(COLORS[c]) + 0.5) % 1 - 0.5))
    return shape, color, direction, named


def nearest_figure(mask):
    """-> the shape whose ideal figure of the same area about the same centroid overlaps most
    (intersection over union)"""
    (y, x), area = np.argwhere(mask).mean(0) + 0.5, mask.sum()
    radii = {"ball": math.sqrt(area / math.pi), "square": math.sqrt(area / 4) / 0.9,
             "triangle": math.sqrt(area / (3 * math.sqrt(3))) / (0.5 * 1.25)}
    overlap = lambda figure: (mask & figure).sum() / (mask | figure).sum()
    return max(SHAPES, key=lambda s: overlap(coverage(s, x, y, radii[s]) > 0.5))


def hue_of(rgb):
    return colorsys.rgb_to_hsv(*(float(v) / 255 for v in rgb))[0]


def contact_sheet(videos, path):
    from PIL import Image
    rows = [np.concatenate(list(c[::4]), 1) for c in videos]
    half = -(-len(rows) // 2)
    rows += [np.full_like(rows[0], 255)] * (2 * half - len(rows))
    Image.fromarray(np.concatenate([np.concatenate(rows[:half], 0), np.concatenate(rows[half:], 0)],
                                   1)).resize((1200, 120 * half), 0).save(path)


if __name__ == "__main__":
    main()
