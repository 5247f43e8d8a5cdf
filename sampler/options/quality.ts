// Quality as a word: the least PSNR, in dB, that a calibrated plan must have reached on prompts
// which it was not made from.

/** The words, from the fewest passes to the most. */
export const QUALITY_LEVELS = { draft: 35, good: 42, high: 48 } as const;

/** How near to all steps in full a picture must come. */
export type Quality = keyof typeof QUALITY_LEVELS;

/** The words in ascending order. */
export const QUALITY_NAMES: readonly Quality[] = Object.keys(QUALITY_LEVELS) as Quality[];
