// `deno task NAME --help` prints the help of that task, ends with 0 and starts nothing.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";

const TASK = /^ {4}"([\w:-]+)": \{$/gm;

describe("--help", () => {
  const config = Deno.readTextFileSync("deno.json");
  const tasks = [...config.slice(config.indexOf('"tasks"'), config.indexOf('"imports"')).matchAll(TASK)];
  assert.ok(tasks.length > 25, `only ${tasks.length} tasks were found`);
  for (const [index, [, name = ""]] of tasks.entries()) {
    // Both ways of asking, in turn, since each starts a process.
    const asked = index % 2 === 0 ? ["--help"] : ["--", "-h"];
    it(`prints the usage of ${name}`, async () => {
      const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
        args: ["task", "--quiet", name, ...asked],
        env: { NO_COLOR: "1" },
        signal: AbortSignal.timeout(60_000),
      }).output();
      const text = new TextDecoder().decode(stdout);
      assert.equal(code, 0, new TextDecoder().decode(stderr));
      const own = name.replace(/:dev$/, "");
      assert.match(text, new RegExp(`^Usage: .*deno task ${own === "dev" ? "start" : own}( |$)`, "m"));
      assert.ok(text.startsWith("Usage: "), text);
    });
  }
});
