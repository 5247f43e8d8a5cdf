// The command line of `deno task batches`: what is wrong with it is one line and exit code 2.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";

describe("deno task batches", () => {
  for (
    const { args, says } of [
      { args: ["--port", "x"], says: "--port takes a whole number >= 0: current value is 'x'" },
      {
        args: ["--concurrency=-1"],
        says: "--concurrency takes a whole number >= 0: current value is '-1'",
      },
      { args: ["--bogus"], says: "unknown argument '--bogus'; --help lists what there is" },
      { args: ["--host", "0.0.0.0"], says: "SPECTRUM_WORKER_SECRET" },
    ]
  ) {
    it(`refuses ${args.join(" ")}`, async () => {
      const { code, stderr } = await new Deno.Command(Deno.execPath(), {
        args: ["task", "--quiet", "batches", "--redis", "redis://127.0.0.1:1", ...args],
        env: { NO_COLOR: "1" },
        stdout: "null",
        stderr: "piped",
      }).output();
      const lines = new TextDecoder().decode(stderr).trim().split("\n");
      assert.equal(code, 2, lines.join("\n"));
      assert.equal(lines.length, 1, lines.join("\n"));
      assert.ok(lines[0]!.startsWith("batches: ") && lines[0]!.includes(says), lines[0]!);
    });
  }
});
