// Options of a scheduler_config.json that solvers refuse, and their errors.

import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { createSolver, type SchedulerConfig, type SolverOptions } from "../../../../sampler/mod.ts";

const DDIM = "DDIMScheduler";
const DPM = "DPMSolverMultistepScheduler";
const EULER = "EulerDiscreteScheduler";
const ANCESTRAL = "EulerAncestralDiscreteScheduler";
const PNDM = "PNDMScheduler";
const UNIPC = "UniPCMultistepScheduler";
const ALL = [DDIM, DPM, EULER, ANCESTRAL, PNDM, UNIPC];
const noise = (count: number) => new Float32Array(count);

type Refusal = [name: string, config: SchedulerConfig, message: string, options?: Partial<SolverOptions>];

function assertRefused([name, config, message, options = {}]: Refusal): void {
  assert.throws(
    () => createSolver({ _class_name: name, ...config }, { steps: 4, noise, ...options }),
    { message },
    message,
  );
}

describe("createSolver()", () => {
  it("refuses options that no scheduler defines, in each class", () => {
    for (const name of ALL) {
      assertRefused([name, { eta: 1 }, `Cannot use the scheduler config as ${name} has no option 'eta'`]);
    }
  });

  it("ignores what diffusers ignores: siblings' options and _use_default_values", () => {
    for (const name of ALL) {
      const config = { _class_name: name, skip_prk_steps: true, clip_sample: false, rho: 7 };
      createSolver(config, { steps: 4, noise });
      const unset = { _use_default_values: ["prediction_type"], prediction_type: "v_prediction" };
      const solvers = [config, { ...config, ...unset }].map((each) => {
        const latents = Float32Array.of(1, 2);
        createSolver(each, { steps: 4, noise }).step(0, Float32Array.of(3, 4), latents);
        return latents;
      });
      assert.deepEqual(solvers[0], solvers[1]);
    }
    // A flow-matching scheduler has no siblings.
    assert.throws(
      () => createSolver({ _class_name: "FlowMatchEulerDiscreteScheduler", rho: 7 }, { steps: 4 }),
      { message: "Cannot use the scheduler config as FlowMatchEulerDiscreteScheduler has no option 'rho'" },
    );
  });

  it("refuses names that an option does not know, in each class", () => {
    for (const name of ALL) {
      assertRefused([
        name,
        { beta_schedule: "sigmoid" },
        "Cannot create the solver as 'beta_schedule' must be linear, " +
        "scaled_linear or squaredcos_cap_v2: current value is sigmoid",
      ]);
      assertRefused([
        name,
        { timestep_spacing: "even" },
        "Cannot create the solver as 'timestep_spacing' must be linspace, leading or trailing: " +
        "current value is even",
      ]);
      assert.throws(
        () => createSolver({ _class_name: name, prediction_type: "score" }, { steps: 4, noise }),
        { name: "TypeError", message: /'prediction_type' must be epsilon.*: current value is score$/ },
      );
    }
  });

  it("refuses wrong types and numbers outside their range, in each class", () => {
    for (const name of ALL) {
      const steps = "Cannot create the solver as 'steps' must be an integer in 1..1000: current value is";
      assertRefused([name, {}, `${steps} 0`, { steps: 0 }]);
      assertRefused([name, {}, `${steps} 2000`, { steps: 2000 }]);
      assertRefused([
        name,
        { trained_betas: [0.1, "0.2"] },
        `Cannot use the scheduler config as 'trained_betas' of ${name} must be an array of numbers: ` +
        `current value is [0.1,"0.2"]`,
      ]);
      assertRefused([
        name,
        { trained_betas: [0.1] },
        "Cannot create the solver as 'trained_betas' must hold 1000 values: current length is 1",
      ]);
      assertRefused([
        name,
        { beta_end: 2 },
        "Cannot create the solver as 'beta_end' must be a number in 0..1: current value is 2",
      ]);
    }
  });

  it("refuses sigmas where the scheduler makes its own", () => {
    for (const name of ALL) {
      const message = `Cannot create the solver as ${name} takes no sigmas but its config's`;
      assertRefused([name, {}, message, { sigmas: [1, 0.7, 0.4, 0.1] }]);
    }
    assertRefused([
      UNIPC,
      { use_flow_sigmas: true },
      "Cannot create the solver as 'sigmas' must hold 4 values: current length is 1",
      { sigmas: [1] },
    ]);
  });

  it("refuses options that latents cannot use", () => {
    for (const name of [DDIM, DPM, UNIPC]) {
      const message = `Cannot create the solver as 'thresholding' of ${name} is not supported: ` +
        "it is unsuitable for latents";
      assertRefused([name, { thresholding: true }, message]);
    }
    assertRefused([
      DPM,
      { variance_type: "learned_range" },
      `Cannot create the solver as 'variance_type' of ${DPM} is not supported: models of latents have none`,
    ]);
    assertRefused([
      UNIPC,
      { solver_p: {} },
      `Cannot create the solver as 'solver_p' of ${UNIPC} is not supported: a config cannot hold a scheduler`,
    ]);
  });

  it("refuses stochastic solvers without noise", () => {
    const sde = { _class_name: DPM, algorithm_type: "sde-dpmsolver++" };
    for (const config of [{ _class_name: ANCESTRAL }, sde]) {
      assert.throws(() => createSolver(config, { steps: 4 }), {
        name: "TypeError",
        message: `Cannot create the solver as ${config._class_name} needs the option 'noise'`,
      });
    }
    createSolver({ _class_name: DPM }, { steps: 4 });
  });

  const REFUSALS: Refusal[] = [
    [
      EULER,
      { use_karras_sigmas: true, use_beta_sigmas: true },
      "Cannot create the solver as only one of karras, exponential and beta sigmas can be used: " +
      "current value is karras, beta",
    ],
    [
      ANCESTRAL,
      { prediction_type: "sample" },
      "Cannot create the solver as 'prediction_type' must be epsilon or v_prediction: " +
      "current value is sample",
    ],
    [
      DDIM,
      { steps_offset: 251 },
      "Cannot create the solver as 'steps_offset' must keep timesteps in 0..999: current value is 1001",
    ],
    [PNDM, {}, "Cannot create the solver as 'steps' must be an integer >= 4: current value is 3", {
      steps: 3,
    }],
    [
      DPM,
      { solver_order: 4 },
      "Cannot create the solver as 'solver_order' must be an integer in 1..3: current value is 4",
    ],
    [
      DPM,
      { algorithm_type: "dpmsolver" },
      "Cannot create the solver as 'final_sigmas_type' must be sigma_min with dpmsolver: " +
      "current value is zero",
    ],
    [
      DPM,
      { algorithm_type: "sde-dpmsolver", final_sigmas_type: "sigma_min", solver_order: 3 },
      "Cannot create the solver as 'solver_order' must be 1 or 2 with sde-dpmsolver: current value is 3",
    ],
    [
      DPM,
      { algorithm_type: "dpmsolver", final_sigmas_type: "sigma_min", prediction_type: "flow_prediction" },
      "Cannot create the solver as 'prediction_type' must be epsilon, sample or v_prediction: " +
      "current value is flow_prediction",
    ],
    [
      DPM,
      { use_lu_lambdas: true, use_beta_sigmas: true },
      "Cannot create the solver as 'use_lu_lambdas' does not go with another spacing: current value is beta",
    ],
    [
      DPM,
      { use_flow_sigmas: true, use_lu_lambdas: true },
      "Cannot create the solver as 'use_flow_sigmas' does not go with another spacing: current value is lu",
    ],
    [
      DPM,
      { time_shift_type: "linear" },
      "Cannot create the solver as 'time_shift_type' must be exponential: current value is linear",
    ],
    [
      UNIPC,
      { use_flow_sigmas: true, use_beta_sigmas: true },
      "Cannot create the solver as 'use_flow_sigmas' goes with no spacing but karras: current value is beta",
    ],
    [
      UNIPC,
      { use_dynamic_shifting: true },
      "Cannot create the solver as 'use_dynamic_shifting' needs the option 'mu'",
    ],
    [UNIPC, { shift_terminal: 0.1 }, "Cannot create the solver as 'shift_terminal' needs 'use_flow_sigmas'"],
    [
      UNIPC,
      { predict_x0: false, prediction_type: "flow_prediction" },
      "Cannot create the solver as 'prediction_type' must be epsilon, sample or v_prediction: " +
      "current value is flow_prediction",
    ],
    [
      UNIPC,
      { lower_order_final: false },
      "Cannot create the solver as 'final_sigmas_type' must be sigma_min without 'lower_order_final': " +
      "current value is zero",
    ],
  ];
  for (const refusal of REFUSALS) {
    it(`refuses what does not go together: ${refusal[0]}, ${JSON.stringify(refusal[1])}`, () => {
      assertRefused(refusal);
    });
  }
});
