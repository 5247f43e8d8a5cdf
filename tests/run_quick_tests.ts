// Runs the quick tests in two processes at once, each with half of the files: one native runtime a process,
// both cores busy. Arguments are deno test's. With files among them, one process runs those.
import { availableParallelism } from "node:os";

const IGNORED = ["tests/browser", "tests/faults", "tests/service"];
const TEST = ["test", "-A", "--no-check", "--lock=tests/bench/deno.lock"];

if (import.meta.main) Deno.exit(await main(Deno.args));

/** Returns the exit code. */
async function main(args: string[]): Promise<number> {
  const ignore = `--ignore=${IGNORED.join(",")},**/*_slow_test.ts`;
  if (args.some((arg) => !arg.startsWith("-")) || availableParallelism() === 1) {
    return (await start([ignore, ...args], "inherit").status).code;
  }
  const files = [...quickTests("tests")].sort();
  const [first, second] = [0, 1].map((half) => files.filter((_, index) => index % 2 === half));
  const shown = start([...first!, ...args], "inherit");
  const kept = start([...second!, ...args.map(asSecond)], "piped");
  if (Deno.build.os !== "windows") {
    Deno.addSignalListener("SIGTERM", () => [shown, kept].forEach((child) => child.kill("SIGTERM")));
  }
  const output = kept.output();
  const { code } = await shown.status;
  // Shown once the first half has ended, so that lines do not mix.
  const { stdout, stderr, code: otherCode } = await output;
  await Deno.stdout.write(stdout);
  await Deno.stderr.write(stderr);
  return code || otherCode;
}

function start(args: string[], stdout: "inherit" | "piped"): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), { args: [...TEST, ...args], stdout, stderr: stdout }).spawn();
}

function* quickTests(folder: string): Generator<string> {
  for (const { name, isDirectory } of Deno.readDirSync(folder)) {
    const path = `${folder}/${name}`;
    if (isDirectory && !IGNORED.includes(path)) yield* quickTests(path);
    if (name.endsWith("_test.ts") && !name.endsWith("_slow_test.ts")) yield path;
  }
}

/** A report has a file for each half: default.xml and default.2.xml. */
function asSecond(arg: string): string {
  return arg.startsWith("--junit-path=") ? arg.replace(/(\.\w+)?$/, ".2$1") : arg;
}
