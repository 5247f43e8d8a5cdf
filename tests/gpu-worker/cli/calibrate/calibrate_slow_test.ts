// `deno task calibrate` on tiny checkpoints of each kind of solver and guidance, up to
// runs that use the result.
import { after, before, describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { join } from "node:path";
import { UsageError } from "../../../../protocol/process/usage_error.ts";
import { parseCalibration } from "../../../../gpu-worker/checkpoint/calibration_file.ts";
import { calibrate } from "../../../../gpu-worker/cli/calibrate/calibrate.ts";
import { openPipeline } from "../../../../gpu-worker/model/open_pipeline.ts";
import { completeRequest } from "../../../../gpu-worker/request/complete_request.ts";
import type { PartialRequest } from "../../../../gpu-worker/request/generate_request.ts";
import { goldenPath } from "../../../goldens/golden.ts";
import { ChangedCheckpoint } from "../../pipeline/changed_checkpoint.ts";

let folder: string;
let prompts: string;
before(() => {
  folder = Deno.makeTempDirSync();
  prompts = join(folder, "prompts.txt");
  Deno.writeTextFileSync(prompts, "a crab\na fish\nan owl\na red hat\n");
});
after(() => Deno.removeSync(folder, { recursive: true }));

const SIZE = { width: 32, height: 32 };
const FEW = [
  "--width",
  "32",
  "--height",
  "32",
  "--passes",
  "2-3",
  "--record",
  "2",
  "--search",
  "1",
  "--validate",
  "1",
  "--trials",
  "3",
];

function argumentsOf(model: string, { out, steps }: { out: string; steps: string }): string[] {
  const frames = model.startsWith("wan") ? ["--num-frames", "5"] : [];
  return [
    "--model",
    goldenPath(model),
    "--prompt-file",
    prompts,
    "--out",
    out,
    "--steps",
    steps,
    ...FEW,
    ...frames,
  ];
}

async function run(args: string[], onPart: (part: string) => void = () => {}): Promise<void> {
  await calibrate(args, new AbortController().signal, { onPart });
}

describe("deno task calibrate", () => {
  // PNDM calls the network twice at one sigma.
  const cases = [
    ["flux/tiny-dev", "sigma", 6, ["conditional"]],
    ["sd3/tiny-large", "sigma", 6, ["conditional", "unconditional", "cross"]],
    ["sdxl/tiny-sd15", "sigma", 6, ["conditional", "unconditional", "cross"]],
    ["sdxl/tiny-sdxl", "logSigma", 6, ["conditional", "unconditional", "cross"]],
    ["wan/tiny-unipc", "sigma", 6, ["conditional", "unconditional", "cross"]],
  ] as const;
  for (const [model, coordinate, points, branches] of cases) {
    it(`writes a calibration of ${model} that its runs use`, async () => {
      const out = join(folder, `${model.replace("/", "-")}.json`);
      await run(argumentsOf(model, { out, steps: "6" }));
      const calibration = parseCalibration(Deno.readTextFileSync(out), out);
      assert.equal(calibration.coordinate, coordinate);
      assert.equal(calibration.grid.length, points);
      assert.deepEqual(Object.keys(calibration.products), branches);
      assert.deepEqual(Object.keys(calibration.plans[6]!), ["2", "3"]);
      assert.throws(() => Deno.statSync(`${out}.part`), Deno.errors.NotFound);

      using pipeline = await openPipeline(goldenPath(model), { calibration: out });
      const numFrames = calibration.source.numFrames;
      const draw = async (request: Partial<PartialRequest>) =>
        await pipeline.generate(
          completeRequest(
            { prompt: "a crab", seed: 1, ...SIZE, numFrames, ...request },
            pipeline.description,
          ),
        );
      const { psnr, fullSteps } = calibration.plans[6]![3]!;
      const { sampler, plan, forecastErrors, ...drawn } = await draw({ steps: 6, sampler: { passes: 3 } });
      assert.equal(sampler.method, "calibrated");
      assert.deepEqual(plan.flatMap((kind, i) => kind === "full" ? [i] : []), fullSteps);
      assert.ok(Number.isFinite(psnr));
      assert.deepEqual([...drawn.calibration!.predictedErrors.keys()], [...forecastErrors.keys()]);
      // Any other number of steps, within the recorded range.
      const other = await draw({ steps: 9, sampler: { passes: 4 } });
      assert.equal(other.plan.filter((kind) => kind === "full").length >= 4, true);
    });
  }

  it("goes on where it was interrupted", async () => {
    const out = join(folder, "resumed.json");
    const args = argumentsOf("flux/tiny-dev", { out, steps: "9,6" });
    const controller = new AbortController();
    const interrupted = calibrate(args, controller.signal, {
      onPart: (part) => {
        if (part === "6 steps: plans of 2 passes") controller.abort(new Error("Ctrl-C"));
      },
    });
    await assert.rejects(interrupted, /Ctrl-C/);
    assert.match(Deno.readTextFileSync(`${out}.part`), /"record 1"/);
    const whole = join(folder, "whole.json");
    await run(args);
    await run(argumentsOf("flux/tiny-dev", { out: whole, steps: "9,6" }));
    assert.equal(Deno.readTextFileSync(out), Deno.readTextFileSync(whole));
  });

  it("refuses before it draws if no calibration can come of it", async () => {
    const few = join(folder, "few.txt");
    Deno.writeTextFileSync(few, "a crab\na fish\n");
    const common = ["--model", goldenPath("flux/tiny-dev"), "--out", join(folder, "none.json")];
    const cases: [string[], RegExp][] = [
      [[], /--prompt-file is missing, and the checkpoint lists no names/],
      [["--prompt-file", few], /must have at least 3 prompts, but has 2/],
      [["--prompt-file", prompts, "--passes", "3-6", "--steps", "6"], /--passes must be below 6/],
      [["--passes", "many"], /--passes must be A-B/],
      [["--steps", "1"], /--steps must be whole numbers in 4\.\.1000/],
      [["--lora", goldenPath("lora/flux/style.safetensors")], /--lora must be left out/],
    ];
    for (const [args, message] of cases) {
      await assert.rejects(run([...common, ...args]), (error: Error) => {
        assert.ok(error instanceof UsageError, error.message);
        assert.match(error.message, message);
        return true;
      });
    }
    assert.throws(() => Deno.statSync(join(folder, "none.json")), Deno.errors.NotFound);
  });

  it("refuses a model of two experts", async () => {
    const out = join(folder, "no.json");
    await assert.rejects(run(argumentsOf("wan/tiny-a14b", { out, steps: "24" })), (error: Error) => {
      assert.ok(error instanceof UsageError, error.message);
      assert.match(error.message, /^--model must be one .* from one network to another/);
      return true;
    });
  });

  it("warns of a solver that adds noise", async () => {
    using ancestral = new ChangedCheckpoint(goldenPath("sdxl/tiny-sd15"), {
      scheduler: { _class_name: "EulerAncestralDiscreteScheduler" },
    });
    const warnings: string[] = [];
    const args = ["--model", ancestral.folder, "--prompt-file", prompts, "--out", join(folder, "noise.json")];
    await calibrate([...args, "--steps", "6", ...FEW], new AbortController().signal, {
      onPart: () => {},
      warn: (message) => warnings.push(message),
    });
    assert.match(warnings.join(), /^This solver adds noise at each step/);
    using pipeline = await openPipeline(ancestral.folder, { calibration: join(folder, "noise.json") });
    const request = completeRequest(
      { prompt: "a crab", seed: 1, ...SIZE, steps: 6, sampler: { passes: 3 } },
      pipeline.description,
    );
    const { sampler, calibration } = await pipeline.generate(request);
    assert.equal(sampler.method, "calibrated");
    assert.equal(calibration!.predictedErrors.size, 0);
  });

  it("begins with the plans of the file that it replaces, if that is of the same model", async () => {
    const out = join(folder, "again.json");
    const args = argumentsOf("flux/tiny-dev", { out, steps: "9" });
    await run(args);
    const { plans, ...rest } = JSON.parse(Deno.readTextFileSync(out));
    // Three steps at the end are a plan that no prediction chooses. Of equal trials the first one stays.
    plans["9"]["3"].fullSteps = [0, 7, 8];
    Deno.writeTextFileSync(out, JSON.stringify({ ...rest, plans }));
    const tried: string[] = [];
    const controller = new AbortController();
    await assert.rejects(calibrate(args, controller.signal, {
      onPart: (part) => {
        if (part === "9 steps: measuring the plans") controller.abort(new Error("enough"));
      },
    }));
    for (const line of Deno.readTextFileSync(`${out}.part`).split("\n")) {
      if (line.startsWith('["search 9 ')) tried.push(line.split('"')[1]!.split(" ").at(-1)!);
    }
    assert.ok(tried.includes("0,7,8"), `${tried}`);
  });
});
