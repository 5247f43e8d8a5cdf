"""Makes tokenizers/goldens.json: what transformers' tokenizers of the checkpoints beside it give
for texts of every kind.

    python tests/goldens/tokenizers/make_goldens.py  # 5 s, after flux, hunyuan_video and qwen

Ids are stored without padding; `pad` is the id that fills the rest of `max_length`.
"""

import json
import random
from pathlib import Path

import transformers
from transformers import AutoTokenizer

HERE = Path(__file__).resolve().parent

# Folder relative to tests/goldens, max_length as the pipeline asks for it (short ones so
# that truncation is met).
TOKENIZERS = [
    ("../../models/emoji/tokenizer", 16),
    ("../../models/emoji/tokenizer_2", 12),
    ("flux/tiny-dev/tokenizer", 77),
    ("flux/tiny-dev/tokenizer_2", 48),
    ("flux/tiny-schnell/tokenizer", 24),
    ("flux/tiny-schnell/tokenizer_2", 32),
    ("hunyuan_video/tiny-distilled/tokenizer", 40),
    ("hunyuan_video/tiny-plain/tokenizer", 40),
    ("qwen/qwen3/tokenizer", 40),
    ("qwen/qwen2_5_vl/tokenizer", 40),
]

TEXTS = [
    "", " ", "\n", "\t\n a \r\n b", "a", "red heart", "Dog Face on a YELLOW background!",
    "a photo of an astronaut riding a horse on mars, 4k, (highly detailed:1.2), [trending] on artstation",
    "it's don't we'll I'd they've you're I'm 's 'T 'LL",
    "“quotes” ‘single’ «french» „low“ – dash — em … ellipsis",
    "Crème brûlée & café — naïve façade", "e\u0301 a\u0308 o\u0302\u0301 combining n\u0303",
    "\u0301\u0327 leading",
    "a\u0301\u0327\u0308" + "\u0301" * 30, "ﬁ ﬂ ﬃ ligatures ™ ® № ½ ㎏ ﷺ", "日本語のテキスト", "中文字符测试",
    "한국어 \u1112\u1161\u11ab",
    "ไทย ภาษาไทย", "العربية نص", "שָׁלוֹם", "हिन्दी क्षि", "🦊🐶 👩‍👩‍👧‍👦 🇩🇪 👍🏽 ❤️", "ΟΔΟΣ ΣΑΣ Σ ΑΣ. ας",
    "İstanbul IĞDIR ı",
    "ẞ ß STRASSE", "ＦＵＬＬ ｗｉｄｔｈ　ｓｐａｃｅ", "zero\u200bwidth\u200cjoin\ufeffend",
    "nbsp\u00a0thin\u2009next\u0085ls\u2028ps\u2029end", "nul\u0000 bell\u0007 esc\u001b del\u007f",
    "<pad> </s> <unk> <s>",
    "<extra_id_0> <extra_id_99> <extra_id_100>", "<|startoftext|> hi <|endoftext|> there",
    "foo<|endoftext|>bar", "!!! hello!",
    "▁ ▁▁a ▁b▁c a▁b", "_ __ under_score", "1234567890 3.14159 1,000,000 x2",
    "C++ C# a/b\\c http://e.com/?q=1#f me@e.com",
    "…...!?!?", "math ∑∫√∞ αβγδ Å K", "𝒜𝓑 𝔘𝔫𝔦 𝟙𝟚", "ǆ ǅ ŉ ﬆ ſ", "\ufffd replacement", "Ⅷ ① ⓐ ㈠ ª º",
    "ｶﾀｶﾅ ﾊﾟ が ガ",
    "x" * 300, "ab " * 100, "🙂" * 50, "é" * 60, "soft a\u00adb", "١٢٣ ۴۵۶ １２", "~ ～ 〜",
]
WORDS = (
    "cat dog heart red blue sunset portrait of a the in on with detailed beautiful 4k woman man standing "
    "near river, "
    'mountain; style: oil painting, "quoted" don\'t it\'s (x:1.3) é ü 日本 🎨 – naïve 12 300 50% C3PO white '
    'background'
).split()
BLOCKS = [(0x20, 0x7F), (0xA0, 0x250), (0x300, 0x400), (0x5D0, 0x5EB), (0x900, 0x980), (0x1100, 0x1200),
          (0x1E00, 0x2100),
          (0x2100, 0x2400), (0x3000, 0x3200), (0x4E00, 0x4E40), (0xAC00, 0xAC40), (0xFB00, 0xFB50),
          (0xFE00, 0xFFF0),
          (0x1D400, 0x1D500), (0x1F300, 0x1F600)]


def texts():
    draw = random.Random(1)
    sentences = [" ".join(draw.choices(WORDS, k=draw.randint(1, 30))) for _ in range(40)]
    characters = [chr(c) for block in BLOCKS for c in range(*block)]
    noise = ["".join(draw.choices(characters + [" "] * 200, k=draw.randint(1, 25))) for _ in range(60)]
    return TEXTS + sentences + noise


def main():
    inputs = texts()
    cases = []
    for folder, max_length in TOKENIZERS:
        tokenizer = AutoTokenizer.from_pretrained(HERE.parent / folder)
        encoded = tokenizer(inputs, padding="max_length", truncation=True, max_length=max_length)
        ids = [row[: sum(mask)] for row, mask in zip(encoded.input_ids, encoded.attention_mask)]
        cases.append({"folder": folder, "max_length": max_length, "pad": tokenizer.pad_token_id, "ids": ids})
    rows = ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases)
    head = json.dumps({"made_with": {"transformers": transformers.__version__}, "texts": inputs},
                      ensure_ascii=True)
    (HERE / "goldens.json").write_text(f'{head[:-1]},\n"cases":[\n{rows}\n]}}\n')


if __name__ == "__main__":
    main()
