"""Makes the reference data of Qwen's text encoders: three tiny random models, and their
states for a few prompts.

    python tests/goldens/qwen/make_goldens.py      # about 15 s

The models differ in everything that a config.json may decide; goldens are computed in float32 from the files
as saved. goldens.json beside each goldens.safetensors says for every case which call gave it.
"""

import json
import shutil
import sys
from pathlib import Path

import torch
from transformers import (
    AutoTokenizer, Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration, Qwen3Config, Qwen3ForCausalLM,
    Qwen3VLConfig,
    Qwen3VLModel,
)

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from _reference import PROMPTS, Goldens, redraw  # noqa: E402
from _tokenizers import CORPUS, qwen_tokenizer, restore_qwen_files  # noqa: E402

LENGTH = 48


def make_qwen3(folder, vocab_size):
    """Like Z-Image's and FLUX.2's: heads wider than their share of the stream; bfloat16, a
    head for the next token."""
    save(folder, Qwen3ForCausalLM(Qwen3Config(
        vocab_size=vocab_size, hidden_size=20, intermediate_size=36, num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2, head_dim=6, rms_norm_eps=1e-6, tie_word_embeddings=True,
        rope_parameters={"rope_type": "default", "rope_theta": 1000000.0},
    )), torch.bfloat16)


def make_qwen2_5_vl(folder, vocab_size):
    """Like Qwen-Image's: biases before attention, positions on three axes; float16, options as
    transformers 4 wrote them."""
    save(folder, Qwen2_5_VLForConditionalGeneration(Qwen2_5_VLConfig(
        text_config={
            "vocab_size": vocab_size, "hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 3,
            "num_attention_heads": 3, "num_key_value_heads": 1, "rms_norm_eps": 1e-5,
            "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [1, 1, 2]},
        },
        vision_config={"depth": 1, "hidden_size": 8, "intermediate_size": 8, "num_heads": 2,
                       "out_hidden_size": 24},
    )), torch.float16)
    path = folder / "config.json"
    config = json.loads(path.read_text())
    text = config.pop("text_config")
    rope = text.pop("rope_parameters")
    text.pop("layer_types")
    theta = rope.pop("rope_theta")
    rope = {"type": "mrope", "mrope_section": rope["mrope_section"]}
    flat = {**text, **config, "rope_theta": theta, "rope_scaling": rope, "torch_dtype": config.pop("dtype")}
    flat.pop("dtype")
    path.write_text(json.dumps(flat, indent=2) + "\n")


def make_qwen3_vl(folder, vocab_size):
    """Like Qwen-Image-2.1's: interleaved axes of positions, a nested config; bfloat16, no head."""
    save(folder, Qwen3VLModel(Qwen3VLConfig(
        text_config={
            "vocab_size": vocab_size, "hidden_size": 16, "intermediate_size": 28, "num_hidden_layers": 3,
            "num_attention_heads": 6, "num_key_value_heads": 2, "head_dim": 8, "attention_bias": True,
            "rope_parameters": {
                "rope_type": "default", "rope_theta": 5000.0, "mrope_section": [2, 1, 1],
                "mrope_interleaved": True,
            },
        },
        vision_config={
            "depth": 1, "hidden_size": 8, "intermediate_size": 8, "num_heads": 2, "out_hidden_size": 16,
            "deepstack_visual_indexes": [0], "num_position_embeddings": 16, "patch_size": 4,
        },
    )), torch.bfloat16)


def save(folder, model, dtype):
    """Redraws the weights and saves the text encoder without the tensors that no text needs."""
    redraw(model, len(folder.name))
    visual = getattr(model, "visual", None) or getattr(getattr(model, "model", None), "visual", None)
    model.to(dtype)
    state = {name: tensor for name, tensor in model.state_dict().items()
             if not name.startswith(("visual.", "model.visual."))}
    assert visual is None or len(state) < len(model.state_dict())
    state.pop("lm_head.weight", None)
    model.save_pretrained(folder, state_dict=state)
    (folder / "generation_config.json").unlink(missing_ok=True)


def add_states(goldens, model, tokenizer, states, *, masked):
    """`states` are indices into hidden_states; with `masked` the states of padding are among the goldens."""
    for name, prompt in PROMPTS.items():
        text = tokenizer.apply_chat_template(
            [{"role": "user", "content": prompt}], tokenize=False, add_generation_prompt=True,
            enable_thinking=False)
        tokens = tokenizer(text, padding="max_length", max_length=LENGTH, truncation=True,
                           return_tensors="pt")
        valid = int(tokens.attention_mask.sum())
        out = model(input_ids=tokens.input_ids, attention_mask=tokens.attention_mask,
                    output_hidden_states=True)
        joined = torch.cat([out.hidden_states[state] for state in states], dim=-1)
        goldens.add(
            f"text.{name}", {"prompt": prompt, "text": text, "states": states, "max_length": LENGTH},
            input_ids=tokens.input_ids, attention_mask=tokens.attention_mask,
            hidden_state=joined if masked else joined[:, :valid],
        )


def main():
    for name, make, merges, states, masked, load in (
        ("qwen3", make_qwen3, 120, [1, 3, 2], True, Qwen3ForCausalLM),
        ("qwen2_5_vl", make_qwen2_5_vl, 60, [-1], False, Qwen2_5_VLForConditionalGeneration),
        ("qwen3_vl", make_qwen3_vl, 30, [0, -2], False, Qwen3VLModel),
    ):
        folder = HERE / name
        shutil.rmtree(folder, ignore_errors=True)
        tokenizer = qwen_tokenizer(CORPUS, merge_count=merges)
        tokenizer.save_pretrained(folder / "tokenizer")
        if name == "qwen2_5_vl":
            restore_qwen_files(folder / "tokenizer")
        tokenizer = AutoTokenizer.from_pretrained(folder / "tokenizer")
        make(folder / "text_encoder", len(tokenizer))
        model = load.from_pretrained(folder / "text_encoder", dtype=torch.float32).eval()
        goldens = Goldens(model=name)
        add_states(goldens, model, tokenizer, states, masked=masked)
        goldens.save(folder)
        for path in folder.rglob("*.*"):
            path.chmod(0o644)


if __name__ == "__main__":
    main()
