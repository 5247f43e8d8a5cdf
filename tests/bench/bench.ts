// `deno task bench`: the benches that need nothing but this machine, one after the other, each
// with its own permissions.
const TASKS = ["bench:sampler", "bench:worker", "bench:edge"];
const HELP = `Usage: deno task bench

Runs ${TASKS.join(", ")}, one after the other. Options are theirs: deno task bench:sampler --help
`;

const [argument] = Deno.args.filter((arg) => arg !== "--");
if (argument !== undefined) {
  const help = ["--help", "-h"].includes(argument);
  if (help) console.log(HELP);
  else console.error(`bench: it takes no options: current value is '${argument}'`);
  Deno.exit(help ? 0 : 2);
}
let running: Deno.ChildProcess | undefined;
// The bench under way says what an interruption means, and its code ends the others.
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  Deno.addSignalListener(signal, () => running?.kill(signal));
}
for (const task of TASKS) {
  running = new Deno.Command(Deno.execPath(), { args: ["task", task] }).spawn();
  const { code } = await running.status;
  if (code !== 0) Deno.exit(code);
}
Deno.exit(0);
