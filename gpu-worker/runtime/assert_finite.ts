// Checks that a network has returned finite numbers. NaN and infinities would
// silently become a black picture.
import type { DType } from "./dtype.ts";

/** The network that computed some values. */
export interface ValueSource {
  /** The component's folder in the checkpoint: "unet". */
  component: string;
  /** Compute type. */
  dtype: DType;
}

/** Thrown when a network returns NaN or an infinity. Its message may be shown to any client. */
export class NotFiniteError extends Error {
  /** "NotFiniteError" */
  override readonly name = "NotFiniteError";
}

/**
 * Checks that all values are finite.
 * @throws {NotFiniteError} naming the component, its type and a remedy.
 */
export function assertFinite(values: Float32Array, { component, dtype }: ValueSource): void {
  let sum = 0;
  // NaN and infinities times 0 are NaN, and a sum with NaN stays NaN.
  for (let i = 0; i < values.length; i++) sum += values[i]! * 0;
  if (sum === 0) return;
  const found = values.find((value) => !Number.isFinite(value));
  throw new NotFiniteError(
    `Cannot make a picture: what '${component}' computes in ${dtype} must be finite, but is ${found}. ${
      remedy(dtype)
    }`,
  );
}

function remedy(dtype: DType): string {
  switch (dtype) {
    case "float16":
      return "Try --dtype bfloat16, which has float32's range, or float32.";
    case "bfloat16":
      return "Try --dtype float32, or pull the checkpoint anew: its weights may be damaged.";
    default:
      return "Try a smaller guidance, or pull the checkpoint anew: its weights may be damaged.";
  }
}
