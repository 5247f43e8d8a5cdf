// Image to video from the command line: generate, batch and inspect.
import { after, before, describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { join } from "node:path";
import { readTensors } from "../../../gpu-worker/checkpoint/read_tensors.ts";
import { goldenPath, loadGoldens, maxError } from "../../goldens/golden.ts";
import { runTask } from "./run_task.ts";

const [FIRST, LAST] = ["first", "last"].map((name) => goldenPath(`frames/${name}.png`)) as [string, string];
const NEEDS = goldenPath("frames/tiny-a14b");
const TAKES = goldenPath("wan/tiny-ti2v");

let folder: string;
before(() => {
  folder = Deno.makeTempDirSync();
});
after(() => Deno.removeSync(folder, { recursive: true }));

function floatsOf(path: string, name: string): Float32Array {
  const { offset, byteLength } = readTensors(path).get(name)!;
  return new Float32Array(Deno.readFileSync(path).slice(offset, offset + byteLength).buffer);
}

describe("deno task generate, image to video", () => {
  it("gives diffusers' latents from --image and --last-image", async () => {
    const id = "picture.last";
    const { cases } = JSON.parse(Deno.readTextFileSync(goldenPath("frames/tiny-a14b/goldens.json")));
    const call = cases[id];
    const dump = join(folder, "dump.safetensors");
    const args = ["--model", NEEDS, "--image", FIRST, "--last-image", LAST, "--method", "none"];
    const { code, stderr } = await runTask("generate", [
      ...args,
      ...["--prompt", call.prompt, "--negative-prompt", call.negative_prompt, "--seed", `${call.seed}`],
      ...["--width", `${call.width}`, "--height", `${call.height}`, "--num-frames", `${call.num_frames}`],
      ...["--steps", `${call.num_inference_steps}`, "--guidance-scale", `${call.guidance_scale}`],
      ...["--max-sequence-length", `${call.max_sequence_length}`],
      ...["--out", join(folder, "video.gif"), "--dump", dump],
    ]);
    assert.equal(code, 0, stderr);
    const expected = loadGoldens("frames/tiny-a14b").floats(`${id}.latents`);
    assert(maxError(floatsOf(dump, "latents"), expected) <= 1e-4);
    assert.match(stderr, /A given frame of 64x40 is stretched to 48x32/);
  });

  for (const [name, hidden] of [["tiny-concat", 4], ["tiny-replace", 0]] as const) {
    it(`gives diffusers' latents of two seeds with hunyuan_video/${name}`, async () => {
      const model = `hunyuan_video/${name}`;
      const { cases } = JSON.parse(Deno.readTextFileSync(goldenPath(`${model}/goldens.json`)));
      const call = cases["picture.true_cfg_42"];
      const { code, stderr } = await runTask("generate", [
        ...["--model", goldenPath(model), "--image", FIRST, "--method", "none", "--n", "2", "--seed", "42"],
        ...["--prompt", call.prompt, "--negative-prompt", call.negative_prompt],
        ...["--true-cfg-scale", `${call.true_cfg_scale}`, "--guidance-scale", `${call.guidance_scale}`],
        ...["--width", `${call.width}`, "--height", `${call.height}`],
        ...["--num-frames", `${call.num_frames - hidden}`, "--steps", `${call.num_inference_steps}`],
        ...["--max-sequence-length", `${call.max_sequence_length}`],
        ...["--out", join(folder, `${name}.gif`), "--dump", join(folder, `${name}.safetensors`)],
      ]);
      assert.equal(code, 0, stderr);
      for (const seed of [42, 43]) {
        const expected = loadGoldens(model).floats(`picture.true_cfg_${seed}.latents`);
        const path = join(folder, `${name}-${seed}.safetensors`);
        assert(maxError(floatsOf(path, "latents"), expected) <= 1e-4);
      }
    });
  }

  it("says which frames are missing or too many", async () => {
    const REFUSED: [args: string[], message: RegExp][] = [
      [["--model", NEEDS], /must be given with this model, which makes videos from a first frame/],
      [["--model", TAKES, "--image", FIRST, "--last-image", LAST], /takes a first frame alone/],
      [["--model", TAKES, "--last-image", LAST], /--last-image takes --image/],
      [["--model", "models/shapes", "--image", FIRST], /makes videos from text alone/],
    ];
    for (const [args, message] of REFUSED) {
      const { code, stderr } = await runTask("generate", [...args, "--prompt", "x"]);
      assert.notEqual(code, 0);
      assert.match(stderr, message);
    }
  });
});

describe("deno task batch, image to video", () => {
  it("starts every prompt from the first frame, and keeps its digest", async () => {
    const prompts = join(folder, "prompts.txt");
    Deno.writeTextFileSync(prompts, "a red heart\na dog\n");
    const size = ["--width", "32", "--height", "32", "--num-frames", "5", "--steps", "3"];
    const args = ["--prompt-file", prompts, "--model", TAKES, "--image", FIRST, ...size];
    const { code, stderr } = await runTask("batch", [
      ...args,
      "--output-base-path",
      folder,
      "--exp-name",
      "b",
    ]);
    assert.equal(code, 0, stderr);
    const made = [...Deno.readDirSync(join(folder, "b"))].filter(({ isDirectory }) => isDirectory);
    assert.equal(made.length, 2);
    const stats = JSON.parse(Deno.readTextFileSync(join(folder, "b", made[0]!.name, "stats.json")));
    assert.match(stats.settings.image_sha256, /^[0-9a-f]{64}$/);
  });
});

describe("deno task inspect, image to video", () => {
  it("says which frames the model takes and how much memory they need", async () => {
    const { stdout } = await runTask("inspect", ["--model", NEEDS, "--num-frames", "5", "--json"]);
    const { run, memory } = JSON.parse(stdout);
    assert.deepEqual(run.frames, { first: "required", last: "optional" });
    // Two branches of a mask and latents for 2 x 60 x 104 places, in float32.
    assert.equal(memory.conditionBytes, 2 * 8 * (2 * 60 * 104) * 4);
    const text = await runTask("inspect", ["--model", TAKES]);
    assert.match(text.stdout, /a video may have a first frame \(--image\)/);
  });
});
