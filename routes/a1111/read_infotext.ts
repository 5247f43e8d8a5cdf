// Reads the settings in AUTOMATIC1111's text form ("parameters"), as its web UI does when it takes them back.
// Source: its modules/infotext_utils.py, parse_generation_parameters

const NEGATIVE = "Negative prompt:";
/** `Steps: 20, ` or `Model: "a, b"`. The name's length is bounded, so that no text takes long. */
const FIELD = /\s*(\w[\w \-/]{1,60}):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)/g;
/** A last line with fewer fields belongs to the prompt. */
const MIN_FIELDS = 3;

/** Returns the settings by their names there. A size becomes `Size-1` and `Size-2`. */
export function readInfotext(text: string): Record<string, string> {
  if (text === "") return {};
  const lines = text.trim().split("\n");
  let fields = [...lines.at(-1)!.matchAll(FIELD)];
  if (fields.length < MIN_FIELDS) fields = [];
  else lines.pop();
  const [prompt, negative]: [string[], string[]] = [[], []];
  let isNegative = false;
  for (const line of lines.map((line) => line.trim())) {
    const begins = line.startsWith(NEGATIVE);
    isNegative ||= begins;
    (isNegative ? negative : prompt).push(begins ? line.slice(NEGATIVE.length).trim() : line);
  }
  return {
    Prompt: prompt.join("\n"),
    "Negative prompt": negative.join("\n"),
    ...Object.fromEntries(fields.flatMap(([, name, value]) => valuesOf(name!, unquoted(value!)))),
  };
}

function valuesOf(name: string, value: string): [string, string][] {
  const [, width, height] = /^(\d+)x(\d+)$/.exec(value) ?? [];
  return width === undefined ? [[name, value]] : [[`${name}-1`, width], [`${name}-2`, height!]];
}

function unquoted(value: string): string {
  if (!value.startsWith('"') || !value.endsWith('"')) return value;
  try {
    return String(JSON.parse(value));
  } catch {
    return value;
  }
}
