// Output of `deno task inspect` for a single file.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { Twin } from "../../checkpoint/single_file/twin.ts";
import { runTask } from "../run_task.ts";

describe("deno task inspect --model FILE", () => {
  it("names the file's model, its parts, the missing parts, and the command that runs it", async () => {
    using twin = new Twin("flux-schnell");
    const args = ["--model", twin.path, "--components", twin.folder];
    const { code, stdout, stderr } = await runTask("inspect", args);
    assert.equal(code, 0, stderr);
    assert.match(stdout, /FLUX\.1 \[schnell\], a single file for FluxPipeline/);
    assert.match(stdout, /it has transformer\n/);
    assert.match(
      stdout,
      /it lacks vae, text_encoder, text_encoder_2, tokenizer, tokenizer_2, which black-forest-labs\/FLUX\.1-schnell has/,
    );
    assert.match(stdout, /run it with `deno task generate --model \S+ --components \S+ --prompt "\.\.\."`/);
  });

  it("says what becomes of ComfyUI's formats", async () => {
    using twin = new Twin("flux-schnell", (tensors) => {
      const config = (options: object) => {
        const data = new TextEncoder().encode(JSON.stringify({ format: "int8_tensorwise", ...options }));
        return { dtype: "U8", shape: [data.length], data };
      };
      const round = (module: string, options = {}) => {
        const { shape } = tensors.get(`${module}.weight`)!;
        const data = new Uint8Array(shape[0]! * shape[1]!);
        tensors.set(`${module}.weight`, { dtype: "I8", shape, data });
        tensors.set(`${module}.weight_scale`, { dtype: "F32", shape: [], data: new Uint8Array(4) });
        tensors.set(`${module}.comfy_quant`, config(options));
      };
      round("double_blocks.0.img_mlp.0");
      round("double_blocks.0.img_mlp.2", { convrot: true, convrot_groupsize: 4 });
    });
    const args = ["--model", twin.path, "--components", twin.folder];
    const { code, stdout, stderr } = await runTask("inspect", args);
    assert.equal(code, 0, stderr);
    assert.match(stdout, /INT8 stays in its blocks, with the same numbers/);
    assert.match(stdout, /INT8_CONVROT is rounded to int8 once, which adds an error of about 0\.5 %/);
  });

  it("names the file if the rest is missing, and ends with the command that fetches the rest", async () => {
    using twin = new Twin("sdxl");
    const { code, stdout, stderr } = await runTask("inspect", ["--model", twin.path], {
      HF_HUB_CACHE: `${twin.path}-none`,
    });
    assert.equal(code, 1);
    assert.match(stdout, /Stable Diffusion XL, .*\n +it has /);
    assert.match(stderr, /deno task pull --config-only stabilityai\/stable-diffusion-xl-base-1\.0/);
  });
});
