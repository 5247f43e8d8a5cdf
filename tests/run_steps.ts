// `deno task check`, `test`, `test:slow` and `ok`: runs deno's own commands one after the other.
// Its own --help starts none.

interface Task {
  help: string;
  /** Arguments of deno. The user's follow those of the last step. */
  steps: readonly (readonly string[])[];
}

const TEST = ["test", "-A", "--no-check", "--lock=tests/bench/deno.lock"];
const SLOW = ["tests/browser", "tests/faults", "tests/service"];
const CHECK = [
  ["fmt", "--check"],
  ["lint"],
  ["check", "--lock=tests/bench/deno.lock"],
  ["doc", "--lint", "sampler/mod.ts", "gpu-worker/runtime/mod.ts"],
];

const TASKS: Readonly<Record<string, Task>> = {
  check: {
    help: "Usage: deno task check\n\nFormatting, lint and types of everything, " +
      "documentation of the library surfaces.",
    steps: CHECK,
  },
  test: {
    help: "Usage: deno task test [FILES] [options of deno test]\n\nRuns the quick tests of this code, " +
      "half of the files in each of " +
      "two processes, or FILES in one.\nWhat a machine lacks (ffmpeg, ...) is skipped with its reason.",
    steps: [[
      "run",
      "--quiet",
      "--allow-run",
      "--allow-read",
      "--allow-sys=cpus",
      "tests/run_quick_tests.ts",
    ]],
  },
  "test:slow": {
    help: "Usage: deno task test:slow [options of deno test]\n\nRuns the tests that start processes and " +
      "browsers, break " +
      "them, measure memory, or take long: *_slow_test.ts.",
    steps: [[...TEST, ...SLOW, "tests/**/*_slow_test.ts"]],
  },
  ok: {
    help: "Usage: deno task ok\n\nWhat a change must pass: check, then test.",
    steps: [...CHECK, ["task", "--quiet", "test"]],
  },
};

if (import.meta.main) Deno.exit(await main(Deno.args));

/** Returns the exit code. */
async function main([name = "", ...args]: string[]): Promise<number> {
  const task = TASKS[name];
  if (task === undefined) throw new Error(`Cannot run '${name}': there is no such task`);
  const own = args[0] === "--" ? args.slice(1) : args;
  if (own[0] === "--help" || own[0] === "-h") {
    console.log(task.help);
    return 0;
  }
  // The step under way ends by itself on Ctrl-C, which the terminal sends to both.
  Deno.addSignalListener("SIGINT", () => {});
  let child: Deno.ChildProcess | undefined;
  if (Deno.build.os !== "windows") Deno.addSignalListener("SIGTERM", () => child?.kill("SIGTERM"));
  for (const [index, step] of task.steps.entries()) {
    const isLast = index === task.steps.length - 1;
    child = new Deno.Command(Deno.execPath(), { args: [...step, ...isLast ? own : []] }).spawn();
    const { code } = await child.status;
    if (code !== 0) return code;
  }
  return 0;
}
