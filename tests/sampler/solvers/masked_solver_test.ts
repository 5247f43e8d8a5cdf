// Inpainting in the denoise loop: gaps that are one move give the same as gaps taken step by step.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import {
  createForecaster,
  createSolver,
  denoise,
  type Denoiser,
  maskedSolver,
  planSteps,
  resolveSamplerOptions,
  TorchGenerator,
} from "../../../sampler/mod.ts";

const SIZE = 64;
const STEPS = 20;
const generator = new TorchGenerator(1);
const [original, noise, latents] = [1, 2, 3].map(() => generator.randn(SIZE)) as [
  Float32Array,
  Float32Array,
  Float32Array,
];
const mask = Float32Array.from({ length: SIZE }, (_, i) => i % 3 === 0 ? 1 : 0);

/** Draws towards zero; a forecast repeats the last pass. */
function fakeDenoiser(): Denoiser {
  let last = new Float32Array(SIZE);
  return {
    prepare: () => Promise.resolve(),
    full: ({ latents }) =>
      Promise.resolve({ output: last = latents.map(Math.tanh) as Float32Array<ArrayBuffer> }),
    forecast: (calls, { sums } = {}) =>
      Promise.resolve(
        (sums ?? calls.map(() => [1])).map((weights) => {
          const factor = [...weights].reduce((sum, weight) => sum + weight, 0);
          return last.map((value) => factor * value);
        }),
      ),
  };
}

function newSolver() {
  const solver = createSolver({ _class_name: "FlowMatchEulerDiscreteScheduler", shift: 3 }, { steps: STEPS });
  return maskedSolver(solver, { original, noise, mask });
}

async function run({ latentsAt }: { latentsAt: () => boolean }) {
  const options = resolveSamplerOptions({ method: "spectrum" }, STEPS);
  const solver = newSolver();
  const steps: Float32Array[] = [];
  const { latents: final, plan } = await denoise(fakeDenoiser(), {
    plan: planSteps(STEPS, options),
    forecaster: createForecaster(options, STEPS),
    solver,
    latents,
    latentsAt,
    onStep: (event) => {
      if (latentsAt()) steps.push(event.latents.slice());
    },
  });
  return { final, plan, steps, solver };
}

describe("maskedSolver()", () => {
  it("puts the original back under noise of each step's end", async () => {
    const { final, plan, steps, solver } = await run({ latentsAt: () => true });
    assert.ok(plan.includes("forecast"));
    for (const [step, latents] of steps.entries()) {
      const kept = step === STEPS - 1 ? original : solver.addNoise(step + 1, original, noise);
      for (let i = 0; i < SIZE; i++) if (mask[i] === 0) assert.equal(latents[i], kept[i]);
    }
    assert.ok([...final.keys()].some((i) => final[i] !== original[i]));
  });

  it("gives the same where the forecasts of a gap are one move", async () => {
    const [each, merged] = await Promise.all([
      run({ latentsAt: () => true }),
      run({ latentsAt: () => false }),
    ]);
    for (let i = 0; i < SIZE; i++) assert.ok(Math.abs(each.final[i]! - merged.final[i]!) < 1e-5);
    for (let i = 0; i < SIZE; i++) if (mask[i] === 0) assert.equal(merged.final[i], original[i]);
  });

  it("previews keep the original", () => {
    const preview = newSolver().predictOriginal(3, noise, latents);
    for (let i = 0; i < SIZE; i++) assert.equal(preview[i] === original[i], mask[i] === 0);
  });

  it("refuses lengths that differ", () => {
    const solver = createSolver({ _class_name: "FlowMatchEulerDiscreteScheduler" }, { steps: 2 });
    assert.throws(() => maskedSolver(solver, { original, noise, mask: [1] }), /differ in length/);
  });
});
