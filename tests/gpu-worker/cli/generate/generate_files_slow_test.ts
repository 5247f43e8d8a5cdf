// Files that `deno task generate` writes, and reads again.
import { after, before, describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import sharp from "sharp";
import { generate as generateHere } from "../../../../gpu-worker/cli/generate/generate.ts";
import { readMetadata } from "../../../../gpu-worker/media/metadata/read_metadata.ts";
import { runTask, startTask } from "../run_task.ts";
import { filesIn } from "./files_in.ts";

let folder: string;
before(() => {
  folder = Deno.makeTempDirSync();
});
after(() => Deno.removeSync(folder, { recursive: true }));

const QUICK = ["--steps", "4", "--method", "none"];

async function generate(...args: string[]) {
  const result = await runTask("generate", args);
  assert.equal(result.code, 0, result.stderr);
  return result;
}

/** As a shell would with `echo INPUT | deno task generate ARGS`. */
async function pipe(input: string, ...args: string[]) {
  const process = new Deno.Command(Deno.execPath(), {
    args: ["task", "--quiet", "generate", ...args],
    env: { NO_COLOR: "1" },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = process.stdin.getWriter();
  await writer.write(new TextEncoder().encode(input));
  await writer.close();
  const { code, stdout, stderr } = await process.output();
  assert.equal(code, 0, new TextDecoder().decode(stderr));
  return stdout;
}

describe("deno task generate, files", () => {
  it("--from draws a file again, byte by byte, and other flags change it", async () => {
    const first = join(folder, "first.png");
    const own = ["--prompt", "red heart", "--seed", "3", "--negative-prompt", "blue"];
    await generate(...own, "--passes", "7", "--out", first);
    const again = join(folder, "again.png");
    await generate("--from", first, "--out", again);
    assert.deepEqual(Deno.readFileSync(again), Deno.readFileSync(first));
    const { parameters, spectrum } = Object.fromEntries(
      (await sharp(first).metadata()).comments!.map(({ keyword, text }) => [keyword, text]),
    );
    assert.match(
      parameters!,
      /^red heart\nNegative prompt: blue\nSteps: 50, CFG scale: 2, Seed: 3, Size: 64x64, /,
    );
    assert.equal(JSON.parse(spectrum!).settings.spectrum.passes, 7);

    const changed = await generate(
      "--from",
      first,
      "--seed",
      "4",
      ...QUICK,
      "--json",
      "--out",
      join(folder, "c.webp"),
    );
    const { seed, negativePrompt, method, outputs } = JSON.parse(changed.stdout);
    assert.deepEqual([seed, negativePrompt, method], [4, "blue", "none"]);
    const webp = join(folder, "again.webp");
    await generate("--from", outputs[0], "--out", webp);
    assert.deepEqual(Deno.readFileSync(webp), Deno.readFileSync(outputs[0]));
  });

  it("--no-metadata writes the pixels alone, which nothing can be drawn from", async () => {
    const out = join(folder, "bare.png");
    await generate("--prompt", "red heart", ...QUICK, "--no-metadata", "--out", out);
    assert.equal(await readMetadata(Deno.readFileSync(out)), undefined);
    const { code, stderr } = await runTask("generate", ["--from", out]);
    assert.equal(code, 1);
    assert.match(stderr, /^generate: Cannot draw .*bare\.png again: the file does not say how/);
  });

  it("keeps an existing file and counts up the next name, or overwrites the file on demand", async () => {
    const out = join(folder, "same.png");
    const draw = async (...args: string[]) =>
      (await generate("--prompt", "red heart", ...QUICK, "--out", out, ...args)).stdout.split("\n")[0];
    assert.equal(await draw(), out);
    const before = Deno.readFileSync(out);
    assert.equal(await draw("--seed", "2"), join(folder, "same-2.png"));
    assert.deepEqual(Deno.readFileSync(out), before);
    assert.equal(await draw("--seed", "2", "--overwrite"), out);
    assert.deepEqual(Deno.readFileSync(out), Deno.readFileSync(join(folder, "same-2.png")));
  });

  it("keeps a file that another command has written while this one drew", async () => {
    const out = join(folder, "race-{seed}.png");
    const theirs = new Uint8Array([1, 2, 3]);
    await generateHere(["--prompt", "red heart", ...QUICK, "--n", "2", "--out", out], {
      signal: new AbortController().signal,
      onWritten: () => {
        const second = join(folder, "race-43.png");
        if (!existsSync(second)) Deno.writeFileSync(second, theirs);
      },
    });
    assert.deepEqual(Deno.readFileSync(join(folder, "race-43.png")), theirs);
    assert.ok(existsSync(join(folder, "race-43-2.png")));
  });

  it("reads prompts from standard input and writes a picture to standard output", async () => {
    const png = await pipe("red heart\n", "--prompt", "-", ...QUICK, "--out", "-");
    assert.equal((await sharp(png).metadata()).format, "png");
    const out = join(folder, "lines", "{prompt}.png");
    await pipe(
      "\ufeffred heart\r\n# a comment\r\ndog face\r\n",
      "--prompt-file",
      "-",
      ...QUICK,
      "--out",
      out,
    );
    assert.deepEqual(filesIn(join(folder, "lines")), ["dog-face.png", "red-heart.png"]);
  });

  it("warns of likely mistakes on standard error and in the JSON", async () => {
    const size = ["--width", "32", "--height", "32", "--out", join(folder, "w.png"), "--json", ...QUICK];
    const { stdout, stderr } = await generate("--prompt", `xylophone ${"qwertz ".repeat(20)}`, ...size);
    const { warnings } = JSON.parse(stdout);
    assert.equal(warnings.length, 3, warnings);
    assert.match(warnings[0], /^32x32 is far from the 64x64 that models\/emoji was made for/);
    assert.match(warnings[1], /^models\/emoji knows no word of this prompt/);
    assert.match(
      warnings[2],
      /^The last \d+ tokens of the prompt were not read: the text encoder takes \d+\.$/,
    );
    for (const warning of warnings) assert.ok(stderr.includes(`generate: ${warning}`), stderr);
    const fine = await generate("--prompt", "red heart", ...QUICK, "--out", join(folder, "f.png"), "--json");
    assert.deepEqual([JSON.parse(fine.stdout).warnings, fine.stderr], [undefined, ""]);
  });

  it("Ctrl-C keeps the pictures that were drawn before it", async () => {
    const target = join(folder, "interrupted");
    Deno.mkdirSync(target);
    const child = startTask("generate", [
      ...["--prompt", "red heart", "--n", "1000", "--seed", "-1", ...QUICK],
      ...["--out", join(target, "{number}.png")],
    ]);
    const [lines, kept] = child.stdout.tee();
    const reading = new Response(kept).text();
    const reader = lines.getReader();
    await reader.read();
    child.kill("SIGINT");
    await reader.cancel();
    const [{ code }, stderr, stdout] = [
      await child.status,
      await new Response(child.stderr).text(),
      await reading,
    ];
    assert.equal(code, 130, stderr);
    const written = filesIn(target);
    assert.match(
      stderr,
      new RegExp(`generate: interrupted, ${written.length} of the pictures were written\n$`),
    );
    assert.equal(stdout.trim().split("\n").length, written.length);
    assert.ok(written.length > 0 && written.length < 1000);
  });
});
