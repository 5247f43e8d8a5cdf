// `deno task batch` with two processes on the CPU: what it writes, what it skips, and what
// failures and Ctrl-C leave.
import { after, before, beforeEach, describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { join, resolve } from "node:path";
import { TextLineStream } from "@std/streams/text-line-stream";
import sharp from "sharp";
import { encodeImage } from "../../../../gpu-worker/media/encode_image.ts";
import { parseBatchArguments } from "../../../../gpu-worker/cli/batch/batch_arguments.ts";
import { goldenPath } from "../../../goldens/golden.ts";
import { runTask, startTask } from "../run_task.ts";

const STEPS = ["--steps", "2"];

let root: string;
let base: string;
let promptFile: string;
/** A unique name, by which this test recognizes its processes. */
let model: string;
let count = 0;
before(() => {
  root = Deno.makeTempDirSync();
  model = join(root, "model");
  Deno.symlinkSync(resolve("models/emoji"), model);
});
after(() => Deno.removeSync(root, { recursive: true }));
beforeEach(() => {
  base = join(root, String(count++));
  promptFile = `${base}.txt`;
});

function writePrompts(prompts: readonly string[]): string[] {
  Deno.writeTextFileSync(promptFile, prompts.join("\n") + "\n");
  return [
    "--prompt-file",
    promptFile,
    "--model",
    model,
    "--output-base-path",
    base,
    "--exp-name",
    "e",
    ...STEPS,
  ];
}

const folderOf = (name: string) => join(base, "e", name);
const readStats = (name: string) => JSON.parse(Deno.readTextFileSync(join(folderOf(name), "stats.json")));
const numbered = (length: number) => Array.from({ length }, (_, i) => `prompt ${i}`);

describe("deno task batch", () => {
  it("names the parts of a LoRA's file that it leaves out", async () => {
    const args = writePrompts(["a crab"]).map((arg) => arg === model ? goldenPath("flux/tiny-dev") : arg);
    const lora = goldenPath("lora/names/flux/dora.safetensors");
    const { code, stderr } = await runTask("batch", [...args, "--lora", lora]);
    assert.equal(code, 0, stderr);
    assert.equal(stderr.match(/batch: .*left out scales of DoRA/g)?.length, 1, stderr);
  });

  it("writes a picture and stats for each prompt, and the next time only missing ones", async () => {
    const args = writePrompts(["red heart", "", "dog face", "not. drawn"]);
    const spectrum = ["--method", "spectrum"];
    const two = [...args, ...spectrum, "--total-prompt-num", "2"];
    const { code, stdout, stderr } = await runTask("batch", [...two, "--devices", "cpu,cpu"]);
    assert.equal(code, 0, stderr);
    assert.match(stdout, /2 drawn in .* 0 there before, 0 failed; a picture took .* 2\.0 full passes/);
    assert.deepEqual([...Deno.readDirSync(join(base, "e"))].map(({ name }) => name).sort(), [
      "dog_face",
      "red_heart",
    ]);
    const { time, settings, ...stats } = readStats("red_heart");
    assert.ok(time > 0);
    assert.deepEqual(
      [
        stats.prompt,
        stats.actual_forward_count,
        stats.window_size,
        stats.flex_window,
        stats.w,
        stats.lam,
        stats.method,
      ],
      ["red heart", 2, 2, 0.75, 0.5, 0.1, "spectrum"],
    );
    assert.deepEqual([settings.seed, settings.steps, settings.true_cfg_scale, settings.dtype], [
      42,
      2,
      2,
      "float32",
    ]);

    const alone = join(base, "alone.png");
    await runTask("generate", [
      "--prompt",
      "red heart",
      "--out",
      alone,
      "--model",
      model,
      ...STEPS,
      ...spectrum,
    ]);
    assert.deepEqual(Deno.readFileSync(join(folderOf("red_heart"), "image.png")), Deno.readFileSync(alone));

    // A picture without stats.json was interrupted.
    Deno.renameSync(
      join(folderOf("dog_face"), "stats.json"),
      join(folderOf("dog_face"), "stats.json.0.part"),
    );
    const again = await runTask("batch", [...two, "--json"]);
    assert.equal(again.code, 0, again.stderr);
    const { drawn, finished, failed } = JSON.parse(again.stdout);
    assert.deepEqual([drawn, finished, failed], [1, 1, []]);
    const files = [...Deno.readDirSync(folderOf("dog_face"))].map(({ name }) => name).sort();
    assert.deepEqual(files, ["image.png", "stats.json"]);

    const other = await runTask("batch", [...two, "--seed", "7"]);
    assert.equal(other.code, 1);
    assert.match(
      other.stderr,
      /red_heart holds a picture of other settings \(seed 42, now 7\): choose another --exp-name/,
    );
  });

  it("names each failure and draws the other prompts", async () => {
    const args = writePrompts(["rocket", "x".repeat(40_000), "crab"]);
    const { code, stdout, stderr } = await runTask("batch", args);
    assert.equal(code, 1);
    assert.match(stdout, /2 drawn in .* 1 failed/);
    assert.match(stderr, /line 2, "x{59}…": .*'prompt' must have at most 32000 characters/);
    assert.match(stderr, /batch: 1 of 3 prompts failed\n$/);
    assert.deepEqual([readStats("rocket").prompt, readStats("crab").prompt], ["rocket", "crab"]);
  });

  it("goes on after a process has died, at the cost of the prompt it was drawing", async () => {
    // Steps enough that prompts are left when the process is found.
    const child = startTask("batch", [...writePrompts(numbered(12)).slice(0, -1), "40", "--method", "none"]);
    const { first, rest } = await firstLine(child.stderr);
    for (const pid of workers()) Deno.kill(pid, "SIGKILL");
    const { code } = await child.status;
    const lines = [first, ...await rest];
    assert.equal(code, 1, lines.join("\n"));
    assert.equal(
      lines.filter((line) => /line \d+, "prompt \d+": its process ended with SIGKILL/.test(line)).length,
      1,
    );
    assert.match(lines.at(-1)!, /batch: 1 of 12 prompts failed/);
    await child.stdout.cancel();
  });

  it("stops all processes on Ctrl-C and leaves whole pictures only", async () => {
    const args = writePrompts(numbered(500));
    const child = startTask("batch", [...args, "--devices", "cpu,cpu"]);
    const { rest } = await firstLine(child.stderr);
    assert.ok(workers().length >= 1);
    child.kill("SIGINT");
    const { code } = await child.status;
    assert.equal(code, 130);
    assert.match((await rest).at(-1)!, /finished pictures are kept; the same command draws the rest/);
    assert.deepEqual(workers(), []);
    const folders = [...Deno.readDirSync(join(base, "e"))].map(({ name }) => name);
    assert.ok(folders.length > 0 && folders.length < 500);
    for (const name of folders) {
      const files = [...Deno.readDirSync(folderOf(name))].map(({ name }) => name).sort();
      assert.deepEqual(files, ["image.png", "stats.json"]);
    }
    await child.stdout.cancel();
  });

  it("starts every prompt from an image, in little memory", async () => {
    const image = `${base}.png`;
    const start = { width: 80, height: 64, data: new Float32Array(3 * 80 * 64).fill(0.5) };
    Deno.writeFileSync(image, await encodeImage(start));
    const args = [...writePrompts(["red heart", "dog face"]).slice(0, -1), "10", "--image", image];
    const from = ["--strength", "0.5", "--width", "64", "--height", "64"];
    const { code, stderr } = await runTask("batch", [...args, ...from, "--offload", "--vae-tiling"]);
    assert.equal(code, 0, stderr);
    const { settings, actual_forward_count, forecast_count } = readStats("red heart".replace(" ", "_"));
    assert.equal(actual_forward_count + forecast_count, 5);
    assert.deepEqual([settings.strength, settings.image_sha256.length], [0.5, 64]);

    const alone = join(base, "from-image.png");
    // Tiling is part of what the file says about its model.
    const one = ["--prompt", "red heart", "--out", alone, "--model", model, "--steps", "10", "--vae-tiling"];
    await runTask("generate", [...one, "--image", image, ...from]);
    assert.deepEqual(Deno.readFileSync(join(folderOf("red_heart"), "image.png")), Deno.readFileSync(alone));

    Deno.writeFileSync(image, await encodeImage({ ...start, data: start.data.fill(0) }));
    const other = await runTask("batch", [...args, ...from, "--vae-tiling"]);
    assert.match(other.stderr, /red_heart holds a picture of other settings \(image_sha256/);
    const alike = await runTask("batch", [...args.slice(0, -1), `${base}.txt`]);
    assert.equal(alike.code, 1);
    assert.match(alike.stderr, /^batch: Cannot read 'image' as it is no image/);
  });

  it("draws every prompt in a mask, and keeps the pixels outside", async () => {
    const [image, mask] = [`${base}.png`, `${base}-mask.png`];
    const size = { width: 64, height: 64 };
    const start = { ...size, data: Float32Array.from({ length: 3 * 64 * 64 }, (_, i) => (i % 64) / 64) };
    Deno.writeFileSync(image, await encodeImage(start));
    const half = Uint8Array.from({ length: 64 * 64 }, (_, i) => i % 64 < 32 ? 255 : 0);
    await sharp(half, { raw: { ...size, channels: 1 } }).png().toFile(mask);
    const args = [...writePrompts(["red heart", "dog face"]).slice(0, -1), "6", "--image", image];
    const masked = ["--mask", mask, "--mask-mode", "white"];
    const { code, stderr } = await runTask("batch", [...args, ...masked]);
    assert.equal(code, 0, stderr);
    const { settings } = readStats("red_heart");
    assert.deepEqual([settings.mask_mode, settings.mask_sha256.length], ["white", 64]);
    const pixels = async (path: string) => await sharp(path).removeAlpha().raw().toBuffer();
    const [own, drawn] = await Promise.all([image, join(folderOf("dog_face"), "image.png")].map(pixels));
    const changed = [...own!.keys()].filter((i) => own![i] !== drawn![i]).map((i) => Math.floor(i / 3) % 64);
    assert.ok(changed.length > 0 && changed.every((column) => column < 32));
    const other = await runTask("batch", [...args, ...masked, "--mask-blur", "3"]);
    assert.match(other.stderr, /holds a picture of other settings \(mask_blur/);
  });

  it("looks at several images for every prompt", async () => {
    const images = ["wide", "tall"].map((name) => goldenPath(`references/${name}.png`));
    const args = writePrompts(["red heart"]).slice(0, -1);
    const klein = args.with(args.indexOf("--model") + 1, goldenPath("flux2/tiny-base"));
    const given = images.flatMap((image) => ["--image", image]);
    const { code, stderr } = await runTask("batch", [...klein, "2", ...given]);
    assert.equal(code, 0, stderr);
    const { settings, forecast_count } = readStats("red_heart");
    assert.deepEqual([settings.references_sha256.length, settings.width, settings.height], [2, 96, 64]);
    assert.equal(forecast_count, 0);
    const strength = await runTask("batch", [...klein, "2", ...given, "--strength", "0.5"]);
    assert.match(strength.stderr, /'strength' must be absent with this model/);
    const several = await runTask("batch", [...args, "2", ...given]);
    assert.match(several.stderr, /'image' must be one image with this model: there are 2/);
  });

  it("refuses in one line settings that suit no prompt", async () => {
    const { code, stderr } = await runTask("batch", [...writePrompts(["x", "y"]).slice(0, -1), "0"]);
    assert.deepEqual([code, stderr.trim().split("\n").length], [1, 1], stderr);
    assert.match(stderr, /'steps' must be a whole number/);
  });
});

describe("parseBatchArguments()", () => {
  it("takes devices by number or name", () => {
    const { devices } = parseBatchArguments(["--prompt-file", "f", "--devices", "0,cuda:1"])!;
    assert.deepEqual(devices.map(({ name, deviceId }) => [name, deviceId]), [["cuda:0", 0], ["cuda:1", 1]]);
  });

  it("names the flag that it refuses", () => {
    const refuse = (...args: string[]) => () => parseBatchArguments(args);
    assert.throws(refuse(), /--prompt-file is missing/);
    assert.throws(refuse("--prompt-file", "f", "--devices", "cpu,0"), /--devices must be of one kind/);
    assert.throws(
      refuse("--prompt-file", "f", "--devices", "tpu"),
      /--devices takes cpu, webgpu, cuda:N or N/,
    );
    assert.throws(
      refuse("--prompt-file", "f", "--total-prompt-num", "0"),
      /--total-prompt-num must be a whole/,
    );
  });
});

/** Returns the process ids of the batch's workers on this test's model. */
function workers(): number[] {
  return [...Deno.readDirSync("/proc")].map(({ name }) => Number(name)).filter((pid) => {
    try {
      const line = pid > 0 ? Deno.readTextFileSync(`/proc/${pid}/cmdline`) : "";
      return line.includes("batch_worker.ts") && line.includes(model);
    } catch {
      return false; // it has just ended
    }
  });
}

/**
 * Returns the first line, which reports the first picture. Reading continues, so that the pipe does not fill.
 */
async function firstLine(stderr: ReadableStream<Uint8Array<ArrayBuffer>>) {
  const lines: ReadableStream<string> = stderr.pipeThrough(new TextDecoderStream()).pipeThrough(
    new TextLineStream(),
  );
  const iterator = lines[Symbol.asyncIterator]();
  const { value: first = "" } = await iterator.next();
  const rest = (async () => {
    const read: string[] = [];
    for (let next; !(next = await iterator.next()).done;) read.push(next.value);
    return read;
  })();
  return { first: first as string, rest };
}
