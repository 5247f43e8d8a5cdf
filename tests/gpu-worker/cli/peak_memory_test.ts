import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { peakMemoryBytes } from "../../../gpu-worker/cli/peak_memory.ts";

const MIB = 2 ** 20;
const HELD = 256 * MIB;

describe("peakMemoryBytes()", () => {
  it("is the process's own peak, whatever the process that started it has held", async () => {
    const before = peakMemoryBytes();
    const held = new Uint8Array(HELD).fill(1);
    const own = peakMemoryBytes();
    assert.ok(own >= before && own >= held.length, `${own / MIB} MiB`);
    const command = new Deno.Command(Deno.execPath(), {
      // The permissions of the commands that report it.
      args: ["run", "--quiet", "--no-prompt", "-P=model", "tests/gpu-worker/cli/print_peak_memory.ts"],
      stdout: "piped",
      stderr: "inherit",
    });
    const { stdout } = await command.output();
    const started = Number(new TextDecoder().decode(stdout));
    assert.ok(started > MIB && started < HELD, `${started / MIB} MiB`);
  });
});
