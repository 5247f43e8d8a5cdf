// The Range header, RFC 9110 section 14: one range of bytes. Several at once are answered with
// the whole, as is allowed.

export interface ByteRange {
  /** First byte. */
  start: number;
  /** Behind the last byte. */
  end: number;
}

/**
 * Reads a Range header. Returns undefined if the whole file is wanted, and "unsatisfiable" if the range lies
 * outside it.
 */
export function byteRange(
  header: string | undefined,
  length: number,
): ByteRange | "unsatisfiable" | undefined {
  const [, first, last] = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header ?? "") ?? [];
  if (first === undefined || last === undefined || first + last === "") return undefined;
  // "-5": the last five.
  const start = first === "" ? Math.max(0, length - Number(last)) : Number(first);
  const end = first === "" || last === "" ? length : Math.min(length, Number(last) + 1);
  if (last !== "" && first !== "" && Number(last) < Number(first)) return undefined;
  return start < end ? { start, end } : "unsatisfiable";
}
