// Runs single files that have the numbers of the tiny checkpoints. diffusers' from_single_file reads the
// same files to the same tensors (make_twins.py checks it), so the checkpoints' goldens are also
// diffusers' results of the files.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { join } from "node:path";
import { openPipeline } from "../../../../gpu-worker/model/open_pipeline.ts";
import { modelCard } from "../../../../gpu-worker/http/model_card.ts";
import { describeModel } from "../../../../gpu-worker/model/describe_model.ts";
import { modelInfo } from "../../../../gpu-worker/model/model_info.ts";
import { readModel } from "../../../../gpu-worker/model/read_model.ts";
import { goldenPath, maxError } from "../../../goldens/golden.ts";
import { ChangedCheckpoint } from "../../pipeline/changed_checkpoint.ts";
import { type FileTensor, Twin } from "./twin.ts";
import { assertSame, assertTwin, firstCall, runModel } from "./twin_pictures.ts";

describe("a single file", () => {
  for (const [name, golden] of [["sd15", "sdxl/tiny-sd15"], ["flux-dev", "flux/tiny-dev"]] as const) {
    it(`gives diffusers' latents and the folder's bytes in the names of ${name}`, () =>
      assertTwin(name, { golden }));
  }

  it("is shown by its model's usual name", () => {
    using twin = new Twin("sdxl");
    const described = describeModel(twin.path, { parts: { components: twin.folder } });
    const { title, id } = modelCard(
      { info: modelInfo("xl", described), description: described.reading },
      "1",
    );
    assert.deepEqual([title, id], ["Stable Diffusion XL", "xl"]);
  });

  it("may have SDXL's projections as convolutions of one pixel, as stable-diffusion.cpp writes them", () => {
    let count = 0;
    using plain = new Twin("sdxl");
    using twin = new Twin("sdxl", (tensors) => {
      for (const [name, tensor] of tensors) {
        if (!/\.proj_(?:in|out)\.weight$/.test(name) || tensor.shape.length !== 2) continue;
        tensors.set(name, { ...tensor, shape: [...tensor.shape, 1, 1] });
        count++;
      }
    });
    const shapes = ({ path, folder }: Twin) =>
      [...readModel(path, { parts: { components: folder } }).checkpoint.weights("unet")]
        .map(([name, { shape }]) => [name, shape]);
    assert.ok(count > 0);
    assert.deepEqual(shapes(twin), shapes(plain));
  });

  it("takes LoRAs as its folder does", async () => {
    const loras = [{ path: goldenPath("lora/flux/style.safetensors"), weight: 0.5 }];
    const [, call] = firstCall("flux/tiny-dev");
    using twin = new Twin("flux-dev");
    const result = await runModel(twin.path, { call, loras, parts: { components: twin.folder } });
    assertSame(result, await runModel(twin.folder, { call, loras }));
  });

  it("takes its scheduler's options from marker tensors", async () => {
    const [, call] = firstCall("sdxl/tiny-sd15");
    const mark = (name: string) => (tensors: Map<string, FileTensor>) =>
      void tensors.set(name, { dtype: "F32", shape: [], data: new Uint8Array(4) });
    using plain = new Twin("sd15");
    using velocity = new Twin("sd15", mark("v_pred"));
    const parts = { components: plain.folder };
    const latents = await Promise.all(
      [plain, velocity].map(async ({ path }) => (await runModel(path, { call, parts })).latents.data),
    );
    assert.ok(maxError(latents[1]!, latents[0]!) > 0.01);
  });

  it("reads SDXL's zero terminal SNR and velocity prediction from marker tensors", async () => {
    const mark = (tensors: Map<string, FileTensor>) => {
      for (const name of ["v_pred", "ztsnr"]) {
        tensors.set(name, { dtype: "F32", shape: [], data: new Uint8Array(4) });
      }
    };
    using marked = new Twin("sdxl", mark);
    const own = JSON.parse(Deno.readTextFileSync(join(marked.folder, "scheduler/scheduler_config.json")));
    using folder = new ChangedCheckpoint(marked.folder, {
      scheduler: {
        ...own,
        prediction_type: "v_prediction",
        rescale_betas_zero_snr: true,
        timestep_spacing: "trailing",
      },
    });
    const [, call] = firstCall("sdxl/tiny-sdxl");
    const result = await runModel(marked.path, { call, parts: { components: marked.folder } });
    assertSame(result, await runModel(folder.folder, { call }));
  });

  it("may have the denoiser's names of diffusers", () => {
    const files = [
      "chroma/tiny-hd",
      "qwen_image/tiny-image",
      "flux/tiny-schnell",
      "flux2/tiny-distilled",
      "qwen_image21/tiny-21",
      "sd3/tiny-medium",
      "wan/tiny-unipc",
      "sdxl/tiny-sd15",
      "sdxl/tiny-sdxl",
    ];
    for (const folder of files.map(goldenPath)) {
      const { checkpoint } = readModel(folder);
      const denoiser = checkpoint.componentClass("unet") === undefined ? "transformer" : "unet";
      const file = join(folder, denoiser, "diffusion_pytorch_model.safetensors");
      const single = readModel(file, { parts: { components: folder } });
      assert.equal(single.checkpoint.pipelineClass, checkpoint.pipelineClass);
      assert.deepEqual(single.checkpoint.weights(denoiser), checkpoint.weights(denoiser));
    }
  });

  it("takes its settings from a file beside it", async () => {
    using twin = new Twin("flux-schnell");
    Deno.writeTextFileSync(twin.path.replace(/safetensors$/, "spectrum.json"), JSON.stringify({ steps: 7 }));
    using pipeline = await openPipeline(twin.path, { parts: { components: twin.folder } });
    assert.equal(pipeline.description.defaults.steps, 7);
    assert.equal(pipeline.model.title, "FLUX.1 [schnell]");
  });

  it("replaces a network of a folder", async () => {
    const [, call] = firstCall("wan/tiny-unipc");
    using vae = new Twin("wan-vae");
    const result = await runModel(vae.folder, { call, parts: { vae: vae.path } });
    assertSame(result, await runModel(vae.folder, { call }));
  });
});
