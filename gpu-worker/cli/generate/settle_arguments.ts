// Settles what a command line leaves to files, standard input and chance: --from, --prompt -,
// --prompt-file, --seed -1.
import { cleanText, decodeText } from "../../../protocol/wire/text.ts";
import { UsageError } from "../../../protocol/process/usage_error.ts";
import type { PictureRecord } from "../../../protocol/wire/picture_record.ts";
import type { PartialRequest } from "../../request/generate_request.ts";
import type { FileField } from "../../request/wire_settings.ts";
import { defaultModel } from "../../flags/model_flags.ts";
import { readPromptFile, readPrompts } from "../read_prompts.ts";
import type { GenerateArguments } from "./generate_arguments.ts";
import { readRecord, recordedRequest } from "./read_record.ts";

export interface SettledArguments extends Omit<GenerateArguments, "request" | "model" | "prompt"> {
  model: string;
  prompts: string[];
  request: Omit<PartialRequest, "prompt" | FileField>;
  /** How the file of --from was made. */
  record: PictureRecord | undefined;
  /** Quality of the file, where its format loses any. */
  compression: number;
}

export interface SettleOptions {
  /** @default standard input, to its end */
  readInput?: () => Promise<Uint8Array>;
  /** 0..2^32-1. @default cryptographically random */
  drawSeed?: () => number;
}

const DEFAULT_SEED = 42;
/** Stands for standard input. */
const INPUT = "-";

/**
 * Settles what the arguments leave open: reads the files that they name, and takes settings from --from.
 * @throws {UsageError | Error} naming the flag or the file
 */
export async function settleArguments(
  options: GenerateArguments,
  {
    readInput = () => new Response(Deno.stdin.readable).bytes(),
    drawSeed = () => crypto.getRandomValues(new Uint32Array(1))[0]!,
  }: SettleOptions = {},
): Promise<SettledArguments> {
  const record = options.from === undefined ? undefined : await readRecord(options.from);
  const { references = 0 } = record?.settings ?? {};
  if (references > 0 && options.image === undefined) {
    throw new UsageError(`${options.from} was drawn after ${references} images: --image must name them`);
  }
  if (record?.settings.image_sha256 !== undefined && options.image === undefined) {
    throw new UsageError(`${options.from} was begun from an image: --image must name it`);
  }
  if (record?.settings.last_frame_sha256 !== undefined && options.image?.lastImage === undefined) {
    throw new UsageError(`${options.from} ends with an image: --last-image must name it`);
  }
  if (record?.settings.mask_sha256 !== undefined && options.image?.mask === undefined) {
    throw new UsageError(`${options.from} was drawn in a mask: --mask must name it`);
  }
  if (record?.settings.control_image_sha256 !== undefined && options.control === undefined) {
    throw new UsageError(`${options.from} was drawn with a control image: --control-image must name it`);
  }
  const recorded = record && recordedRequest(record);
  const { strength, maskMode, maskBlur, paddingMaskCrop, ...beginning } = recorded ?? {};
  const recordedMask = options.image?.mask === undefined ? {} : { maskMode, maskBlur, paddingMaskCrop };
  const given = Object.fromEntries(
    Object.entries(options.request).filter(([, value]) => value !== undefined),
  );
  const seed = options.request.seed ?? recorded?.seed ?? DEFAULT_SEED;
  const prompts = await promptsOf(options, { readInput, recorded: recorded?.prompt });
  return {
    ...options,
    model: options.model ?? record?.model ?? defaultModel(),
    prompts,
    request: {
      ...beginning,
      ...given,
      ...options.image && { ...strength !== undefined && { strength }, ...recordedMask },
      seed: seed === -1 ? drawSeed() : seed,
    },
    record,
    compression: record?.output_compression ?? 100,
  };
}

async function promptsOf(
  { prompt, promptFile }: GenerateArguments,
  { readInput, recorded }: { readInput: () => Promise<Uint8Array>; recorded: string | undefined },
): Promise<string[]> {
  if (promptFile !== undefined) {
    const read = promptFile === INPUT
      ? readPrompts(decodeText(await readInput()))
      : readPromptFile(promptFile);
    const prompts = read.map(({ prompt }) => prompt);
    if (prompts.length === 0) throw new RangeError(`Cannot draw as ${promptFile} holds no prompt`);
    return prompts;
  }
  const text = prompt === INPUT ? decodeText(await readInput()).replace(/\r?\n$/, "") : prompt ?? recorded;
  if (text === undefined) throw new UsageError("--prompt is missing; --help lists what there is");
  return [cleanText(nonEmpty(text))];
}

/**
 * Rejects an empty prompt. It is more often a script's
 * mistake than intended, and OpenAI's API rejects it too.
 */
function nonEmpty(prompt: string): string {
  if (prompt !== "") return prompt;
  throw new RangeError(
    "Cannot generate as 'prompt' must not be empty (a single space draws an unprompted picture)",
  );
}
