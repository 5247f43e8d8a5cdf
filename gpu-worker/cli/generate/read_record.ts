// Reads from a file how it was made: `generate --from FILE` draws it again.
import { type PictureRecord, pictureRecordSchema } from "../../../protocol/wire/picture_record.ts";
import { type Option, OPTIONS, type SamplerRequest } from "../../../sampler/mod.ts";
import { readMetadata } from "../../media/metadata/read_metadata.ts";
import type { PartialRequest } from "../../request/generate_request.ts";
import { type FileField, fromWire } from "../../request/wire_settings.ts";

/**
 * Reads how a picture's file was made.
 * @throws {Error} naming the file that cannot be read, or that says nothing
 */
export async function readRecord(path: string): Promise<PictureRecord> {
  let bytes: Uint8Array;
  try {
    bytes = await Deno.readFile(path);
  } catch (cause) {
    throw new Error(`Cannot read ${path}: ${(cause as Error).message}`, { cause });
  }
  const json = await readMetadata(bytes);
  const parsed = json === undefined ? undefined : pictureRecordSchema.safeParse(parse(json));
  if (parsed?.success) return parsed.data;
  throw new Error(
    `Cannot draw ${path} again: the file does not say how Spectrum Edge made it. ` +
      `Programs that change or share pictures often remove this, and --no-metadata leaves it out`,
  );
}

/** Returns the request that the record is of, without its files. */
export function recordedRequest({ settings }: PictureRecord): Omit<PartialRequest, FileField> {
  const request = fromWire(settings);
  return { ...request, sampler: request.sampler && recordedChoice(request.sampler) };
}

/** A record has every option; a request may give only one way to choose the full passes. */
function recordedChoice(sampler: SamplerRequest): SamplerRequest {
  const way: Option["decides"] | "fullSteps" = sampler.passes
    ? "passes"
    : sampler.errorBudget
    ? "errorBudget"
    : sampler.fullSteps
    ? "fullSteps"
    : "window";
  const kept: SamplerRequest = { ...sampler };
  if (way !== "fullSteps") delete kept.fullSteps;
  for (const { name, decides } of OPTIONS) {
    // An error budget begins with the window.
    const isOfWay = decides === "forecast" || decides === way ||
      decides === "window" && way === "errorBudget";
    if (!isOfWay) delete kept[name];
  }
  return kept;
}

function parse(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}
