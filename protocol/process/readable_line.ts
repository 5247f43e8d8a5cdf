// A line of the structured log, for people.

/** Fields that a reader has no use for. */
const HIDDEN = ["pid"];

/** Returns `12:30:01 edge: request (path=/v1/models, ms=3)`. A line that is no JSON object stays. */
export function readableLine(line: string): string {
  const { time, level, process, message, ...fields } = parse(line) ?? {};
  if (typeof time !== "string" || typeof message !== "string") return line;
  const clock = new Date(time).toTimeString().slice(0, 8);
  const facts = Object.entries(fields)
    .filter(([name, value]) => !HIDDEN.includes(name) && value !== null)
    .map(([name, value]) => `${name}=${typeof value === "string" ? value : JSON.stringify(value)}`);
  return `${clock} ${process}: ${level === "info" ? "" : `${level}: `}${message}` +
    (facts.length > 0 ? ` (${facts.join(", ")})` : "");
}

function parse(line: string): Record<string, unknown> | undefined {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
