// Puts what several text encoders say of the same tokens side by side.

export interface JoinFeaturesOptions {
  tokens: number;
  /** Features of a joined token: zeros fill up what the parts leave. @default those of the parts together */
  width?: number;
}

/** [tokens, a], [tokens, b], ... -> [tokens, width]. */
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
