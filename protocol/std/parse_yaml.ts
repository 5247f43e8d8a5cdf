// @std/yaml's parse from npm, where it has no types.
// @ts-types="./parse_yaml.d.ts"
export { parse } from "deno-std/yaml/parse.js";
