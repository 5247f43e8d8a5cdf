// float16 on a WebGPU adapter that has it: lavapipe. SwiftShader, which the other tests use, has none.
import { after, before, describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { Lavapipe, NO_LAVAPIPE } from "../../lavapipe/lavapipe.ts";
import { runTask } from "../cli/run_task.ts";
import type { NarrowRow } from "./narrow_types_process.ts";

/** float16 has 11 bits, so a result is off by 5e-4, and a run adds some of them up: 8e-3 was measured. */
const TOLERANCE = { float16: 2e-2, float32: 1e-4 };

describe("WebGPU on an adapter with float16", { skip: NO_LAVAPIPE !== false }, () => {
  let lavapipe: Lavapipe;
  before(() => {
    lavapipe = new Lavapipe();
  });
  after(() => lavapipe[Symbol.dispose]());

  it("is offered by `devices`", async () => {
    const { stdout } = await runTask("devices", [], lavapipe.env);
    assert.match(stdout, /--device webgpu: llvmpipe.*\n +--dtype float32 \| float16/);
  });

  it("runs checkpoints stored in float16 and bfloat16, close to the CPU, without warnings", async () => {
    const script = fileURLToPath(new URL("narrow_types_process.ts", import.meta.url));
    const command = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-check", script],
      env: { ...lavapipe.env, NO_COLOR: "1" },
    });
    const { code, stdout, stderr } = await command.output();
    assert.equal(code, 0, new TextDecoder().decode(stderr));
    const rows: NarrowRow[] = JSON.parse(new TextDecoder().decode(stdout));
    assert(rows.length > 0);
    for (const row of rows) {
      assert.deepEqual(row.notes, [], JSON.stringify(row));
      assert.deepEqual(row.left, [], JSON.stringify(row));
      assert(row.error <= TOLERANCE[row.dtype], JSON.stringify(row));
    }
    // Errors as small as float32's would say that nothing was computed in float16.
    const halves = rows.filter(({ dtype }) => dtype === "float16");
    assert(halves.every(({ error }) => error > 1e-5), JSON.stringify(halves));
  });

  it("is a column of `bench:cuda --device webgpu --parity`", async () => {
    const args = ["--device", "webgpu", "--small", "--parity"];
    const { code, stdout, stderr } = await runTask("bench:cuda", args, lavapipe.env);
    assert.equal(code, 0, stderr);
    assert.match(stdout, /checkpoint.*call.*float32.*float16/);
  });
});
