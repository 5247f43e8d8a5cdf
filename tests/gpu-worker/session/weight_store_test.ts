// Converted weights on disk: kept, found again, and never half written.
import { afterEach, beforeEach, describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { chmodSync } from "node:fs";
import { join } from "node:path";
import { CheckpointError } from "../../../gpu-worker/checkpoint/checkpoint_error.ts";
import { readTensors } from "../../../gpu-worker/checkpoint/read_tensors.ts";
import { GraphBuilder, type OnnxModel } from "../../../gpu-worker/graph/graph_builder.ts";
import { encodeSafetensors } from "../../../gpu-worker/media/encode_safetensors.ts";
import { WeightStore } from "../../../gpu-worker/session/weight_store.ts";
import { storedFiles } from "./stored_files.ts";

const [OUT, IN] = [500, 1024];

let folder: string;
let source: string;
let kept: string;
beforeEach(() => {
  folder = Deno.makeTempDirSync();
  source = join(folder, "x.safetensors");
  kept = join(folder, "kept");
  writeSource(1);
});
afterEach(() => Deno.removeSync(folder, { recursive: true }));

function writeSource(factor: number): void {
  const data = Float32Array.from({ length: OUT * IN }, (_, i) => factor * Math.sin(i));
  Deno.writeFileSync(source, encodeSafetensors([{ name: "w", dims: [OUT, IN], data }]));
}

function model(bits: 8 | 4 = 8, wholeRows = false): OnnxModel {
  const blockSize = wholeRows ? IN : 32;
  const weights = new Map([["w", {
    ...readTensors(source).get("w")!,
    quantization: { bits, blockSize, wholeRows },
  }]]);
  const graph = new GraphBuilder({ name: "some graph", weights, dtype: "float32" });
  graph.output("scales", graph.blockMatrix("w", [OUT, IN])!.scales, [OUT, IN / blockSize]);
  return graph.build();
}

async function place(
  options: ConstructorParameters<typeof WeightStore>[0],
  bits?: 8 | 4,
  wholeRows?: boolean,
): Promise<void> {
  using store = new WeightStore(options);
  await store.place(model(bits, wholeRows));
}

describe("WeightStore", () => {
  it("keeps one file for a graph and finds it again", async () => {
    await place({ folder: kept });
    const first = storedFiles(kept);
    assert.equal(first.length, 1);
    assert.match(first[0]!.name, /^some-graph-[0-9a-f]{32}\.weights$/);
    assert.equal(first[0]!.size, OUT * IN + OUT * IN / 32 * 4);
    await place({ folder: kept });
    assert.deepEqual(storedFiles(kept), first);
  });

  it("keeps other settings and other weights apart", async () => {
    await place({ folder: kept });
    await place({ folder: kept }, 4);
    await place({ folder: kept }, 8, true);
    writeSource(2);
    await place({ folder: kept });
    assert.equal(storedFiles(kept).length, 4);
  });

  it("writes a file again that lost its end", async () => {
    await place({ folder: kept });
    const { name, size } = storedFiles(kept)[0]!;
    const bytes = Deno.readFileSync(join(kept, name));
    Deno.truncateSync(join(kept, name), 100);
    await place({ folder: kept });
    assert.equal(storedFiles(kept)[0]!.size, size);
    assert.deepEqual(Deno.readFileSync(join(kept, name)), bytes);
  });

  it("leaves nothing of a temporary folder", async () => {
    const store = new WeightStore();
    const { bytes } = await store.place(model());
    const [, name, file] = /(spectrum-weights-\w+)\/([\w.-]+\.weights)/.exec(
      new TextDecoder().decode(bytes),
    )!;
    const path = join(folder, "..", name!);
    assert.ok(Deno.statSync(join(path, file!)).isFile);
    store[Symbol.dispose]();
    assert.throws(() => Deno.statSync(path), Deno.errors.NotFound);
  });

  it("refuses a source that was cut off meanwhile, and leaves nothing behind", async () => {
    const whole = model();
    Deno.truncateSync(source, 1_000_000);
    using store = new WeightStore({ folder: kept });
    await assert.rejects(store.place(whole), (error: Error) => {
      assert.ok(error instanceof CheckpointError);
      assert.match(
        error.message,
        /^Cannot read .*x\.safetensors as it ends at byte 1000000: truncated download\?$/,
      );
      return true;
    });
    assert.deepEqual(storedFiles(kept), []);
  });

  it("says in one line that its folder cannot be written", async () => {
    // A file in the folder's place stops even root, unlike permissions.
    Deno.writeTextFileSync(kept, "");
    chmodSync(kept, 0o444);
    await assert.rejects(place({ folder: kept }), (error: Error) => {
      assert.ok(error instanceof CheckpointError);
      assert.match(
        error.message,
        /^Cannot keep converted weights in .*kept: [^\n]+ Try --weights as-stored, or free disk space\.$/,
      );
      return true;
    });
  });
});
