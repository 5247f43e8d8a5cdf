// ControlNets from the command line: `generate`, `batch`, `inspect` and a worker of its own process.
import { after, before, describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { join } from "node:path";
import { encodeImage } from "../../../../gpu-worker/media/encode_image.ts";
import { goldenPath, loadGoldens } from "../../../goldens/golden.ts";
import { RealWorker } from "../../../service/real_worker.ts";
import { runTask } from "../run_task.ts";

const MODEL = goldenPath("sdxl/tiny-sdxl");
const NET = goldenPath("control/sdxl/canny");
const WITH_NET = ["--model", MODEL, "--controlnet", NET];

let folder: string;
let control: string;
before(async () => {
  folder = Deno.makeTempDirSync();
  control = join(folder, "control.png");
  const data = loadGoldens("control").floats("input.control");
  Deno.writeFileSync(control, await encodeImage({ width: 24, height: 16, data }));
});
after(() => Deno.removeSync(folder, { recursive: true }));

const draw = (...args: string[]) =>
  runTask("generate", [...WITH_NET, "--prompt", "a crab", "--steps", "4", ...args]);

describe("deno task generate --controlnet", () => {
  it("follows the control image, and draws the file again from its record", async () => {
    const [first, again] = [join(folder, "first.png"), join(folder, "again.png")];
    const { code, stdout, stderr } = await draw(
      ...["--control-image", control, "--control-end", "0.75", "--out", first, "--json"],
    );
    assert.equal(code, 0, stderr);
    const { controlNet, controlScale, controlEnd, width, height } = JSON.parse(stdout);
    assert.deepEqual([controlNet, controlScale, controlEnd, width, height], ["canny", 1, 0.75, 24, 16]);
    const lacking = await runTask("generate", ["--from", first, "--out", again]);
    assert.equal(lacking.code, 2);
    assert.match(lacking.stderr, /was drawn with a control image: --control-image must name it/);
    const repeated = await runTask("generate", ["--from", first, "--control-image", control, "--out", again]);
    assert.equal(repeated.code, 0, repeated.stderr);
    assert.deepEqual(Deno.readFileSync(again), Deno.readFileSync(first));
  });

  it("refuses in one line", async () => {
    const REFUSED: [args: string[], message: RegExp][] = [
      [[...WITH_NET, "--control-scale", "0.5"], /--control-scale takes --control-image/],
      [
        [...WITH_NET, "--control-image", join(folder, "none.png")],
        /Cannot read 'control_image' as .* does not exist/,
      ],
      [
        ["--model", MODEL, "--controlnet", goldenPath("control/sd15/canny")],
        /sd15\/canny with .*tiny-sdxl as 'cross_attention/,
      ],
    ];
    for (const [args, message] of REFUSED) {
      const { code, stderr } = await runTask("generate", ["--prompt", "a crab", ...args]);
      assert.notEqual(code, 0);
      assert.match(stderr, message);
      assert.equal(stderr.trim().split("\n").length, 1, stderr);
    }
  });
});

describe("deno task batch --controlnet", () => {
  it("draws every prompt by the control image, and knows what it has drawn", async () => {
    const prompts = join(folder, "prompts.txt");
    Deno.writeTextFileSync(prompts, "a crab\na fox\n");
    const args = [
      ...WITH_NET,
      ...["--prompt-file", prompts, "--steps", "4", "--control-image", control, "--control-scale", "0.5"],
      ...["--output-base-path", folder, "--exp-name", "batch", "--json"],
    ];
    const run = async () => {
      const { code, stdout, stderr } = await runTask("batch", args);
      assert.equal(code, 0, stderr);
      return JSON.parse(stdout);
    };
    assert.deepEqual([(await run()).drawn, (await run()).finished], [2, 2]);
    const [first] = [...Deno.readDirSync(join(folder, "batch"))].filter(({ isDirectory }) => isDirectory);
    const { settings } = JSON.parse(Deno.readTextFileSync(join(folder, "batch", first!.name, "stats.json")));
    assert.deepEqual([settings.controlnet, settings.control_scale], ["canny", 0.5]);
    assert.match(settings.control_image_sha256, /^[0-9a-f]{64}$/);
  });
});

describe("deno task inspect --controlnet", () => {
  it("lists the ControlNet, and predicts its memory", async () => {
    const inspect = async (...args: string[]) => {
      const { code, stdout, stderr } = await runTask("inspect", [...args, "--json"]);
      assert.equal(code, 0, stderr);
      return JSON.parse(stdout);
    };
    const plain = await inspect("--model", MODEL);
    const own = await inspect(...WITH_NET);
    const net = own.components.find(({ name }: { name: string }) => name === "controlnet_canny");
    assert.equal(net.className, "ControlNetModel");
    assert.ok(own.memory.weightBytes - plain.memory.weightBytes >= net.bytes);
    assert.ok(own.memory.activationBytes > plain.memory.activationBytes);
    assert.equal(own.memory.historyBytes, plain.memory.historyBytes);
    assert.notEqual(own.digest, plain.digest);
    const [turns, ownTurns] = [
      await inspect("--model", MODEL, "--offload"),
      await inspect(...WITH_NET, "--offload"),
    ];
    // The ControlNet stays beside the UNet.
    assert.ok(ownTurns.memory.modelBytes - turns.memory.modelBytes >= net.bytes);
  });
});

describe("deno task worker with a ControlNet", () => {
  it("serves it under the model's name", async () => {
    await using worker = await RealWorker.start(["--models", `tiny=${MODEL}+controlnet:${NET}`]);
    const { models } = await (await fetch(`${worker.url}/models`)).json();
    assert.deepEqual(models[0].controlnets, [{ name: "canny" }]);
    const { id } = await worker.submit(3, {
      model: "tiny",
      steps: 4,
      control_image: Deno.readFileSync(control).toBase64(),
      control_scale: 0.5,
    });
    const last = await worker.last(id);
    assert.equal(last.type, "completed");
    assert(last.type === "completed");
    assert.equal(last.receipt.options.controlnet, "canny");
  });
});
