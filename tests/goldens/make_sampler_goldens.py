"""Makes tests/goldens/sampler/*.json: what torch, numpy and diffusers give for the mathematics in sampler/.

Run with torch, numpy, scipy and diffusers 0.42.1 on an x86-64 machine with AVX2:
    python tests/goldens/make_sampler_goldens.py
Arrays are base64 of little-endian float32, float64 or bfloat16 bits, as their names say.
"""

import base64
import hashlib
import json
import math
from pathlib import Path

import numpy as np
import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from diffusers.pipelines.flux.pipeline_flux import calculate_shift

OUT = Path(__file__).parent / "sampler"
torch.set_num_threads(1)


def main():
    write("noise", noise())
    write("forecasters", forecasters())
    write("calibrated", calibrated())
    write("flow_match_euler", flow_match_euler())


def write(name, data):
    OUT.mkdir(exist_ok=True)
    (OUT / f"{name}.json").write_text(json.dumps(data, indent=2) + "\n")


def pack(array):
    if isinstance(array, torch.Tensor):
        array = array.contiguous()
        array = array.view(torch.int16).numpy() if array.dtype == torch.bfloat16 else array.numpy()
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()


# --- noise --------------------------------------------------------------------------------------------------


def noise():
    def generator(seed):
        return torch.Generator().manual_seed(seed)

    twister = np.random.RandomState(5489)
    integers = twister.randint(0, 2**32, size=2000, dtype=np.uint64).astype(np.uint32)
    counts = [3, 5, 37, 1, 16, 100]
    mixed = generator(7)
    flux = torch.randn(1, 16, 128, 128, generator=generator(42))
    # With seed 1753191 a radius is -0, from which torch makes 0.
    seeds = [0, 1, 2**32 - 1, 2**32 + 1, 2**64 - 1, -1, -(2**63), 1753191]
    return {
        "twister": {"seed": 5489, "first": integers[:4].tolist(), "last": integers[-4:].tolist()},
        "mixed": {"seed": 7, "counts": counts,
                  "f32": pack(torch.cat([torch.randn(n, generator=mixed) for n in counts]))},
        "flux": {"seed": 42, "shape": list(flux.shape),
                 "sha256": hashlib.sha256(flux.numpy().tobytes()).hexdigest()},
        "seeds": [{"seed": str(s), "f32": pack(torch.randn(16, generator=generator(s)))} for s in seeds],
    }


# --- forecasters --------------------------------------------------------------------------------------------


def plan_full_steps(steps, window, flex, warmup):
    """The reference's rule, simulated with the counters that it keeps."""
    full, cached = [], 0
    for step in range(steps):
        is_full = step < warmup or (cached + 1) % math.floor(window) == 0
        if is_full and step >= warmup:
            window = round(window + flex, 3)
        cached = 0 if is_full else cached + 1
        if is_full:
            full.append(step)
    return full


def forecast_steps(steps, full):
    """(step, anchors) of each step that is not full."""
    return [(s, [f for f in full if f < s]) for s in range(steps) if s not in full]


def ridge_weights(step, anchors, *, steps, w, m, lam):
    """Direct float64 solve of the normal equations for the whole coefficient matrix, then the blend."""
    tau = lambda t: 2 * np.asarray(t, dtype=np.float64) / steps - 1
    basis = lambda t: np.polynomial.chebyshev.chebvander(np.atleast_1d(tau(t)), m)
    x = basis(anchors)
    fit = basis(step) @ np.linalg.solve(x.T @ x + lam * np.eye(m + 1), x.T)
    linear = np.zeros(len(anchors))
    linear[-1] = 1
    if len(anchors) > 1:
        k = (step - anchors[-1]) / (anchors[-1] - anchors[-2])
        linear[-1] += k
        linear[-2] -= k
    return w * fit[0] + (1 - w) * linear


def reference_forecast(step, anchors, history, *, w, m, lam):
    """What the published implementation computes: time, basis, coefficients and blend in
    bfloat16, the solve in float32."""
    bf16 = torch.bfloat16

    def basis(t):
        tau = (t - torch.tensor(25.0, dtype=bf16)) * 2.0 / torch.tensor(50.0, dtype=bf16)
        columns = [torch.ones_like(tau), tau]
        for _ in range(2, m + 1):
            columns.append(2 * tau * columns[-1] - columns[-2])
        return torch.stack(columns[: m + 1], dim=1)

    times = torch.tensor(anchors, dtype=bf16)
    now = torch.tensor([step], dtype=bf16)
    x = basis(times).float()
    factor = torch.linalg.cholesky(x.T @ x + lam * torch.eye(m + 1))
    coefficients = torch.cholesky_solve(x.T @ history.float(), factor).to(bf16)
    fit = (basis(now) @ coefficients)[0]
    k = (now[0] - times[-1]) / (times[-1] - times[-2])
    linear = history[-1] + k * (history[-1] - history[-2])
    return (1 - w) * linear + w * fit


def forecasters():
    runs = [
        dict(steps=50, windowSize=2, flexWindow=0.75, warmupSteps=5, w=0.5, m=4, lam=0.1),
        dict(steps=50, windowSize=2, flexWindow=3.0, warmupSteps=5, w=1.0, m=4, lam=0.1),
        dict(steps=28, windowSize=2, flexWindow=0.75, warmupSteps=5, w=0.7, m=6, lam=0.01),
        dict(steps=20, windowSize=3, flexWindow=0, warmupSteps=1, w=0.25, m=0, lam=0.5),
    ]
    direct = []
    for run in runs:
        full = plan_full_steps(run["steps"], run["windowSize"], run["flexWindow"], run["warmupSteps"])
        options = {key: run[key] for key in ("steps", "w", "m", "lam")}
        weights = [ridge_weights(s, a, **options) for s, a in forecast_steps(run["steps"], full)]
        direct.append({"options": run, "fullSteps": full, "weightsF64": pack(np.concatenate(weights))})

    features = 24
    generator = torch.Generator().manual_seed(0)
    phase, speed, size = (torch.rand(features, generator=generator) for _ in range(3))
    history = lambda steps: (
        (1 + size) * torch.cos(6 * phase + 4 * speed * torch.tensor(steps)[:, None] / 50)
    ).to(torch.bfloat16)
    reference = []
    for flex, w in ((0.75, 0.5), (0.75, 1.0), (3.0, 0.5)):
        full = plan_full_steps(50, 2, flex, 5)
        forecasts = [
            reference_forecast(s, a, history(a), w=w, m=4, lam=0.1) for s, a in forecast_steps(50, full)
        ]
        reference.append(
            {
                "options": dict(windowSize=2, flexWindow=flex, warmupSteps=5, w=w, m=4, lam=0.1),
                "historyBf16": pack(history(full)),
                "forecastsBf16": pack(torch.stack(forecasts)),
            }
        )
    return {"direct": direct, "reference": reference}


# --- calibrated forecasts -----------------------------------------------------------------------------------


def with_feedback(best, m, sigmas, full, *, feedback, guidance, ridge):
    """Adds to the weights of unit features, by step, what takes the expected error of earlier gaps back."""
    steps = len(best)
    sigmas = np.append(sigmas, 0)
    strides = sigmas[:-1] - sigmas[1:]
    error = np.zeros(steps)
    weights = {}
    for gap, start in enumerate(full):
        anchors, end = full[: gap + 1], [*full, steps][gap + 1]
        error *= (sigmas[end] / sigmas[start]) ** guidance
        gram = m[np.ix_(anchors, anchors)] + ridge * np.eye(len(anchors))
        expected = np.linalg.solve(gram, m[anchors] @ error)
        for step in range(start + 1, end):
            weights[step] = best[step] - feedback * expected / strides[start + 1 : end].sum()
        for step in range(start + 1, end):
            error[anchors] += strides[step] * weights[step]
            error[step] -= strides[step]
    return weights


def calibrated(points=16, ridge=1e-6, feedback=0.7):
    """Products of random smooth features of two branches on a grid of sigmas, and the weights
    on this and another grid."""
    generator = np.random.RandomState(3)
    grid = np.linspace(1, 1 / points, points)
    waves = generator.rand(3, 40)
    branch = lambda shift: (1 + waves[0]) * np.cos(3 * waves[1] + (2 * waves[2] + shift) * grid[:, None])
    h, u = branch(0), branch(0.3)
    scale = np.sqrt((h**2).sum(1))
    h, u = h / scale[:, None], u / np.sqrt((u**2).sum(1))[:, None]
    norms = 2 + np.sin(3 * grid)
    cc, uu, cu = h @ h.T, u @ u.T, (h @ u.T + u @ h.T) / 2
    unit = lambda m: m / np.sqrt(np.outer(np.diag(m), np.diag(m)))

    def interpolation(at):
        rows = np.zeros((len(at), points))
        for row, x in zip(rows, at):
            x = np.clip(x, grid[-1], grid[0])
            near = np.abs(grid - x).argmin()
            if grid[near] == x:
                row[near] = 1
                continue
            first = min(max(0, int((grid > x).sum()) - 2), points - 4)
            for i in range(first, first + 4):
                others = [j for j in range(first, first + 4) if j != i]
                row[i] = np.prod([(x - grid[j]) / (grid[i] - grid[j]) for j in others])
        return rows

    runs = []
    for steps, guidance, share, full in ((16, 1, 0, [0, 2, 5, 11]), (16, 3, 0.4, [0, 1, 7]),
                                         (9, 2, 1, [0, 3, 4, 7])):
        at = grid if steps == points else np.linspace(1, 0.1, steps)
        w = interpolation(at)
        g, r = guidance, guidance - 1
        a, b, c = (w @ m @ w.T for m in (cc, uu, cu))
        m = unit(a) if g == 1 else (1 - share) * unit(a + b) + share * unit(g * g * a - 2 * g * r * c + r * r
            * b)
        n = w @ norms
        weights, errors, best = [], [], [None] * steps
        for step, anchors in forecast_steps(steps, full):
            gram = m[np.ix_(anchors, anchors)]
            last = np.eye(len(anchors))[-1]
            x = np.linalg.solve(gram + ridge * np.eye(len(anchors)), m[anchors, step] + ridge * last)
            best[step] = x
            weights.append(x * n[step] / n[anchors])
            errors.append(np.sqrt(1 - 2 * x @ m[anchors, step] + x @ gram @ x))
        added = with_feedback(best, m, at, full, feedback=feedback, guidance=guidance, ridge=ridge)
        fed = [added[step] * n[step] / n[anchors] for step, anchors in forecast_steps(steps, full)]
        runs.append(
            dict(steps=steps, guidance=guidance, guidedShare=share, fullSteps=full, sigmasF64=pack(at))
            | dict(weightsF64=pack(np.concatenate(weights)), errorsF64=pack(np.array(errors)))
            | dict(feedback=feedback, feedbackWeightsF64=pack(np.concatenate(fed)))
        )
    products = dict(conditionalF64=pack(cc), unconditionalF64=pack(uu), crossF64=pack(cu))
    return {"gridF64": pack(grid), "normsF64": pack(norms), "products": products, "runs": runs}


# --- solver -------------------------------------------------------------------------------------------------


def flow_match_euler():
    flux = dict(use_dynamic_shifting=True, shift=3.0, base_shift=0.5, max_shift=1.15)
    flux_sigmas = lambda steps: np.linspace(1.0, 1 / steps, steps).tolist()
    cases = [
        ("FLUX.1-dev at 50 steps", flux, dict(sigmas=flux_sigmas(50), imageSeqLen=4096)),
        ("FLUX.1-dev at 1 step", flux, dict(sigmas=flux_sigmas(1), imageSeqLen=1024)),
        ("FLUX.1-schnell", dict(shift=1.0), dict(sigmas=flux_sigmas(4), imageSeqLen=4096)),
        ("SD3.5", dict(shift=3.0), dict(steps=28)),
        *((f"Wan at {steps} steps", dict(shift=5.0), dict(steps=steps)) for steps in (4, 20, 50)),
        ("dynamic, own sigmas", dict(use_dynamic_shifting=True), dict(steps=8, imageSeqLen=300)),
        ("linear shift type", dict(flux, time_shift_type="linear"), dict(sigmas=flux_sigmas(8), mu=1.7)),
        ("other training grid", dict(shift=2.5, num_train_timesteps=500), dict(steps=8)),
        ("terminal shift", dict(flux, shift_terminal=0.1), dict(sigmas=flux_sigmas(30), imageSeqLen=2048)),
        ("terminal shift, own sigmas", dict(shift=7.0, shift_terminal=0.02), dict(steps=8)),
        ("inverted", dict(shift=3.0, invert_sigmas=True), dict(sigmas=flux_sigmas(8))),
        ("karras", dict(shift=3.0, use_karras_sigmas=True), dict(steps=8)),
        ("exponential", dict(flux, use_exponential_sigmas=True),
         dict(sigmas=flux_sigmas(8), imageSeqLen=1024)),
        ("beta", dict(shift=3.0, use_beta_sigmas=True), dict(steps=12)),
        ("stochastic", dict(shift=3.0, stochastic_sampling=True), dict(sigmas=flux_sigmas(6))),
    ]
    return {name: run_flow_match_euler(config, options) for name, config, options in cases}


def run_flow_match_euler(config, options):
    scheduler = FlowMatchEulerDiscreteScheduler(**config)
    mu = options.get("mu")
    if "imageSeqLen" in options:
        mu = calculate_shift(options["imageSeqLen"])
    sigmas = options.get("sigmas")
    scheduler.set_timesteps(None if sigmas else options["steps"], sigmas=sigmas, mu=mu)

    count = 16
    generator = torch.Generator().manual_seed(1)
    latents = torch.randn(count, generator=generator)
    outputs = torch.randn(len(scheduler.timesteps), count, generator=generator)
    noise = torch.Generator().manual_seed(2)
    sample = latents
    for timestep, output in zip(scheduler.timesteps, outputs):
        sample = scheduler.step(output, timestep, sample, generator=noise).prev_sample
    return {
        "config": {"_class_name": "FlowMatchEulerDiscreteScheduler", **config},
        "options": {"steps": len(scheduler.timesteps), **options},
        "timestepsF32": pack(scheduler.timesteps),
        "sigmasF32": pack(scheduler.sigmas),
        "finalF32": pack(sample),
    }


if __name__ == "__main__":
    main()
