// Programs of the machine that some tests need. Deno's reporters drop the reason of a
// skip, so it is printed here.
import { delimiter, isAbsolute, join } from "node:path";

/** Programs that this test file was told of as missing. */
const told = new Set<string>();

/**
 * @returns the first of `names` that is installed: a name is looked for on the PATH, a path where it says.
 */
export function findProgram(...names: string[]): string | undefined {
  const folders = (Deno.env.get("PATH") ?? "").split(delimiter);
  const paths = names.flatMap((name) =>
    isAbsolute(name) ? [name] : folders.map((folder) => join(folder, name))
  );
  return paths.find((path) => {
    try {
      return Deno.statSync(path).isFile;
    } catch {
      return false;
    }
  });
}

/**
 * For the `skip` of describe() and it().
 * @param hint how else the program is found
 * @returns false where `program` is installed, else why the tests are skipped
 */
export function skipWithout(
  program: string,
  { found = findProgram(program), hint = "" } = {},
): string | false {
  if (found !== undefined) return false;
  const reason = `${program} is not installed${hint && ` (${hint})`}`;
  if (!told.has(program)) console.log(`skipped: ${reason}`);
  told.add(program);
  return reason;
}
