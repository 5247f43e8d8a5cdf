// The prompts of the calibration tables. No calibration records, searches or validates with them.

const BACKGROUNDS = ["", " on a yellow background", " on a blue background", " on a pink background"];

/**
 * Returns prompts from a checkpoint's list of names. Of single words they are every fifth one, on white
 * and on colours in turn. A list of whole sentences is taken as it is: such a checkpoint is calibrated
 * with prompts from a file.
 */
export function tablePrompts(names: readonly string[]): string[] {
  if (names.every((name) => name.split(" ").length >= 3)) return [...names];
  return names.filter((_, i) => i % 5 === 0).map((name, i) => name + BACKGROUNDS[i % BACKGROUNDS.length]);
}

/**
 * Returns prompts from a checkpoint's list of names, all of which are single words: those that neither the
 * calibration nor the tables use.
 */
export function rivalPrompts(names: readonly string[]): string[] {
  return names.filter((_, i) => [2, 4, 7, 9].includes(i % 10))
    .map((name, i) => name + BACKGROUNDS[i % BACKGROUNDS.length]);
}
