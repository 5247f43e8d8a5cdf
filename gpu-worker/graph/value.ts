import type { DType } from "../runtime/dtype.ts";

/** A tensor inside the graph. */
export interface Value {
  readonly name: string;
  readonly dtype: DType;
}
