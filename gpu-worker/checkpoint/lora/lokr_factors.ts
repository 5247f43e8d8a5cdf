// Puts LoKr's two factors together from the tensors of a file (arXiv 2309.14859).
import type { SafetensorsEntry } from "../safetensors.ts";
import type { KroneckerFactor, WeightEntry } from "../weights.ts";
import type { LokrRole } from "./tensor_role.ts";

/** A Kronecker product, and the rank by which its alpha is divided. */
export interface LokrFactors {
  left: KroneckerFactor;
  right: KroneckerFactor;
  /** undefined where both factors are whole: alpha has no effect then. */
  rank: number | undefined;
}

/** Returns whether a role is that of one of LoKr's tensors. */
export function isLokrRole(role: string): role is LokrRole {
  return role.startsWith("lokr_");
}

/**
 * Returns the factors, or the name of a tensor that is missing.
 * @param place adds the file to a tensor's entry
 */
export function lokrFactors(
  parts: Partial<Record<LokrRole, SafetensorsEntry>>,
  place: (entry: SafetensorsEntry) => WeightEntry,
): LokrFactors | LokrRole {
  const factor = (name: "lokr_w1" | "lokr_w2"): KroneckerFactor | LokrRole => {
    const [whole, up, down] = [parts[name], parts[`${name}_a`], parts[`${name}_b`]];
    if (whole !== undefined) return { whole: place(whole) };
    if (up === undefined) return down === undefined ? name : `${name}_a`;
    return down === undefined ? `${name}_b` : { up: place(up), down: place(down) };
  };
  const [left, right] = [factor("lokr_w1"), factor("lokr_w2")];
  if (typeof left === "string") return left;
  if (typeof right === "string") return right;
  const inTwo = "down" in right ? right : "down" in left ? left : undefined;
  return { left, right, rank: inTwo?.down.shape[0] };
}
