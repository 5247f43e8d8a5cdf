// `deno task edge:dev` and `worker:dev`: runs a program again whenever its sources change. Under --watch a
// process that has ended is waited for, so help is printed without.
const isHelp = Deno.args.some((arg) => arg === "--help" || arg === "-h");
const child = new Deno.Command(Deno.execPath(), {
  args: ["run", "--quiet", ...isHelp ? [] : ["--watch"], ...Deno.args],
}).spawn();
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  Deno.addSignalListener(signal, () => {
    try {
      child.kill(signal);
    } catch {
      // It has ended already.
    }
  });
}
Deno.exit((await child.status).code);
