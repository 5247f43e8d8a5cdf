// Prints values in error messages. Values of files and clients may be megabytes long; a
// message must stay readable.

/** Characters of a value that an error prints. */
const SHOWN = 200;

/** Returns `value` for an error message: text as it is, other values as JSON, cut at 200 characters. */
export function showValue(value: unknown): string {
  const text = typeof value === "string" ? value : asText(value);
  if (text.length <= SHOWN) return text;
  return `${text.slice(0, SHOWN).replace(/[\ud800-\udbff]$/, "")}\u2026 (${text.length} characters)`;
}

function asText(value: unknown): string {
  if (Array.isArray(value) && value.length > SHOWN) {
    const rest = value.length - SHOWN;
    return `${asText(value.slice(0, SHOWN))}, and ${rest} more`;
  }
  if (typeof value !== "object" || value === null) return String(value);
  try {
    return JSON.stringify(value) ?? String(value);
  } catch {
    return Object.prototype.toString.call(value);
  }
}
