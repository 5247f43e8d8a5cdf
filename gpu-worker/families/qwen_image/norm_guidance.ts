// Qwen-Image's guidance: classifier-free guidance whose tokens keep the length of the prompt's own output.
import { guideBranches } from "../../denoiser/guide_branches.ts";
import type { GuideRows } from "../../denoiser/denoiser_shape.ts";
import { vectorLength } from "../../denoiser/vector_length.ts";

/**
 * Returns the guidance of the rows (prompt, negative prompt), [2, tokens, features] -> [tokens, features].
 */
export function normGuidance({ scale, features }: { scale: number; features: number }): GuideRows {
  return (output) => {
    const guided = guideBranches(output, scale);
    for (let from = 0; from < guided.length; from += features) {
      const ratio = Math.fround(
        vectorLength(output.subarray(from, from + features)) /
          vectorLength(guided.subarray(from, from + features)),
      );
      for (let i = from; i < from + features; i++) guided[i]! *= ratio;
    }
    return guided;
  };
}
