"""Checkpoints in diffusers layout (WanPipeline, float16): the networks, export(), and load() for
measuring or for going on."""
import json, os
import torch
from diffusers import AutoencoderKLWan, UniPCMultistepScheduler, WanTransformer3DModel
from transformers import UMT5Config, UMT5EncoderModel
from data import CHANNELS, EOS, FPS, FRAMES, PAD, SIZE, SPECIAL

TOKENS = 32  # what the prompt is padded to here; WanPipeline's own 512 draws as well
STEPS, GUIDANCE, SHIFT = 30, 3.0, 3.0
TEXT_WIDTH = 64


def networks(vocabulary_size, heads=4, head_width=32, layers=5):
    width = heads * head_width
    transformer = WanTransformer3DModel(
        num_attention_heads=heads, attention_head_dim=head_width, in_channels=CHANNELS, out_channels=CHANNELS,
        text_dim=TEXT_WIDTH,
        freq_dim=64, ffn_dim=3 * width, num_layers=layers, rope_max_seq_len=64)
    encoder = UMT5EncoderModel(UMT5Config(
        vocab_size=vocabulary_size, d_model=TEXT_WIDTH, d_kv=16, num_heads=4, d_ff=128, num_layers=2,
        dropout_rate=0.0,
        relative_attention_num_buckets=16, relative_attention_max_distance=32, pad_token_id=PAD,
        eos_token_id=EOS))
    return torch.nn.ModuleDict({"transformer": transformer, "text_encoder": encoder})


def export(out, vae, nets, vocabulary, mean, std):
    def write(path, value):
        os.makedirs(os.path.dirname(f"{out}/{path}") or out, exist_ok=True)
        with open(f"{out}/{path}", "w") as f:
            f.write(json.dumps(value, indent=2) + "\n")

    half = AutoencoderKLWan(**{k: v for k, v in vae.config.items() if not k.startswith("_")}
                            | {"latents_mean": mean.tolist(), "latents_std": std.tolist()})
    half.load_state_dict(vae.state_dict())
    half.half().save_pretrained(f"{out}/vae")
    for name, module in nets.items():
        copy = (type(module)(module.config) if name == "text_encoder"
                else type(module).from_config(module.config))
        copy.load_state_dict(module.state_dict())
        copy.half().save_pretrained(f"{out}/{name}")
    UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True,
                            flow_shift=SHIFT).save_pretrained(f"{out}/scheduler")
    write("model_index.json", {
        "_class_name": "WanPipeline", "_diffusers_version": "0.42.1",
        "scheduler": ["diffusers", "UniPCMultistepScheduler"],
        "text_encoder": ["transformers", "UMT5EncoderModel"],
        "tokenizer": ["transformers", "PreTrainedTokenizerFast"],
        "transformer": ["diffusers", "WanTransformer3DModel"], "vae": ["diffusers", "AutoencoderKLWan"]})
    write("tokenizer/tokenizer.json", tokenizer_json(vocabulary))
    write("tokenizer/tokenizer_config.json", {
        "tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 512, "pad_token": "<pad>",
        "unk_token": "<unk>",
        "eos_token": "</s>", "padding_side": "right", "clean_up_tokenization_spaces": False})
    write("spectrum.json", {"steps": STEPS, "width": SIZE, "height": SIZE, "numFrames": FRAMES, "fps": FPS,
                            "guidanceScale": GUIDANCE,
                            "maxSequenceLength": TOKENS})


def load(folder):
    """-> float32 vae, networks and (mean, std) of a checkpoint that export() wrote"""
    vae = AutoencoderKLWan.from_pretrained(f"{folder}/vae", torch_dtype=torch.float32)
    nets = torch.nn.ModuleDict({
        "transformer": WanTransformer3DModel.from_pretrained(f"{folder}/transformer",
                                                             torch_dtype=torch.float32),
        "text_encoder": UMT5EncoderModel.from_pretrained(f"{folder}/text_encoder", dtype=torch.float32)})
    return vae, nets, (torch.tensor(vae.config.latents_mean), torch.tensor(vae.config.latents_std))


def tokenizer_json(vocabulary):
    sequence = [{"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "</s>", "type_id": 0}}]
    return {"version": "1.0", "truncation": None, "padding": None,
            "added_tokens": [{"id": i, "content": t, "single_word": False, "lstrip": False, "rstrip": False,
                              "normalized": False, "special": True} for i, t in enumerate(SPECIAL)],
            "normalizer": {"type": "Lowercase"},
            "pre_tokenizer": {"type": "Split", "pattern": {"Regex": "[^a-z0-9]+"}, "behavior": "Removed",
                              "invert": False},
            "post_processor": {"type": "TemplateProcessing", "single": sequence, "pair": sequence,
                               "special_tokens": {"</s>": {"id": "</s>", "ids": [EOS], "tokens": ["</s>"]}}},
            "decoder": None,
            "model": {"type": "WordLevel", "vocab": vocabulary.index, "unk_token": "<unk>"}}
