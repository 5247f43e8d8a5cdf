// `deno task generate --image` from the outside: diffusers' latents, and one
// line of error for unusable images.
import { after, before, describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { join } from "node:path";
import { readSafetensorsHeader } from "../../../gpu-worker/checkpoint/safetensors.ts";
import { encodeImage } from "../../../gpu-worker/media/encode_image.ts";
import { goldenPath, loadGoldens, maxError } from "../../goldens/golden.ts";
import { runTask } from "../cli/run_task.ts";

describe("deno task generate --image", () => {
  let folder: string;
  let image: string;
  before(async () => {
    folder = Deno.makeTempDirSync();
    image = join(folder, "start.png");
    const data = loadGoldens("img2img").floats("input.image");
    Deno.writeFileSync(image, await encodeImage({ width: 24, height: 16, data }));
  });
  after(() => Deno.removeSync(folder, { recursive: true }));

  it("gives FluxImg2ImgPipeline's latents, from file to file", async () => {
    const { cases } = JSON.parse(Deno.readTextFileSync(goldenPath("img2img/tiny-dev/goldens.json")));
    const call = cases["picture.strength_06"];
    const dump = join(folder, "tensors.safetensors");
    const { code, stdout, stderr } = await runTask("generate", [
      ...["--model", goldenPath("flux/tiny-dev"), "--image", image, "--strength", `${call.strength}`],
      ...["--prompt", call.prompt, "--seed", `${call.seed}`, "--steps", `${call.num_inference_steps}`],
      ...["--guidance-scale", `${call.guidance_scale}`, "--max-sequence-length", "40", "--method", "none"],
      ...["--dump", dump, "--out", join(folder, "out.png"), "--json"],
    ]);
    assert.equal(code, 0, stderr);
    const { strength, width, height, fullPasses } = JSON.parse(stdout);
    assert.deepEqual([strength, width, height, fullPasses], [0.6, 24, 16, call.run_steps]);
    const { offset, byteLength } = readSafetensorsHeader(dump).get("latents")!;
    const { buffer } = Deno.readFileSync(dump).slice(offset, offset + byteLength);
    const expected = loadGoldens("img2img/tiny-dev").floats("picture.strength_06.latents");
    // Rounding of two float32 implementations, as in tests/gpu-worker/pipeline/.
    assert.ok(maxError(new Float32Array(buffer), expected) <= 1e-4);
  });

  const REFUSED: [args: () => string[], code: number, message: RegExp][] = [
    [() => ["--image", join(folder, "none.png")], 1, /none\.png does not exist/],
    [() => ["--image", folder], 1, /is a folder/],
    [() => ["--image", "deno.json"], 1, /is no image/],
    [() => ["--image", image, "--strength", "2"], 1, /'strength' must be in 0\.\.1: current value is 2/],
    [() => ["--strength", "0.5"], 2, /--strength takes --image/],
  ];
  for (const [args, code, message] of REFUSED) {
    it(`refuses in one line: ${message.source}`, async () => {
      const out = join(folder, "refused.png");
      const result = await runTask("generate", ["--prompt", "x", "--out", out, ...args()]);
      assert.equal(result.code, code);
      assert.match(result.stderr, message);
      assert.equal(result.stderr.trim().split("\n").length, 1);
      assert.throws(() => Deno.statSync(out), Deno.errors.NotFound);
    });
  }
});
