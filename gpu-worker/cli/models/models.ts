// `deno task models`: lists the checkpoints on this machine: the embedded ones, and what the
// Hugging Face cache holds.
import { type FlagKind, readFlags } from "../../../protocol/process/read_flags.ts";
import { hubCacheFolder } from "../../checkpoint/hub_cache.ts";
import { listModels, type LocalModel } from "./list_models.ts";

const HELP = `Usage: deno task models [options]

Lists the checkpoints that --model finds by name, with their sizes on disk.
They are the embedded ones and those in the Hugging Face cache (HF_HUB_CACHE, HF_HOME/hub or
~/.cache/huggingface/hub). 'deno task pull ORG/NAME' adds one.

  --json   print one JSON object a line on stdout
`;

export const MODELS_FLAGS = { "json": "switch", "help": "switch" } as const satisfies Record<
  string,
  FlagKind
>;

// deno-lint-ignore require-await -- runCommand awaits every command
export async function models(args: string[]): Promise<void> {
  const { help, json } = readFlags(args, MODELS_FLAGS);
  if (help) return console.log(HELP);
  const found = listModels(hubCacheFolder());
  if (json) return found.forEach((model) => console.log(JSON.stringify(model)));
  const width = Math.max(...found.map(({ name }) => name.length));
  for (const model of found) console.log(lineOf(model, width));
}

/** Returns the line for a reader. */
function lineOf({ name, pipelineClass, bytes }: LocalModel, width: number): string {
  const size = bytes < 2 ** 30
    ? `${(bytes / 2 ** 20).toFixed(1)} MiB`
    : `${(bytes / 2 ** 30).toFixed(1)} GiB`;
  const kind = pipelineClass ?? "no whole pipeline: parts of one, or a model of another kind";
  return `${name.padEnd(width)}  ${size.padStart(9)}  ${kind}`;
}
