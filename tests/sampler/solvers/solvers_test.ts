// Tests that all solvers of create_solver.ts share: diffusers' runs, previews, memory.

import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import {
  createSolver,
  laterSteps,
  type SchedulerConfig,
  type Solver,
  TorchGenerator,
} from "../../../sampler/mod.ts";
import goldens from "../../goldens/sampler/schedulers.json" with { type: "json" };
import { float32s } from "../golden_array.ts";

const COUNT = 16;
const STABLE_DIFFUSION = { beta_schedule: "scaled_linear", beta_start: 0.00085, beta_end: 0.012 };

/** The formula that stands in for the network in make_scheduler_goldens.py. */
function runModel(solver: Solver, { latents, noise, begin = 0 }: ModelRun): Float32Array {
  for (let index = begin; index < solver.timesteps.length; index++) {
    const scaled = solver.scaleModelInput(index, latents);
    const time = Math.fround(solver.timesteps[index]! / 1024);
    const random = noise.randn(COUNT);
    solver.step(index, scaled.map((value, i) => Math.fround(value / 4 + time) + random[i]!), latents);
  }
  return latents;
}

interface ModelRun {
  latents: Float32Array;
  noise: TorchGenerator;
  begin?: number;
}

function add(a: Float32Array, b: Float32Array): Float32Array<ArrayBuffer> {
  return new Float32Array(a).map((value, i) => value + b[i]!);
}

function largest(values: ArrayLike<number>): number {
  return Math.max(...Array.from(values, Math.abs));
}

function assertClose(actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number): void {
  assert.equal(actual.length, expected.length);
  for (let i = 0; i < actual.length; i++) {
    assert.ok(
      Math.abs(actual[i]! - expected[i]!) <= tolerance,
      `value ${i} is ${actual[i]}, expected ${expected[i]}`,
    );
  }
}

describe("createSolver()", () => {
  for (const golden of goldens) {
    const { name, config, options } = golden;
    it(`equals diffusers' ${config._class_name} over ${options.steps} steps: ${name}`, () => {
      // The run's generator goes on after the initial latents, as in diffusers.
      const generator = new TorchGenerator(1);
      const solver = createSolver(config, { ...options, noise: (count) => generator.randn(count) });
      const scale = Math.fround(solver.initNoiseSigma);
      const initial = generator.randn(COUNT).map((value) => scale * value);
      const noise = new TorchGenerator(2);
      const { begin } = golden;
      const final = runModel(solver, { latents: new Float32Array(initial), noise, begin });

      // No tolerance where roots are rounded correctly and coefficients not to float32 before their time.
      assert.deepEqual(final, float32s(golden.exactFinalF32));
      // Against diffusers as it is: float32's rounding of values as large as the latents, at the
      // beginning and at the end.
      const expected = float32s(golden.finalF32);
      const tolerance = 2 ** -23 * largest(initial) + 2e-6 * largest(expected);
      assertClose(final, expected, tolerance);

      // Integers are equal; between them MKL's square roots move a timestep in float32's last digits.
      const timesteps = float32s(golden.timestepsF32);
      if (timesteps.every(Number.isInteger)) assert.deepEqual([...solver.timesteps], [...timesteps]);
      else assertClose(solver.timesteps, timesteps, 1e-4);
      // MKL's square roots are off by up to a unit in the last place each; zero SNR has four
      // of them one after another.
      assertRelativelyClose([solver.initNoiseSigma], [golden.initNoiseSigma]);
      if (golden.sigmasF32) assertRelativelyClose(solver.sigmas, float32s(golden.sigmasF32));
    });
  }
});

function assertRelativelyClose(actual: ArrayLike<number>, expected: ArrayLike<number>): void {
  assert.equal(actual.length, expected.length);
  for (let i = 0; i < actual.length; i++) {
    assert.ok(Math.abs(actual[i]! - expected[i]!) <= 5e-7 * expected[i]!, `value ${i}`);
  }
}

describe("Solver.addNoise()", () => {
  for (const { name, config, options, begin, noisyF32 } of goldens) {
    it(`equals diffusers' add_noise: ${config._class_name}, ${options.steps} steps, ${name}`, () => {
      const solver = createSolver(config, { ...options, noise: (count) => new Float32Array(count) });
      const generator = new TorchGenerator(3);
      const original = generator.randn(COUNT);
      const noise = generator.randn(COUNT);
      const expected = float32s(noisyF32);
      // Three roundings on our side, of which MKL's root may be off by one more.
      assertClose(solver.addNoise(begin, original, noise), expected, 3e-7 * largest(expected));
    });
  }

  it("mixes an original and noise along FlowMatchEuler's line", () => {
    const solver = createSolver({ _class_name: "FlowMatchEulerDiscreteScheduler", shift: 3 }, { steps: 4 });
    const [original, noise] = [Float32Array.of(8, -2), Float32Array.of(1, 0.5)];
    const sigma = solver.sigmas[2]!;
    const expected = original.map((value, i) => (1 - sigma) * value + sigma * noise[i]!);
    assertClose(solver.addNoise(2, original, noise), expected, 1e-6);
  });

  it("refuses steps and noise that do not fit", () => {
    const solver = createSolver({ _class_name: "DDIMScheduler" }, { steps: 4 });
    const noise = new Float32Array(4);
    assert.throws(() => solver.addNoise(4, noise, noise), { name: "RangeError", message: /'index'/ });
    assert.throws(() => solver.addNoise(0, new Float32Array(3), noise), {
      name: "RangeError",
      message: /original \[3\] and the noise \[4\] differ/,
    });
  });
});

describe("laterSteps()", () => {
  for (const { name, config, options } of goldens.filter(({ options }) => options.steps === 4)) {
    it(`takes the same steps under other numbers: ${config._class_name}, ${name}`, () => {
      const run = (later: boolean) => {
        const generator = new TorchGenerator(1);
        const whole = createSolver(config, { ...options, noise: (count) => generator.randn(count) });
        const solver = later ? laterSteps(whole, 2) : whole;
        const begin = later ? 0 : 2;
        const latents = solver.addNoise(begin, generator.randn(COUNT), generator.randn(COUNT));
        const original = solver.predictOriginal(begin, latents, latents);
        return [runModel(solver, { latents, noise: generator, begin }), original, solver.sigmas.at(-1)];
      };
      assert.deepEqual(run(true), run(false));
    });
  }

  it("refuses to leave out every step", () => {
    const solver = createSolver({ _class_name: "DDIMScheduler" }, { steps: 4 });
    assert.throws(() => laterSteps(solver, 4), { name: "RangeError", message: /'begin'/ });
  });
});

/** How a solver's sigmas say what latents are made of: alpha * original + sigma * noise. */
type Space = (sigma: number) => [alpha: number, sigma: number];
const SPACES = {
  variancePreserving: (sigma: number) => [1 / Math.hypot(sigma, 1), sigma / Math.hypot(sigma, 1)],
  varianceExploding: (sigma: number) => [1, sigma],
  deviation: (sigma: number) => [Math.sqrt(1 - sigma ** 2), sigma],
  flow: (sigma: number) => [1 - sigma, sigma],
} satisfies Record<string, Space>;

const FLOW = { use_flow_sigmas: true, flow_shift: 3 };
const DETERMINISTIC: [SchedulerConfig, Space, types: string[]][] = [
  [{ _class_name: "EulerDiscreteScheduler" }, SPACES.varianceExploding, ["epsilon", "sample"]],
  [{ _class_name: "DDIMScheduler", clip_sample: false }, SPACES.deviation, [
    "epsilon",
    "sample",
    "v_prediction",
  ]],
  // PNDM extrapolates outputs: those of v-prediction change along the path.
  [{ _class_name: "PNDMScheduler", skip_prk_steps: true, set_alpha_to_one: true }, SPACES.deviation, [
    "epsilon",
  ]],
  [{ _class_name: "DPMSolverMultistepScheduler" }, SPACES.variancePreserving, [
    "epsilon",
    "sample",
    "v_prediction",
  ]],
  [{ _class_name: "DPMSolverMultistepScheduler", ...FLOW }, SPACES.flow, ["flow_prediction"]],
  [
    {
      _class_name: "DPMSolverMultistepScheduler",
      algorithm_type: "dpmsolver",
      final_sigmas_type: "sigma_min",
    },
    SPACES.variancePreserving,
    ["epsilon", "sample", "v_prediction"],
  ],
  [{ _class_name: "UniPCMultistepScheduler" }, SPACES.variancePreserving, [
    "epsilon",
    "sample",
    "v_prediction",
  ]],
  [{ _class_name: "UniPCMultistepScheduler", ...FLOW }, SPACES.flow, ["flow_prediction"]],
];

/** Returns a perfect model's output for latents = alpha * original + sigma * noise. */
function perfectOutput(type: string, { original, noise, level: [alpha, sigma] }: Truth): Float32Array {
  switch (type) {
    case "epsilon":
      return noise;
    case "sample":
      return original;
    case "v_prediction":
      return noise.map((value, i) => alpha * value - sigma * original[i]!);
    default:
      return noise.map((value, i) => value - original[i]!);
  }
}

interface Truth {
  original: Float32Array;
  noise: Float32Array;
  level: [alpha: number, sigma: number];
}

describe("Solver.step() and predictOriginal()", () => {
  for (const [config, space, types] of DETERMINISTIC) {
    for (const type of types) {
      const what = [config._class_name, config.algorithm_type, type].filter(Boolean).join(", ");
      it(`follow a perfect model along its path, and see its end from everywhere: ${what}`, () => {
        const full = { ...STABLE_DIFFUSION, ...config, prediction_type: type };
        const solver = createSolver(full, { steps: 9 });
        const original = new TorchGenerator(3).randn(COUNT);
        const noise = new TorchGenerator(4).randn(COUNT);
        const at = (index: number) => {
          const [alpha, sigma] = space(solver.sigmas[index]!);
          return original.map((value, i) => alpha * value + sigma * noise[i]!);
        };
        const latents = at(0);
        for (const index of solver.timesteps.keys()) {
          const level = space(solver.sigmas[index]!);
          const output = perfectOutput(type, { original, noise, level });
          // Float32: an original is what is left of latents that are up to 15 times, and in a
          // flow 1000 times as large.
          assertClose(solver.predictOriginal(index, output, latents), original, level[0] < 0.01 ? 1 : 2e-5);
          solver.step(index, output, latents);
        }
        assertClose(latents, at(solver.timesteps.length), 2e-5);
      });
    }
  }
});

describe("Solver.predictOriginal()", () => {
  const runs = goldens.filter(({ options }) => options.steps === 4);
  for (const { name, config, options } of runs) {
    it(`changes neither the run nor the latents: ${config._class_name}, ${name}`, () => {
      const finals = [false, true].map((asked) => {
        const generator = new TorchGenerator(1);
        const solver = createSolver(config, { ...options, noise: (count) => generator.randn(count) });
        const latents = generator.randn(COUNT);
        for (const index of solver.timesteps.keys()) {
          const output = latents.map((value) => value / 2 + index);
          if (asked) solver.predictOriginal(index, output, latents);
          solver.step(index, output, latents);
        }
        return latents;
      });
      assert.deepEqual(finals[0], finals[1]);
    });
  }
});

describe("Solver.reset()", () => {
  for (const { name, config, options } of goldens.filter(({ options }) => options.steps === 4)) {
    it(`lets a solver start again: ${config._class_name}, ${name}`, () => {
      let generator = new TorchGenerator(5);
      const solver = createSolver(config, { ...options, noise: (count) => generator.randn(count) });
      const [first, second] = [0, 1].map(() => {
        generator = new TorchGenerator(5);
        solver.reset();
        return runModel(solver, { latents: generator.randn(COUNT), noise: new TorchGenerator(6) });
      });
      assert.deepEqual(first, second);
    });
  }
});

describe("Solver.step()", () => {
  for (const { name, config, options } of goldens.filter(({ options }) => options.steps === 4)) {
    it(`is linear in latents, outputs and noise: ${config._class_name}, ${name}`, () => {
      const run = (seeds: number[]) => {
        const generators = seeds.map((seed) => new TorchGenerator(seed));
        const noise = (count: number) => generators.map((each) => each.randn(count)).reduce(add);
        const solver = createSolver(config, { ...options, noise });
        const latents = noise(COUNT);
        for (const index of solver.timesteps.keys()) solver.step(index, noise(COUNT), latents);
        return latents;
      };
      const [sum, apart] = [run([7, 8]), add(run([7]), run([8]))];
      // Float32, over up to twelve steps with values of either sign.
      assertClose(sum, apart, 1e-5 * largest(sum));
    });

    it(`refuses steps and outputs that do not fit: ${config._class_name}, ${name}`, () => {
      const solver = createSolver(config, { ...options, noise: (count) => new Float32Array(count) });
      const latents = new Float32Array(4);
      assert.throws(() => solver.step(99, latents, latents), { name: "RangeError", message: /'index'/ });
      assert.throws(() => solver.step(0, new Float32Array(5), latents), {
        name: "RangeError",
        message: /\[5\] and the latents \[4\] differ/,
      });
    });
  }
});
