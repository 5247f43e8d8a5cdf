// Takes a task back to the folder in which the user called it.
import { resolve } from "node:path";
import { PROJECT_FOLDER } from "./project_folder.ts";

export interface EnterUserFolderOptions {
  /** @default Deno.env */
  env?: Pick<typeof Deno.env, "get">;
  /** The working folder. @default Deno's */
  cwd?: () => string;
  chdir?: (folder: string) => void;
}

/**
 * Changes to the folder that the command was called in. `deno task` runs in the folder of deno.json and keeps
 * the caller's in INIT_CWD, and paths on a command line are relative to the caller's. A program that was
 * started without `deno task` stays where it is.
 */
export function enterUserFolder(
  { env = Deno.env, cwd = Deno.cwd, chdir = Deno.chdir }: EnterUserFolderOptions = {},
): void {
  const folder = env.get("INIT_CWD");
  if (folder && resolve(cwd()) === resolve(PROJECT_FOLDER)) chdir(folder);
}
