// Matches the patterns of peft's alpha_pattern in time bounded by pattern and name: a downloaded file must
// not hang the process with a regular expression.
import { showValue } from "../../../sampler/mod.ts";
import { CheckpointError } from "../checkpoint_error.ts";

/** One character of a pattern, and whether it is optional or repeated. */
interface Step {
  fits: (character: string) => boolean;
  optional: boolean;
  repeated: boolean;
}

const CLASSES: Readonly<Record<string, (character: string) => boolean>> = {
  d: (character) => /\d/.test(character),
  w: (character) => /\w/.test(character),
  s: (character) => /\s/.test(character),
};
const MAX_LENGTH = 1000;

/**
 * Returns whether `pattern` matches `module` as in peft: the whole name, or its end after a
 * dot. Supports characters, `.`, `\d`, `\w`, `\s`, escapes, and `?`, `*`, `+` after them. In
 * practice patterns are plain names.
 * @throws {CheckpointError} naming a pattern of another form.
 */
export function matchModulePattern(pattern: string, module: string): boolean {
  const steps = parse(pattern);
  // The places in the pattern that the characters so far may have reached. A match may start at
  // the beginning and after each dot.
  let places = reach(new Set([0]), steps);
  for (const character of module) {
    const next = new Set<number>();
    for (const place of places) {
      const step = steps[place];
      if (step === undefined || !step.fits(character)) continue;
      if (step.repeated) next.add(place);
      next.add(place + 1);
    }
    if (character === ".") next.add(0);
    places = reach(next, steps);
  }
  return places.has(steps.length);
}

/** Adds the places that are reached by skipping optional steps. */
function reach(places: Set<number>, steps: readonly Step[]): Set<number> {
  // Iteration over a set includes entries that are added meanwhile.
  for (const place of places) if (steps[place]?.optional) places.add(place + 1);
  return places;
}

function parse(pattern: string): Step[] {
  const body = pattern.replace(/^\^/, "").replace(/(?<!\\)\$$/, "");
  const refuse = () =>
    new CheckpointError(
      `Cannot use the LoRA's alpha_pattern '${showValue(pattern)}' as it must be a module's name, ` +
        "with no more than . * + ? and \\d in it",
    );
  if (body.length > MAX_LENGTH) throw refuse();
  const steps: Step[] = [];
  for (let i = 0; i < body.length; i++) {
    const character = body[i]!;
    if (/[*+?()[\]{}|^$]/.test(character)) throw refuse();
    let fits = (other: string) => other === character;
    if (character === ".") fits = () => true;
    if (character === "\\") {
      const escaped = body[++i];
      if (escaped === undefined) throw refuse();
      const known = Object.hasOwn(CLASSES, escaped) ? CLASSES[escaped] : undefined;
      if (known === undefined && /\w/.test(escaped)) throw refuse();
      fits = known ?? ((other) => other === escaped);
    }
    const quantifier = /[*+?]/.test(body[i + 1] ?? "") ? body[++i]! : "";
    steps.push({
      fits,
      optional: quantifier === "*" || quantifier === "?",
      repeated: quantifier === "*" || quantifier === "+",
    });
  }
  return steps;
}
