// The command `spectrum`, for any folder:
//     deno install --global --allow-read --allow-run --name spectrum deploy/spectrum.ts
// It starts the tasks of deno.json, each with its own permissions. It imports no package, since an installed
// command has none of deno.json's names.
import { COMMANDS } from "./commands.ts";

const CONFIG = decodeURIComponent(new URL("../deno.json", import.meta.url).pathname).replace(
  /^\/([A-Z]:)/i,
  "$1",
);
const NAMES = Object.keys(COMMANDS);
const HELP = `Usage: spectrum COMMAND [options]

${NAMES.map((name) => `  ${name.padEnd(12)}${COMMANDS[name]!.about}`).join("\n")}

'spectrum COMMAND --help' lists a command's options. Paths are relative to the folder that you are in.
SPECTRUM_MODEL names the model that commands use by default (models/emoji).
`;

if (import.meta.main) Deno.exit(await main(Deno.args));

/** Returns the exit code. */
async function main([name, ...args]: string[]): Promise<number> {
  if (name === undefined || ["--help", "-h", "help"].includes(name)) {
    console.log(HELP);
    return 0;
  }
  if (!Object.hasOwn(COMMANDS, name)) {
    console.error(
      `spectrum: unknown command '${name}'. Try ${NAMES.slice(0, -1).join(", ")} or ${NAMES.at(-1)}.`,
    );
    return 2;
  }
  // Ctrl-C reaches the command too, which says what it leaves behind.
  Deno.addSignalListener("SIGINT", () => {});
  const child = new Deno.Command(Deno.execPath(), {
    args: ["task", "--quiet", "--config", CONFIG, COMMANDS[name]!.task, ...args],
    env: { INIT_CWD: Deno.cwd() },
  }).spawn();
  if (Deno.build.os !== "windows") Deno.addSignalListener("SIGTERM", () => child.kill("SIGTERM"));
  return (await child.status).code;
}
