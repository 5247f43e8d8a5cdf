// `deno task plan`: finds the best full passes from a
// checkpoint's own features and stores them beside its weights.
import { UsageError } from "../../../protocol/process/usage_error.ts";
import { createForecaster, findPlans } from "../../../sampler/mod.ts";
import { completeRequest } from "../../request/complete_request.ts";
import { openPipeline } from "../../model/open_pipeline.ts";
import { type DescribedModel, describeModel } from "../../model/describe_model.ts";
import type { StoredPlans } from "../../request/request_defaults.ts";
import { readPromptFile } from "../read_prompts.ts";
import { readDevice } from "../../flags/device_flags.ts";
import { MODEL_FLAGS, MODEL_HELP, readModelName } from "../../flags/model_flags.ts";
import { PART_FLAGS, PART_HELP, readPartFlags } from "../../flags/part_flags.ts";
import { planningPrompts, recordGram } from "./record_gram.ts";
import { readFlags } from "../../flags/read_flags.ts";
import { WEIGHT_CACHE_FOLDER } from "../../session/weight_store.ts";
import { SAMPLING_FLAGS, SAMPLING_HELP, samplingRequest } from "../../flags/sampling_flags.ts";
import { assertWritable, writeAtomically } from "../write_atomically.ts";

const HELP = `Usage: deno task plan [--write] [options]

Draws prompts with full passes only, and finds the full passes from which the method forecasts the other steps best: one
plan for each number of full passes. Keeps all features of a run in memory. Needs a flow-matching checkpoint.

  --write                  add the plans to the checkpoint's spectrum.json instead of printing them
  --prompt-file FILE       one prompt per line (names that the checkpoint lists, on white and on colours)
  --count N                number of prompts to draw (32)
  --max-passes N           number of full passes in the largest plan (16)
  --device D --dtype T --weights W   as for generate
${MODEL_HELP}
${PART_HELP}
${SAMPLING_HELP}
`;

const MIN_PASSES = 4;
export async function plan(args: string[], signal: AbortSignal): Promise<void> {
  const flags = readFlags(args, {
    ...SAMPLING_FLAGS,
    ...MODEL_FLAGS,
    ...PART_FLAGS,
    "write": "switch",
    "prompt-file": "text",
    "count": "number",
    "max-passes": "number",
    "device": "text",
    "dtype": "text",
    "weights": "text",
    "help": "switch",
  });
  if (flags.help) return console.log(HELP);
  const { count = 32, "max-passes": maxPasses = 16, "prompt-file": file } = flags;
  const model = readModelName(flags);
  const device = { ...readDevice(flags), parts: readPartFlags(flags) };
  const { checkpoint, reading } = describeModel(model, device);
  const { seed = 42, ...fields } = samplingRequest(flags);
  const given = { ...fields, seed };
  // The method to find plans for, checked as in any request.
  const { sampler, steps } = completeRequest({ prompt: "", ...given }, reading);
  const path = checkpoint.settingsPath;
  if (flags.write) await assertWritable(path);

  using pipeline = await openPipeline(model, { ...device, weightCache: WEIGHT_CACHE_FOLDER });
  const prompts = file === undefined
    ? namesOf(pipeline.model.names)
    : readPromptFile(file, count).map(({ prompt }) => prompt);
  const { gram, strides } = await recordGram(pipeline, {
    prompts: prompts.slice(0, count),
    given,
    steps,
    signal,
  });
  const found = findPlans({
    gram,
    weights: strides,
    forecaster: createForecaster(sampler, steps),
    maxPasses: Math.min(maxPasses, steps),
  });
  const plans: StoredPlans = {
    [steps]: Object.fromEntries(
      found.slice(MIN_PASSES - 1).map((plan, i) => [i + MIN_PASSES, plan.fullSteps]),
    ),
  };
  if (!flags.write) return console.log(formatJson({ plans }));
  await write(path, { checkpoint, plans });
  console.log(path);
}

function namesOf(names: readonly string[] | undefined): string[] {
  if (names === undefined) {
    throw new UsageError("--prompt-file is missing, and the checkpoint lists no names");
  }
  return planningPrompts(names);
}

async function write(
  path: string,
  { checkpoint, plans }: { checkpoint: DescribedModel["checkpoint"]; plans: StoredPlans },
): Promise<void> {
  const own = checkpoint.has("spectrum.json") ? checkpoint.json("spectrum.json") : {};
  const merged = { ...own, plans: { ...own["plans"] as StoredPlans | undefined, ...plans } };
  await writeAtomically(path, new TextEncoder().encode(formatJson(merged) + "\n"));
}

/** Formats JSON with indentation and each plan on one line. */
function formatJson(value: unknown): string {
  return JSON.stringify(value, null, 2).replaceAll(
    /\[\s+([\d,\s]+?)\s+\]/g,
    (_, numbers: string) => `[${numbers.replaceAll(/,\s+/g, ", ")}]`,
  );
}
