// Weights in prompts, as AUTOMATIC1111's web UI reads them: (red:1.3), ((red)), [blue].

/** A part of a prompt whose tokens have one weight. */
export interface WeightedText {
  text: string;
  weight: number;
  /** Whether the word BREAK stands before it: it begins a chunk of its own. */
  startsChunk?: true;
}

/** Factor of a pair of round brackets without a number. A square one divides by it. */
const STEP = 1.1;
/**
 * An escaped bracket or backslash, an opening bracket, the end of a bracket with a number, a closing bracket,
 * or text.
 */
const PART = /\\[\\()[\]]?|[([]|:\s*([+-]?(?:\d+(?:\.\d*)?|\.\d+))\s*\)|[)\]]|[^\\()[\]:]+|:/gs;

/** The word BREAK, in capitals. Python's words have letters of every script. */
const BREAK = /(?<![\p{L}\p{N}_])BREAK(?![\p{L}\p{N}_])/u;

export interface ParsePromptWeightsOptions {
  /** Whether the word BREAK begins a chunk. @default false: it is a word like any other */
  breaks?: boolean;
}

/**
 * Splits a prompt into texts and weights. A backslash keeps a bracket as text, and is left out before
 * anything else. A bracket that is never closed counts as closed at the end.
 */
export function parsePromptWeights(
  prompt: string,
  { breaks = false }: ParsePromptWeightsOptions = {},
): WeightedText[] {
  const parts: Omit<WeightedText, "weight">[] = [];
  // Apart from the texts: brackets in brackets multiply them often.
  const weights: number[] = [];
  const open: Record<"round" | "square", number[]> = { round: [], square: [] };
  const multiply = (start: number, factor: number) => {
    for (let i = start; i < weights.length; i++) weights[i]! *= factor;
  };
  const add = (part: Omit<WeightedText, "weight">) => {
    parts.push(part);
    weights.push(1);
  };
  const close = (kind: "round" | "square", factor: number): boolean => {
    const start = open[kind].pop();
    if (start !== undefined) multiply(start, factor);
    return start !== undefined;
  };
  for (const [part, number] of prompt.matchAll(PART)) {
    const isClosed = number !== undefined
      ? close("round", Number(number))
      : part === ")"
      ? close("round", STEP)
      : part === "]"
      ? close("square", 1 / STEP)
      : false;
    if (isClosed) continue;
    if (part === "(") open.round.push(parts.length);
    else if (part === "[") open.square.push(parts.length);
    else if (part.startsWith("\\")) add({ text: part.slice(1) });
    else {
      (breaks ? splitChunks(part) : [part]).forEach((text, index) =>
        add({ text, ...index > 0 && { startsChunk: true } })
      );
    }
  }
  for (const start of open.round) multiply(start, STEP);
  for (const start of open.square) multiply(start, 1 / STEP);
  return merge(parts.map(({ text, ...rest }, index) => ({ text, weight: weights[index]!, ...rest })));
}

/** Splits at each BREAK and the space around it, in a time that grows with the length alone. */
function splitChunks(text: string): string[] {
  const chunks = text.split(BREAK);
  return chunks.map((chunk, index) => {
    const begun = index > 0 ? chunk.trimStart() : chunk;
    return index < chunks.length - 1 ? begun.trimEnd() : begun;
  });
}

/** Joins neighbours of one weight, so that a word is not cut where nothing changes. */
function merge(parts: readonly WeightedText[]): WeightedText[] {
  const merged: WeightedText[] = [];
  for (const part of parts) {
    const last = merged.at(-1);
    if (last?.weight === part.weight && !part.startsChunk) last.text += part.text;
    else merged.push({ ...part });
  }
  return merged.length === 0 ? [{ text: "", weight: 1 }] : merged;
}

/**
 * Multiplies the states of each token, [tokens, features], by its weight, and
 * restores the mean of all values.
 */
export function weighStates(states: Float32Array, weights: readonly number[]): Float32Array {
  if (weights.every((weight) => weight === 1)) return states;
  const features = states.length / weights.length;
  const weighed = states.map((value, index) => value * weights[Math.floor(index / features)]!);
  const factor = sum(states) / sum(weighed);
  return weighed.map((value) => value * factor);
}

function sum(values: Float32Array): number {
  return values.reduce((total, value) => total + value, 0);
}
