import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { ApiError } from "../../../protocol/wire/api_error.ts";
import { chooseSampler } from "../../../routes/a1111/choose_sampler.ts";

const NOISE = {
  id: "sd",
  schedulers: [
    "PNDMScheduler",
    "DDIMScheduler",
    "DPMSolverMultistepScheduler",
    "EulerAncestralDiscreteScheduler",
    "EulerDiscreteScheduler",
  ],
};
const FLOW = { id: "flux", schedulers: ["FlowMatchEulerDiscreteScheduler"] };

describe("chooseSampler()", () => {
  it("knows both ways to name a spacing", () => {
    const karras = {
      scheduler: "DPMSolverMultistepScheduler",
      scheduler_options: { use_karras_sigmas: true },
    };
    assert.deepEqual(chooseSampler({ sampler_name: "DPM++ 2M Karras" }, NOISE), karras);
    assert.deepEqual(chooseSampler({ sampler_name: "dpm++ 2m", scheduler: "Karras" }, NOISE), karras);
    assert.deepEqual(chooseSampler({ sampler_name: "Euler", scheduler: "normal" }, NOISE), {
      scheduler: "EulerDiscreteScheduler",
      scheduler_options: {},
    });
  });

  it("leaves the model's own where nothing else is named", () => {
    for (const sampler_name of [undefined, "", "Automatic"]) {
      assert.deepEqual(chooseSampler({ sampler_name }, NOISE), {});
    }
  });

  it("takes Euler for a flow model's own sampler, and names samplers that it cannot follow", () => {
    assert.deepEqual(chooseSampler({ sampler_name: "Euler", scheduler: "" }, FLOW), {
      scheduler: "FlowMatchEulerDiscreteScheduler",
      scheduler_options: {},
    });
    assert.match(chooseSampler({ sampler_name: "DDIM" }, FLOW).warning!, /^flux cannot be sampled with DDIM/);
    const { warning, scheduler_options } = chooseSampler(
      { sampler_name: "Euler a", scheduler: "karras" },
      NOISE,
    );
    assert.deepEqual(scheduler_options, {});
    assert.match(warning!, /'karras' has no effect/);
  });

  it("refuses unknown names, listing the known ones", () => {
    for (
      const [request, message] of [
        [
          { sampler_name: "Heun" },
          /'sampler_name' must be one of Automatic, Euler, .*: current value is 'Heun'/,
        ],
        [{ sampler_name: "Euler", scheduler: "sgm" }, /'scheduler' must be one of automatic, normal, karras/],
      ] as const
    ) {
      assert.throws(() => chooseSampler(request, NOISE), (error) => {
        assert.ok(error instanceof ApiError && error.status === 400);
        assert.match(error.message, message);
        return true;
      });
    }
  });
});
