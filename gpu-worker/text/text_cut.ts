/** How much of a text an encoder left out. */
export interface TextCut {
  /** Number of tokens at the end that were not read. */
  dropped: number;
  /** Largest number of tokens, special ones included. */
  limit: number;
}

/** Returns the cut of the encoder that read the most: what it left out, none has read. */
export function leastCut(first: TextCut, ...others: readonly TextCut[]): TextCut {
  return others.reduce((least, cut) => cut.dropped < least.dropped ? cut : least, first);
}
