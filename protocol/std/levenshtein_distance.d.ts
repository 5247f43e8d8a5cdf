// The type of @std/text's levenshteinDistance.

/** Returns how many insertions, deletions and substitutions of characters turn `a` into `b`. */
export function levenshteinDistance(a: string, b: string): number;
