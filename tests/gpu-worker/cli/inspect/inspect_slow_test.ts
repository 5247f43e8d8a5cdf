// Compares the memory that `deno task inspect` predicts with the memory that `deno task generate` uses.
import { after, before, describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { join } from "node:path";
import { goldenPath } from "../../../goldens/golden.ts";
import { runTask } from "../run_task.ts";

const CHECKPOINTS = [
  "models/emoji",
  ...["flux/tiny-dev", "sd3/tiny-large", "sdxl/tiny-sdxl", "sdxl/tiny-sd15"].map(goldenPath),
];
/** A tenth, as the command promises. The JavaScript heap alone varies by some MiB between runs. */
const TOLERANCE = 0.1;
/** Largest number of runs for one case. */
const RUNS = 7;

let folder: string;
before(() => {
  folder = Deno.makeTempDirSync();
});
after(() => Deno.removeSync(folder, { recursive: true }));

async function json(task: string, args: string[]) {
  const { code, stdout, stderr } = await runTask(task, [...args, "--json"]);
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout);
}

async function assertPredicted(args: string[], extension = "png"): Promise<void> {
  const { memory } = await json("inspect", args);
  const out = join(folder, `x.${extension}`);
  const draw = () => json("generate", [...args, "--prompt", "red heart", "--out", out]);
  // The first run also optimizes the graphs and caches them.
  await draw();
  // Peaks vary both ways from run to run, on a busy machine by more than a tenth. The middle one of a few
  // runs is the memory of a picture.
  const measured: number[] = [];
  const measure = async () => void measured.push((await draw()).peakMemoryBytes);
  await measure();
  while (errorOf(measured) > TOLERANCE && measured.length < RUNS) {
    await measure();
    await measure();
  }
  assert.ok(errorOf(measured) <= TOLERANCE, `predicted ${memory.peakBytes}, measured ${measured}`);

  function errorOf(peaks: readonly number[]): number {
    const middle = peaks.toSorted((a, b) => a - b)[peaks.length >> 1]!;
    return Math.abs(memory.peakBytes - middle) / middle;
  }
}

describe("deno task inspect", () => {
  for (const model of CHECKPOINTS) {
    it(`predicts the peak memory of a run with ${model.split("/").slice(-2).join("/")}`, async () => {
      await assertPredicted(["--model", model]);
    });
  }

  for (const [model, side] of [["hunyuan_video/tiny-distilled", 256], ["wan/tiny-unipc", 256]] as const) {
    it(`predicts it for a video of ${model}`, async () => {
      const size = ["--width", String(side), "--height", String(side), "--num-frames", "17"];
      await assertPredicted(["--model", goldenPath(model), "--steps", "8", ...size], "mp4");
    });
  }

  it("predicts it for the size and the steps of the command line, too", async () => {
    await assertPredicted(["--width", "256", "--height", "256", "--steps", "10"]);
  });

  it("predicts the effects of --offload, --vae-tiling and a LoRA", async () => {
    await assertPredicted(["--offload"]);
    await assertPredicted(["--width", "256", "--height", "256", "--steps", "10", "--vae-tiling"]);
    const lora = goldenPath("lora/flux/style.safetensors");
    await assertPredicted(["--model", goldenPath("flux/tiny-dev"), "--lora", lora, "--offload"]);
  });

  it("counts the history's slots by the plan", async () => {
    const { memory } = await json("inspect", ["--steps", "50"]);
    const { memory: fewer } = await json("inspect", ["--steps", "10"]);
    // Each slot: two branches, 64 tokens of 128 features, float32. All 7 full passes of 50
    // steps come before forecasts.
    assert.deepEqual([memory.historySlots, memory.historyBytes], [7, 7 * 2 * 64 * 128 * 4]);
    assert.ok(fewer.historySlots < 7, `${fewer.historySlots} slots`);
  });
});
