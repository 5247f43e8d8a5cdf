// Files as ComfyUI saves them: all networks in one, and FLUX's norms under another name.
// Source of the names: ComfyUI's comfy/supported_models.py.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { FolderSource } from "../../../../gpu-worker/checkpoint/checkpoint_source.ts";
import { recogniseFile } from "../../../../gpu-worker/checkpoint/single_file/recognise_file.ts";
import type { WeightEntry } from "../../../../gpu-worker/checkpoint/weights.ts";
import { ARCHITECTURES } from "../../../../gpu-worker/model/architectures.ts";
import { readModel } from "../../../../gpu-worker/model/read_model.ts";
import { Twin } from "./twin.ts";
import { WHOLE_FILES, wholeFile } from "./whole_file.ts";

describe("a file with all networks, as ComfyUI saves it", () => {
  for (const name of Object.keys(WHOLE_FILES)) {
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
