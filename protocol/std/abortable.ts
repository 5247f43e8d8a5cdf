// @std/async's abortable from npm, where it has no types.
// @ts-types="./abortable.d.ts"
export { abortable } from "deno-std/async/abortable.js";
