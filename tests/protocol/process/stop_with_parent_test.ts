import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { stopWithParent } from "../../../protocol/process/stop_with_parent.ts";

describe("stopWithParent()", () => {
  const read = (...answers: (number | null | Error)[]) => ({
    read: () => {
      const answer = answers.shift()!;
      return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer);
    },
  });

  it("stops when the parent's end of the pipe closes or breaks", async () => {
    for (const input of [read(null), read(3, null), read(new Error("broken"))]) {
      let stopped = 0;
      await stopWithParent(() => stopped++, { env: () => "1", input });
      assert.equal(stopped, 1);
    }
  });

  it("never reads the standard input of a process that somebody else started", async () => {
    await stopWithParent(() => assert.fail(), { env: () => undefined, input: read(new Error("read")) });
  });

  it("leaves a process alone whose permissions do not name its variable", async () => {
    const file = await Deno.makeTempFile({ suffix: ".ts" });
    try {
      const module = import.meta.resolve("../../../protocol/process/stop_with_parent.ts");
      await Deno.writeTextFile(file, `(await import("${module}")).stopWithParent(() => Deno.exit(1));`);
      const args = ["run", "--no-prompt", "--no-check", "--allow-env=PORT", "--allow-read", file];
      const { code, stderr } = await new Deno.Command(Deno.execPath(), { args, stdin: "null" }).output();
      assert.equal(code, 0, new TextDecoder().decode(stderr));
    } finally {
      await Deno.remove(file);
    }
  });
});
