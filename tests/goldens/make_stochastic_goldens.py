"""Makes goldens of FlowMatchEuler's stochastic sampling: what the pipelines draw with the option on.

Pipelines hand their generator to the first latents alone, and steps draw from torch's global one. Here both
are the same, as they are in a run of ours.
"""

import sys
from pathlib import Path

import diffusers
import torch

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
from _reference import PROMPTS, Goldens  # noqa: E402

FAMILIES = {
    "flux/tiny-dev": {"height": 16, "width": 24, "max_sequence_length": 40, "guidance_scale": 3.5},
    "sd3/tiny-large": {"height": 16, "width": 24, "max_sequence_length": 20, "guidance_scale": 4.0},
    "wan/tiny-euler": {"height": 16, "width": 16, "num_frames": 5, "max_sequence_length": 16,
                       "guidance_scale": 5.0},
    "hunyuan_video/tiny-plain": {"height": 16, "width": 16, "num_frames": 5, "max_sequence_length": 16,
                                 "guidance_scale": 0.0},
}


def main():
    for checkpoint, arguments in FAMILIES.items():
        pipe = diffusers.DiffusionPipeline.from_pretrained(HERE / checkpoint, dtype=torch.float32)
        pipe.set_progress_bar_config(disable=True)
        scheduler = {**pipe.scheduler.config, "stochastic_sampling": True}
        pipe.scheduler = diffusers.FlowMatchEulerDiscreteScheduler.from_config(scheduler)
        final = []
        keep = lambda pipe, step, timestep, kwargs: (final.append(kwargs["latents"]), {})[1]
        call = {"prompt": PROMPTS["plain"], "num_inference_steps": 4, **arguments}
        pipe(generator=torch.manual_seed(42), output_type="latent", callback_on_step_end=keep, **call)
        goldens = Goldens(checkpoint=checkpoint)
        goldens.add("picture.stochastic", {"seed": 42, **call}, latents=final[-1])
        goldens.save(HERE / "stochastic" / checkpoint.replace("/", "-"))


if __name__ == "__main__":
    main()
