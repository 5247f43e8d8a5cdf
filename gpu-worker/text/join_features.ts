// Joins the features that several text encoders compute for the same tokens.

export interface JoinFeaturesOptions {
  tokens: number;
  /** Features of a joined token; zeros fill the rest. @default the sum of the parts' features */
  width?: number;
}

/** Joins [tokens, a], [tokens, b], ... into [tokens, width]. */
export function joinFeatures(
  parts: readonly Float32Array[],
  { tokens, width }: JoinFeaturesOptions,
): Float32Array<ArrayBuffer> {
  const step = width ?? parts.reduce((sum, { length }) => sum + length / tokens, 0);
  const joined = new Float32Array(tokens * step);
  let column = 0;
  for (const part of parts) {
    const features = part.length / tokens;
    for (let token = 0; token < tokens; token++) {
      joined.set(part.subarray(token * features, (token + 1) * features), token * step + column);
    }
    column += features;
  }
  return joined;
}
