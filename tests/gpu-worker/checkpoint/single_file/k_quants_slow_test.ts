// Pictures of denoisers in K-quants against diffusers with the numbers that PyPI's gguf reads from them
// (tests/goldens/gguf/make_k_quants.py). The files' bytes are hashes of their places.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { join } from "node:path";
import { BLOCK_TYPES, type GgufBlockType } from "../../../../gpu-worker/checkpoint/block_types.ts";
import { readTensors } from "../../../../gpu-worker/checkpoint/read_tensors.ts";
import { readValues } from "../../../../gpu-worker/checkpoint/read_values.ts";
import type { WeightChoice } from "../../../../gpu-worker/checkpoint/held_weights.ts";
import { goldenPath, maxError } from "../../../goldens/golden.ts";
import { ChangedCheckpoint } from "../../pipeline/changed_checkpoint.ts";
import { referenceCalls } from "../../pipeline/reference_call.ts";
import type { FileTensor } from "./twin.ts";
import { runModel } from "./twin_pictures.ts";
import { writeGguf } from "./write_gguf.ts";

interface Described {
  folder: string;
  /** Options of transformer/config.json. */
  transformer: Record<string, unknown>;
  tensors: [name: string, shape: number[], type: string, mean: number][];
}

const FILE: {
  case: string;
  /** Bits of a block's scales, by type, and their places in a block. */
  halves: Record<string, number[]>;
  places: Record<string, number[]>;
  models: Record<string, Described>;
} = JSON.parse(Deno.readTextFileSync(goldenPath("gguf/k_quants.json")));

function hash(i: number, seed: number): number {
  let x = Math.imul(i, 2654435761) + Math.imul(seed, 40503) | 0;
  x = Math.imul(x ^ (x >>> 15), 2246822519);
  x = Math.imul(x ^ (x >>> 13), 3266489917);
  return (x ^ (x >>> 16)) >>> 0;
}

function floats(shape: readonly number[], { seed, mean }: { seed: number; mean: number }): FileTensor {
  const width = shape.length > 1 ? Math.sqrt(12 / shape.at(-1)!) : 0.2;
  const count = shape.reduce((product, n) => product * n, 1);
  const values = Float32Array.from(
    { length: count },
    (_, i) => (hash(i, seed) / 2 ** 32 - 0.5) * width + mean,
  );
  return { dtype: "F32", shape, data: new Uint8Array(values.buffer) };
}

function blocks(shape: readonly number[], { seed, type }: { seed: number; type: string }): FileTensor {
  const { elements, bytes } = BLOCK_TYPES[type as GgufBlockType];
  const count = shape.reduce((product, n) => product * n, 1) / elements;
  const data = new Uint8Array(count * bytes);
  for (let i = 0; i < data.length; i++) data[i] = hash(i, seed) >>> 24;
  for (const [n, place] of FILE.places[type]!.entries()) {
    const bits = FILE.halves[type]![n]!;
    for (let at = place; at < data.length; at += bytes) data.set([bits & 255, bits >> 8], at);
  }
  return { dtype: type, shape, data };
}

/** Draws the case from a file of its own. */
async function draw(name: string, weights: WeightChoice): Promise<Float32Array> {
  const { folder, transformer, tensors } = FILE.models[name]!;
  using components = new ChangedCheckpoint(goldenPath(folder), { transformer });
  const path = join(components.folder, "model.gguf");
  writeGguf(
    path,
    new Map(tensors.map(([name, shape, type, mean], seed) => [
      name,
      type === "F32" ? floats(shape, { seed, mean }) : blocks(shape, { seed, type }),
    ])),
  );
  const [, call] = referenceCalls(folder).find(([id]) => id === FILE.case)!;
  const { latents } = await runModel(path, { call, weights, parts: { components: components.folder } });
  return latents.data;
}

describe("a denoiser in Q2_K to Q6_K", () => {
  const goldens = readTensors(goldenPath("gguf/k_quants.safetensors"));
  for (const name of Object.keys(FILE.models)) {
    it(`gives diffusers' latents in the names of ${name}`, async () => {
      const expected = readValues(goldens.get(`${name}.latents`)!);
      const error = maxError(await draw(name, "as-stored"), expected);
      assert.ok(error < 1e-4, `error ${error}`);
    });
  }

  it("gives almost the same latents where --weights auto rounds it to int8", async () => {
    const expected = readValues(goldens.get("flux.latents")!);
    const error = maxError(await draw("flux", "auto"), expected);
    assert.ok(error > 1e-4 && error < 0.05, `error ${error}`);
  });
});
