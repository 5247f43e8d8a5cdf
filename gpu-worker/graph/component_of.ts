// The component that a graph belongs to.
import type { OnnxModel } from "./graph_builder.ts";

/**
 * Returns the checkpoint's component that a trunk or a text encoder is made of: "transformer" for
 * "transformer_trunk".
 */
export function componentOf({ name }: Pick<OnnxModel, "name">): string {
  return name.replace(/_trunk$/, "");
}
