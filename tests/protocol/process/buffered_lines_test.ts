import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { bufferedLines } from "../../../protocol/process/buffered_lines.ts";
import { until } from "../../until.ts";

describe("bufferedLines()", () => {
  it("lines come together, in order, after the delay or once there are many", async () => {
    const written: string[] = [];
    const line = bufferedLines({
      write: (text) => void written.push(text),
      delayMs: 1,
      capacity: 3,
    });
    for (const text of ["a", "b", "c", "d"]) line(text);
    assert.deepEqual(written, ["a\nb\nc"]);
    await until(() => written.length === 2);
    assert.deepEqual(written, ["a\nb\nc", "d"]);
  });

  it("writes waiting lines when the process exits", async () => {
    const code = `import { bufferedLines } from ${
      JSON.stringify(import.meta.resolve("../../../protocol/process/buffered_lines.ts"))
    };
bufferedLines({ delayMs: 60000 })("last words");
Deno.exit(0);`;
    const { stdout } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--no-config", `data:application/typescript,${encodeURIComponent(code)}`],
    }).output();
    assert.equal(new TextDecoder().decode(stdout), "last words\n");
  });
});
