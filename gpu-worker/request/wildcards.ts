// Wildcards in prompts: {red|blue} is one of the texts between the bars, chosen by the seed.
import type { GenerateRequest } from "./generate_request.ts";
import type { ImageSize } from "../media/decoded_image.ts";

/** An open brace's text so far. */
interface Group {
  text: string;
  /** Whether it has no braces left in it. A group holds none: `{a|{b}}` is plain text. */
  isPlain: boolean;
}

/**
 * Returns `prompt` with a text for each group, inner ones first. The same seed chooses the same texts. One
 * pass over the prompt: a regular expression would take seconds for 32,000 characters.
 */
export function chooseWildcards(prompt: string, seed: number): string {
  const random = randomOf(seed);
  const groups: Group[] = [{ text: "", isPlain: true }];
  for (const part of prompt.split(/([{}])/)) {
    if (part === "{") groups.push({ text: "", isPlain: true });
    else if (part === "}" && groups.length > 1) {
      const { text, isPlain } = groups.pop()!;
      const outer = groups.at(-1)!;
      const texts = isPlain ? text.split("|") : [text];
      if (texts.length > 1) outer.text += texts[Math.floor(random() * texts.length)]!;
      else {
        outer.text += `{${text}}`;
        outer.isPlain = false;
      }
    } else groups.at(-1)!.text += part;
  }
  return groups.map(({ text }) => text).join("{");
}

/** Returns the request whose prompts have been chosen: it draws the same picture by itself. */
export function withChosenPrompts<Request extends GenerateRequest<ImageSize>>(request: Request): Request {
  if (request.wildcards !== true) return request;
  const { wildcards: _, ...rest } = request;
  return {
    ...rest,
    prompt: chooseWildcards(request.prompt, request.seed),
    negativePrompt: chooseWildcards(request.negativePrompt, request.seed),
  } as Request;
}

/** Numbers in 0..1: mulberry32, begun with both halves of the seed. */
function randomOf(seed: number): () => number {
  let state = (seed ^ Math.imul(Math.floor(seed / 2 ** 32) + 1, 0x9e3779b1)) >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let value = Math.imul(state ^ state >>> 15, state | 1);
    value ^= value + Math.imul(value ^ value >>> 7, value | 61);
    return ((value ^ value >>> 14) >>> 0) / 2 ** 32;
  };
}
