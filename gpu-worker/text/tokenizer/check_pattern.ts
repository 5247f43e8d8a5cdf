// Rejects regular expressions of tokenizer.json that may need more than linear time. Oniguruma, which runs
// them, backtracks: (x+x+)+y needs years for 40 characters. Published patterns have a simple shape:
// repetitions of one character class, side by side.

/** Returns the rule that `pattern` breaks, or undefined if the pattern is safe. */
export function checkPattern(pattern: string): string | undefined {
  if (pattern.length > MAX_LENGTH) return `at most ${MAX_LENGTH} characters long`;
  try {
    const alternatives = new PatternReader(pattern).read();
    const safe = new Set(alternatives.filter((parts) => retries(parts) === 0).map(firstRepeated));
    safe.delete(undefined);
    const slow = alternatives.find((parts) => {
      const count = retries(parts);
      // A failure after one repetition costs nothing extra if another alternative then matches all of it.
      return count > 1 || count === 1 && !safe.has(firstRepeated(parts));
    });
    return slow &&
      "a pattern of linear time: only single classes repeat, and none before a part that can fail";
  } catch (error) {
    return (error as Error).message;
  }
}

const MAX_LENGTH = 10_000;
/** Largest repetition count that is treated as a constant, e.g. \p{N}{1,3}. */
const MAX_BOUND = 16;
const MAX_DEPTH = 20;
/** An escape of one character or class; back references and zero-width escapes are not among them. */
const ESCAPE =
  /\\(?:[pP]\{\^?[\w= -]+\}|x\{[0-9a-fA-F]{1,6}\}|x[0-9a-fA-F]{1,2}|u[0-9a-fA-F]{4}|[^1-9gkKRXpPxuMCcGy])/yus;

/** One character class or group, and its repetition. */
interface Part {
  /** The class as the pattern spells it. */
  text: string;
  /** Whether the repetition has no upper bound. */
  unbounded: boolean;
  optional: boolean;
  /** A group's alternatives. */
  inside?: Part[][];
}

/** Counts the unbounded repetitions that precede a part that can fail. */
function retries(parts: Part[]): number {
  const last = parts.findLastIndex(({ optional }) => !optional);
  return parts.slice(0, Math.max(last, 0)).filter(({ unbounded, inside }) =>
    unbounded || hasUnbounded(inside)
  ).length +
    (last >= 0 && parts[last]!.inside ? Math.max(...parts[last]!.inside.map(retries)) : 0);
}

function hasUnbounded(alternatives: Part[][] | undefined): boolean {
  return alternatives?.flat().some((part) => part.unbounded || hasUnbounded(part.inside)) ?? false;
}

/** Returns the first class with an unbounded repetition, if all parts before it are optional. */
function firstRepeated(parts: Part[]): string | undefined {
  const first = parts.findIndex(({ unbounded }) => unbounded);
  return parts.slice(0, first).every(({ optional }) => optional) ? parts[first]?.text : undefined;
}

class PatternReader {
  readonly #pattern: string;
  #at = 0;

  constructor(pattern: string) {
    this.#pattern = pattern;
  }

  read(): Part[][] {
    const alternatives = this.#alternatives(0);
    if (this.#at < this.#pattern.length) throw new Error("a regular expression with balanced parentheses");
    return alternatives;
  }

  #alternatives(depth: number): Part[][] {
    if (depth > MAX_DEPTH) {
      throw new Error(`a regular expression of at most ${MAX_DEPTH} groups in each other`);
    }
    const alternatives: Part[][] = [[]];
    while (this.#at < this.#pattern.length && this.#pattern[this.#at] !== ")") {
      if (this.#take(/\|/y)) alternatives.push([]);
      else alternatives.at(-1)!.push(this.#part(depth));
    }
    return alternatives;
  }

  #part(depth: number): Part {
    if (this.#take(/\(/y)) return this.#group(depth);
    const text = this.#pattern[this.#at] === "[" ? this.#class() : this.#take(ESCAPE) ??
      this.#take(/[^\\()[\]{}*+?|]|[\]{}]/yus);
    if (text === undefined) throw new Error("a regular expression without references or leading repetitions");
    return this.#repeated({ text });
  }

  #group(depth: number): Part {
    const kind = this.#take(/\?(?:[imx]*(?:-[imx]+)?:|=|!|<=|<!|>|<[A-Za-z_]\w*>)/y);
    if (kind === undefined && this.#pattern[this.#at] === "?") {
      throw new Error("a regular expression of known groups");
    }
    const inside = this.#alternatives(depth + 1);
    if (!this.#take(/\)/y)) throw new Error("a regular expression with balanced parentheses");
    const part = this.#repeated({ text: "", inside });
    if (part.unbounded || part.repeated) {
      throw new Error("a pattern of linear time: without repeated groups");
    }
    return part;
  }

  #repeated(part: { text: string; inside?: Part[][] }): Part & { repeated: boolean } {
    const sign = this.#take(/(?:[*+?]|\{\d+(?:,\d*)?\}|\{,\d+\})/y);
    if (sign === undefined) return { ...part, unbounded: false, optional: false, repeated: false };
    this.#take(/[?+]/y);
    if (/^[*+?{]/.test(this.#pattern.slice(this.#at, this.#at + 1)) && this.#take(/[*+?]|\{\d*,?\d*\}/y)) {
      throw new Error("a pattern of linear time: without repetitions of repetitions");
    }
    const [, low = "", comma, high = ""] = /^\{(\d*)(,?)(\d*)\}$/.exec(sign) ?? [];
    const least = sign === "+" ? 1 : Number(low);
    const most = sign === "?" ? 1 : high ? Number(high) : comma === "" ? Number(low) : Infinity;
    if (least > MAX_BOUND || most > MAX_BOUND && most < Infinity) {
      throw new Error(`a regular expression with repetitions of at most ${MAX_BOUND}`);
    }
    return { ...part, unbounded: most === Infinity, optional: least === 0, repeated: most > 1 };
  }

  /** Reads a class in brackets, including nested classes. */
  #class(): string {
    const start = this.#at;
    let depth = 0;
    do {
      const sign = this.#take(/\[:\^?\w+:\]|\[\^?\]?|\]|\\.|[^[\]\\]/yus);
      if (sign === undefined) throw new Error("a regular expression with balanced brackets");
      if (/^\[(?!:)/.test(sign)) depth++;
      if (sign === "]") depth--;
    } while (depth > 0);
    return this.#pattern.slice(start, this.#at);
  }

  #take(sticky: RegExp): string | undefined {
    sticky.lastIndex = this.#at;
    const found = sticky.exec(this.#pattern)?.[0];
    this.#at += found?.length ?? 0;
    return found;
  }
}
