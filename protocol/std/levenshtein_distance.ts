// @std/text's levenshteinDistance from npm, where it has no types.
// @ts-types="./levenshtein_distance.d.ts"
export { levenshteinDistance } from "deno-std/text/levenshtein_distance.js";
