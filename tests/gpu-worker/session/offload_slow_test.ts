// Offloading takes less memory, and gives the same picture in other families than FLUX.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { join } from "node:path";
import type { WeightEntry } from "../../../gpu-worker/checkpoint/weights.ts";
import { readSafetensorsHeader } from "../../../gpu-worker/checkpoint/safetensors.ts";
import { encodeSafetensors } from "../../../gpu-worker/media/encode_safetensors.ts";
import { runTask } from "../cli/run_task.ts";
import { goldenPath } from "../../goldens/golden.ts";
import { assertOffloads } from "./assert_offloads.ts";

const MIB = 2 ** 20;

describe("openPipeline() with offload holds one stage at a time and draws the same picture twice:", () => {
  for (const name of ["sd3/tiny-large", "sdxl/tiny-sdxl", "wan/tiny-unipc"]) {
    it(name, () => assertOffloads(name));
  }
});

describe("deno task generate --offload", () => {
  it("takes less memory where two components are large", async () => {
    const folder = Deno.makeTempDirSync();
    try {
      const model = wideCheckpoint(join(folder, "wide"));
      const peak = async (...flags: string[]) => {
        const size = ["--steps", "2", "--width", "16", "--height", "16", "--max-sequence-length", "8"];
        const out = ["--out", join(folder, "x.png"), "--json"];
        const args = ["--model", model, "--prompt", "red heart", ...size, ...out, ...flags];
        const { code, stdout, stderr } = await runTask("generate", args);
        assert.equal(code, 0, stderr);
        return JSON.parse(stdout).peakMemoryBytes;
      };
      const together = await peak();
      const inTurn = await peak("--offload");
      // The smaller of the two encoders has 96 MiB of weights. Peaks vary by a tenth from run to run.
      assert.ok(inTurn < together - 48 * MIB, `${inTurn / MIB} MiB instead of ${together / MIB}`);
    } finally {
      Deno.removeSync(folder, { recursive: true });
    }
  });
});

/** Writes flux/tiny-dev with feed-forward layers of 96 MiB in CLIP and 180 MiB in T5, all zeros. */
function wideCheckpoint(folder: string): string {
  copyFolder(goldenPath("flux/tiny-dev"), folder);
  widen(join(folder, "text_encoder"), { option: "intermediate_size", layer: /\.mlp\./ });
  widen(join(folder, "text_encoder_2"), { option: "d_ff", layer: /DenseReluDense/ });
  return folder;
}

const WIDE = 3 * 2 ** 17;

function widen(folder: string, { option, layer }: { option: string; layer: RegExp }): void {
  const config = JSON.parse(Deno.readTextFileSync(join(folder, "config.json")));
  const width = config[option];
  Deno.writeTextFileSync(join(folder, "config.json"), JSON.stringify({ ...config, [option]: WIDE }));
  const path = join(folder, "model.safetensors");
  const bytes = Deno.readFileSync(path);
  const tensors = [...readSafetensorsHeader(path)].map(([name, entry]) => {
    if (!layer.test(name)) return { name, dims: entry.shape, data: floats(bytes, entry) };
    const dims = entry.shape.map((n) => n === width ? WIDE : n);
    return { name, dims, data: new Float32Array(dims.reduce((a, b) => a * b, 1)) };
  });
  Deno.writeFileSync(path, encodeSafetensors(tensors));
}

function floats(bytes: Uint8Array, { offset, byteLength }: Pick<WeightEntry, "offset" | "byteLength">) {
  return new Float32Array(bytes.slice(offset, offset + byteLength).buffer);
}

function copyFolder(from: string, to: string): void {
  Deno.mkdirSync(to);
  for (const { name, isDirectory } of Deno.readDirSync(from)) {
    if (isDirectory) copyFolder(join(from, name), join(to, name));
    else Deno.copyFileSync(join(from, name), join(to, name));
  }
}
