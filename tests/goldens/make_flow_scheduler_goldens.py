"""Makes goldens of other classes' schedulers on flow models: what pipelines draw with UniPC and DPM-Solver.

FLUX and FLUX.2 klein leave the sigmas to such a scheduler, and the others pass their own.
All compute the shift from the picture's size where it is dynamic.
"options" of a case makes its "scheduler" from the checkpoint's.
"""

import sys
from pathlib import Path

import diffusers
import torch

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
from _reference import PROMPTS, Goldens  # noqa: E402
from flux2.make_goldens import Klein  # noqa: E402

FLOW = {"prediction_type": "flow_prediction", "use_flow_sigmas": True, "flow_shift": 3.0}
UNIPC, DPM = "UniPCMultistepScheduler", "DPMSolverMultistepScheduler"
FLUX = {"height": 16, "width": 24, "max_sequence_length": 40}
KLEIN = {"height": 16, "width": 32, "max_sequence_length": 48}
CASES = {
    "flux/tiny-dev": [(UNIPC, {**FLUX, "guidance_scale": 3.5}), (DPM, {**FLUX, "guidance_scale": 3.5})],
    "flux/tiny-schnell": [(UNIPC, FLUX)],
    "flux2/tiny-base": [(UNIPC, {**KLEIN, "guidance_scale": 1.0}), (DPM, {**KLEIN, "guidance_scale": 1.0})],
    "qwen_image/tiny-image": [(UNIPC, {"height": 32, "width": 48, "max_sequence_length": 80})],
    "chroma/tiny-hd": [(UNIPC, {**FLUX, "guidance_scale": 3.0})],
}


def main():
    for checkpoint, cases in CASES.items():
        kind = Klein if checkpoint.startswith("flux2") else diffusers.DiffusionPipeline
        pipe = kind.from_pretrained(HERE / checkpoint, dtype=torch.float32)
        pipe.set_progress_bar_config(disable=True)
        own = pipe.scheduler.config
        goldens = Goldens(checkpoint=checkpoint)
        for name, arguments in cases:
            pipe.scheduler = getattr(diffusers, name).from_config({**own, **FLOW})
            final = []
            keep = lambda pipe, step, timestep, kwargs: (final.append(kwargs["latents"]), {})[1]
            call = {"prompt": PROMPTS["plain"], "num_inference_steps": 5, **arguments}
            generator = torch.Generator("cpu").manual_seed(42)
            pipe(generator=generator, output_type="latent", callback_on_step_end=keep, **call)
            about = {"seed": 42, "name": name, "options": FLOW, **call}
            goldens.add(f"picture.{name}", about, latents=final[-1])
        goldens.save(HERE / "flow_schedulers" / checkpoint.replace("/", "-"))


if __name__ == "__main__":
    main()
