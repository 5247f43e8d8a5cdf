// Files as ComfyUI saves them: all networks in one, and FLUX's norms under another name.
// Source of the names: ComfyUI's comfy/supported_models.py.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { FolderSource } from "../../../../gpu-worker/checkpoint/checkpoint_source.ts";
import { recogniseFile } from "../../../../gpu-worker/checkpoint/single_file/recognise_file.ts";
import type { WeightEntry } from "../../../../gpu-worker/checkpoint/weights.ts";
import { ARCHITECTURES } from "../../../../gpu-worker/model/architectures.ts";
import { readModel } from "../../../../gpu-worker/model/read_model.ts";
import { goldenPath } from "../../../goldens/golden.ts";
import { type FileTensor, fileTensorOf, Twin } from "./twin.ts";
import { assertSame, firstCall, runModel } from "./twin_pictures.ts";

/** Name of a twin of the denoiser -> its folder, and ComfyUI's name of the encoder. */
const TWINS: Record<string, [golden: string, encoder: string]> = {
  "z-image": ["z_image/tiny-base", "qwen3_4b"],
  "flux2": ["flux2/tiny-base", "qwen3_8b"],
  "qwen-image": ["qwen_image/tiny-image", "qwen25_7b"],
  "qwen-image-2.1": ["qwen_image21/tiny-21", "qwen3vl_8b"],
  "hunyuan-video": ["hunyuan_video/tiny-distilled", "llama"],
  "wan": ["wan/tiny-unipc", "umt5xxl"],
  "chroma": ["chroma/tiny-hd", "t5xxl"],
};

/** A file with denoiser, autoencoder and encoder. */
function wholeFile(name: string): Twin {
  const [golden, encoder] = TWINS[name]!;
  return new Twin(name, (tensors) => {
    const denoiser = [...tensors];
    tensors.clear();
    for (const [key, tensor] of denoiser) {
      tensors.set(`model.diffusion_model.${key.replace(/^model\.diffusion_model\./, "")}`, tensor);
    }
    const source = new FolderSource(goldenPath(golden));
    const add = (component: string, prefix: string) => {
      for (const [key, entry] of source.weights(component)) tensors.set(prefix + key, fileTensorOf(entry));
    };
    add("vae", "vae.");
    add("text_encoder", `text_encoders.${encoder}.transformer.`);
    const mark: FileTensor = { dtype: "F32", shape: [], data: new Uint8Array(4) };
    tensors.set(`text_encoders.${encoder}.logit_scale`, mark);
    if (encoder === "umt5xxl") {
      tensors.set("text_encoders.spiece_model", { dtype: "U8", shape: [4], data: new Uint8Array(4) });
    }
  });
}

describe("a file with all networks, as ComfyUI saves it", () => {
  for (const name of Object.keys(TWINS)) {
    it(`holds the networks of ${name}`, () => {
      using twin = wholeFile(name);
      const { networks } = recogniseFile(twin.path, ARCHITECTURES);
      assert.deepEqual([...networks.keys()].sort(), ["text_encoder", "transformer", "vae"]);
      const source = new FolderSource(twin.folder);
      for (const component of ["text_encoder", "vae"]) {
        const names = [...networks.get(component)!.keys()];
        const expected = [...source.weights(component).keys()].filter((name) => !/^lm_head/.test(name));
        assert.deepEqual(names.sort(), expected.sort(), component);
      }
    });
  }

  it("draws as the folder does", async () => {
    const [golden] = TWINS["z-image"]!;
    const [, call] = firstCall(golden);
    using twin = wholeFile("z-image");
    const result = await runModel(twin.path, { call, parts: { components: twin.folder } });
    assertSame(result, await runModel(twin.folder, { call }));
  });
});

describe("a file with FLUX's blocks, as ComfyUI saves it", () => {
  const seen = ({ dtype, shape, order, offset, byteLength, path }: WeightEntry) => {
    const data = Deno.readFileSync(path).subarray(offset, offset + byteLength);
    return { dtype, shape, order, data };
  };
  for (const name of ["flux-schnell", "flux2", "chroma"]) {
    it(`has the tensors of ${name}`, () => {
      let count = 0;
      using plain = new Twin(name);
      using saved = new Twin(name, (tensors) => {
        for (const [key, tensor] of [...tensors]) {
          if (!/norm.*\.scale$/.test(key)) continue;
          count++;
          tensors.delete(key);
          tensors.set(key.replace(/scale$/, "weight"), tensor);
        }
      });
      assert.ok(count > 0);
      const read = ({ path, folder }: Twin) =>
        readModel(path, { parts: { components: folder } }).checkpoint.weights("transformer");
      const [expected, found] = [read(plain), read(saved)];
      assert.deepEqual([...found.keys()].sort(), [...expected.keys()].sort());
      for (const [key, entry] of expected) assert.deepEqual(seen(found.get(key)!), seen(entry), key);
    });
  }
});
