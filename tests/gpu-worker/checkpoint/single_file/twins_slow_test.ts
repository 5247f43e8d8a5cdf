// Runs single files that have the numbers of the tiny checkpoints. diffusers' from_single_file reads the
// same files to the same tensors (make_twins.py checks it), so the checkpoints' goldens are also
// diffusers' results of the files.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { cpSync } from "node:fs";
import { join } from "node:path";
import { openWeights } from "../../../../gpu-worker/checkpoint/weights.ts";
import { goldenPath, maxError } from "../../../goldens/golden.ts";
import { readSafetensorsHeader } from "../../../../gpu-worker/checkpoint/safetensors.ts";
import { Twin } from "./twin.ts";
import { WHOLE_FILES, wholeFile } from "./whole_file.ts";
import { assertSame, assertTwin, firstCall, runModel, type TwinCase } from "./twin_pictures.ts";

const TWINS: Record<string, TwinCase> = {
  "sd21": { golden: "sdxl/tiny-sd21" },
  "sdxl": { golden: "sdxl/tiny-sdxl" },
  "flux-schnell": { golden: "flux/tiny-schnell" },
  "chroma": { golden: "chroma/tiny-hd" },
  "qwen-image": { golden: "qwen_image/tiny-image", parts: { vae: "qwen-image-vae" } },
  "z-image": { golden: "z_image/tiny-base" },
  "flux2": { golden: "flux2/tiny-base", parts: { vae: "flux2-vae" } },
  "qwen-image-2.1": { golden: "qwen_image21/tiny-21", parts: { vae: "qwen-image-2.1-vae" } },
  "wan-a14b-high": { golden: "wan/tiny-a14b", parts: { transformer_2: "wan-a14b-low" } },
  "wan-ti2v": { golden: "wan/tiny-ti2v", parts: { vae: "wan-ti2v-vae" } },
  "sd3-medium": { golden: "sd3/tiny-medium" },
  "wan": { golden: "wan/tiny-unipc", parts: { vae: "wan-vae", text_encoder: "wan-umt5" } },
  "hunyuan-video": { golden: "hunyuan_video/tiny-distilled", parts: { text_encoder: "hunyuan-video-llama" } },
};

describe("a single file's picture is diffusers' picture and the folder's, in the names of", () => {
  for (const [name, twin] of Object.entries(TWINS)) it(name, () => assertTwin(name, twin));
});

describe("a single file in the names of sd3-large", () => {
  const [id, call] = firstCall("sd3/tiny-large");

  it("projects the first encoder's text by the identity, as diffusers does", async () => {
    using twin = new Twin("sd3-large");
    const result = await runModel(twin.path, { call, parts: { components: twin.folder } });
    const error = maxError(result.latents.data, storedLatents("sd3-large", id));
    assert.ok(error < 1e-4, `error ${error}`);
    using changed = new IdentityProjection(twin.folder);
    assertSame(result, await runModel(changed.folder, { call }));
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

describe("a file with all networks, as ComfyUI saves it", () => {
  it("draws as the folder does", async () => {
    const [golden] = WHOLE_FILES["z-image"]!;
    const [, call] = firstCall(golden);
    using twin = wholeFile("z-image");
    const result = await runModel(twin.path, { call, parts: { components: twin.folder } });
    assertSame(result, await runModel(twin.folder, { call }));
  });
});
