// Checks that a network returned numbers: NaN and infinities would become a black picture without a word.
import type { DType } from "./dtype.ts";

/** The network that computed some values. */
export interface ValueSource {
  /** As the checkpoint's folders name it: "unet". */
  component: string;
  /** Compute type. */
  dtype: DType;
}

/** A network returned NaN or an infinity. The message may be shown to any client. */
export class NotFiniteError extends Error {
  override readonly name = "NotFiniteError";
}

/** @throws {NotFiniteError} naming the component, its type and a remedy. */
export function assertFinite(values: Float32Array, { component, dtype }: ValueSource): void {
  let sum = 0;
  // NaN and infinities times 0 are NaN, which stays.
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
