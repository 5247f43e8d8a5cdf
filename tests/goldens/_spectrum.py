"""Spectrum (arXiv 2603.01623) in float64 on top of a diffusers pipeline: the reference for
the whole TypeScript loop.

Every step runs the full network and a hook swaps the input of the head for the forecast where the plan says
so: slow, and plainly right. No value is rounded to bfloat16 and time runs over the real number of steps.
"""

import numpy
import torch

from _reference import heads_of


def spectrum_plan(steps, window=2, flex_window=0.75, warmup=5):
    """True where the step is a full pass."""
    full, in_a_row = [], 0
    for step in range(steps):
        is_full = step < warmup or (in_a_row + 1) % int(window) == 0
        if is_full and step >= warmup:
            window = round(window + flex_window, 3)
        in_a_row = 0 if is_full else in_a_row + 1
        full.append(is_full)
    return full


assert [i for i, f in enumerate(spectrum_plan(50)) if f] == [0, 1, 2, 3, 4, 6, 8, 11, 15, 20, 25, 31, 38, 46]
assert [i for i, f in enumerate(spectrum_plan(50, 2, 3.0)) if f] == [0, 1, 2, 3, 4, 6, 11, 19, 30, 44]


def spectrum_forecast(anchors, history, step, steps, w, m=4, lam=0.1):
    """Forecasts the feature of `step` from `history` [K, F] at the step indices `anchors`, all in float64."""
    chebyshev = lambda t: numpy.polynomial.chebyshev.chebvander(2 * numpy.asarray(t) / steps - 1, m)
    design = chebyshev(anchors)
    gram = design.T @ design + lam * numpy.eye(m + 1)
    ridge = chebyshev([step])[0] @ numpy.linalg.solve(gram, design.T @ history)
    linear = history[-1]
    if len(anchors) > 1:
        slope = (step - anchors[-1]) / (anchors[-1] - anchors[-2])
        linear = linear + slope * (history[-1] - history[-2])
    return w * ridge + (1 - w) * linear


def run_spectrum(pipe, steps, branches, options, *, tokens=None, guided_steps=None, phases=(0,), **call):
    """Runs `pipe` with forecasts; `branches` is 2 under guidance by two passes, each
    with a history of its own.

    `tokens` counts the tokens of a row that are the picture's, if the head is given others too: those at the
    beginning, or at the end if it is negative.
    `guided_steps` is the number of steps at the beginning that have all branches; later steps have the
    first alone. `phases` are the first steps of networks that take turns. Each phase is a run of its own,
    with its plan and history.

    Branches may be calls of the network one after the other (FLUX, Wan) or rows of one call (Stable
    Diffusion). Returns (final latents, plan, errors [full passes - 1, branches]): each error is the relative
    L2 distance |forecast - feature| / |feature| that a full pass measures before it stores its feature.
    """
    ends = [*phases[1:], steps]
    plan = [full for start, end in zip(phases, ends) for full in spectrum_plan(
        end - start, options["window_size"], options["flex_window"], options["warmup_steps"])]
    fit = {key: options[key] for key in ("w", "m", "lam")}
    anchors = [[] for _ in range(branches)]
    history = [[] for _ in range(branches)]
    errors = [[] for _ in range(branches)]
    guided_steps = steps if guided_steps is None else guided_steps
    rows = iter([(step, branch) for step in range(steps)
                 for branch in range(branches if step < guided_steps else 1)])

    def replace_row(row):
        step, branch = next(rows)
        past, values = anchors[branch], history[branch]
        if step in phases:
            past.clear()
            values.clear()
        phase = max(i for i, start in enumerate(phases) if start <= step)
        start, length = phases[phase], ends[phase] - phases[phase]
        forecast = None
        if past:
            forecast = spectrum_forecast(
                [anchor - start for anchor in past], numpy.stack(values), step - start, length, **fit)
        if not plan[step]:
            return torch.from_numpy(forecast).to(row.dtype).reshape(row.shape)
        truth = row.double().flatten().numpy()
        if past:
            errors[branch].append(numpy.linalg.norm(forecast - truth) / numpy.linalg.norm(truth))
        past.append(step)
        values.append(truth)
        return row

    def before_head(_, args):
        feature, *conditioning = args
        own = slice(None) if tokens is None else slice(tokens) if tokens > 0 else slice(tokens, None)
        replaced = torch.stack([replace_row(row[own]) for row in feature])
        before = [feature[:, :tokens]] if tokens is not None and tokens < 0 else []
        after = [feature[:, tokens:]] if tokens is not None and tokens > 0 else []
        return torch.cat([*before, replaced, *after], dim=1), *conditioning

    hooks = [head.register_forward_pre_hook(before_head) for head in heads_of(pipe)]
    try:
        latents = pipe(num_inference_steps=steps, output_type="latent", **call)[0]
    finally:
        for hook in hooks:
            hook.remove()
    assert next(rows, None) is None
    # A branch that has ended measures nothing: its column repeats the first branch's.
    errors = [own + errors[0][len(own):] for own in errors]
    return latents, torch.tensor(plan), torch.tensor(numpy.array(errors).T)


def add_spectrum(
    goldens, pipe, case, *, branches, seed, steps, options, tokens=None, guided_steps=None, phases=(0,),
    **call,
):
    """Adds a whole run with forecasts to `goldens`; `branches` and the options after
    `options` as for run_spectrum."""
    generator = torch.Generator("cpu").manual_seed(seed)
    rows = {"tokens": tokens, "guided_steps": guided_steps, "phases": phases}
    latents, plan, errors = run_spectrum(pipe, steps, branches, options, generator=generator, **rows, **call)
    goldens.add(
        f"spectrum.{case}", {"seed": seed, "num_inference_steps": steps, **call, "method": options},
        plan=plan.int(), forecast_errors=errors, latents=latents,
    )
