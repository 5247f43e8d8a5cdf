// A file of prompts, one a line.

/** A prompt and the first line of the file that holds it, counted from 1. */
export interface BatchPrompt {
  line: number;
  prompt: string;
}

/** Lines to prompts: without empty lines and repetitions, which would draw the same picture. */
export function readPrompts(text: string, total: number): BatchPrompt[] {
  const lines = text.replace(/^\uFEFF/, "").split(/\r?\n/);
  const prompts = lines.map((prompt, i) => ({ line: i + 1, prompt })).filter(({ prompt }) =>
    prompt.trim() !== ""
  );
  const byPrompt = Map.groupBy(prompts.slice(0, total), ({ prompt }) => prompt);
  return [...byPrompt.values()].map(([first]) => first!);
}
