"""Makes tokenizers/side_files.json: tokenizers with side files of published shapes, and what
transformers gives with them.

    python tests/goldens/tokenizers/make_side_file_goldens.py  # 30 s, after flux and hunyuan_video

The side files are written anew, with the fields that published checkpoints have, over the small vocabularies
beside them. A shape's `files` are names and either JSON or the path of a file under tests/goldens; `patch`
replaces parts of such a JSON file. Ids are stored as a hash of each text's, without padding. `code_points`
has a hash of each 4,096 code points in CODE_POINTS: each one next to letters, digits and punctuation.
"""

import io
import json
import random
import sys
import tempfile
from pathlib import Path

import sentencepiece
import transformers

HERE = Path(__file__).resolve().parent
GOLDENS = HERE.parent
sys.path.insert(0, str(GOLDENS))
from _tokenizers import CORPUS  # noqa: E402

CLIP_FILES = {"vocab.json": "flux/tiny-dev/tokenizer/vocab.json",
              "merges.txt": "flux/tiny-dev/tokenizer/merges.txt"}
CLIP_JSON = {"tokenizer.json": "flux/tiny-schnell/tokenizer/tokenizer.json"}
T5_FILES = {"spiece.model": "flux/tiny-dev/tokenizer_2/spiece.model"}
T5_JSON = {"tokenizer.json": "flux/tiny-schnell/tokenizer_2/tokenizer.json"}
LLAMA3_JSON = {"tokenizer.json": "hunyuan_video/tiny-distilled/tokenizer/tokenizer.json"}
BOS, EOS = "<|startoftext|>", "<|endoftext|>"


def read(path):
    return json.loads((GOLDENS / path).read_text())


def token(content, normalized=False, special=None, typed=False, **flags):
    value = {"content": content, "lstrip": False, "normalized": normalized, "rstrip": False,
             "single_word": False, **flags}
    if typed:
        value["__type"] = "AddedToken"
    if special is not None:
        value["special"] = special
    return value


CLIP_SIZE = len(read(CLIP_FILES["vocab.json"]))
T5_SIZE = len(read(T5_JSON["tokenizer.json"])["model"]["vocab"])
PIECES = T5_SIZE - 100


def clip_config(**changes):
    """openai/clip-vit-large-patch14, and with it SD 1.x and 2.x."""
    typed = {"bos_token": BOS, "eos_token": EOS, "unk_token": EOS}
    return {
        "add_prefix_space": False, **{k: token(v, True, typed=True) for k, v in typed.items()},
        "do_lower_case": True,
        "errors": "replace", "model_max_length": 77, "name_or_path": "openai/clip-vit-large-patch14",
        "pad_token": EOS,
        "special_tokens_map_file": "./special_tokens_map.json", "tokenizer_class": "CLIPTokenizer", **changes,
    }


def clip_map(pad):
    return {"bos_token": token(BOS, True), "eos_token": token(EOS, True), "unk_token": token(EOS, True),
            "pad_token": pad}


def clip_decoder(pad, eos_normalized=False, extra=(), **changes):
    """Since transformers 4.34: SDXL, SD3.5, FLUX.1."""
    tokens = {CLIP_SIZE - 2: token(BOS, True, True), CLIP_SIZE - 1: token(EOS, eos_normalized, True)}
    if pad == "!":
        tokens[0] = token("!", False, True)
    for i, added in enumerate(extra):
        tokens[CLIP_SIZE + i] = added
    return {
        "add_prefix_space": False, "added_tokens_decoder": {str(k): v for k, v in sorted(tokens.items())},
        "bos_token": BOS, "clean_up_tokenization_spaces": True, "do_lower_case": True, "eos_token": EOS,
        "errors": "replace",
        "model_max_length": 77, "pad_token": pad, "tokenizer_class": "CLIPTokenizer", "unk_token": EOS,
        **changes,
    }


def sentinels(count=100):
    return [f"<extra_id_{i}>" for i in range(count)]


def t5_decoder(extra=(), typed=False, **changes):
    tokens = {i: token(c, False, True) for i, c in enumerate(["<pad>", "</s>", "<unk>"])}
    tokens.update({PIECES + i: token(c, False, True) for i, c in enumerate(reversed(sentinels()))})
    tokens.update({T5_SIZE + i: t for i, t in enumerate(extra)})
    return {
        "add_prefix_space": True, "added_tokens_decoder": {str(k): v for k, v in tokens.items()},
        "additional_special_tokens": sentinels(), "clean_up_tokenization_spaces": True, "eos_token": "</s>",
        "extra_ids": 100,
        "legacy": True, "model_max_length": 512, "pad_token": "<pad>", "sp_model_kwargs": {},
        "tokenizer_class": "T5Tokenizer",
        "unk_token": "<unk>", **changes,
    }


# transformers 4's conversion of spiece.model: what FLUX.1 and SD3.5 have beside it.
T5_NORMALIZER = {"type": "Sequence", "normalizers": [
    read(T5_JSON["tokenizer.json"])["normalizer"],
    {"type": "Strip", "strip_left": False, "strip_right": True},
    {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": "▁"},
]}
METASPACE = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}
FLAGS = [
    token("<cat-toy>", True), token("sks", False, single_word=True),
    token("*wide*", True, lstrip=True, rstrip=True),
    token("Ünïcode-TOKEN", True), token("Raw-TOKEN", False), token("<left>", False, lstrip=True),
    token("<right>", False, rstrip=True), token("zwjtoken", True, single_word=True, lstrip=True),
    token("日本", False),
    token("<s1>", False, True), token("<S2>", True, True, single_word=True),
]
NAMES = [t["content"] for t in FLAGS]


LLAMA2_FILES = {"tokenizer.model": "tokenizers/llama2.model"}


def train_llama2():
    """SentencePiece's BPE with bytes for unknown characters, as LLaMA 1 and 2 have it; returns its size."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(CORPUS * 3), model_writer=model, model_type="bpe", vocab_size=400,
        byte_fallback=True,
        num_threads=1, hard_vocab_limit=False, minloglevel=2, normalization_rule_name="identity",
        character_coverage=1.0)
    (GOLDENS / LLAMA2_FILES["tokenizer.model"]).write_bytes(model.getvalue())
    return sentencepiece.SentencePieceProcessor(model_proto=model.getvalue()).vocab_size()


def llama_decoder(**changes):
    listed = read(LLAMA3_JSON["tokenizer.json"])["added_tokens"]
    decoder = {str(t["id"]): token(t["content"], False, True) for t in listed}
    return {
        "added_tokens_decoder": decoder, "bos_token": "<|begin_of_text|>",
        "clean_up_tokenization_spaces": True,
        "eos_token": "<|eot_id|>", "model_input_names": ["input_ids", "attention_mask"],
        "model_max_length": 131072,
        "pad_token": "<pad>", "tokenizer_class": "PreTrainedTokenizerFast", **changes,
    }


def with_tokens(decoder, size, key="added_tokens_decoder"):
    return {**decoder, key: {**decoder[key], **{str(size + i): t for i, t in enumerate(FLAGS)}}}


def llama_size():
    file = read(LLAMA3_JSON["tokenizer.json"])
    return max([*file["model"]["vocab"].values(), *(t["id"] for t in file["added_tokens"])]) + 1


def listed_tokens(path, size):
    return read(path)["added_tokens"] + [{"id": size + i, "special": False, **t} for i, t in enumerate(FLAGS)]


def shapes():
    """Yields name, files, patches, class."""
    maps = {"special_tokens_map.json": clip_map(EOS)}
    yield "CLIP ViT-L", {**CLIP_JSON, **CLIP_FILES, **maps, "tokenizer_config.json": clip_config()}, {}
    yield "SD 1.5", {**CLIP_FILES, **maps, "tokenizer_config.json": clip_config()}, {}
    yield "SD 2.1", {**CLIP_FILES, "special_tokens_map.json": clip_map("!"),
                     "tokenizer_config.json": clip_config()}, {}
    yield "OpenCLIP bigG", {**CLIP_JSON, **CLIP_FILES, "special_tokens_map.json": clip_map("!"),
                            "tokenizer_config.json": clip_config(pad_token="!")}, {}
    yield "SDXL 2", {**CLIP_FILES, "special_tokens_map.json": clip_map("!"),
                     "tokenizer_config.json": clip_decoder("!", eos_normalized=True)}, {}
    yield "SD3.5 1", {**CLIP_FILES, **maps, "tokenizer_config.json": clip_decoder(EOS)}, {}
    yield "FLUX.1 1", {**CLIP_FILES, "tokenizer_config.json": clip_decoder(EOS, eos_normalized=True)}, {}
    t5_map = {"additional_special_tokens": sentinels(), "eos_token": token("</s>"),
              "pad_token": token("<pad>"),
              "unk_token": token("<unk>")}
    yield "FLUX.1 2", {**T5_JSON, **T5_FILES, "special_tokens_map.json": t5_map,
                       "tokenizer_config.json": t5_decoder()}, {
        "tokenizer.json": {"normalizer": T5_NORMALIZER, "pre_tokenizer": METASPACE}}
    yield "T5-XXL", {**T5_FILES, "special_tokens_map.json": {k: v if k[0] == "a" else v["content"]
                                                             for k, v in t5_map.items()},
                     "tokenizer_config.json": {
                         "additional_special_tokens": sentinels(), "eos_token": "</s>", "extra_ids": 100,
                         "pad_token": "<pad>",
                         "special_tokens_map_file": "x", "tokenizer_class": "T5Tokenizer",
                         "unk_token": "<unk>"}}, {}
    yield "UMT5", {**T5_JSON, "special_tokens_map.json": t5_map, "tokenizer_config.json": t5_decoder(
        extra=[token(f"<extra_id_{i}>", True, False) for i in range(100, 110)], bos_token="<s>",
        extra_ids=0)}, {}
    yield "LLaMA 3", {**LLAMA3_JSON, "tokenizer_config.json": llama_decoder(),
                      "special_tokens_map.json": {"bos_token": token("<|begin_of_text|>"),
                                                  "pad_token": "<|eot_id|>"}}, {}
    # Learned tokens behind each vocabulary, in each file that can hold them.
    added = {name: CLIP_SIZE + i for i, name in enumerate(NAMES)}
    plain = {"bos_token": BOS, "eos_token": EOS, "unk_token": EOS, "pad_token": EOS,
             "tokenizer_class": "CLIPTokenizer"}
    yield "CLIP, added_tokens.json", {**CLIP_FILES, "added_tokens.json": added,
                                      "tokenizer_config.json": plain,
                                      "special_tokens_map.json": {"additional_special_tokens": NAMES[:2]}}, {}
    yield "CLIP, decoder", {**CLIP_FILES, "tokenizer_config.json": clip_decoder(EOS, extra=FLAGS)}, {}
    yield "CLIP, tokenizer.json", {**CLIP_JSON, "tokenizer_config.json": plain}, {
        "tokenizer.json": {"added_tokens": listed_tokens(CLIP_JSON["tokenizer.json"], CLIP_SIZE)}}
    yield "CLIP, tokenizer.json and decoder", {**CLIP_JSON,
                                               "tokenizer_config.json": clip_decoder(EOS, extra=FLAGS[:3])}, {
        "tokenizer.json": {"added_tokens": listed_tokens(CLIP_JSON["tokenizer.json"], CLIP_SIZE)}}
    t5_plain = {"eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>",
                "tokenizer_class": "T5Tokenizer"}
    yield "T5, added_tokens.json", {**T5_FILES,
                                    "added_tokens.json": {n: T5_SIZE + i for i, n in enumerate(NAMES)},
                                    "tokenizer_config.json": t5_plain}, {}
    yield "T5, decoder", {**T5_FILES, "tokenizer_config.json": t5_decoder(extra=FLAGS)}, {}
    yield "T5, tokenizer.json", {**T5_JSON, "tokenizer_config.json": t5_plain}, {
        "tokenizer.json": {"added_tokens": listed_tokens(T5_JSON["tokenizer.json"], T5_SIZE)}}
    yield "LLaMA 3, decoder", {**LLAMA3_JSON,
                               "tokenizer_config.json": with_tokens(llama_decoder(), llama_size())}, {}
    no_decoder = {k: v for k, v in llama_decoder().items() if k != "added_tokens_decoder"}
    yield "LLaMA 3, tokenizer.json", {**LLAMA3_JSON, "tokenizer_config.json": no_decoder}, {
        "tokenizer.json": {"added_tokens": listed_tokens(LLAMA3_JSON["tokenizer.json"], llama_size())}}
    size = train_llama2()
    llama2 = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<unk>",
              "tokenizer_class": "LlamaTokenizer"}
    yield "LLaMA 2", {**LLAMA2_FILES,
                      "tokenizer_config.json": {**llama2, "legacy": True, "padding_side": "right"}}, {}
    yield "LLaMA 2, added_tokens.json", {**LLAMA2_FILES,
                                         "added_tokens.json": {n: size + i for i, n in enumerate(NAMES)},
                                         "tokenizer_config.json": {**llama2, "add_bos_token": True,
                                             "add_eos_token": True}}, {}
    yield "T5 as it is", {**T5_JSON,
                          "tokenizer_config.json": {**t5_plain,
                                                    "tokenizer_class": "PreTrainedTokenizerFast"}}, {
        "tokenizer.json": {"normalizer": T5_NORMALIZER, "pre_tokenizer": METASPACE}}


WORDS = (
    "cat dog heart red blue sunset portrait of a the in on with detailed woman standing near river, "
    "mountain; style: oil "
    "painting, \"quoted\" don't it's (x:1.3) é ü 日本 日本語 🎨 – naïve 12 300 50% C3PO !!! ! a! кошка ΟΔΟΣ ΣΑΣ "
    "İstanbul ß ẞ ﬁne ½ "
    "№ … “q” ‘s’ it’s हिन्दी ไทย עִבְרִית العربية 한국어 ｆｕｌｌ e\u0301 ŉ ǅ ſ K 𝒜 👩‍👩‍👧 🇩🇪 x\u00ad ١٢٣ Ⅷ ㎏ ꟎ ꟍ 𞤀 "
    "ᏸ Ა ﷺ"
).split()
MARKS = [
    *NAMES, "<CAT-TOY>", "raw-token", "ünïcode-token", "SKS", "xsks", "sks.", "*WIDE*", "<s2>",
    "<|EndOfText|>", EOS, BOS,
    "</s>", "<pad>", "<unk>", "<s>", "<extra_id_0>", "<extra_id_99>", "<extra_id_100>", "<|eot_id|>",
    "<|begin_of_text|>", "▁",
]
SPACES = [" "] * 30 + ["", "", "", "  ", "\t", "\n", "\r\n", "\u00a0", "\u0085", "\u2009", "\u3000", "\ufeff",
                       "\u200b", "\u2028", "\u001c", "\u180e"]
SCRIPTS = [(0x20, 0x7F), (0xA0, 0x250), (0x250, 0x370), (0x370, 0x590), (0x590, 0x700), (0x900, 0xE00),
           (0xE00, 0x1100),
           (0x1100, 0x1400), (0x1780, 0x1900), (0x1C80, 0x2000), (0x2000, 0x2C00), (0x2C00, 0x3100),
           (0x3100, 0x3400),
           (0x4E00, 0x4F00), (0xA4D0, 0xAC00), (0xAC00, 0xAD00), (0xF900, 0xFB50), (0xFB50, 0x10000),
           (0x10280, 0x10600),
           (0x118A0, 0x11900), (0x1D400, 0x1D800), (0x1E900, 0x1E960), (0x1F000, 0x1FB00), (0xE0000, 0xE0080)]


def texts():
    draw = random.Random(16)
    made = ["", " ", "\ufeff!", "!\ufeff!", "a\u0085b", "a b\u0085", "\u0085"]
    while len(made) < 500:
        words = draw.choices(WORDS, k=draw.randint(1, 8)) + draw.choices(MARKS, k=draw.randint(0, 4))
        draw.shuffle(words)
        made.append("".join(word + draw.choice(SPACES) for word in words))
    while len(made) < 1000:
        start, end = draw.choice(SCRIPTS)
        characters = [chr(c) for c in range(start, end)] + list(" aA1!") + SPACES
        made.append("".join(draw.choices(characters, k=draw.randint(1, 16))))
    return made


def fnv(ids):
    """FNV-1a of the ids as text, 32 bits."""
    value = 0x811C9DC5
    for byte in ",".join(map(str, ids)).encode():
        value = (value ^ byte) * 0x01000193 & 0xFFFFFFFF
    return f"{value:08x}"


def write(folder, files, patch):
    for name, value in files.items():
        if isinstance(value, str):
            data = (GOLDENS / value).read_bytes()
            if name in patch:
                data = json.dumps({**json.loads(data), **patch[name]}).encode()
        else:
            data = json.dumps(value).encode()
        (Path(folder) / name).write_bytes(data)


# All scripts, marks and signs; not the ideographs and syllables, which are all alike, nor
# what nobody has assigned.
CODE_POINTS = [0, 0x1000, 0x2000, 0x3000, 0xA000, 0xF000, 0x10000, 0x11000, 0x16000, 0x1D000, 0x1E000,
               0x1F000, 0xE0000]


def code_points(tokenizer):
    """Hashes of every code point next to letters, digits and punctuation, 4,096 at a time."""
    hashes = []
    for block in CODE_POINTS:
        characters = [c for c in range(block, block + 0x1000) if not 0xD800 <= c < 0xE000]
        rows = [characters[i : i + 64] for i in range(0, len(characters), 64)]
        lines = ["".join(f"a{chr(c)}b 1{chr(c)}2 !{chr(c)}? " for c in row) for row in rows]
        hashes.append(fnv(id for line in lines for id in tokenizer(line).input_ids))
    return hashes


def main():
    inputs = texts()
    cases = []
    for name, files, patch in shapes():
        with tempfile.TemporaryDirectory() as folder:
            write(folder, files, patch)
            tokenizer = getattr(transformers,
                                files["tokenizer_config.json"]["tokenizer_class"]).from_pretrained(folder)
            ids = [tokenizer(text).input_ids for text in inputs]
            case = {"name": name, "files": files, "patch": patch, "pad": tokenizer.pad_token_id,
                    "hashes": "".join(map(fnv, ids))}
            if name in ("SD 1.5", "FLUX.1 2", "LLaMA 3"):
                case["code_points"] = "".join(code_points(tokenizer))
            cases.append(case)
            print(name, tokenizer.pad_token_id, sum(map(len, ids)))
    rows = ",\n".join(json.dumps(case, ensure_ascii=False, separators=(",", ":")) for case in cases)
    head = json.dumps({
        "made_with": {"transformers": transformers.__version__}, "code_points": CODE_POINTS, "texts": inputs},
                      ensure_ascii=False)
    (HERE / "side_files.json").write_text(f'{head[:-1]},\n"cases":[\n{rows}\n]}}\n')


if __name__ == "__main__":
    main()
