// Inputs that most transformers' graphs have, as `BranchFeeds` takes them.
import type { BranchRows, HostTensor } from "../denoiser/branch_feeds.ts";
import type { EncodedPrompt } from "../text/encoded_prompt.ts";
import type { RotaryTables } from "./axis_rotary.ts";
import type { LatentSize } from "../vae/latent_size.ts";
import type { ReferenceTokens } from "./family.ts";

type Branches = readonly EncodedPrompt[];

/** The options of `Family.feeds` that every transformer of pictures reads. */
export interface PictureFeedsOptions<Config> {
  config: Config;
  /** The encoded prompts of all rows, of equal lengths. */
  branches: Branches;
  size: LatentSize;
}

/** The options of a transformer that looks at references. */
export interface ReferenceFeedsOptions<Config> extends PictureFeedsOptions<Config> {
  /** The references of each row, of equal sizes. @default none */
  references?: readonly (readonly ReferenceTokens[])[];
}

/** Returns the encoded prompts, a row for each branch. @param features values of one token */
export function promptRows(branches: Branches, features: number): BranchRows {
  return { dims: [branches[0]!.tokens, features], rows: branches.map(({ embeds }) => embeds) };
}

/** Returns the tables of rotary positions, which all branches share. */
export function rotaryFeeds(
  { cos, sin }: RotaryTables,
  headDim: number,
): Record<"rotary_cos" | "rotary_sin", HostTensor> {
  const pairs = headDim / 2;
  const dims = [cos.length / pairs, pairs];
  return { rotary_cos: { dims, data: cos }, rotary_sin: { dims, data: sin } };
}

/** Returns the inputs of a modulation that the timestep alone decides: only their number of rows matters. */
export function countedBranches(branches: Branches): Record<"branches", BranchRows> {
  return { branches: { dims: [], rows: branches.map(() => new Float32Array(1)) } };
}

/** Returns the tokens of each branch's references, which stand behind the picture's. */
export function referenceRows(
  references: readonly (readonly ReferenceTokens[])[] = [],
): readonly (readonly Float32Array[])[] {
  return references.map((row) => row.map(({ tokens }) => tokens));
}
