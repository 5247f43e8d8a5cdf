"""Tiny tokenizers of the formats that checkpoints carry: BPE of CLIP, LLaMA and Qwen, SentencePiece of T5."""

import io
import json
from collections import Counter
from pathlib import Path

import sentencepiece
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast, Qwen2Tokenizer

# Also in the vocabulary-building text: what the prompts of the goldens need to be more than unknown tokens.
CORPUS = """
a red heart on a white background
a photo of two cats and three dogs sitting in the garden, blurry, low quality
the finest coffee cup, crème brûlée & cafe; five stars! it's a full moon, don't stop
a small blue house with a yellow door (watercolor), 1024px, 50% off: "bold" x + y / 2
an astronaut riding a horse on the moon, highly detailed, the light of the evening sun
the quick brown fox jumps over the lazy dog. 0 1 2 3 4 5 6 7 8 9
""".strip().splitlines()

# A few rules of NMT-NFKC, which T5 uses whole: its compiled table alone would be 240 kB.
NORMALIZATION = {
    **{chr(0xFF01 + i): chr(0x21 + i) for i in range(94)},  # full-width ASCII
    "\u00a0": " ", "\u3000": " ", "\t": " ", "\n": " ",
    "ﬁ": "fi", "ﬂ": "fl", "№": "No", "½": "1⁄2", "…": "...", "e\u0301": "é", "\u200b": "",
}


def byte_symbols():
    """CLIP's and GPT-2's printable stand-ins for the 256 bytes, in vocabulary order."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [b for b in range(256) if b not in printable]
    return {**{b: chr(b) for b in printable}, **{b: chr(256 + i) for i, b in enumerate(others)}}


def clip_vocabulary(merge_count):
    """Returns (vocab, merges) in the order of openai/clip: bytes, bytes at word ends, merges, start, end."""
    symbols = byte_symbols()
    words = Counter(word for line in CORPUS for word in line.lower().split())
    split = {w: [symbols[b] for b in w.encode()[:-1]] + [symbols[w.encode()[-1]] + "</w>"] for w in words}
    merges = []
    while len(merges) < merge_count:
        pairs = Counter()
        for word, count in words.items():
            for pair in zip(split[word], split[word][1:]):
                pairs[pair] += count
        best = max(pairs, key=lambda pair: (pairs[pair], pair))
        merges.append(best)
        split = {word: _merge(parts, best) for word, parts in split.items()}
    tokens = [*symbols.values(), *(s + "</w>" for s in symbols.values()), *("".join(m) for m in merges)]
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    return {token: i for i, token in enumerate(tokens)}, merges


def _merge(parts, pair):
    merged = []
    for part in parts:
        if merged and (merged[-1], part) == pair:
            merged[-1] += part
        else:
            merged.append(part)
    return merged


def write_clip_files(folder, merge_count, **config):
    """Writes vocab.json, merges.txt and tokenizer_config.json, the layout of published FLUX.1 checkpoints."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    vocab, merges = clip_vocabulary(merge_count)
    (folder / "vocab.json").write_text(json.dumps(vocab, ensure_ascii=False))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in merges))
    about = {
        "tokenizer_class": "CLIPTokenizer", "bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>",
        "unk_token": "<|endoftext|>", "pad_token": "<|endoftext|>", **config,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(about, indent=2) + "\n")
    return vocab


def write_t5_files(folder, vocab_size, **config):
    """Trains a unigram model of `vocab_size` pieces; writes spiece.model and tokenizer_config.json."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    rules = folder / "rules.tsv"
    code_points = lambda text: " ".join(f"{ord(c):X}" for c in text)
    rules.write_text("".join(f"{code_points(k)}\t{code_points(v)}\n" for k, v in NORMALIZATION.items()))
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(CORPUS), model_writer=model, model_type="unigram", vocab_size=vocab_size,
        pad_id=0, eos_id=1, unk_id=2, bos_id=-1, normalization_rule_tsv=str(rules), num_threads=1,
        hard_vocab_limit=False, minloglevel=2,
    )
    rules.unlink()
    (folder / "spiece.model").write_bytes(model.getvalue())
    about = {
        "tokenizer_class": "T5Tokenizer", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>",
        "extra_ids": 100, **config,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(about, indent=2) + "\n")
    return sentencepiece.SentencePieceProcessor(model_proto=model.getvalue()).vocab_size()


# How LLaMA 3 cuts a text into words.
LLAMA3_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| "
    r"?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
LLAMA3_SPECIALS = ["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>",
                   "<|eot_id|>", "<pad>"]


def llama_tokenizer(texts, *, llama3, merge_count):
    """A byte-level BPE that writes the words of `texts` with few tokens, right-padded
    as HunyuanVideo needs it.

    `llama3` does it as LLaMA 3: its words, whole words of the vocabulary taken without merging, a token that
    begins the text. Otherwise GPT-2's words, merges alone, and nothing around the text.
    """
    if llama3:
        words = pre_tokenizers.Sequence([
            pre_tokenizers.Split(Regex(LLAMA3_WORDS), behavior="isolated", invert=False),
            pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=True, use_regex=False),
        ])
    else:
        words = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = words
    trained.train_from_iterator(texts, trainers.BpeTrainer(
        vocab_size=256 + merge_count, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False))
    model = json.loads(trained.to_str())["model"]
    vocab, merges = model["vocab"], [tuple(pair) for pair in model["merges"]]
    if llama3:
        for text in texts:
            for word, _ in words.pre_tokenize_str(text):
                vocab.setdefault(word, len(vocab))
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=merges, ignore_merges=llama3))
    tokenizer.pre_tokenizer = words
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(LLAMA3_SPECIALS)
    if llama3:
        begin = LLAMA3_SPECIALS[0]
        tokenizer.post_processor = processors.Sequence([
            processors.ByteLevel(trim_offsets=False),
            processors.TemplateProcessing(
                single=f"{begin} $A", pair=f"{begin} $A {begin}:1 $B:1",
                special_tokens=[(begin, tokenizer.token_to_id(begin))]),
        ])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=LLAMA3_SPECIALS[0], eos_token="<|end_of_text|>",
        pad_token="<pad>" if llama3 else "<|end_of_text|>", padding_side="right", model_max_length=8192)


# How Qwen cuts a text into words, and the added tokens that its pipelines' prompts meet.
QWEN_WORDS = LLAMA3_WORDS.replace(r"\p{N}{1,3}", r"\p{N}")
QWEN_SPECIALS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>",
                 "<|image_pad|>"]
# What Qwen3's published chat template makes of one message; it also handles tools and earlier turns.
QWEN_CHAT = (
    "{%- for message in messages %}{{- '<|im_start|>' + message.role + '\\n' + message.content + "
    "'<|im_end|>' + '\\n' }}"
    "{%- endfor %}{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}"
    "{%- if enable_thinking is defined and enable_thinking is false %}{{- '<think>\\n\\n</think>\\n\\n' }}"
    "{%- endif %}{%- endif %}"
)


def qwen_tokenizer(texts, *, merge_count, words=QWEN_WORDS):
    """A byte-level BPE as Qwen's, whose added tokens come after its vocabulary, and its
    template of a conversation."""
    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(words), behavior="isolated", invert=False),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ])
    trained.train_from_iterator(texts, trainers.BpeTrainer(
        vocab_size=256 + merge_count, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False))
    model = json.loads(trained.to_str())["model"]
    tokenizer = Qwen2Tokenizer(
        vocab=model["vocab"], merges=[tuple(pair) for pair in model["merges"]], unk_token=None,
        eos_token="<|im_end|>", pad_token="<|endoftext|>", extra_special_tokens=QWEN_SPECIALS,
        model_max_length=131072)
    tokenizer.add_tokens([AddedToken(token, normalized=False) for token in ("<think>", "</think>")])
    tokenizer.chat_template = QWEN_CHAT
    return tokenizer


def restore_qwen_files(folder):
    """Puts vocab.json and merges.txt, which published checkpoints have beside tokenizer.json, in its place.
    """
    path = Path(folder) / "tokenizer.json"
    written = json.loads(path.read_text())
    path.unlink()
    vocab, merges = written["model"]["vocab"], written["model"]["merges"]
    (path.parent / "vocab.json").write_text(json.dumps(vocab, ensure_ascii=False))
    (path.parent / "merges.txt").write_text("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in merges))
    about = path.parent / "tokenizer_config.json"
    config = json.loads(about.read_text())
    config["added_tokens_decoder"] = {
        str(token["id"]): {key: value for key, value in token.items() if key != "id"}
        for token in written["added_tokens"]
    }
    about.write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n")
