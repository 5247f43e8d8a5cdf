// The command `spectrum`, installed as the README says and called from a folder of its own.
import { after, before, describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { dirname, join } from "node:path";

describe("spectrum", () => {
  let folder: string;
  before(async () => {
    folder = Deno.realPathSync(await Deno.makeTempDir());
    const { success, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [
        ...["install", "--global", "--allow-read", "--allow-run", "--name", "spectrum"],
        ...["--root", folder, "deploy/spectrum.ts"],
      ],
    }).output();
    assert.ok(success, new TextDecoder().decode(stderr));
  });
  after(() => Deno.remove(folder, { recursive: true }));

  async function spectrum(args: string[], env: Record<string, string> = {}) {
    const { code, stdout, stderr } = await new Deno.Command(join(folder, "bin", "spectrum"), {
      args,
      cwd: folder,
      env: {
        NO_COLOR: "1",
        PATH: `${dirname(Deno.execPath())}:${Deno.env.get("PATH")}`,
        HF_HUB_CACHE: join(folder, "cache"),
        INIT_CWD: "/nowhere",
        ...env,
      },
      signal: AbortSignal.timeout(120_000),
    }).output();
    const decoder = new TextDecoder();
    return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
  }

  it("draws with an embedded checkpoint into the folder that it is called from", async () => {
    const { code, stdout, stderr } = await spectrum([
      "generate",
      "red heart",
      "--steps",
      "4",
      "--out",
      "a/it's.png",
    ]);
    assert.equal(code, 0, stderr);
    assert.match(stdout, /^a\/it's\.png$/m);
    assert.ok(Deno.statSync(join(folder, "a", "it's.png")).size > 0);
  });

  it("batches there, too", async () => {
    Deno.writeTextFileSync(join(folder, "prompts.txt"), "cat face\n");
    const { code, stderr } = await spectrum(["batch", "prompts.txt", "--steps", "4", "--exp-name", "x"]);
    assert.equal(code, 0, stderr);
    assert.ok([...Deno.readDirSync(join(folder, "out", "x"))].length > 0);
  });

  it("lists embedded checkpoints and the cache with their sizes", async () => {
    const snapshot = join(folder, "cache", "models--org--name", "snapshots", "1");
    Deno.mkdirSync(snapshot, { recursive: true });
    Deno.mkdirSync(join(folder, "cache", "models--org--name", "blobs"));
    Deno.writeFileSync(join(folder, "cache", "models--org--name", "blobs", "b"), new Uint8Array(3 * 2 ** 20));
    Deno.symlinkSync("../../blobs/b", join(snapshot, "w.safetensors"));
    Deno.writeTextFileSync(join(snapshot, "model_index.json"), `{"_class_name":"FluxPipeline"}`);
    const { code, stdout } = await spectrum(["models", "--json"]);
    assert.equal(code, 0);
    const models = stdout.trim().split("\n").map((line) => JSON.parse(line));
    assert.deepEqual(models.map(({ name, source }) => [name, source]), [
      ["models/emoji", "embedded"],
      ["models/shapes", "embedded"],
      ["org/name", "cache"],
    ]);
    const { bytes, pipelineClass } = models[2];
    assert.deepEqual([bytes, pipelineClass], [3 * 2 ** 20 + 30, "FluxPipeline"]);
  });

  it("takes the model of SPECTRUM_MODEL, and says how to get one that is missing", async () => {
    const { code, stderr } = await spectrum(["inspect"], { SPECTRUM_MODEL: "org/missing" });
    assert.equal(code, 1);
    assert.match(
      stderr,
      /^inspect: Cannot find model 'org\/missing'.*deno task pull org\/missing.*models\/emoji/,
    );
  });

  it("knows its commands", async () => {
    const [help, unknown] = [await spectrum([]), await spectrum(["draw"])];
    assert.deepEqual([help.code, unknown.code], [0, 2]);
    assert.match(help.stdout, /^ {2}serve {7}/m);
    assert.match(unknown.stderr, /^spectrum: unknown command 'draw'\. Try generate, /);
  });
});
