// The resolution-dependent shift of FLUX and SD3: `calculate_shift` of diffusers' pipelines.

/** The line through (baseImageSeqLen, baseShift) and (maxImageSeqLen, maxShift). */
export interface ShiftLine {
  /** Image tokens of the smallest training size. */
  baseImageSeqLen: number;
  /** Image tokens of the largest training size. */
  maxImageSeqLen: number;
  /** `mu` at the smallest size. */
  baseShift: number;
  /** `mu` at the largest size. */
  maxShift: number;
}

/** Returns `mu` for an image of `imageSeqLen` tokens: on the line, and beyond its ends too. */
export function calculateShift(imageSeqLen: number, line: ShiftLine): number {
  const slope = (line.maxShift - line.baseShift) / (line.maxImageSeqLen - line.baseImageSeqLen);
  const intercept = line.baseShift - slope * line.baseImageSeqLen;
  return imageSeqLen * slope + intercept;
}
