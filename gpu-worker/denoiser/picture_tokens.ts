// The number of a picture's tokens as an input of networks whose sequence goes on with references.
import { PICTURE_TOKENS } from "../graph/layers/attention/picture_tokens.ts";
import type { HostTensor } from "./branch_feeds.ts";

export { PICTURE_TOKENS };

/** Returns the input: its length is `count`, and nothing reads its values. */
export function tokenCount(count: number): HostTensor {
  return { dims: [count], data: new Float32Array(count) };
}
