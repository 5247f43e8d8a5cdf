"""What models/shapes is trained on: videos of one moving shape, drawn here, the captions that ask for
them, and the words in these."""
import math, random, re
import numpy as np
import torch

SIZE, FRAMES, FPS = 48, 17, 8
TEMPORAL, SPATIAL, CHANNELS = 4, 8, 16
SHAPES = ["ball", "square", "triangle"]
COLORS = {"red": (220, 40, 40), "orange": (245, 140, 25), "yellow": (240, 205, 30), "green": (45, 165, 75),
          "blue": (45, 95, 225), "purple": (150, 60, 190)}
GROUNDS = {"white": (255, 255, 255), "black": (20, 20, 24), "gray": (150, 150, 150), "pink": (250, 205, 215)}
DIRECTIONS = {"right": (1, 0), "left": (-1, 0), "up": (0, -1), "down": (0, 1),
              "up right": (1, -1), "up left": (-1, -1), "down right": (1, 1), "down left": (-1, 1)}
SAME = {"ball": ["circle", "disc"], "square": ["box"], "purple": ["violet"], "gray": ["grey"]}
SPECIAL = ["<pad>", "</s>", "<unk>"]
PAD, EOS, UNK = range(3)
WORDS = ("a an the on in it with and to of that is moves moving goes going flies slides travels slowly "
         "background "
         "upwards downwards leftwards rightwards upper lower diagonally toward towards corner").split()


def combinations():
    """Every (shape, color, direction); one in eleven is held out, never drawn for training."""
    return [(s, c, d) for s in SHAPES for c in COLORS for d in DIRECTIONS]


def held_out(combination):
    return combinations().index(combination) % 11 == 7


def video(shape, color, direction, ground, frames=FRAMES, rng=random):
    """-> uint8 [frames, SIZE, SIZE, 3]: the shape crosses about 40 % of the picture at a
    steady speed, wholly inside it"""
    radius = rng.uniform(7, 8.5)
    dx, dy = DIRECTIONS[direction]
    way = rng.uniform(18, 23) / (math.hypot(dx, dy)**0.5)
    room = SIZE / 2 - radius - 1.5
    start = [rng.uniform(-1, 1) * (room - way / 2 if d else room * 0.6) - d * way / 2 for d in (dx, dy)]
    out = np.empty((frames, SIZE, SIZE, 3), np.uint8)
    for i in range(frames):
        t = i / max(1, frames - 1)
        x, y = (SIZE / 2 + s + d * way * t for s, d in zip(start, (dx, dy)))
        alpha = coverage(shape, x, y, radius)[..., None]
        out[i] = np.rint(alpha * np.array(COLORS[color]) + (1 - alpha) * np.array(GROUNDS[ground]))
    return out


def coverage(shape, x, y, radius):
    """-> [SIZE, SIZE] in 0..1: how much of each pixel the shape covers, from its signed distance"""
    py, px = np.mgrid[0:SIZE, 0:SIZE] + 0.5
    px, py = px - x, py - y
    if shape == "ball":
        distance = np.hypot(px, py) - radius
    elif shape == "square":
        distance = np.maximum(abs(px), abs(py)) - 0.9 * radius
    else:  # equilateral, point up, centred on its centroid
        half = 0.5 * 1.25 * radius
        distance = np.maximum(py - half, 0.8660254 * abs(px) - 0.5 * py - half)
    return np.clip(0.5 - distance, 0, 1)


def caption(shape, color, direction, ground, rng=random):
    """A caption as people write it; one in ten is empty, for guidance, and some say
    less than there is to see."""
    if rng.random() < 0.1:
        return ""
    other = lambda word: rng.choice(SAME[word]) if word in SAME and rng.random() < 0.25 else word
    parts = [rng.choice(["a", "a", "a", "the", ""])]
    parts.append(other(color) if rng.random() < 0.96 else "")
    parts.append(other(shape) if rng.random() < 0.96 else "")
    if rng.random() < 0.95:
        parts += [rng.choice(["moves", "moves", "moves", "moving", "goes", "is moving", "that moves", "flies",
                              "slides", ""]), way(direction, rng)]
    if ground != "white" or rng.random() < 0.3:
        parts.append(f"on {other(ground)}" if rng.random() < 0.15 else f"on a {other(ground)} background")
    text = " ".join(" ".join(parts).split())
    return text.replace("a orange", "an orange")


def way(direction, rng):
    words = direction.split()
    if len(words) == 1:
        ward = "to the " if words[0] in ("left", "right") else ""
        return rng.choice([direction, direction, direction, ward + direction, f"{direction}wards"])
    up, left = words
    return rng.choice([direction, direction, direction, f"{up} and {left}", f"{up} and to the {left}",
                       f"{left} and {up}",
                       f"diagonally {up} {left}", f"to the {'upper' if up == 'up' else 'lower'} {left}"])


def words(text):
    return [w for w in re.split(r"[^a-z0-9]+", text.lower()) if w]


class Vocabulary:
    """One token for each word."""

    def __init__(self):
        known = {*WORDS, *SHAPES, *COLORS, *GROUNDS, *words(" ".join(DIRECTIONS)),
                 *(w for v in SAME.values() for w in v)}
        self.tokens = SPECIAL + sorted(known)
        self.index = {w: i for i, w in enumerate(self.tokens)}

    def batch(self, texts):
        """-> ids [B, longest], padded, and lengths [B], </s> included"""
        ids = [[self.index.get(w, UNK) for w in words(text)] + [EOS] for text in texts]
        longest = max(map(len, ids))
        return torch.tensor([i + [PAD] * (longest - len(i)) for i in ids]), torch.tensor([len(i)
            for i in ids])


def to_tensor(frames):
    """uint8 [B, T, H, W, 3] -> float [B, 3, T, H, W] in -1..1"""
    return (torch.from_numpy(np.ascontiguousarray(frames)).permute(0, 4, 1, 2, 3).float() / 127.5
            - 1).contiguous()
