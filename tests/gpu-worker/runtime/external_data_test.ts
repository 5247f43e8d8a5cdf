import { after, before, describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { join, relative } from "node:path";
import { OrtError, Runtime, toBfloat16 } from "../../../gpu-worker/runtime/mod.ts";
import { ONNX_DATA_TYPE } from "../../../gpu-worker/runtime/dtype.ts";
import { external, model, node } from "./models.ts";

/** An odd offset, which a safetensors header of that length causes. */
const OFFSET = 129;
/** Exact in bfloat16. */
const WEIGHTS = [0.5, -2, 3, 0.125];

describe("Session with weights in other files", () => {
  let folder: string;

  before(async () => {
    folder = await Deno.realPath(await Deno.makeTempDir());
    // The layout of a Hugging Face cache: the snapshot's files are links to ../../blobs.
    await Deno.mkdir(join(folder, "blobs"));
    await Deno.mkdir(join(folder, "snapshots", "main"), { recursive: true });
    await Deno.writeFile(join(folder, "blobs", "ab12"), checkpoint(OFFSET));
    await Deno.symlink(join("..", "..", "blobs", "ab12"), join(folder, "snapshots", "main", "m.safetensors"));
  });
  after(() => Deno.remove(folder, { recursive: true }));

  for (const root of ["the checkpoint's folder", "/"]) {
    it(`createSession() reads unaligned bfloat16 behind links, relative to ${root}`, async () => {
      using runtime = Runtime.open();
      const externalDataFolder = root === "/" ? "/" : folder;
      const location = relative(externalDataFolder, join(folder, "snapshots", "main", "m.safetensors"));
      using session = await runtime.createSession({
        bytes: scaleModel(location, OFFSET),
        externalDataFolder,
      });
      using x = runtime.tensor("float32", [4], Float32Array.of(1, 10, 100, 1000));
      using y = (await session.run({ x })).y!.as("float32");
      assert.deepEqual([...y.data()], [0.5, -20, 300, 125]);
    });
  }

  it("createSession() names the graph and the absent file or truncated weight in one line", async () => {
    using runtime = Runtime.open();
    const load = (location: string, offset: number) =>
      runtime.createSession({
        name: "scale",
        bytes: scaleModel(location, offset),
        externalDataFolder: folder,
      });
    const names = (cause: RegExp) => (error: unknown) => {
      assert(error instanceof OrtError);
      assert.match(error.message, /^Cannot load 'scale': /);
      assert.doesNotMatch(error.message, /\n|onnxruntime_src/);
      assert.match(error.message, cause);
      return true;
    };
    await assert.rejects(load("absent.safetensors", OFFSET), names(/absent\.safetensors/));
    await assert.rejects(
      load("blobs/ab12", OFFSET + 4),
      names(/initializer: weight offset: 133 .* file_length: 137/),
    );
  });
});

/** Returns y = x * weight, with the weight cast from bfloat16. */
function scaleModel(location: string, offset: number): Uint8Array {
  const attribute = { name: "to", type: 2, i: BigInt(ONNX_DATA_TYPE.float32) };
  return model({
    inputs: { x: ["float32", [4]] },
    outputs: { y: ["float32", [4]] },
    nodes: [node("Cast", ["weight"], ["weight32"], [attribute]), node("Mul", ["x", "weight32"], ["y"])],
    initializers: [
      external("weight", { dtype: "bfloat16", dims: [4], location, offset, length: 8 }),
    ],
  });
}

function checkpoint(offset: number): Uint8Array {
  const file = new Uint8Array(offset + 8);
  file.set(new Uint8Array(toBfloat16(WEIGHTS).buffer), offset);
  return file;
}
