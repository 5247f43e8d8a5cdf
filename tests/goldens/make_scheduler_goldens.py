"""Makes tests/goldens/sampler/schedulers.json: whole runs of diffusers' schedulers, for
the solvers in sampler/.

Run with torch, numpy, scipy and diffusers 0.42.1 on an x86-64 machine with AVX2:
    python tests/goldens/make_scheduler_goldens.py
A formula stands in for the network, so that its output depends on all that a scheduler hands to it:
    output = scaled latents / 4 + timestep / 1024 + noise of the step
Each run is made twice: as diffusers has it, and exactly, with correctly rounded square roots (MKL's err
by up to 0.75 units in the last place, differently from machine to machine) and, in DPM-Solver and UniPC,
with float64 coefficients, whose differences of logarithms lose digits in float32. The exact run is what
ours equals bit for bit.
Arrays are base64 of little-endian float32.
"""

from contextlib import contextmanager

import diffusers
import numpy as np
import torch

from make_sampler_goldens import pack, write

SHAPE = (1, 4, 2, 2)
torch.set_num_threads(1)

# What published checkpoints hold in scheduler_config.json, each over all numbers of steps.
STABLE_DIFFUSION = dict(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear",
                        num_train_timesteps=1000)
EARLY = dict(STABLE_DIFFUSION, clip_sample=False, set_alpha_to_one=False, skip_prk_steps=True, steps_offset=1,
             trained_betas=None)
SDXL = dict(EARLY, interpolation_type="linear", prediction_type="epsilon", sample_max_value=1.0,
            timestep_spacing="leading", use_karras_sigmas=False)
DPM = dict(STABLE_DIFFUSION, algorithm_type="dpmsolver++", solver_order=2, solver_type="midpoint",
           steps_offset=1, timestep_spacing="leading")
WAN = dict(
    beta_start=0.0001, beta_end=0.02, beta_schedule="linear", num_train_timesteps=1000, disable_corrector=[],
    flow_shift=3.0, predict_x0=True,
    dynamic_thresholding_ratio=0.995, final_sigmas_type="zero", lower_order_final=True,
    prediction_type="flow_prediction",
    rescale_betas_zero_snr=False, sample_max_value=1.0, solver_order=2, solver_p=None, solver_type="bh2",
    steps_offset=0, thresholding=False,
    timestep_spacing="linspace", trained_betas=None, use_beta_sigmas=False, use_exponential_sigmas=False,
    use_flow_sigmas=True, use_karras_sigmas=False,
)  # fmt: skip
PUBLISHED = [
    ("SDXL base", "EulerDiscrete", SDXL),
    ("SDXL, ancestral", "EulerAncestralDiscrete", SDXL),
    ("SD 1.5", "PNDM", EARLY),
    ("SD 2.1", "DDIM", dict(EARLY, prediction_type="v_prediction")),
    ("DPM++ 2M", "DPMSolverMultistep", dict(DPM, lower_order_final=True)),
    ("DPM++ 2M Karras", "DPMSolverMultistep", dict(SDXL, use_karras_sigmas=True)),
    ("DPM++ 2M SDE", "DPMSolverMultistep", dict(DPM, algorithm_type="sde-dpmsolver++")),
    ("DPM++ 2M SDE Karras", "DPMSolverMultistep",
     dict(SDXL, algorithm_type="sde-dpmsolver++", use_karras_sigmas=True)),
    ("UniPC", "UniPCMultistep", SDXL),
    ("Wan", "UniPCMultistep", WAN),
    ("Wan at 720p", "UniPCMultistep", dict(WAN, flow_shift=5.0)),
]

# Each option that changes a run, at one number of steps.
TRAILING = dict(timestep_spacing="trailing")
V = dict(prediction_type="v_prediction")
ZERO_SNR = dict(STABLE_DIFFUSION, **TRAILING, **V, rescale_betas_zero_snr=True)
NOISE = dict(STABLE_DIFFUSION, algorithm_type="dpmsolver", final_sigmas_type="sigma_min")
SDE = dict(STABLE_DIFFUSION, algorithm_type="sde-dpmsolver++")
FLOW = dict(use_flow_sigmas=True, prediction_type="flow_prediction")
VARIED = [
    ("defaults", "EulerDiscrete", {}, 7),
    ("cosine betas, trailing", "EulerDiscrete", dict(beta_schedule="squaredcos_cap_v2", **TRAILING), 7),
    ("trained betas", "EulerDiscrete",
     dict(trained_betas=[0.001, 0.004, 0.009, 0.016, 0.025, 0.036], num_train_timesteps=6), 3),
    ("other training grid", "EulerDiscrete", dict(STABLE_DIFFUSION, num_train_timesteps=501), 7),
    ("zero SNR", "EulerDiscrete", ZERO_SNR, 7),
    ("sample", "EulerDiscrete", dict(STABLE_DIFFUSION, prediction_type="sample"), 7),
    ("original_sample", "EulerDiscrete", dict(STABLE_DIFFUSION, prediction_type="original_sample"), 3),
    ("karras", "EulerDiscrete", dict(SDXL, use_karras_sigmas=True), 12),
    ("karras between sigmas", "EulerDiscrete",
     dict(SDXL, use_karras_sigmas=True, sigma_min=0.02, sigma_max=20.0), 7),
    ("exponential", "EulerDiscrete", dict(SDXL, use_exponential_sigmas=True), 12),
    ("beta", "EulerDiscrete", dict(SDXL, use_beta_sigmas=True), 12),
    ("log-linear", "EulerDiscrete", dict(STABLE_DIFFUSION, interpolation_type="log_linear"), 7),
    ("continuous timesteps", "EulerDiscrete",
     dict(STABLE_DIFFUSION, **V, timestep_type="continuous", use_karras_sigmas=True, sigma_max=700.0,
          sigma_min=0.002), 7),
    ("final sigma", "EulerDiscrete", dict(STABLE_DIFFUSION, final_sigmas_type="sigma_min"), 7),
    ("defaults", "EulerAncestralDiscrete", {}, 7),
    ("zero SNR", "EulerAncestralDiscrete", ZERO_SNR, 7),
    ("defaults, clipped", "DDIM", {}, 7),
    ("clipped elsewhere, linspace", "DDIM", dict(clip_sample_range=0.7, timestep_spacing="linspace"), 7),
    ("zero SNR", "DDIM", dict(ZERO_SNR, clip_sample=False), 7),
    ("sample, trailing", "DDIM", dict(EARLY, prediction_type="sample", **TRAILING), 30),
    ("epsilon", "DDIM", EARLY, 3),
    ("one step", "PNDM", EARLY, 1),
    ("v-prediction, linspace", "PNDM", dict(EARLY, **V, timestep_spacing="linspace"), 7),
    ("trailing, to one", "PNDM", dict(EARLY, **TRAILING, set_alpha_to_one=True), 7),
    ("Runge-Kutta first", "PNDM", dict(skip_prk_steps=False), 4),
    ("Runge-Kutta first, v-prediction", "PNDM", dict(STABLE_DIFFUSION, **V), 9),
    ("order 1", "DPMSolverMultistep", dict(STABLE_DIFFUSION, solver_order=1), 7),
    ("order 3", "DPMSolverMultistep", dict(STABLE_DIFFUSION, solver_order=3), 7),
    ("order 3, not lowered", "DPMSolverMultistep",
     dict(STABLE_DIFFUSION, solver_order=3, lower_order_final=False), 7),
    ("order 3, many steps", "DPMSolverMultistep",
     dict(STABLE_DIFFUSION, solver_order=3, final_sigmas_type="sigma_min"), 17),
    ("heun", "DPMSolverMultistep", dict(STABLE_DIFFUSION, solver_type="heun"), 7),
    ("another scheduler's names", "DPMSolverMultistep",
     dict(STABLE_DIFFUSION, solver_type="bh2", algorithm_type="deis", final_sigmas_type="sigma_min"), 5),
    ("euler at final", "DPMSolverMultistep",
     dict(STABLE_DIFFUSION, euler_at_final=True, final_sigmas_type="sigma_min"), 17),
    ("of noise", "DPMSolverMultistep", NOISE, 7),
    ("of noise, heun", "DPMSolverMultistep", dict(NOISE, solver_type="heun"), 7),
    ("of noise, order 3", "DPMSolverMultistep", dict(NOISE, solver_order=3, **V), 7),
    ("of noise, sample", "DPMSolverMultistep", dict(NOISE, prediction_type="sample"), 7),
    ("SDE, heun", "DPMSolverMultistep", dict(SDE, solver_type="heun"), 7),
    ("SDE, order 3", "DPMSolverMultistep", dict(SDE, solver_order=3), 7),
    ("SDE of noise", "DPMSolverMultistep", dict(NOISE, algorithm_type="sde-dpmsolver"), 7),
    ("SDE of noise, heun", "DPMSolverMultistep",
     dict(NOISE, algorithm_type="sde-dpmsolver", solver_type="heun"), 7),
    ("v-prediction, zero SNR", "DPMSolverMultistep", ZERO_SNR, 7),
    ("sample, cosine, clipped lambda", "DPMSolverMultistep",
     dict(beta_schedule="squaredcos_cap_v2", prediction_type="sample", lambda_min_clipped=-5.1), 7),
    ("clipped lambda, leading", "DPMSolverMultistep",
     dict(beta_schedule="squaredcos_cap_v2", lambda_min_clipped=-5.1, timestep_spacing="leading"), 7),
    ("cosine, karras", "DPMSolverMultistep",
     dict(beta_schedule="squaredcos_cap_v2", use_karras_sigmas=True, lambda_min_clipped=-5.1), 7),
    ("karras between sigmas", "DPMSolverMultistep",
     dict(SDXL, use_karras_sigmas=True, sigma_min=0.05, sigma_max=10.0), 7),
    ("lu", "DPMSolverMultistep", dict(STABLE_DIFFUSION, use_lu_lambdas=True), 8),
    ("exponential", "DPMSolverMultistep", dict(STABLE_DIFFUSION, use_exponential_sigmas=True), 12),
    ("beta", "DPMSolverMultistep", dict(STABLE_DIFFUSION, use_beta_sigmas=True), 12),
    ("flow", "DPMSolverMultistep", dict(FLOW, flow_shift=3.0), 10),
    ("flow, dynamic shift", "DPMSolverMultistep", dict(FLOW, use_dynamic_shifting=True), 7, dict(mu=0.8)),
    ("defaults", "UniPCMultistep", {}, 7),
    ("bh1, final sigma", "UniPCMultistep",
     dict(STABLE_DIFFUSION, solver_type="bh1", final_sigmas_type="sigma_min"), 7),
    ("order 1", "UniPCMultistep", dict(STABLE_DIFFUSION, solver_order=1), 7),
    ("order 3", "UniPCMultistep", dict(STABLE_DIFFUSION, solver_order=3), 9),
    ("order 4, bh1, not lowered", "UniPCMultistep",
     dict(STABLE_DIFFUSION, solver_order=4, solver_type="bh1", lower_order_final=False,
          final_sigmas_type="sigma_min"), 9),
    ("of noise", "UniPCMultistep", dict(STABLE_DIFFUSION, predict_x0=False, final_sigmas_type="sigma_min"),
     7),
    ("of noise, order 3, v-prediction", "UniPCMultistep",
     dict(STABLE_DIFFUSION, **V, predict_x0=False, solver_order=3, final_sigmas_type="sigma_min"), 7),
    ("of noise, sample", "UniPCMultistep",
     dict(STABLE_DIFFUSION, prediction_type="sample", predict_x0=False, final_sigmas_type="sigma_min"), 7),
    ("no corrector at first", "UniPCMultistep",
     dict(STABLE_DIFFUSION, disable_corrector=[0, 2], solver_type="midpoint"), 7),
    ("v-prediction, zero SNR", "UniPCMultistep", ZERO_SNR, 7),
    ("sample, leading", "UniPCMultistep", dict(SDXL, prediction_type="sample"), 7),
    ("karras", "UniPCMultistep", dict(STABLE_DIFFUSION, use_karras_sigmas=True,
                                      final_sigmas_type="sigma_min"), 7),
    ("karras between sigmas", "UniPCMultistep",
     dict(SDXL, use_karras_sigmas=True, sigma_min=0.05, sigma_max=10.0), 7),
    ("exponential", "UniPCMultistep", dict(STABLE_DIFFUSION, use_exponential_sigmas=True), 12),
    ("beta", "UniPCMultistep", dict(STABLE_DIFFUSION, use_beta_sigmas=True), 12),
    ("flow, karras", "UniPCMultistep", dict(FLOW, use_karras_sigmas=True), 7),
    ("flow, dynamic shift", "UniPCMultistep", dict(FLOW, use_dynamic_shifting=True), 7, dict(mu=1.1)),
    ("flow, linear shift, terminal", "UniPCMultistep",
     dict(FLOW, use_dynamic_shifting=True, time_shift_type="linear", shift_terminal=0.1,
          final_sigmas_type="sigma_min"), 7, dict(mu=1.1)),
    ("flow, own sigmas", "UniPCMultistep", dict(FLOW, flow_shift=5.0), 5,
     dict(sigmas=[1.0, 0.8, 0.6, 0.4, 0.2])),
]  # fmt: skip

# From a later step on, as img2img runs: multistep solvers know nothing of the steps before it.
LATER = [
    ("from step 3", "EulerDiscrete", SDXL, 7, {}, 3),
    ("from step 3", "EulerAncestralDiscrete", SDXL, 7, {}, 3),
    ("from step 3", "DDIM", EARLY, 7, {}, 3),
    ("from step 3", "PNDM", EARLY, 7, {}, 3),
    ("from step 3", "DPMSolverMultistep", dict(DPM, solver_order=3), 9, {}, 3),
    ("from step 3", "UniPCMultistep", dict(WAN, solver_order=3), 9, {}, 3),
]


def main():
    cases = [(name, cls, config, steps, {}) for name, cls, config in PUBLISHED for steps in (4, 20, 50)]
    cases += [(*case, {})[:5] for case in VARIED]
    cases += LATER
    write("schedulers", [run(*case) for case in cases])


def run(name, cls, config, steps, options, begin=0):
    scheduler, final = denoise(cls, config, steps, options, begin)
    with exact_roots():
        _, exact = denoise(cls, config, steps, options, begin, exact=True)
    assert final.isfinite().all(), (name, cls)
    golden = {
        "name": name,
        "config": {"_class_name": f"{cls}Scheduler", **config},
        "options": {"steps": steps, **options},
        "begin": begin,
        "initNoiseSigma": float(scheduler.init_noise_sigma),
        "timestepsF32": pack(scheduler.timesteps.to(torch.float32)),
        "noisyF32": pack(add_noise(cls, config, steps, options, begin)),
        "finalF32": pack(final),
        "exactFinalF32": pack(exact),
    }
    if hasattr(scheduler, "sigmas"):
        # Log-linear ones have another behind those that are used.
        golden["sigmasF32"] = pack(scheduler.sigmas[: len(scheduler.timesteps) + 1])
    return golden


@contextmanager
def exact_roots():
    def root(x):
        return torch.from_numpy(np.asarray(np.sqrt(x.numpy())))

    def power(x, exponent):
        return root(x) if exponent == 0.5 else own[0](x, exponent)

    own = torch.Tensor.__pow__, torch.Tensor.sqrt, torch.sqrt
    torch.Tensor.__pow__, torch.Tensor.sqrt, torch.sqrt = power, root, root
    try:
        yield
    finally:
        torch.Tensor.__pow__, torch.Tensor.sqrt, torch.sqrt = own


def add_noise(cls, config, steps, options, begin):
    """Where img2img begins: an original, the generator's first numbers, with noise, the next ones."""
    scheduler = make_scheduler(cls, config, steps, options)
    if hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(begin)
    generator = torch.Generator().manual_seed(3)
    original = torch.randn(SHAPE, generator=generator)
    noise = torch.randn(SHAPE, generator=generator)
    return scheduler.add_noise(original, noise, scheduler.timesteps[begin : begin + 1])


def make_scheduler(cls, config, steps, options):
    scheduler = getattr(diffusers, f"{cls}Scheduler").from_config(config)
    if "sigmas" in options:
        scheduler.set_timesteps(sigmas=np.array(options["sigmas"]))
    else:
        scheduler.set_timesteps(steps, **options)
    return scheduler


def denoise(cls, config, steps, options, begin, exact=False):
    """The scheduler and the final latents."""
    scheduler = make_scheduler(cls, config, steps, options)
    if exact and cls in ("DPMSolverMultistep", "UniPCMultistep"):
        scheduler.sigmas = scheduler.sigmas.double()

    generator = torch.Generator().manual_seed(1)
    noise = torch.Generator().manual_seed(2)
    latents = torch.randn(SHAPE, generator=generator) * scheduler.init_noise_sigma
    stochastic = "Ancestral" in cls or "sde" in config.get("algorithm_type", "")
    extra = {"generator": generator} if stochastic else {}
    if hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(begin)
    for timestep in scheduler.timesteps[begin:]:
        scaled = scheduler.scale_model_input(latents, timestep)
        output = scaled / 4 + timestep.to(torch.float32) / 1024 + torch.randn(SHAPE, generator=noise)
        latents = scheduler.step(output, timestep, latents, **extra).prev_sample
        assert latents.dtype == torch.float32
    return scheduler, latents


if __name__ == "__main__":
    main()
