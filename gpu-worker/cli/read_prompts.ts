// Reads prompt files: one prompt per line.
import { cleanText, decodeText } from "../../protocol/wire/text.ts";

/** A prompt and the first line of the file that holds it, counted from 1. */
export interface BatchPrompt {
  line: number;
  prompt: string;
}

/**
 * Returns the first `total` prompts of a file.
 * @throws {Error} naming the file, and the line that is not text
 */
export function readPromptFile(path: string, total = Infinity): BatchPrompt[] {
  let text: string;
  try {
    text = decodeText(Deno.readFileSync(path));
  } catch (cause) {
    throw new Error(`Cannot read ${path}: ${(cause as Error).message}`, { cause });
  }
  return readPrompts(text, total);
}

/**
 * Returns one prompt per line, without empty lines, comments (#)
 * and repetitions. A repetition would draw the same picture again.
 */
export function readPrompts(text: string, total = Infinity): BatchPrompt[] {
  // Some spreadsheets end lines with CR alone.
  const lines = text.split(/\r\n?|\n/).map(cleanText);
  const prompts = lines.map((prompt, i) => ({ line: i + 1, prompt })).filter(({ prompt }) =>
    prompt.trim() !== "" && !prompt.startsWith("#")
  );
  const byPrompt = Map.groupBy(prompts.slice(0, total), ({ prompt }) => prompt);
  return [...byPrompt.values()].map(([first]) => first!);
}
