"""Checkpoints in diffusers layout (FluxPipeline, float16): written by export(), read back by load() for a
warm start or for measuring."""
import json, os
import torch
from safetensors.torch import load_file, save_file
from data import BOS, CLIP_TOKENS, EOS, PAD, SIZE, SPECIAL, TOKENS, Vocabulary
from model import AutoencoderKL, CLIPText, FluxTransformer, T5Encoder

VERSION = "0.35.0"
WEIGHTS = {"vae": "vae/diffusion_pytorch_model", "transformer": "transformer/diffusion_pytorch_model",
           "t5": "text_encoder_2/model", "clip": "text_encoder/model"}


def networks(vocabulary_size, width=128, double=2, single=5, eos=EOS):
    return torch.nn.ModuleDict({
        "transformer": FluxTransformer(width=width, double=double, single=single),
        "t5": T5Encoder(vocabulary_size), "clip": CLIPText(vocabulary_size, CLIP_TOKENS, eos)})


def load(folder):
    """-> vae, networks, vocabulary, (shift, scale) of a checkpoint that export() wrote"""
    read = lambda path: json.load(open(f"{folder}/{path}"))
    config, vae_config = read("transformer/config.json"), read("vae/config.json")
    vocabulary = Vocabulary([])
    vocabulary.index = read("tokenizer/tokenizer.json")["model"]["vocab"]
    vocabulary.tokens = sorted(vocabulary.index, key=vocabulary.index.get)
    vae = AutoencoderKL(tuple(vae_config["block_out_channels"]), layers=vae_config["layers_per_block"])
    nets = networks(len(vocabulary.tokens), config["num_attention_heads"] * config["attention_head_dim"],
                    config["num_layers"], config["num_single_layers"], vocabulary.index["</s>"])
    for name, module in [("vae", vae), *nets.items()]:
        state = load_file(f"{folder}/{WEIGHTS[name]}.safetensors")
        state = {k: v.float() for k, v in state.items() if k != "encoder.embed_tokens.weight"}
        module.load_state_dict(state)
    return vae, nets, vocabulary, (vae_config["shift_factor"], vae_config["scaling_factor"])


def warm_start(nets, vocabulary, old, old_vocabulary):
    """Copies weights of `old` into `nets`; word embeddings by word, new words like old ones at random."""
    tables = {"t5": "shared.weight", "clip": "text_model.embeddings.token_embedding.weight"}
    for name, module in nets.items():
        state = old[name].state_dict()
        if name in tables:
            source = state[tables[name]]
            table = source.mean(0) + source.std(0) * torch.randn(len(vocabulary.tokens), source.shape[1])
            for word, i in vocabulary.index.items():
                if word in old_vocabulary.index:
                    table[i] = source[old_vocabulary.index[word]]
            state = {**state, tables[name]: table}
        module.load_state_dict(state)


def export(out, vae, nets, vocabulary, shift, scale):
    def write(path, value):
        os.makedirs(os.path.dirname(f"{out}/{path}"), exist_ok=True)
        json.dump(value, open(f"{out}/{path}", "w"), indent=2)

    write("model_index.json", {
        "_class_name": "FluxPipeline", "_diffusers_version": VERSION,
        "scheduler": ["diffusers", "FlowMatchEulerDiscreteScheduler"],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "text_encoder_2": ["transformers", "T5EncoderModel"],
        "tokenizer": ["transformers", "PreTrainedTokenizerFast"],
        "tokenizer_2": ["transformers", "PreTrainedTokenizerFast"],
        "transformer": ["diffusers", "FluxTransformer2DModel"],
        "vae": ["diffusers", "AutoencoderKL"]})
    write("scheduler/scheduler_config.json", {
        "_class_name": "FlowMatchEulerDiscreteScheduler", "base_image_seq_len": 256, "base_shift": 0.5,
        "max_image_seq_len": 4096, "max_shift": 1.15, "num_train_timesteps": 1000, "shift": 3.0,
        "use_dynamic_shifting": True})
    for folder, begin, tokens in (("tokenizer", True, CLIP_TOKENS), ("tokenizer_2", False, TOKENS)):
        write(f"{folder}/tokenizer.json", tokenizer_json(vocabulary, begin))
        write(f"{folder}/tokenizer_config.json", {
            "tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": tokens, "pad_token": "<pad>",
            "unk_token": "<unk>",
            "eos_token": "</s>", **({"bos_token": "<s>"} if begin else {}), "padding_side": "right",
            "clean_up_tokenization_spaces": False})
    write("text_encoder/config.json",
          {"architectures": ["CLIPTextModel"], "model_type": "clip_text_model", "torch_dtype": "float16",
          "vocab_size": len(vocabulary.tokens), "pad_token_id": PAD, "bos_token_id": BOS, "eos_token_id": EOS,
          "hidden_act": "quick_gelu", "layer_norm_eps": 1e-5, **nets["clip"].config})
    write("text_encoder_2/config.json",
          {"architectures": ["T5EncoderModel"], "model_type": "t5", "torch_dtype": "float16",
          "vocab_size": len(vocabulary.tokens), "pad_token_id": PAD, "eos_token_id": EOS,
          "is_encoder_decoder": True, "use_cache": False,
          "feed_forward_proj": "gated-gelu", "relative_attention_num_buckets": 32,
          "relative_attention_max_distance": 128,
          "layer_norm_epsilon": 1e-6, "dropout_rate": 0.0, "tie_word_embeddings": False, **nets["t5"].config})
    write("transformer/config.json",
          {"_class_name": "FluxTransformer2DModel", "_diffusers_version": VERSION, "patch_size": 1,
          "in_channels": 64, "guidance_embeds": False, **nets["transformer"].config})
    write("vae/config.json", {"_class_name": "AutoencoderKL", "_diffusers_version": VERSION,
          "in_channels": 3, "out_channels": 3, "latent_channels": 16,
          "down_block_types": ["DownEncoderBlock2D"] * len(vae.channels),
          "up_block_types": ["UpDecoderBlock2D"] * len(vae.channels),
          "block_out_channels": vae.channels, "layers_per_block": vae.layers, "norm_num_groups": 8,
          "act_fn": "silu",
          "mid_block_add_attention": True, "use_quant_conv": False, "use_post_quant_conv": False,
          "force_upcast": True,
          "sample_size": SIZE, "scaling_factor": scale, "shift_factor": shift})
    for name, module in [("vae", vae), *nets.items()]:
        state = {k: v.detach().half().contiguous() for k, v in module.state_dict().items()}
        save_file(state, f"{out}/{WEIGHTS[name]}.safetensors", {"format": "pt"})


def tokenizer_json(vocabulary, begin):
    single = ([{"SpecialToken": {"id": "<s>", "type_id": 0}}] if begin else []) + [
        {"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "</s>", "type_id": 0}}]
    special = {t: {"id": t, "ids": [i], "tokens": [t]} for t, i in (("<s>", BOS), ("</s>", EOS))}
    return {"version": "1.0", "truncation": None, "padding": None,
            "added_tokens": [{"id": i, "content": t, "single_word": False, "lstrip": False, "rstrip": False,
                              "normalized": False, "special": True} for i, t in enumerate(SPECIAL)],
            "normalizer": {"type": "Lowercase"},
            "pre_tokenizer": {"type": "Split", "pattern": {"Regex": "[^a-z0-9]+"}, "behavior": "Removed",
                              "invert": False},
            "post_processor": {"type": "TemplateProcessing", "single": single, "pair": single,
                               "special_tokens": special},
            "decoder": None,
            "model": {"type": "WordLevel", "vocab": vocabulary.index, "unk_token": "<unk>"}}
