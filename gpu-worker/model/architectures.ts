// The models that single files may hold: each family describes its own.
import type { Architecture } from "../checkpoint/single_file/architecture.ts";
import { FAMILIES } from "./families.ts";

export const ARCHITECTURES: readonly Architecture[] = [
  ...new Set(Object.values(FAMILIES).flatMap(({ singleFile }) => singleFile ?? [])),
];
