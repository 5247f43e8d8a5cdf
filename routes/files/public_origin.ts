// Finds the origin under which clients reach this edge.

/**
 * Returns the origin that addresses of files begin with: of `publicUrl`, or of the request if that names this
 * machine by number. A name in a Host header may be anybody's, so there is no origin then.
 */
export function publicOrigin(requestUrl: string, publicUrl: string | undefined): string | undefined {
  if (publicUrl !== undefined) return new URL(publicUrl).origin;
  const { hostname, origin } = new URL(requestUrl);
  return /^(localhost|\d+(\.\d+){3}|\[.*\])$/.test(hostname) ? origin : undefined;
}
