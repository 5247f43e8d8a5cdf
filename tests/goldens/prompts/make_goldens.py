"""Makes the reference data of prompts with weights and of long prompts, with the checkpoints in sdxl/.

    pip install compel==2.5.1                      # for the long prompts
    python tests/goldens/prompts/make_goldens.py   # about 20 s

Weights follow AUTOMATIC1111's rule, which this script spells out: the states of a chunk are
multiplied by its tokens' weights, and the mean of all of its values is restored, for each encoder by
itself. Each case lists the texts and weights that its prompt stands for. Long prompts without weights
are compel's (truncate_long_prompts=False, SplitLongTextMode.BRUTAL). Whole pictures are diffusers',
from the states (`prompt_embeds`).
"""

import sys
from pathlib import Path

import torch
from diffusers import DiffusionPipeline

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from _reference import Goldens, run_whole  # noqa: E402

SIZE = {"height": 16, "width": 24}
STEPS = 6
LONG = ("a red heart and a blue star on a white background, two cats and three dogs, "
        "a photo of a small house by the sea")
WEIGHTED = [
    ("(red:1.3) heart", [("red", 1.3), (" heart", 1)]),
    ("a ((red)) heart [on white]", [("a ", 1), ("red", 1.21), (" heart ", 1), ("on white", 1 / 1.1)]),
    (r"\(red\) heart:2 (star", [("(red) heart:2 ", 1), ("star", 1.1)]),
    ("([red]:1.5) (blue (star:0.5)) house)", [
        ("red", 1.5 / 1.1), (" ", 1), ("blue ", 1.1), ("star", 0.55), (" house)", 1)]),
    ("(red:0) heart", [("red", 0), (" heart", 1)]),
]
LONG_WEIGHTED = (f"(a red:1.4) heart{LONG[11:]} ([dogs])",
                 [("a red", 1.4), (f" heart{LONG[11:]} ", 1), ("dogs", 1)])


def encoders(pipe):
    pairs = [(pipe.tokenizer, pipe.text_encoder)]
    if hasattr(pipe, "tokenizer_2"):
        pairs.append((pipe.tokenizer_2, pipe.text_encoder_2))
    return pairs


def encode(pipe, parts):
    """(states, pooled) of texts with weights."""
    is_xl = hasattr(pipe, "tokenizer_2")
    columns, pooled = [], None
    for tokenizer, encoder in encoders(pipe):
        ids, weights = [], []
        for text, weight in parts:
            new = tokenizer(text, add_special_tokens=False).input_ids
            ids += new
            weights += [weight] * len(new)
        room = tokenizer.model_max_length - 2
        rows = []
        for start in range(0, max(1, len(ids)), room):
            own, factors = ids[start:start + room], weights[start:start + room]
            fill = room - len(own)
            row = [tokenizer.bos_token_id, *own, tokenizer.eos_token_id, *[tokenizer.pad_token_id] * fill]
            factors = torch.tensor([1.0, *factors, 1.0, *[1.0] * fill])
            output = encoder(torch.tensor([row]), output_hidden_states=True)
            states = output.hidden_states[-2] if is_xl else output.last_hidden_state
            mean = states.mean()
            weighed = states * factors[None, :, None]
            rows.append(weighed * (mean / weighed.mean()) if (factors != 1).any() else states)
            if is_xl and not rows[1:] and hasattr(output, "text_embeds"):
                pooled = output.text_embeds
        columns.append(torch.cat(rows, dim=1))
    return torch.cat(columns, dim=-1), pooled


def by_compel(pipe, prompt):
    from compel import Compel, ReturnedEmbeddingsType, SplitLongTextMode
    long = {"truncate_long_prompts": False, "split_long_text_mode": SplitLongTextMode.BRUTAL}
    is_xl = hasattr(pipe, "tokenizer_2")
    if is_xl:
        compel = Compel(
            tokenizer=[pipe.tokenizer, pipe.tokenizer_2],
            text_encoder=[pipe.text_encoder, pipe.text_encoder_2],
            returned_embeddings_type=ReturnedEmbeddingsType.PENULTIMATE_HIDDEN_STATES_NON_NORMALIZED,
            requires_pooled=[False, True], **long)
        return compel(prompt)
    return Compel(tokenizer=pipe.tokenizer, text_encoder=pipe.text_encoder, **long)(prompt), None


def add(goldens, pipe, case, prompt, parts, *, draws=False, check=None):
    states, pooled = encode(pipe, parts)
    if check is not None:
        theirs, theirs_pooled = check
        difference = (states - theirs).abs().max().item()
        print(case, "differs from compel's states by", difference)
        assert difference < 1e-5, difference
        if pooled is not None:
            assert (pooled - theirs_pooled).abs().max() < 1e-5
    extra = {} if pooled is None else {"text_embeds": pooled}
    call = {"prompt": prompt, "parts": parts}
    if draws:
        negative, negative_pooled = encode(pipe, [("blurry", 1)])
        while negative.shape[1] < states.shape[1]:
            negative = torch.cat([negative, encode(pipe, [("", 1)])[0]], dim=1)
        given = {"prompt_embeds": states, "negative_prompt_embeds": negative}
        if pooled is not None:
            given |= {"pooled_prompt_embeds": pooled, "negative_pooled_prompt_embeds": negative_pooled}
        call |= {"negative_prompt": "blurry", "seed": 11, "num_inference_steps": STEPS, "guidance_scale": 5.0,
                 **SIZE}
        _, extra["latents"] = run_whole(
            pipe, 11, **SIZE, num_inference_steps=STEPS, guidance_scale=5.0, **given)
    goldens.add(case, call, prompt_embeds=states, **extra)


def main():
    for name in ("tiny-sd15", "tiny-sdxl"):
        pipe = DiffusionPipeline.from_pretrained(HERE.parent / "sdxl" / name, torch_dtype=torch.float32)
        pipe.set_progress_bar_config(disable=True)
        goldens = Goldens(checkpoint=name)
        for i, (prompt, parts) in enumerate(WEIGHTED):
            add(goldens, pipe, f"weights.{i}", prompt, parts, draws=i == 1)
        add(goldens, pipe, "long", LONG, [(LONG, 1)], draws=True, check=by_compel(pipe, LONG))
        add(goldens, pipe, "long_weights", *LONG_WEIGHTED, draws=True)
        goldens.save(HERE / name)


if __name__ == "__main__":
    main()
