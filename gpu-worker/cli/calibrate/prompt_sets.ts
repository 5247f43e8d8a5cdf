// The prompts of a calibration: three sets that share none, so that no plan is measured
// on what it was made from.
import { UsageError } from "../../../protocol/process/usage_error.ts";
import type { PromptCounts } from "./calibrate_arguments.ts";
import type { TrialSet } from "./trials.ts";

/** Prompts by what they serve. Those of `objective` choose the error that the weights minimise. */
export type PromptSets = Readonly<Record<keyof PromptCounts | "objective", readonly string[]>>;

/** Added to the request's seed, so that no two sets draw with one seed. */
const SEED_OFFSETS = { search: 10_000, validate: 20_000, objective: 30_000 };
/** Prompts that choose the error to minimise. */
const OBJECTIVE_PROMPTS = 8;
/**
 * Half of them where a checkpoint lists the names that it knows. Names alone would choose weights that suit
 * pictures known by heart: full passes correct those by themselves.
 */
const UNLISTED = [
  "a lighthouse in a storm",
  "seven violins",
  "ein altes Fahrrad",
  "photograph of a desert",
] as const;

/**
 * The places, among ten consecutive names, that a set takes. bench:quality and bench:calibration measure
 * the first and the sixth.
 */
const PLACES = { record: [3, 1], search: [6], validate: [8] } as const;
const BACKGROUNDS = ["", " on a yellow background", " on a blue background", " on a black background"];

/**
 * Returns prompts from a checkpoint's list of names. Names of single words come on white and on colours in
 * turn; a list of whole sentences is taken as it is.
 */
export function promptsOfNames(names: readonly string[], counts: PromptCounts): PromptSets {
  const sentences = names.every((name) => name.split(" ").length >= 3);
  const setOf = (set: keyof PromptCounts) =>
    PLACES[set].flatMap((place) => names.filter((_, i) => i % 10 === place))
      .slice(0, counts[set])
      .map((name, i) => sentences ? name : name + BACKGROUNDS[i % BACKGROUNDS.length]);
  const search = setOf("search");
  return {
    record: setOf("record"),
    search,
    validate: setOf("validate"),
    objective: [...search.slice(0, OBJECTIVE_PROMPTS - UNLISTED.length), ...UNLISTED],
  };
}

/** Deals the lines of a file to the sets, as near to the wanted numbers as they allow. */
export function promptsOfFile(lines: readonly string[], counts: PromptCounts): PromptSets {
  if (lines.length < 3) {
    throw new UsageError(`--prompt-file must have at least 3 prompts, but has ${lines.length}`);
  }
  const wanted = counts.record + counts.search + counts.validate;
  const share = Math.min(1, lines.length / wanted);
  const search = Math.max(1, Math.floor(counts.search * share));
  const searched = (first: number) => lines.slice(first, first + search);
  const validate = Math.max(1, Math.floor(counts.validate * share));
  const record = Math.max(1, Math.min(counts.record, lines.length - search - validate));
  return {
    record: lines.slice(0, record),
    search: searched(record),
    validate: lines.slice(record + search, record + search + validate),
    objective: searched(record).slice(0, OBJECTIVE_PROMPTS),
  };
}

/** Returns a set as plans are tried on it, at one number of steps. */
export function trialSet(
  name: keyof typeof SEED_OFFSETS,
  { prompts, steps }: { prompts: PromptSets; steps: number },
): TrialSet {
  return { name, prompts: prompts[name], seedOffset: SEED_OFFSETS[name], steps };
}
