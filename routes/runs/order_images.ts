// The image of an order and its mask as one text, which the run log keeps once for all
// runs that start from both.
import type { OpenRunRequest } from "../../protocol/wire/run_request.ts";

/** The files of an order, in base64. */
export type OrderFiles = Pick<OpenRunRequest, "image" | "mask">;

/** No character of base64. */
const SEPARATOR = ".";

/** Returns the files as one text. */
export function joinFiles({ image, mask }: OrderFiles): string {
  return mask == null ? image ?? "" : `${image}${SEPARATOR}${mask}`;
}

/** The inverse of {@link joinFiles}. */
export function splitFiles(text: string): OrderFiles {
  const at = text.indexOf(SEPARATOR);
  return at === -1 ? { image: text } : { image: text.slice(0, at), mask: text.slice(at + 1) };
}
