"""Times one denoising step of diffusers' FluxPipeline;
`deno task bench:sampler --python` runs it. Prints JSON."""
import argparse
import json
import statistics
import time

import diffusers
import torch

parser = argparse.ArgumentParser()
parser.add_argument("--model", required=True)
parser.add_argument("--rounds", type=int, default=7)
parser.add_argument("--steps", type=int, help="of each run; default: the checkpoint's")
parser.add_argument("--device", default="cpu")
parser.add_argument("--dtype", default="float32")
args = parser.parse_args()

defaults = json.load(open(f"{args.model}/spectrum.json"))
pipe = diffusers.FluxPipeline.from_pretrained(args.model,
                                              torch_dtype=getattr(torch, args.dtype)).to(args.device)
pipe.set_progress_bar_config(disable=True)


def mark(marks):
    if args.device == "cuda":
        torch.cuda.synchronize()
    marks.append(time.perf_counter())
    return {}


def denoise(steps):
    """Seconds of the denoising loop alone: from the first step's end to the last's, per step."""
    marks = []
    pipe("red heart", negative_prompt="", true_cfg_scale=defaults.get("trueCfgScale", 1.0), guidance_scale=0,
         width=defaults["width"], height=defaults["height"], num_inference_steps=steps, output_type="latent",
         max_sequence_length=defaults["maxSequenceLength"], generator=torch.Generator("cpu").manual_seed(42),
         callback_on_step_end=lambda *_: mark(marks))
    return (marks[-1] - marks[0]) / (steps - 1)


with torch.inference_mode():
    denoise(5)
    seconds = statistics.median(denoise(args.steps or defaults["steps"]) for _ in range(args.rounds))
print(json.dumps({"name": f"diffusers {diffusers.__version__}, torch {torch.__version__}",
                  "stepSeconds": seconds}))
