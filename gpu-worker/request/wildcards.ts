// Wildcards in prompts: {red|blue} is one of the texts between the bars, chosen by the seed.
import type { GenerateRequest } from "./generate_request.ts";
import type { ImageSize } from "../media/decoded_image.ts";

/** A group without groups in it, so inner ones are chosen before outer ones. */
const GROUP = /\{([^{}]*\|[^{}]*)\}/;

/** Returns `prompt` with a text for each group. The same seed chooses the same texts. */
export function chooseWildcards(prompt: string, seed: number): string {
  const random = randomOf(seed);
  let chosen = prompt;
  for (let group; (group = GROUP.exec(chosen)) !== null;) {
    const texts = group[1]!.split("|");
    const text = texts[Math.floor(random() * texts.length)]!;
    chosen = chosen.slice(0, group.index) + text + chosen.slice(group.index + group[0].length);
  }
  return chosen;
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
