"""What the checkpoint is trained on: pictures, the colours behind them, the captions that ask for
them, and the words in these."""
import json, random, re
import numpy as np
import torch

SIZE, PATCHES = 64, 8
TOKENS, CLIP_TOKENS = 12, 16  # T5 tokens are attended, so few; CLIP's only give the pooled vector
COLORS = {"white": (255, 255, 255), "black": (24, 24, 27), "yellow": (250, 215, 90), "green": (90, 180, 100),
          "blue": (80, 130, 230), "pink": (245, 160, 200), "red": (220, 60, 60), "purple": (150, 100, 210)}
# The id of </s> must not be 2: transformers would pool CLIP at the largest id instead.
SPECIAL = ["<pad>", "<unk>", "<s>", "</s>"]
PAD, UNK, BOS, EOS = range(4)
UNKNOWN = "unknown0word"  # stands in captions for any word outside the vocabulary


def load(folder):
    """-> RGBA uint8 [pictures, SIZE, SIZE, 4] and their captions.json entries {name, aliases, icon}"""
    captions = json.load(open(f"{folder}/captions.json"))
    pixels = np.fromfile(f"{folder}/emoji.rgba", dtype=np.uint8).reshape(-1, SIZE, SIZE, 4)
    return torch.from_numpy(pixels), captions


def composite(rgba, background):
    """rgba uint8 [B, S, S, 4], background float [B, 3] in 0..1 -> [B, 3, S, S] in -1..1"""
    x = rgba.float() / 255
    alpha = x[..., 3:]
    return ((x[..., :3] * alpha + background[:, None, None, :] * (1 - alpha)) * 2
            - 1).permute(0, 3, 1, 2).contiguous()


def latents(vae, pixels, colors=COLORS):
    """-> [colors, names, 16, 16, 16], the encoder's means"""
    with torch.no_grad():
        return torch.stack([
            torch.cat([vae.encode(composite(part, torch.tensor(c).div(255).expand(len(part), 3)))[0]
                       for part in pixels.split(64)])
            for c in colors.values()])


def pack(z):
    """[B, 16, 16, 16] -> [B, 64 tokens, 64]: 2x2 patches, channels first, as FluxPipeline packs."""
    b = z.shape[0]
    return z.view(b, 16, PATCHES, 2, PATCHES, 2).permute(0, 2, 4, 1, 3, 5).reshape(b, PATCHES**2, 64)


def unpack(tokens):
    """[B, 64, 64] -> [B, 16, 16, 16]"""
    b = tokens.shape[0]
    return tokens.view(b, PATCHES, PATCHES, 16, 2, 2).permute(0, 3, 1, 4, 2, 5).reshape(b, 16, 16, 16)


def caption(entry, color):
    """A caption as people write it; one in ten is empty or of unknown words, which trains the
    negative branch of true CFG."""
    if random.random() < 0.1:
        return " ".join([UNKNOWN] * random.choice((0, 0, 0, 1, 2, 3)))
    text = random.choice(entry["aliases"]) if entry["aliases"] and random.random() < 0.25 else entry["name"]
    if random.random() < 0.25:
        text = ("an " if text[0] in "aeiou" else "a ") + text
    if color != "white" or random.random() < 0.15:
        text += f" on {color}" if random.random() < 0.1 else f" on a {color} background"
    if random.random() < 0.05:
        text = f"{UNKNOWN} {text}" if random.random() < 0.5 else f"{text} {UNKNOWN}"
    return text


def words(text):
    return [w for w in re.split(r"[^a-z0-9]+", text.lower()) if w]


class Vocabulary:
    """One token for each word of the captions."""

    def __init__(self, captions):
        seen = set("a an the on in of with and background".split()) | set(COLORS)
        for entry in captions:
            for text in [entry["name"], *entry["aliases"]]:
                seen |= set(words(text))
        self.tokens = SPECIAL + sorted(seen)
        self.index = {w: i for i, w in enumerate(self.tokens)}

    def encode(self, text):
        """-> TOKENS ids for T5 and CLIP_TOKENS ids for CLIP"""
        ids = [self.index.get(w, UNK) for w in words(text)]
        begin, end = self.index["<s>"], self.index["</s>"]
        t5, clip = ids[:TOKENS - 1] + [end], [begin] + ids[:CLIP_TOKENS - 2] + [end]
        return t5 + [PAD] * (TOKENS - len(t5)), clip + [PAD] * (CLIP_TOKENS - len(clip))

    def batch(self, texts):
        pairs = [self.encode(text) for text in texts]
        return torch.tensor([t for t, _ in pairs]), torch.tensor([c for _, c in pairs])
