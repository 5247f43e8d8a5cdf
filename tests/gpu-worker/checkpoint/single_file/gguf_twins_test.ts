// Denoisers in GGUF, in the original names of each family: their tensors are those of the folder.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import type { WeightEntry } from "../../../../gpu-worker/checkpoint/weights.ts";
import { readModel } from "../../../../gpu-worker/model/read_model.ts";
import { type FileTensor, Twin } from "./twin.ts";
import { writeGguf } from "./write_gguf.ts";

/** Twins of denoisers alone. */
const DENOISERS = [
  "chroma",
  "flux-schnell",
  "flux2",
  "hunyuan-video",
  "qwen-image",
  "qwen-image-2.1",
  "wan",
  "wan-a14b-high",
  "wan-ti2v",
  "z-image",
];

/** Returns the parts of a tensor that a run reads. */
function seen({ dtype, shape, order, offset, byteLength, path }: WeightEntry) {
  return { dtype, shape, order, data: Deno.readFileSync(path).subarray(offset, offset + byteLength) };
}

describe("a single file in GGUF", () => {
  for (const name of DENOISERS) {
    it(`has the tensors of ${name}`, () => {
      let tensors: ReadonlyMap<string, FileTensor> = new Map();
      using twin = new Twin(name, (made) => {
        tensors = made;
      });
      const path = twin.path.replace(/safetensors$/, "gguf");
      writeGguf(path, tensors);
      const parts = { components: twin.folder };
      const expected = readModel(twin.path, { parts }).checkpoint.weights("transformer");
      const found = readModel(path, { parts }).checkpoint.weights("transformer");
      assert.deepEqual([...found.keys()].sort(), [...expected.keys()].sort());
      for (const [key, entry] of expected) assert.deepEqual(seen(found.get(key)!), seen(entry), key);
    });
  }
});

describe("a denoiser inside another module", () => {
  const before = (prefix: string) => (tensors: Map<string, FileTensor>) => {
    const inner = [...tensors].map(([name, tensor]) =>
      [prefix + name.replace(/^model\.(?:diffusion_)?model\./, ""), tensor] as const
    );
    tensors.clear();
    for (const [name, tensor] of inner) tensors.set(name, tensor);
  };
  for (
    const prefix of ["model.diffusion_model.", "diffusion_model.", "model.model.", "transformer.", "net."]
  ) {
    it(`has the tensors that it has without ${prefix}`, () => {
      for (const name of DENOISERS) {
        using plain = new Twin(name);
        using twin = new Twin(name, before(prefix));
        const read = ({ path, folder }: Twin) =>
          readModel(path, { parts: { components: folder } }).checkpoint.weights("transformer");
        const [expected, found] = [read(plain), read(twin)];
        assert.deepEqual([...found.keys()].sort(), [...expected.keys()].sort(), name);
        for (const [key, entry] of expected) assert.deepEqual(seen(found.get(key)!), seen(entry), key);
      }
    });
  }
});
