// Reads a file of requests once, in slices between which other work goes on, and stops
// where the file has failed.
import { letOthersRun } from "../../protocol/process/let_others_run.ts";
import {
  type Batch,
  batchLineSchema,
  MAX_BATCH_ERRORS,
  MAX_BATCH_LINE_BYTES,
  MAX_BATCH_REQUESTS,
} from "../../protocol/wire/batch.ts";
import { parseJsonText } from "../../protocol/wire/text.ts";
import { MAX_IMAGES } from "../../protocol/wire/generation_fields.ts";

export type LineError = NonNullable<Batch["errors"]>["data"][number];

export interface Scan {
  /** The first errors. A file with errors is no batch. */
  errors: LineError[];
  /** Number of requests that were read. */
  total: number;
  /** Number of pictures that the requests ask for. */
  pictures: number;
  /** Place of each request: first byte and length, 32 bits each, little endian. */
  lines: Uint8Array<ArrayBuffer>;
}

export interface ScanOptions {
  /** Lets other work go on. @default `letOthersRun` */
  pause?: () => Promise<unknown>;
}

/** Largest numbers of requests and bytes that are read before other work goes on: a few milliseconds. */
const SLICE = { lines: 50, bytes: 64 * 1024 };
/** Empty lines cost less. */
const BLANK_SLICE = 2 ** 20;
const LINE_FEED = 10;
const BYTE_ORDER_MARK = [0xef, 0xbb, 0xbf];

export async function scanRequests(
  bytes: Uint8Array,
  { pause = letOthersRun }: ScanOptions = {},
): Promise<Scan> {
  const errors: LineError[] = [];
  const places: number[] = [];
  const ids = new Set<string>();
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  let [number, pictures, slice] = [1, 0, { lines: 0, bytes: 0 }];
  // A byte order mark belongs to no request.
  const start = BYTE_ORDER_MARK.every((byte, index) => bytes[index] === byte) ? BYTE_ORDER_MARK.length : 0;
  for (let at = start; errors.length < MAX_BATCH_ERRORS;) {
    const blank = skipBlank(bytes, at);
    number += blank.lines;
    at = blank.end;
    if (at === bytes.length) break;
    if (blank.isCut) {
      await pause();
      continue;
    }
    if (places.length === 2 * MAX_BATCH_REQUESTS) {
      errors.push(lineError("too_many_requests", `A batch takes ${MAX_BATCH_REQUESTS} requests`, null));
      break;
    }
    const feed = bytes.indexOf(LINE_FEED, at);
    const end = feed < 0 ? bytes.length : feed;
    const result = end - at > MAX_BATCH_LINE_BYTES
      ? lineError("invalid_request", `line: must have at most ${MAX_BATCH_LINE_BYTES} bytes`, number)
      : readLine(decode(decoder, bytes.subarray(at, end)), { number, ids });
    if (typeof result === "number") {
      pictures += result;
      places.push(at, end - at);
    } else errors.push(result);
    slice = { lines: slice.lines + 1, bytes: slice.bytes + end - at };
    at = end;
    if (slice.lines >= SLICE.lines || slice.bytes >= SLICE.bytes) {
      slice = { lines: 0, bytes: 0 };
      await pause();
    }
  }
  if (places.length === 0 && errors.length === 0) {
    errors.push(lineError("empty_file", "There are no requests", null));
  }
  const lines = new DataView(new ArrayBuffer(4 * places.length));
  places.forEach((place, index) => lines.setUint32(4 * index, place, true));
  return { errors, total: places.length / 2, pictures, lines: new Uint8Array(lines.buffer) };
}

/**
 * Returns the text of a line. Undefined for bytes that are no text: a prompt whose letters were replaced
 * would draw something else.
 */
function decode(decoder: TextDecoder, bytes: Uint8Array): string | undefined {
  try {
    return decoder.decode(bytes);
  } catch {
    return undefined;
  }
}

/** Returns the text of a request, which was read before. */
export function parseRequest(text: string): unknown {
  try {
    return parseJsonText(text);
  } catch {
    return undefined;
  }
}

/** Skips from `at` to the first byte of a line with text. isCut says that the slice ended before. */
function skipBlank(bytes: Uint8Array, at: number): { end: number; lines: number; isCut: boolean } {
  const last = Math.min(bytes.length, at + BLANK_SLICE);
  let lines = 0;
  for (; at < last; at++) {
    const byte = bytes[at]!;
    if (byte === LINE_FEED) lines++;
    else if (byte !== 32 && byte !== 9 && byte !== 13) return { end: at, lines, isCut: false };
  }
  return { end: at, lines, isCut: true };
}

/** The pictures that a request asks for, or what is wrong with it. */
function readLine(
  text: string | undefined,
  { number, ids }: { number: number; ids: Set<string> },
): number | LineError {
  if (text === undefined) return lineError("invalid_request", "line: must be text in UTF-8", number);
  const parsed = batchLineSchema.safeParse(parseRequest(text));
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const field = issue!.path.join(".") || "line";
    return lineError("invalid_request", `${field}: ${issue!.message}`.slice(0, 200), number);
  }
  const { custom_id, body } = parsed.data;
  if (ids.has(custom_id)) {
    return lineError("duplicate_custom_id", "Each custom_id must be used once", number);
  }
  if (body.stream) {
    return lineError("invalid_request", "body.stream: a batch has nobody to stream to", number);
  }
  if (body.background === true) {
    return lineError("invalid_request", "body.background: a batch waits for its pictures", number);
  }
  ids.add(custom_id);
  return picturesOf(body);
}

/** A number that no request may have is refused as the request is answered. */
function picturesOf({ n }: { n?: unknown }): number {
  const count = typeof n === "string" && /^\d{1,3}$/.test(n) ? Number(n) : n;
  return Number.isInteger(count) ? Math.min(Math.max(count as number, 1), MAX_IMAGES) : 1;
}

function lineError(code: string, message: string, line: number | null): LineError {
  return { code, message, param: null, line };
}
