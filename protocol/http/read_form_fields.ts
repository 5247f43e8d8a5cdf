// Multipart forms as OpenAI's clients send them: each field once, except for lists. Fields that are not text
// are read as JSON.
import { ApiError } from "../wire/api_error.ts";
import { parseJsonText } from "../wire/text.ts";
import type { ReadBodyOptions } from "./read_body.ts";
import { readForm } from "./read_form.ts";

export interface ReadFormFieldsOptions extends ReadBodyOptions {
  /** Fields of numbers; a form has text alone. */
  numbers: readonly string[];
  /** Fields of JSON: objects and booleans. */
  jsons: readonly string[];
  /** Fields that may be given several times: their values are lists. @default none */
  lists?: readonly string[];
  /** Another spelling of a field -> the field. */
  spellings?: Record<string, string>;
  /** Fields that are refused -> the sentence of the error. */
  refused?: Record<string, string>;
}

/** Longest text of a field that is read as JSON: none that is valid comes near. */
const MAX_JSON_CHARACTERS = 10_000;

export function isForm(request: Request): boolean {
  return /^multipart\/form-data\s*;/i.test(request.headers.get("content-type") ?? "");
}

/**
 * Returns the fields of the form in the body of `request`, for a schema to check.
 * @throws {ApiError} 400 naming the field, 408 past the deadline, 413 past the limit, 415 for another content
 * type.
 */
export async function readFormFields(
  request: Request,
  { numbers, jsons, lists = [], spellings = {}, refused = {}, ...options }: ReadFormFieldsOptions,
): Promise<Record<string, unknown>> {
  const fields: Record<string, unknown> = {};
  for (const [key, value] of await readForm(request, options)) {
    const name = Object.hasOwn(spellings, key) ? spellings[key]! : key;
    if (Object.hasOwn(refused, name)) throw refusal(name, refused[name]!);
    if (lists.includes(name)) {
      fields[name] = [...fields[name] as unknown[] ?? [], value];
      continue;
    }
    if (Object.hasOwn(fields, name)) throw refusal(name, `'${name}' must be given once`);
    // A form sends the fields that nobody has filled in as well.
    if (value === "" && (numbers.includes(name) || jsons.includes(name))) continue;
    fields[name] = typeof value !== "string"
      ? value
      : numbers.includes(name)
      ? readNumber(value)
      : jsons.includes(name)
      ? readJson(value)
      : value;
  }
  return fields;
}

/** A value of the wrong kind stays as it is, so that the schema refuses it by name. */
function readNumber(text: string): unknown {
  const number = Number(text);
  return text.trim() === "" || Number.isNaN(number) ? text : number;
}

function readJson(text: string): unknown {
  if (text.length > MAX_JSON_CHARACTERS) return text;
  // Python's spelling.
  if (/^(True|False)$/.test(text)) return text === "True";
  try {
    return parseJsonText(text);
  } catch {
    return text;
  }
}

function refusal(name: string, message: string): ApiError {
  const param = name.slice(0, 60);
  return new ApiError(400, message.replace(name, param), { param, code: "invalid_value" });
}
