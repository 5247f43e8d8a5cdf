// `deno task inspect`: describes a checkpoint, whether it runs here, and how much memory it needs.
import { isFile } from "../../checkpoint/is_file.ts";
import { parseModelName } from "../../../protocol/wire/model_name.ts";
import { describeFile } from "./describe_file.ts";
import { readDevice, WEIGHTS_HELP } from "../../flags/device_flags.ts";
import { MEMORY_FLAGS, readMemoryFlags } from "../../flags/memory_flags.ts";
import { MODEL_FLAGS, MODEL_HELP, readModelName } from "../../flags/model_flags.ts";
import { PART_FLAGS, PART_HELP, partArguments, readPartFlags } from "../../flags/part_flags.ts";
import { type FlagKind, readFlags } from "../../../protocol/process/read_flags.ts";
import { inspectModel } from "./inspect_model.ts";
import { printFile, printInspection } from "./print_inspection.ts";

const HELP = `Usage: deno task inspect [[--model] MODEL] [options]

${MODEL_HELP}
${PART_HELP}
  --device D               cpu | cuda | webgpu (cpu)
  --dtype T                float32 | float16 | bfloat16 (float32; bfloat16 on cuda)
${WEIGHTS_HELP}
  --steps N --width N --height N --num-frames N   of the run (the checkpoint's)
  --image FILE             an image to look at, for models that do; may be repeated (as many
                           of a megapixel as the model needs)
  --offload --vae-tiling   as for generate
  --json                   print one JSON object on stdout

Memory is predicted for one picture or video. Its settings are the checkpoint's, unless a flag gives another.
The first run of a checkpoint optimizes its graphs and needs somewhat more.
`;

export const INSPECT_FLAGS = {
  ...MODEL_FLAGS,
  ...PART_FLAGS,
  ...MEMORY_FLAGS,
  "model": "text-or-operand",
  "device": "text",
  "dtype": "text",
  "weights": "text",
  "steps": "number",
  "width": "number",
  "height": "number",
  "num-frames": "number",
  "image": "texts",
  "json": "switch",
  "help": "switch",
} as const satisfies Record<string, FlagKind>;

export async function inspect(args: string[]): Promise<void> {
  const flags = readFlags(args, INSPECT_FLAGS);
  if (flags.help) return console.log(HELP);
  const size = {
    ...flags,
    ...readMemoryFlags(flags),
    numFrames: flags["num-frames"],
    images: flags.image,
  };
  const model = readModelName(flags);
  const parts = readPartFlags(flags);
  const { name } = parseModelName(model);
  const file = isFile(name) ? describeFile(name, parts) : undefined;
  // The kind of the file helps most where the rest of the model is missing.
  if (file !== undefined && !flags.json) printFile(name, file);
  const report = { ...file && { file }, ...await inspectModel(model, { ...readDevice(flags), parts, size }) };
  if (flags.json) return console.log(JSON.stringify(report, null, 2));
  printInspection(report);
  const command = ["deno task generate", "--model", model, ...partArguments(parts), "--prompt", '"..."'];
  if (file !== undefined) console.log(`run it with \`${command.join(" ")}\``);
}
