// Checks a value from outside against a zod schema; a refusal names the field, the rule and the value.
import type { z } from "zod";
import { ApiError } from "./api_error.ts";

/** Longest excerpt of a refused value in a message, in characters. */
const MAX_SHOWN = 60;

/**
 * Parses a value from outside. The error names the first problem only: one clear line is worth more than
 * twenty.
 * @throws {ApiError} 400 with `param` set to the field.
 */
export function parseWire<T extends z.ZodType>(schema: T, value: unknown): z.output<T> {
  const parsed = schema.safeParse(value, { reportInput: true });
  if (parsed.success) return parsed.data;
  throw toApiError(parsed.error.issues[0]!);
}

function toApiError(issue: z.core.$ZodIssue): ApiError {
  const field = issue.path.join(".");
  if (issue.code === "unrecognized_keys") {
    const param = [...issue.path, issue.keys[0]].join(".");
    return new ApiError(400, `Unknown parameter: '${shorten(param)}'`, {
      param: shorten(param),
      code: "unknown_parameter",
    });
  }
  if (issue.input === undefined && field !== "") {
    return new ApiError(400, `Missing required parameter: '${field}'`, {
      param: field,
      code: "missing_required_parameter",
    });
  }
  const subject = field === "" ? "The request body" : `'${field}'`;
  return new ApiError(400, `${subject} must be ${rule(issue)}: current value is ${show(issue.input)}`, {
    ...(field !== "" && { param: field }),
    code: issue.code === "invalid_type" ? "invalid_type" : "invalid_value",
  });
}

/** Completes "must be ...". */
function rule(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case "invalid_type":
      return TYPE_NAMES[issue.expected] ?? `of type ${issue.expected}`;
    case "invalid_value":
      return issue.values.length === 1 ? String(issue.values[0]) : `one of ${issue.values.join(", ")}`;
    case "too_small":
      return `${unit(issue.origin)}at least ${issue.minimum}`;
    case "too_big":
      return `${unit(issue.origin)}at most ${issue.maximum}`;
    default:
      // Custom rules and formats carry their own words, set in the schema.
      return issue.message;
  }
}

const TYPE_NAMES: Record<string, string> = {
  string: "a string",
  number: "a number",
  int: "a whole number",
  boolean: "true or false",
  object: "an object",
  array: "an array",
};

function unit(origin: string): string {
  return origin === "string" ? "text with a length of " : "";
}

function show(value: unknown): string {
  if (typeof value === "string" && value.length > MAX_SHOWN) return `${value.length} characters long`;
  if (Array.isArray(value)) return "an array";
  if (typeof value === "object" && value !== null) return "an object";
  return shorten(String(typeof value === "string" ? JSON.stringify(value) : value));
}

function shorten(text: string): string {
  return text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text;
}
