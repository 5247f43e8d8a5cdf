import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import {
  calculateShift,
  createSolver,
  laterSteps,
  linspace,
  type Solver,
  TorchGenerator,
} from "../../../sampler/mod.ts";
import goldens from "../../goldens/sampler/flow_match_euler.json" with { type: "json" };
import { float32s } from "../golden_array.ts";

const NAME = "FlowMatchEulerDiscreteScheduler";
const COUNT = 16;

/** The run of run_flow_match_euler() in make_sampler_goldens.py. */
function run(solver: Solver): Float32Array {
  const generator = new TorchGenerator(1);
  const latents = generator.randn(COUNT);
  const outputs = generator.randn(solver.timesteps.length * COUNT);
  for (const index of solver.timesteps.keys()) {
    solver.step(index, outputs.subarray(index * COUNT, (index + 1) * COUNT), latents);
  }
  return latents;
}

function assertClose(actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number): void {
  assert.equal(actual.length, expected.length);
  for (let i = 0; i < actual.length; i++) {
    const limit = tolerance * Math.max(1, Math.abs(expected[i]!));
    assert.ok(
      Math.abs(actual[i]! - expected[i]!) <= limit,
      `value ${i} is ${actual[i]}, expected ${expected[i]}`,
    );
  }
}

describe("FlowMatchEuler", () => {
  for (const [name, golden] of Object.entries(goldens)) {
    it(`equals diffusers' grid and steps bit for bit: ${name}`, () => {
      const noise = new TorchGenerator(2);
      const options = { ...golden.options, noise: (count: number) => noise.randn(count) };
      const solver = createSolver(golden.config, options);
      // No tolerance: both round at the same places.
      assert.deepEqual([...solver.timesteps], [...float32s(golden.timestepsF32)]);
      assert.deepEqual([...solver.sigmas], [...float32s(golden.sigmasF32)]);
      assert.deepEqual(run(solver), float32s(golden.finalF32));
    });
  }
});

describe("FlowMatchEuler.predictOriginal()", () => {
  for (const invert of [false, true]) {
    it(`finds the end of a straight path from anywhere on it, invert_sigmas ${invert}`, () => {
      const solver = createSolver({ _class_name: NAME, shift: 3, invert_sigmas: invert }, { steps: 6 });
      const velocity = new TorchGenerator(1).randn(COUNT);
      const latents = new TorchGenerator(2).randn(COUNT);
      const estimates = [...solver.timesteps.keys()].map((index) => {
        const estimate = solver.predictOriginal(index, velocity, latents);
        solver.step(index, velocity, latents);
        return estimate;
      });
      // Six float32 steps against one.
      for (const estimate of estimates) assertClose(estimate, latents, 2e-6);
    });
  }

  it("leaves the latents as they are", () => {
    const solver = createSolver({ _class_name: NAME }, { steps: 2 });
    const latents = Float32Array.of(1, 2);
    const estimate = solver.predictOriginal(1, Float32Array.of(1, 1), latents);
    assert.deepEqual([...latents], [1, 2]);
    assert.notDeepEqual(estimate, latents);
  });
});

describe("FlowMatchEuler.outputFactor()", () => {
  const config = { _class_name: "FlowMatchEulerDiscreteScheduler", shift: 3 };

  it("is the factor of a step's output, also in later steps", () => {
    const solver = createSolver(config, { steps: 8 });
    for (const [steps, begin] of [[solver, 0], [laterSteps(solver, 3), 3]] as const) {
      for (const index of [0, 4]) {
        const latents = new Float32Array(1);
        steps.step(index, Float32Array.of(1), latents);
        assert.equal(steps.outputFactor?.(index), latents[0], `step ${begin + index}`);
      }
    }
  });

  it("is undefined where steps draw noise, and absent from solvers with memory", () => {
    const stochastic = { ...config, stochastic_sampling: true };
    const solver = createSolver(stochastic, { steps: 8, noise: (count) => new Float32Array(count) });
    assert.equal(solver.outputFactor?.(2), undefined);
    const unipc = createSolver({ _class_name: "UniPCMultistepScheduler" }, { steps: 8 });
    assert.equal(unipc.outputFactor?.(2), undefined);
  });
});

describe("FlowMatchEuler.step()", () => {
  const solver = createSolver({ _class_name: NAME }, { steps: 2 });

  it("refuses steps that are not in the run", () => {
    for (const index of [-1, 2, 0.5]) {
      assert.throws(() => solver.step(index, new Float32Array(4), new Float32Array(4)), {
        name: "RangeError",
        message: `Cannot step as 'index' must be in 0..1: current value is ${index}`,
      });
    }
  });

  it("refuses outputs of another length", () => {
    assert.throws(() => solver.step(0, new Float32Array(5), new Float32Array(4)), {
      name: "RangeError",
      message: "Cannot step as the model output [5] and the latents [4] differ in length",
    });
  });
});

describe("shift_terminal", () => {
  const classes = [{ _class_name: NAME }, { _class_name: "UniPCMultistepScheduler", use_flow_sigmas: true }];
  for (const config of classes) {
    it(`leaves the only step of ${config._class_name} at full noise`, () => {
      const solver = createSolver({ ...config, shift_terminal: 0.02 }, { steps: 1, sigmas: [1] });
      assert(Math.abs(solver.sigmas[0]! - 1) < 2e-6, `sigma is ${solver.sigmas[0]}`);
      assert.equal(solver.sigmas[1], 0);
    });
  }
});

describe("createSolver()", () => {
  function assertRefused(config: Record<string, unknown>, message: string): void {
    assert.throws(() => createSolver({ _class_name: NAME, ...config }, { steps: 4 }), { message });
  }

  it("refuses scheduler classes that it does not know", () => {
    const known = "known are DDIMScheduler, DPMSolverMultistepScheduler, EulerAncestralDiscreteScheduler, " +
      "EulerDiscreteScheduler, FlowMatchEulerDiscreteScheduler, PNDMScheduler, UniPCMultistepScheduler";
    assertRefused(
      { _class_name: "LCMScheduler" },
      `Cannot create a solver as scheduler class 'LCMScheduler' is not supported: ${known}`,
    );
    assert.throws(() => createSolver({}, { steps: 4 }), { name: "TypeError", message: /class 'undefined'/ });
  });

  it("refuses options by name that the class does not define, but not diffusers' notes", () => {
    assertRefused({ flow_shift: 3 }, `Cannot use the scheduler config as ${NAME} has no option 'flow_shift'`);
    createSolver({ _class_name: NAME, _diffusers_version: "0.42.1" }, { steps: 4 });
  });

  it("refuses options of a wrong type or value", () => {
    assertRefused(
      { shift: "3" },
      `Cannot use the scheduler config as 'shift' of ${NAME} must be a number: current value is "3"`,
    );
    assertRefused(
      { time_shift_type: "cosine" },
      "Cannot create the solver as 'time_shift_type' must be exponential or linear: current value is cosine",
    );
    assertRefused(
      { num_train_timesteps: 0 },
      "Cannot create the solver as 'num_train_timesteps' must be an integer >= 1: current value is 0",
    );
    assertRefused(
      { use_karras_sigmas: true, use_beta_sigmas: true },
      "Cannot create the solver as only one of karras, exponential and beta sigmas can be used: " +
        "current value is karras, beta",
    );
  });

  it("refuses a run without the numbers that the config needs", () => {
    assertRefused(
      { use_dynamic_shifting: true },
      "Cannot create the solver as 'use_dynamic_shifting' needs the option 'imageSeqLen' or 'mu'",
    );
    assertRefused(
      { stochastic_sampling: true },
      "Cannot create the solver as 'stochastic_sampling' needs the option 'noise'",
    );
    assert.throws(
      () =>
        createSolver({ _class_name: NAME, use_dynamic_shifting: true, max_shift: null }, {
          steps: 4,
          imageSeqLen: 9,
        }),
      {
        message:
          "Cannot create the solver as 'base_shift' and 'max_shift' must not be null without the option 'mu'",
      },
    );
    assert.throws(() => createSolver({ _class_name: NAME }, { steps: 4, sigmas: [1, 0.5] }), {
      name: "RangeError",
      message: "Cannot create the solver as 'sigmas' must hold 4 values: current length is 2",
    });
  });
});

describe("calculateShift()", () => {
  it("goes through both ends of the line", () => {
    const line = { baseImageSeqLen: 256, maxImageSeqLen: 4096, baseShift: 0.5, maxShift: 1.15 };
    assertClose([calculateShift(256, line), calculateShift(4096, line)], [0.5, 1.15], 1e-12);
  });
});

describe("linspace()", () => {
  it("includes both ends, and the start alone where count is 1", () => {
    assert.deepEqual([...linspace(1, 0.25, 4)], [1, 0.75, 0.5, 0.25]);
    assert.deepEqual([...linspace(1, 0.25, 1)], [1]);
  });
});
