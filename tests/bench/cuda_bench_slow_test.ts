import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { runTask } from "../gpu-worker/cli/run_task.ts";
import { NO_SOFTWARE_GPU } from "../software_gpu.ts";

describe("bench:cuda", () => {
  it("shows parity, copies, rows and speed on a device in software", {
    skip: NO_SOFTWARE_GPU !== false,
  }, async () => {
    const args = ["--device", "webgpu", "--small", "--rounds", "1"];
    const { code, stdout, stderr } = await runTask("bench:cuda", args);
    assert.equal(code, 0, stderr);
    const tables = stdout.split(/(?=^[^┌│├└\n].*\n┌)/m).filter((part) => part.includes("┌"));
    const columns = tables.map((table) =>
      table.split("\n").find((line) => line.startsWith("│"))!.split("│").map((name) => name.trim()).slice(
        2,
        -1,
      )
    );
    assert.deepEqual(columns[0], ["checkpoint", "call", "float32"]);
    assert.deepEqual(columns[1], [
      "graph",
      "nodes run",
      "on the CPU",
      "on the device",
      "copies",
      "largest copy, bytes",
    ]);
    for (const graph of ["trunk", "head", "modulation", "featureSum"]) {
      assert.match(tables[1]!, new RegExp(`"${graph}"`));
    }
    assert.deepEqual(columns[2]!.slice(0, 3), ["pictures", "median ms", "least ms"]);
    for (const column of ["passes", "speedup", "limit", "reached", "forecast / full"]) {
      assert(columns[3]!.includes(column), column);
    }
    assert.equal(tables.length, 4);
  });

  it("refuses a device that it does not know", async () => {
    const { code, stderr } = await runTask("bench:cuda", ["--device", "metal"]);
    assert.equal(code, 2);
    assert.match(stderr, /--device must be one of cpu, cuda, webgpu: current value is 'metal'/);
  });
});
