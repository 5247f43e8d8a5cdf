// Packages that benches alone need stay out of the default install
// (docs/decisions/0043-packages-of-benches.md).
import { before, describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { type Import, readImports } from "./read_imports.ts";

const FOLDERS = ["deploy", "routes", "protocol", "gpu-worker", "sampler", "tests"];
const BENCH_LOCK = "--lock=tests/bench/deno.lock";
const COMMAND = /"command": "deno run (?<flags>[^"]*?)(?<entry>[\w./-]+\.ts)[^"]*"/g;
const PACKAGE = /"npm:\/?(?<name>(?:@[\w-]+\/)?[\w.-]+)@(?<version>[\d.]+)\/?"/g;

interface Lock {
  /** From npm:NAME@VERSION as the code says it. */
  specifiers: Record<string, string>;
  /** From NAME@VERSION. */
  npm: Record<string, { integrity: string }>;
}

describe("packages", () => {
  const config = Deno.readTextFileSync("deno.json");
  const [lock, benchLock] = ["deno.lock", "tests/bench/deno.lock"].map((path) =>
    JSON.parse(Deno.readTextFileSync(path)) as Lock
  );
  let imports: readonly Import[] = [];
  before(async () => void (imports = await readImports(Deno.cwd(), FOLDERS)));

  it("of deno.lock are those that deno.json names", () => {
    assert.deepEqual(
      Object.keys(lock!.specifiers).sort(),
      packagesIn(config),
      "deno.lock holds other packages than deno.json names. If a command without " +
        `${BENCH_LOCK} added them, restore deno.lock; the tasks have that option.`,
    );
  });

  it("of tests/bench/deno.lock are deno.lock's at the same versions, and those that benches name", () => {
    for (const [name, { integrity }] of Object.entries(lock!.npm)) {
      assert.equal(
        benchLock!.npm[name]?.integrity,
        integrity,
        `tests/bench/deno.lock lacks ${name} of deno.lock`,
      );
    }
    const named = imports.filter(({ to }) => to.startsWith("npm:")).map(({ to }) => to);
    assert.ok(named.length >= 5, `only ${named.length} packages were found`);
    assert.deepEqual(
      Object.keys(benchLock!.specifiers).sort(),
      [...new Set([...packagesIn(config), ...named])].sort(),
    );
  });

  it("that benches name are installed by the tasks that need them, and by no other", () => {
    const tasks = [...config.matchAll(COMMAND)].map(({ groups }) => groups!);
    assert.ok(tasks.length > 20, `only ${tasks.length} tasks were found`);
    for (const { flags, entry } of tasks) {
      const names = reach(entry!, imports).filter((name) => name.startsWith("npm:"));
      const isNeeded = names.length > 0;
      assert.equal(flags!.includes(BENCH_LOCK), isNeeded, `${entry} needs ${names.join(", ") || "none"}`);
    }
  });
});

/** Returns the packages that a configuration names, as locks write them. */
function packagesIn(config: string): string[] {
  const names = [...config.matchAll(PACKAGE)].map(({ groups }) => `npm:${groups!.name}@${groups!.version}`);
  return [...new Set(names)].sort();
}

/** Returns what a file needs, directly or through others. */
function reach(entry: string, imports: readonly Import[]): string[] {
  const reached = new Set([entry]);
  for (const path of reached) {
    for (const { from, to } of imports) if (from === path) reached.add(to);
  }
  return [...reached];
}
