// Settles a calibration: its prompts, its numbers of steps, and whether the checkpoint can use one at all.
import { UsageError } from "../../../protocol/process/usage_error.ts";
import type { DescribedModel } from "../../model/describe_model.ts";
import { phasesOf, solverOf } from "../../pipeline/run_shape.ts";
import { whyUnfit } from "../../pipeline/run_forecaster.ts";
import { completeRequest } from "../../request/complete_request.ts";
import type { GenerateRequest } from "../../request/generate_request.ts";
import { readPromptFile } from "../read_prompts.ts";
import type { CalibrateArguments } from "./calibrate_arguments.ts";
import { type PromptSets, promptsOfFile, promptsOfNames } from "./prompt_sets.ts";

export interface CalibrationSettings {
  /** The request without prompt, steps and method. */
  given: CalibrateArguments["request"];
  /** Numbers of steps to find plans for, descending. */
  steps: readonly number[];
  /** The largest of `steps`, at which features are recorded. */
  recordedSteps: number;
  prompts: PromptSets;
}

/**
 * Checks everything that can be checked before gigabytes are loaded.
 * @param warn receives what the user should know of the solver
 * @throws {UsageError} naming the flag
 */
export function calibrationSettings(
  options: CalibrateArguments,
  { described, warn }: { described: DescribedModel; warn: (message: string) => void },
): CalibrationSettings {
  const { checkpoint, reading } = described;
  const { request: given, steps: asked, passes, counts, promptFile } = options;
  if (checkpoint.loras.length > 0) {
    throw new UsageError("--lora must be left out, as a calibration belongs to the weights without LoRAs");
  }
  const request = completeRequest({ ...given, prompt: " ", sampler: { method: "none" } }, reading);
  const steps = asked ?? [request.steps];
  if (passes.most >= steps.at(-1)!) {
    throw new UsageError(
      `--passes must be below ${steps.at(-1)}, the least of --steps: current value is ${passes.most}`,
    );
  }
  const prompts = promptFile === undefined
    ? promptsOfNames(readNames(checkpoint.path("names.txt")), counts)
    : promptsOfFile(readLines(promptFile, counts), counts);
  const recordedSteps = steps[0]!;
  assertFit(described, { request: { ...request, steps: recordedSteps }, warn });
  return { given, steps, recordedSteps, prompts };
}

function readLines(path: string, { record, search, validate }: CalibrateArguments["counts"]): string[] {
  return readPromptFile(path, record + search + validate).map(({ prompt }) => prompt);
}

function readNames(path: string): string[] {
  try {
    return Deno.readTextFileSync(path).split("\n").filter((name) => name !== "");
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new UsageError("--prompt-file is missing, and the checkpoint lists no names");
  }
}

/** Refuses a checkpoint whose runs cannot use a calibration, and warns of solvers that add noise. */
function assertFit(
  { family, reading, checkpoint }: DescribedModel,
  { request, warn }: { request: GenerateRequest; warn: (message: string) => void },
): void {
  const model = { family, reading };
  if (solverOf(model, request).addsNoise) {
    warn(
      "This solver adds noise at each step, which no forecast knows. Look at the PSNR that the plans reach.",
    );
  }
  const reason = whyUnfit({ phases: phasesOf(model, request) });
  if (reason === undefined) return;
  throw new UsageError(
    `--model must be one that a calibration can serve, but ${checkpoint.folder} is not: ${reason}`,
  );
}
