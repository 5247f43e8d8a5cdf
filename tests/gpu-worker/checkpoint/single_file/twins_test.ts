// Runs single files that have the numbers of the tiny checkpoints. diffusers' from_single_file reads the same files
// to the same tensors (make_twins.py checks it), so the checkpoints' goldens are also diffusers' results of the files.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { cpSync } from "node:fs";
import { join } from "node:path";
import type { PartFiles } from "../../../../gpu-worker/checkpoint/part_files.ts";
import { openWeights } from "../../../../gpu-worker/checkpoint/weights.ts";
import { openPipeline } from "../../../../gpu-worker/model/open_pipeline.ts";
import { modelCard } from "../../../../gpu-worker/http/model_card.ts";
import { describeModel } from "../../../../gpu-worker/model/describe_model.ts";
import { modelInfo } from "../../../../gpu-worker/model/model_info.ts";
import { readModel } from "../../../../gpu-worker/model/read_model.ts";
import type { OpenPipelineOptions } from "../../../../gpu-worker/model/open_pipeline_options.ts";
import type { GenerateResult } from "../../../../gpu-worker/pipeline/pipeline.ts";
import { goldenPath, loadGoldens, maxError } from "../../../goldens/golden.ts";
import { readSafetensorsHeader } from "../../../../gpu-worker/checkpoint/safetensors.ts";
import {
  assertReference,
  generateReference,
  type ReferenceCall,
  referenceCalls,
} from "../../pipeline/reference_call.ts";
import { type FileTensor, Twin } from "./twin.ts";

const TWINS: Record<string, { golden: string; parts?: PartFiles }> = {
  "sd15": { golden: "sdxl/tiny-sd15" },
  "sd21": { golden: "sdxl/tiny-sd21" },
  "sdxl": { golden: "sdxl/tiny-sdxl" },
  "flux-dev": { golden: "flux/tiny-dev" },
  "flux-schnell": { golden: "flux/tiny-schnell" },
  "chroma": { golden: "chroma/tiny-hd" },
  "qwen-image": { golden: "qwen_image/tiny-image", parts: { vae: "qwen-image-vae" } },
  "z-image": { golden: "z_image/tiny-base" },
  "sd3-medium": { golden: "sd3/tiny-medium" },
  "wan": { golden: "wan/tiny-unipc", parts: { vae: "wan-vae", text_encoder: "wan-umt5" } },
  "hunyuan-video": { golden: "hunyuan_video/tiny-distilled", parts: { text_encoder: "hunyuan-video-llama" } },
};

const firstCall = (golden: string) =>
  referenceCalls(golden).find(([, call]) =>
    call.scheduler === undefined && call.force_zeros_for_empty_prompt === undefined
  )!;

/** Runs `call` with a model. */
async function run(
  model: string,
  options: OpenPipelineOptions & { call: ReferenceCall },
): Promise<GenerateResult & { digest: string }> {
  const { call, ...open } = options;
  using pipeline = await openPipeline(model, open);
  return { ...await generateReference(pipeline, call), digest: pipeline.model.digest };
}

function assertSame(result: GenerateResult, expected: GenerateResult): void {
  assert.deepEqual(result.latents.data, expected.latents.data);
  assert.deepEqual(result.image.data, expected.image.data);
}

for (const [name, { golden, parts = {} }] of Object.entries(TWINS)) {
  describe(`a single file in the names of ${name}`, () => {
    const [id, call] = firstCall(golden);

    it(`gives diffusers' latents and the folder's bytes for ${id}`, async () => {
      using twin = new Twin(name);
      using others = new DisposableStack();
      const files = Object.entries(parts).map(([part, name]) => [part, others.use(new Twin(name)).path]);
      const result = await run(twin.path, {
        call,
        parts: { components: twin.folder, ...Object.fromEntries(files) },
      });
      assertReference(result, { id, goldens: loadGoldens(golden) });
      const same = await run(twin.folder, { call });
      assertSame(result, same);
      assert.notEqual(result.digest, same.digest);
    });
  });
}

describe("a single file in the names of sd3-large", () => {
  const [id, call] = firstCall("sd3/tiny-large");

  it("projects the first encoder's text by the identity, as diffusers does", async () => {
    using twin = new Twin("sd3-large");
    const result = await run(twin.path, { call, parts: { components: twin.folder } });
    const error = maxError(result.latents.data, storedLatents("sd3-large", id));
    assert.ok(error < 1e-4, `error ${error}`);
    using changed = new IdentityProjection(twin.folder);
    assertSame(result, await run(changed.folder, { call }));
  });
});

function storedLatents(name: string, id: string): Float32Array {
  const path = goldenPath(`single_file/${name}.safetensors`);
  const { offset, byteLength } = readSafetensorsHeader(path).get(`${id}.latents`)!;
  return new Float32Array(Deno.readFileSync(path).slice(offset, offset + byteLength).buffer);
}

/** A copy of a checkpoint whose first text projection is the identity. */
class IdentityProjection implements Disposable {
  readonly folder: string = Deno.makeTempDirSync();

  constructor(folder: string) {
    cpSync(folder, this.folder, { recursive: true });
    const { path, offset, shape } = openWeights(join(this.folder, "text_encoder"), "model")
      .get("text_projection.weight")!;
    const size = shape[0]!;
    const identity = Float32Array.from({ length: size * size }, (_, i) => i % (size + 1) === 0 ? 1 : 0);
    using file = Deno.openSync(path, { write: true });
    file.seekSync(offset, Deno.SeekMode.Start);
    file.writeSync(new Uint8Array(identity.buffer));
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.folder, { recursive: true });
  }
}

describe("a single file", () => {
  it("is shown by what people call its model", () => {
    using twin = new Twin("sdxl");
    const described = describeModel(twin.path, { parts: { components: twin.folder } });
    const { title, id } = modelCard(
      { info: modelInfo("xl", described), description: described.reading },
      "1",
    );
    assert.deepEqual([title, id], ["Stable Diffusion XL", "xl"]);
  });

  it("takes LoRAs as its folder does", async () => {
    const loras = [{ path: goldenPath("lora/flux/style.safetensors"), weight: 0.5 }];
    const [, call] = firstCall("flux/tiny-dev");
    using twin = new Twin("flux-dev");
    const result = await run(twin.path, { call, loras, parts: { components: twin.folder } });
    assertSame(result, await run(twin.folder, { call, loras }));
  });

  it("takes its scheduler's options from marker tensors", async () => {
    const [, call] = firstCall("sdxl/tiny-sd15");
    const mark = (name: string) => (tensors: Map<string, FileTensor>) =>
      void tensors.set(name, { dtype: "F32", shape: [], data: new Uint8Array(4) });
    using plain = new Twin("sd15");
    using velocity = new Twin("sd15", mark("v_pred"));
    const parts = { components: plain.folder };
    const latents = await Promise.all(
      [plain, velocity].map(async ({ path }) => (await run(path, { call, parts })).latents.data),
    );
    assert.ok(maxError(latents[1]!, latents[0]!) > 0.01);
  });

  it("may have the denoiser's names of diffusers", () => {
    const files = [
      "chroma/tiny-hd",
      "qwen_image/tiny-image",
      "flux/tiny-schnell",
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
    const result = await run(vae.folder, { call, parts: { vae: vae.path } });
    assertSame(result, await run(vae.folder, { call }));
  });
});
