// `deno task generate` from the outside: files, JSON, exit codes, and what a failure leaves behind.
import { after, before, describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { join } from "node:path";
import { readSafetensorsHeader } from "../../../../gpu-worker/checkpoint/safetensors.ts";
import { goldenPath } from "../../../goldens/golden.ts";
import { skipWithout } from "../../../installed.ts";
import { runTask, startTask } from "../run_task.ts";
import { filesIn } from "./files_in.ts";

let folder: string;
before(() => {
  folder = Deno.makeTempDirSync();
});
after(() => Deno.removeSync(folder, { recursive: true }));

describe("deno task generate", () => {
  it("makes each of n pictures as its seed alone would, and dumps their tensors", async () => {
    const several = join(folder, "several.png");
    const alone = join(folder, "alone.png");
    const dump = join(folder, "tensors.safetensors");
    const common = ["--prompt", "a crab", "--steps", "8"];
    const first = await runTask("generate", [
      ...common,
      "--seed",
      "4",
      "--n",
      "3",
      "--out",
      several,
      "--dump",
      dump,
    ]);
    assert.equal(first.code, 0, first.stderr);
    await runTask("generate", [...common, "--seed", "6", "--out", alone]);
    assert.deepEqual(Deno.readFileSync(join(folder, "several-6.png")), Deno.readFileSync(alone));
    assert.notDeepEqual(Deno.readFileSync(join(folder, "several-5.png")), Deno.readFileSync(alone));
    const header = readSafetensorsHeader(join(folder, "tensors-6.safetensors"));
    assert.deepEqual([...header].map(([name, { dtype, shape }]) => [name, dtype, shape]), [
      ["initial_latents", "float32", [1, 64, 64]],
      ["latents", "float32", [1, 64, 64]],
      ["image", "float32", [3, 64, 64]],
    ]);
  });

  it("dumps the frames of a video beside its latents", async () => {
    const dump = join(folder, "clip.safetensors");
    const { code, stdout, stderr } = await runTask("generate", [
      ...["--model", goldenPath("wan/tiny-unipc"), "--prompt", "a crab", "--steps", "2", "--json"],
      ...[
        "--width",
        "32",
        "--height",
        "16",
        "--num-frames",
        "5",
        "--fps",
        "8",
        "--max-sequence-length",
        "16",
      ],
      ...["--out", join(folder, "clip.gif"), "--dump", dump],
    ]);
    assert.equal(code, 0, stderr);
    const { numFrames, fps } = JSON.parse(stdout);
    assert.deepEqual([numFrames, fps], [5, 8]);
    const header = readSafetensorsHeader(dump);
    assert.deepEqual([...header].map(([name, { dtype, shape }]) => [name, dtype, shape]), [
      ["initial_latents", "float32", [1, 16, 2, 2, 4]],
      ["latents", "float32", [1, 16, 2, 2, 4]],
      ["image", "float32", [3, 16, 32]],
      ["frames", "uint8", [5, 16, 32, 3]],
    ]);
  });

  it("ends with code 2 and one line for a command line it does not understand", async () => {
    const prompt = ["--prompt", "x"];
    const lines = [[], [...prompt, "--what"], [...prompt, "--steps", "many"], [...prompt, "--out", "x.gif"]];
    await Promise.all(lines.map(async (args) => {
      const { code, stdout, stderr } = await runTask("generate", args);
      assert.deepEqual([code, stdout, stderr.trim().split("\n").length], [2, "", 1], stderr);
    }));
  });

  it("ends with code 1, one line and no file if it cannot draw", async () => {
    const empty = join(folder, "empty");
    Deno.mkdirSync(empty);
    const cases: [args: string[], message: RegExp][] = [
      [["--steps", "0"], /'steps' must be a whole number in 1\.\.1000: current value is 0/],
      [["--window-size", "-1"], /'windowSize' must be a number >= 1: current value is -1/],
      [["--width", "65"], /'width' must be divisible by 8: current value is 65/],
      [["--prompt", "a".repeat(100_000)], /'prompt' must have at most 8000 characters/],
      [["--out", "/proc/none/x.png"], /Cannot write \/proc\/none\/x.png/],
      [["--model", join(folder, "nothing")], /neither .*model_index.json nor a snapshot/],
      [
        [
          "--model",
          goldenPath("hunyuan_video/tiny-plain"),
          "--num-frames",
          "33",
          "--out",
          join(empty, "x.mp4"),
        ],
        /'numFrames' must give a multiple of 2 latent frames with this checkpoint: 33 give 9/,
      ],
    ];
    await Promise.all(cases.map(async ([args, message]) => {
      const defaults = { "--prompt": "x", "--out": join(empty, "x.png") };
      const rest = Object.entries(defaults).filter(([flag]) => !args.includes(flag)).flat();
      const { code, stderr } = await runTask("generate", [...args, ...rest]);
      assert.equal(code, 1, stderr);
      assert.match(stderr, message);
      assert.equal(stderr.trim().split("\n").length, 1, stderr);
    }));
    assert.deepEqual(filesIn(empty), []);
  });

  it("leaves no file when it is interrupted", async () => {
    const target = join(folder, "interrupted");
    Deno.mkdirSync(target);
    const args = [
      "--prompt",
      "x",
      "--method",
      "none",
      "--steps",
      "1000",
      "--n",
      "100",
      "--out",
      join(target, "x.png"),
    ];
    const child = startTask("generate", args);
    // The output is probed just before the model is loaded. The run of 100,000
    // steps takes longer than any test.
    const watcher = Deno.watchFs(target);
    for await (const { kind } of watcher) if (kind === "remove") break;
    child.kill("SIGINT");
    const { code, stderr } = await child.output();
    assert.equal(code, 130, new TextDecoder().decode(stderr));
    assert.deepEqual(filesIn(target), []);
  });

  // script(1) provides a terminal, which sends Ctrl-C to every process of the command. The bar
  // shows when sampling has begun.
  const terminal = {
    skip: Deno.build.os === "linux" ? skipWithout("script") : "script is not that of util-linux",
  };
  const wan = [
    "--model",
    goldenPath("wan/tiny-unipc"),
    "--num-frames",
    "33",
    "--width",
    "256",
    "--height",
    "256",
  ];
  for (const [what, model, out] of [["a picture", [], "x.png"], ["a video", wan, "frames/"]] as const) {
    it(`stops ${what} within a step of Ctrl-C on a terminal, and leaves no folder`, terminal, async () => {
      const target = join(folder, `terminal ${what}`);
      Deno.mkdirSync(target);
      const args = [...model, "--prompt", "x", "--method", "none", "--steps", "1000", "--json"];
      const words = [
        Deno.execPath(),
        "task",
        "--quiet",
        "generate",
        ...args,
        "--out",
        join(target, "new", out),
      ];
      const child = new Deno.Command("script", {
        args: ["-qec", words.map((word) => `'${word}'`).join(" "), "/dev/null"],
        stdin: "piped",
        stdout: "piped",
        env: { NO_COLOR: "1" },
      }).spawn();
      const keyboard = child.stdin.getWriter();
      let screen = "";
      for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
        // Interrupt once: the run of a thousand steps is then seconds from its end.
        if (/ [1-9]\d* full/.test(text) && !/ [1-9]\d* full/.test(screen)) {
          await keyboard.write(Uint8Array.of(3));
        }
        screen += text;
      }
      await keyboard.close();
      assert.equal((await child.status).code, 130, screen);
      assert.match(screen, /\ngenerate: interrupted, nothing was written\r\n$/);
      assert.deepEqual(filesIn(target), []);
    });
  }
});
