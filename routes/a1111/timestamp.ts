/** Writes a time as AUTOMATIC1111 does: 20261129185900, or "0" for none. */
export function timestamp(ms: number): string {
  return ms === 0 ? "0" : new Date(ms).toISOString().replace(/\D/g, "").slice(0, 14);
}
